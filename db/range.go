package db

import (
	"bytes"
	"slices"
)

// Range is a part of the key space and a direction to walk it in. The zero
// value is All. Ranges are values: methods return changed copies.
type Range struct {
	lower, upper []byte // [lower, upper)
	bounded      bool   // upper counts
	backward     bool
	keysOnly     bool
}

// All is the whole key space.
func All() Range { return Range{} }

// Prefix is every key that starts with p. It keeps a copy of p.
func Prefix(p []byte) Range {
	r := Range{lower: bytes.Clone(p)}
	if upper := prefixEnd(p); upper != nil {
		r.upper, r.bounded = upper, true
	}
	return r
}

// Between is every key k with start <= k < end. A nil start is the first key,
// a nil end is after the last one; an empty end that is not nil selects nothing.
// It keeps copies of both.
func Between(start, end []byte) Range {
	return Range{lower: bytes.Clone(start), upper: bytes.Clone(end), bounded: end != nil}
}

// From is every key k with start <= k.
func From(start []byte) Range { return Between(start, nil) }

// Backward is r walked from its last key to its first.
func (r Range) Backward() Range {
	r.backward = true
	return r
}

// KeysOnly is r walked without reading values: Item.Value returns an error,
// and no value is fetched ahead.
func (r Range) KeysOnly() Range {
	r.keysOnly = true
	return r
}

// Lower is the inclusive lower bound; nil means none. It is not a copy.
func (r Range) Lower() []byte { return r.lower }

// Upper is the exclusive upper bound; ok is false if there is none. It is not
// a copy.
func (r Range) Upper() (upper []byte, ok bool) { return r.upper, r.bounded }

// IsBackward reports whether r is walked from its last key to its first.
func (r Range) IsBackward() bool { return r.backward }

// IsKeysOnly reports whether r is walked without reading values.
func (r Range) IsKeysOnly() bool { return r.keysOnly }

// empty reports whether no key can be in r.
func (r Range) empty() bool {
	return r.bounded && bytes.Compare(r.lower, r.upper) >= 0
}

// bounds are those of a range that is not empty, for the layers below: a nil
// upper is no bound.
func (r Range) bounds() (lower, upper []byte) {
	if r.bounded {
		upper = r.upper
	}
	return r.lower, upper
}

// prefixEnd is the smallest key greater than every key with prefix p, or nil
// if there is none.
func prefixEnd(p []byte) []byte {
	for i := len(p) - 1; i >= 0; i-- {
		if p[i] != 0xff {
			end := slices.Clone(p[:i+1])
			end[i]++
			return end
		}
	}
	return nil
}
