package sstable

import (
	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/filter"
)

// MayHavePrefix returns false only if no entry of the table, of any kind, has a
// key with this prefix, as the extractor of the given name finds it in keys. It
// is true if the table's filter was made with another extractor or without one,
// is damaged or absent. Range tombstones are not looked at: those of a table
// without the prefix may still cover keys that have it. It does not allocate.
func (r *Reader) MayHavePrefix(prefix []byte, extractor string) bool {
	if !r.hasFilter || extractor == "" || r.props.PrefixExtractor != extractor {
		return true
	}
	return r.filter.MayContain(filter.HashPrefix(prefix))
}

// prefixExtractor is what made the prefixes in the table's filter; nil if there
// are none or it is not known here.
func (r *Reader) prefixExtractor() base.PrefixExtractor {
	name := r.props.PrefixExtractor
	if !r.hasFilter || name == "" {
		return nil
	}
	if r.extractor != nil && r.extractor.Name() == name {
		return r.extractor
	}
	return base.ReadyPrefixExtractor(name)
}

// filterKnows reports whether the filter knows a key and its prefix, found by
// extractor if that is not nil.
func (r *Reader) filterKnows(user []byte, extractor base.PrefixExtractor) bool {
	if !r.hasFilter {
		return true
	}
	if !r.filter.MayContain(filter.Hash(user)) {
		return false
	}
	if extractor == nil {
		return true
	}
	prefix, ok := base.PrefixOf(extractor, user)
	return !ok || r.filter.MayContain(filter.HashPrefix(prefix))
}
