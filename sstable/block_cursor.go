package sstable

import (
	"sort"

	"github.com/cordwood-db/cordwood/internal/base"
)

// blockCursor walks the entries of one data block. It keeps its memory from
// block to block. Positioning methods return false at either end and for an
// entry that does not decode, which corrupt tells apart.
type blockCursor struct {
	b       block
	corrupt bool

	// The current entry.
	at, after place  // where it lies, and its successor
	key       []byte // its user key: keyBuf, or a part of runKeys
	trailer   base.Trailer
	value     []byte

	keyBuf []byte

	// Going backwards, the entries from a restart point to the current one are
	// decoded once and kept: run[runAt] is the current one. runAt is -1 going
	// forward.
	run     []runEntry
	runKeys []byte
	runAt   int
}

// runEntry is an entry with its key in runKeys.
type runEntry struct {
	at             place
	keyFrom, keyTo int
	e              entry
}

// reset puts the cursor before the first entry of b.
func (c *blockCursor) reset(b block) {
	c.b = b
	c.corrupt = false
	c.at, c.after = place{}, place{}
	c.key, c.value = nil, nil
	c.runAt = -1
}

// first moves to the first entry.
func (c *blockCursor) first() bool {
	c.runAt = -1
	c.key = nil
	return c.decode(place{})
}

// next moves to the following entry.
func (c *blockCursor) next() bool {
	if c.runAt >= 0 {
		if c.runAt+1 < len(c.run) {
			c.setRun(c.runAt + 1)
			return true
		}
		c.keyBuf = append(c.keyBuf[:0], c.key...)
		c.key = c.keyBuf
		c.runAt = -1
	}
	return c.decode(c.after)
}

// decode moves to the entry at at, whose predecessor's key is c.key.
func (c *blockCursor) decode(at place) bool {
	if at.key >= len(c.b.keys) {
		return false
	}
	e, ok := c.b.entry(at)
	if !ok || e.shared > len(c.key) || !storable(e.trailer) {
		c.corrupt = true
		return false
	}
	c.keyBuf = append(c.keyBuf[:e.shared], c.b.suffix(&e)...)
	c.key = c.keyBuf
	c.set(at, &e)
	return true
}

// set makes e, at at, current; the key is set already.
func (c *blockCursor) set(at place, e *entry) {
	c.at, c.after = at, e.next
	c.trailer = e.trailer
	c.value = c.b.value(e)
}

// seekGE moves to the first entry at or after (user, trailer).
func (c *blockCursor) seekGE(user []byte, trailer base.Trailer) bool {
	e, at, _, f := c.b.search(user, trailer)
	if f == foundEnd {
		return false
	}
	if f == foundCorrupt || !storable(e.trailer) {
		c.corrupt = true
		return false
	}
	// search promises that the shared prefix is the target's.
	c.keyBuf = append(append(c.keyBuf[:0], user[:e.shared]...), c.b.suffix(&e)...)
	c.key = c.keyBuf
	c.runAt = -1
	c.set(at, &e)
	return true
}

// last moves to the last entry.
func (c *blockCursor) last() bool { return c.before(len(c.b.keys)) }

// prev moves to the preceding entry.
func (c *blockCursor) prev() bool {
	if c.runAt > 0 {
		c.setRun(c.runAt - 1)
		return true
	}
	return c.before(c.at.key)
}

// seekLT moves to the last entry whose user key is less than user.
func (c *blockCursor) seekLT(user []byte) bool {
	_, at, _, f := c.b.search(user, trailerMax)
	if f == foundCorrupt {
		c.corrupt = true
		return false
	}
	return c.before(at.key)
}

// trailerMax sorts before every version of a user key.
const trailerMax = ^base.Trailer(0)

// before moves to the last entry whose key starts before off.
func (c *blockCursor) before(off int) bool {
	if off <= 0 {
		return false
	}
	// The last restart point before off. Hostile ones may be out of order;
	// any answer will do then.
	r := sort.Search(c.b.n, func(i int) bool { return c.b.restart(i).key >= off }) - 1
	c.run, c.runKeys = c.run[:0], c.runKeys[:0]
	at, keyFrom := c.b.restart(max(r, 0)), 0
	for at.key < off {
		e, ok := c.b.entry(at)
		if !ok || e.shared > len(c.runKeys)-keyFrom || !storable(e.trailer) {
			c.corrupt = true
			return false
		}
		from := len(c.runKeys)
		c.runKeys = append(c.runKeys, c.runKeys[keyFrom:keyFrom+e.shared]...)
		c.runKeys = append(c.runKeys, c.b.suffix(&e)...)
		keyFrom = from
		if len(c.run) == restartIntervalMax {
			c.corrupt = true // and more keys than memory should be spent on
			return false
		}
		c.run = append(c.run, runEntry{at: at, keyFrom: from, keyTo: len(c.runKeys), e: e})
		at = e.next
	}
	if len(c.run) == 0 {
		c.corrupt = true // a restart point beyond its successor
		return false
	}
	c.setRun(len(c.run) - 1)
	return true
}

// setRun makes run[i] current.
func (c *blockCursor) setRun(i int) {
	e := &c.run[i]
	c.runAt = i
	c.key = c.runKeys[e.keyFrom:e.keyTo:e.keyTo]
	c.set(e.at, &e.e)
}
