package db

import (
	"bytes"

	"github.com/cordwood-db/cordwood/internal/base"
)

// PrefixExtractor finds the prefix of a key, for Options.Prefix. It has a name,
// which is stored in each table, and must find the same prefix in every key
// that begins with it: the first bytes, or those up to the first of something,
// but not those up to the last.
type PrefixExtractor = base.PrefixExtractor

// FixedPrefix is the extractor of the first n bytes; shorter keys have no
// prefix. An n below 0 counts as 0.
func FixedPrefix(n int) PrefixExtractor { return base.FixedPrefix(n) }

// DelimitedPrefix is the extractor of the bytes up to and with the first b;
// keys without b have no prefix.
func DelimitedPrefix(b byte) PrefixExtractor { return base.DelimitedPrefix(b) }

// wantedPrefix is a prefix that all keys of a range have. A table whose filter
// does not know it has none of them. The zero value wants nothing.
type wantedPrefix struct {
	prefix    []byte
	extractor string // its name; "" if the range has no such prefix
}

// wantedPrefix finds the prefix of a range. The least key of the range has one;
// all keys that begin with it have it too, so that it is enough if the range
// ends with them.
func (s *settings) wantedPrefix(r Range) wantedPrefix {
	if s.prefix == nil {
		return wantedPrefix{}
	}
	prefix, ok := base.PrefixOf(s.prefix, r.lower)
	if !ok || len(prefix) == 0 {
		return wantedPrefix{}
	}
	if end := prefixEnd(prefix); end != nil && !(r.bounded && bytes.Compare(r.upper, end) <= 0) {
		return wantedPrefix{}
	}
	return wantedPrefix{prefix, s.prefixName}
}
