package compaction

import (
	"errors"
	"sort"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/iterator"
	"github.com/cordwood-db/cordwood/manifest"
)

// concat is an iterator over tables that ascend and are disjoint, one of which
// is open at a time.
type concat struct {
	tables []*manifest.TableMeta
	open   func(*manifest.TableMeta) (iterator.Iterator, error)
	at     int               // table of cur; -1 and len(tables) are the ends
	cur    iterator.Iterator // nil at the ends, and after an error in opening
	err    error
	closed error // errors in closing tables that were done with
}

var _ iterator.Iterator = (*concat)(nil)

// move closes the current table and opens another; false at the ends and on an
// error. A table cannot be left with an error unnoticed: leaving reports it.
func (c *concat) move(at int) bool {
	c.err = nil
	if c.cur != nil {
		if c.at == at {
			return true
		}
		cur := c.cur
		c.cur = nil
		if err := cur.Close(); err != nil {
			c.closed = errors.Join(c.closed, err)
			c.err = err
			return false
		}
	}
	c.at = at
	if at < 0 || at >= len(c.tables) {
		return false
	}
	c.cur, c.err = c.open(c.tables[at])
	if c.err != nil {
		c.cur = nil
	}
	return c.err == nil
}

// onward takes what a positioning call on cur returned, and goes on to the next
// table if it ran off the end.
func (c *concat) onward(ok bool) bool {
	for !ok {
		if c.err = c.cur.Err(); c.err != nil || !c.move(c.at+1) {
			return false
		}
		ok = c.cur.First()
	}
	return true
}

// backward is onward in the other direction.
func (c *concat) backward(ok bool) bool {
	for !ok {
		if c.err = c.cur.Err(); c.err != nil || !c.move(c.at-1) {
			return false
		}
		ok = c.cur.Last()
	}
	return true
}

// First implements iterator.Iterator.
func (c *concat) First() bool { return c.move(0) && c.onward(c.cur.First()) }

// Last implements iterator.Iterator.
func (c *concat) Last() bool {
	return c.move(len(c.tables)-1) && c.backward(c.cur.Last())
}

// SeekGE implements iterator.Iterator.
func (c *concat) SeekGE(user []byte, trailer base.Trailer) bool {
	i := sort.Search(len(c.tables), func(i int) bool { return !endsBefore(c.tables[i], user) })
	return c.move(i) && c.onward(c.cur.SeekGE(user, trailer))
}

// SeekLT implements iterator.Iterator.
func (c *concat) SeekLT(user []byte) bool {
	i := sort.Search(len(c.tables), func(i int) bool { return !endsBefore(c.tables[i], user) })
	i = min(i, len(c.tables)-1) // where user is, or the last
	return c.move(i) && c.backward(c.cur.SeekLT(user))
}

// Next implements iterator.Iterator.
func (c *concat) Next() bool {
	switch {
	case c.err != nil:
		return false
	case c.cur != nil:
		return c.onward(c.cur.Next())
	case c.at < 0:
		return c.First()
	}
	return false
}

// Prev implements iterator.Iterator.
func (c *concat) Prev() bool {
	switch {
	case c.err != nil:
		return false
	case c.cur != nil:
		return c.backward(c.cur.Prev())
	case c.at >= len(c.tables):
		return c.Last()
	}
	return false
}

// Key implements iterator.Iterator.
func (c *concat) Key() base.InternalKey { return c.cur.Key() }

// Value implements iterator.Iterator.
func (c *concat) Value() []byte { return c.cur.Value() }

// Err implements iterator.Iterator.
func (c *concat) Err() error { return c.err }

// Close implements iterator.Iterator.
func (c *concat) Close() error {
	err := errors.Join(c.err, c.closed)
	if c.cur != nil {
		// Its error, if it has one, is c.err already.
		if cerr := c.cur.Close(); c.err == nil {
			err = errors.Join(err, cerr)
		}
		c.cur = nil
	}
	return err
}
