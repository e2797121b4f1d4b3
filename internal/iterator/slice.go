package iterator

import (
	"bytes"
	"sort"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/invariants"
)

// Entry is an internal key with its payload.
type Entry struct {
	Key   base.InternalKey
	Value []byte
}

// Slice is an Iterator over a sorted run of entries in memory. It has no
// errors. Its keys and values are those of the entries, and stay valid.
type Slice struct {
	entries []Entry
	pos     int // -1: off the front; len(entries): off the back
}

var _ Iterator = (*Slice)(nil)

// NewSlice returns an Iterator over entries, which must ascend strictly by
// internal key and must not change while the Iterator is in use.
func NewSlice(entries []Entry) *Slice {
	if invariants.Enabled {
		for i := 1; i < len(entries); i++ {
			invariants.Check(entries[i-1].Key.Compare(entries[i].Key) < 0,
				"entries %d and %d do not ascend", i-1, i)
		}
	}
	return &Slice{entries: entries, pos: -1}
}

// to moves to entry i and reports whether there is one.
func (s *Slice) to(i int) bool {
	s.pos = i
	return uint(i) < uint(len(s.entries))
}

// First implements Iterator.
func (s *Slice) First() bool { return s.to(0) }

// Last implements Iterator.
func (s *Slice) Last() bool { return s.to(len(s.entries) - 1) }

// SeekGE implements Iterator.
func (s *Slice) SeekGE(user []byte, trailer base.Trailer) bool {
	target := base.InternalKey{User: user, Trailer: trailer}
	return s.to(sort.Search(len(s.entries), func(i int) bool {
		return s.entries[i].Key.Compare(target) >= 0
	}))
}

// SeekLT implements Iterator.
func (s *Slice) SeekLT(user []byte) bool {
	return s.to(sort.Search(len(s.entries), func(i int) bool {
		return bytes.Compare(s.entries[i].Key.User, user) >= 0
	}) - 1)
}

// Next implements Iterator.
func (s *Slice) Next() bool { return s.to(min(s.pos+1, len(s.entries))) }

// Prev implements Iterator.
func (s *Slice) Prev() bool { return s.to(max(s.pos-1, -1)) }

// Key implements Iterator.
func (s *Slice) Key() base.InternalKey { return s.entries[s.pos].Key }

// Value implements Iterator.
func (s *Slice) Value() []byte { return s.entries[s.pos].Value }

// Err implements Iterator: it is always nil.
func (s *Slice) Err() error { return nil }

// Close implements Iterator.
func (s *Slice) Close() error { return nil }
