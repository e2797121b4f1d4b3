package sstable

import (
	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/filter"
)

// filterBuilder collects what a table's filter knows: the hashes of the user
// keys, and those of their prefixes. Keys ascend, so that keys with one prefix
// follow each other and its hash is added once.
type filterBuilder struct {
	filter.Builder
	extractor base.PrefixExtractor // nil: no prefixes, or none any more

	// The prefix of the last key is its first prefix bytes, if hasPrefix.
	prefix    int
	hasPrefix bool
	prefixes  uint64 // hashes added
}

// add adds a user key that is another than the last one, with which it shares
// so many bytes.
func (b *filterBuilder) add(user []byte, shared int) {
	b.Add(filter.Hash(user))
	if b.extractor == nil {
		return
	}
	n, ok := b.extractor.Prefix(user)
	follows := b.hasPrefix && shared >= b.prefix // the last prefix is one of this key too
	switch {
	case ok && (n < 0 || n > len(user)), follows && (!ok || n != b.prefix):
		// The extractor breaks its rules. A filter that does not know all
		// prefixes would hide keys; the table does without.
		b.extractor = nil
		return
	case ok && !follows:
		before := b.Len()
		b.Add(filter.HashPrefix(user[:n]))
		b.prefixes += uint64(b.Len() - before)
	}
	b.prefix, b.hasPrefix = n, ok
}

// describe says in p what the filter holds.
func (b *filterBuilder) describe(p *Properties) {
	p.FilterKeys = uint64(b.Len()) - b.prefixes
	if b.extractor != nil {
		p.PrefixExtractor, p.FilterPrefixes = b.extractor.Name(), b.prefixes
	}
}
