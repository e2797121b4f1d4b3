package rangedel

import (
	"bytes"

	"github.com/cordwood-db/cordwood/internal/base"
)

// Cursor answers CoveringSeq for a run of keys close to each other, as a scan
// in either direction meets them, mostly with one or two comparisons. Any order
// of keys gives the right answer. The zero value asks an empty Set.
//
// A Cursor is used by one goroutine at a time.
type Cursor struct {
	frags []Fragment
	set   *Set
	i     int // fragments before i end at or before the last key; i itself ends above it
}

// NewCursor returns a cursor over s, which may be nil.
func NewCursor(s *Set) Cursor {
	return Cursor{frags: s.Fragments(), set: s}
}

// CoveringSeq is [Set.CoveringSeq].
func (c *Cursor) CoveringSeq(key []byte, visible base.SeqNum) base.SeqNum {
	if f := c.at(key); f != nil {
		return f.newest(visible)
	}
	return 0
}

// At is [Set.At].
func (c *Cursor) At(key []byte) (Fragment, bool) {
	if f := c.at(key); f != nil {
		return *f, true
	}
	return Fragment{}, false
}

func (c *Cursor) at(key []byte) *Fragment {
	n := len(c.frags)
	if n == 0 {
		return nil
	}
	switch i := c.i; {
	case i < n && bytes.Compare(c.frags[i].End, key) <= 0: // moved up
		if i++; i < n && bytes.Compare(c.frags[i].End, key) <= 0 {
			i = c.set.after(key)
		}
		c.i = i
	case i > 0 && bytes.Compare(c.frags[i-1].End, key) > 0: // moved down
		if i--; i > 0 && bytes.Compare(c.frags[i-1].End, key) > 0 {
			i = c.set.after(key)
		}
		c.i = i
	}
	if c.i == n {
		return nil
	}
	if f := &c.frags[c.i]; bytes.Compare(f.Start, key) <= 0 {
		return f
	}
	return nil
}
