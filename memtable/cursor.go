package memtable

import (
	"slices"
	"sync"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/iterator"
)

// The buffer of a cursor starts small, for lookups, and grows by this factor
// with each refill in the same direction, for scans.
const (
	cursorItemsMin    = 16
	cursorItemsMax    = 256
	cursorItemsFactor = 4
)

// place says where a cursor stands.
type place uint8

const (
	unplaced place = iota
	offFront
	onEntry
	offBack
)

// cursor walks a memtable. It reads a run of items under the lock and serves
// them without. Between two refills more entries may have come: those between
// items that it has already read are missed, which is right, since their
// sequence numbers are above that of any reader that had started.
type cursor struct {
	m     *Memtable
	b     *body  // of m; nil as long as m had no entries
	items []item // a run of the tree, ascending
	i     int    // current one if place is onEntry
	place place

	want    int                       // how many items the next refill reads
	collect func(item) bool           // appends to items until there are want
	box     *[cursorItemsMax + 1]item // holds items from the second run on; from cursorPool
	inline  [cursorItemsMin]item      // holds them before
}

// cursorPool holds buffers of cursors that are closed.
var cursorPool = sync.Pool{New: func() any { return new([cursorItemsMax + 1]item) }}

var _ iterator.Iterator = (*cursor)(nil)

// NewIter returns a cursor over the entries, without range deletes. It shows
// entries that are applied while it is open, so its user filters by sequence
// number. It never has an error. Close it before Release.
func (m *Memtable) NewIter() iterator.Iterator {
	c := &cursor{m: m}
	c.items = c.inline[:0]
	c.collect = func(it item) bool {
		c.items = append(c.items, it)
		return len(c.items) < c.want
	}
	return c
}

// empty reports whether the memtable has had no operation yet.
func (c *cursor) empty() bool {
	if c.b == nil {
		c.b = c.m.body.Load()
	}
	return c.b == nil
}

// start begins a new run.
func (c *cursor) start() {
	c.items, c.want = c.items[:0], cursorItemsMin
}

// more begins a run that goes on where the last one ended.
func (c *cursor) more() {
	c.want = min(c.want*cursorItemsFactor, cursorItemsMax)
	if c.box == nil {
		c.box = cursorPool.Get().(*[cursorItemsMax + 1]item)
		c.items = c.box[:]
	}
	c.items = c.items[:0]
}

// ascended ends the reading of a run upwards.
func (c *cursor) ascended() bool {
	c.i = 0
	if len(c.items) == 0 {
		c.place = offBack
		return false
	}
	c.place = onEntry
	return true
}

// descended ends the reading of a run downwards.
func (c *cursor) descended() bool {
	slices.Reverse(c.items)
	c.i = len(c.items) - 1
	if len(c.items) == 0 {
		c.place = offFront
		return false
	}
	c.place = onEntry
	return true
}

// First implements iterator.Iterator.
func (c *cursor) First() bool {
	c.start()
	if !c.empty() {
		c.m.mu.RLock()
		c.b.tree.Ascend(c.collect)
		c.m.mu.RUnlock()
	}
	return c.ascended()
}

// Last implements iterator.Iterator.
func (c *cursor) Last() bool {
	c.start()
	if !c.empty() {
		c.m.mu.RLock()
		c.b.tree.Descend(c.collect)
		c.m.mu.RUnlock()
	}
	return c.descended()
}

// SeekGE implements iterator.Iterator.
func (c *cursor) SeekGE(user []byte, trailer base.Trailer) bool {
	c.start()
	if !c.empty() {
		slot, pos := c.b.probes.take(user)
		c.m.mu.RLock()
		c.b.tree.AscendGreaterOrEqual(c.b.probe(pos, user, trailer), c.collect)
		c.m.mu.RUnlock()
		slot.giveBack()
	}
	return c.ascended()
}

// beforeAll is a trailer that sorts before every version of a key.
const beforeAll = ^base.Trailer(0)

// SeekLT implements iterator.Iterator.
func (c *cursor) SeekLT(user []byte) bool {
	c.start()
	if !c.empty() {
		slot, pos := c.b.probes.take(user)
		c.m.mu.RLock()
		c.b.tree.DescendLessOrEqual(c.b.probe(pos, user, beforeAll), c.collect)
		c.m.mu.RUnlock()
		slot.giveBack()
	}
	return c.descended()
}

// Next implements iterator.Iterator.
func (c *cursor) Next() bool {
	switch c.place {
	case onEntry:
		if c.i++; c.i < len(c.items) {
			return true
		}
		return c.refillUp()
	case offFront:
		return c.First()
	}
	return false
}

// Prev implements iterator.Iterator.
func (c *cursor) Prev() bool {
	switch c.place {
	case onEntry:
		if c.i--; c.i >= 0 {
			return true
		}
		return c.refillDown()
	case offBack:
		return c.Last()
	}
	return false
}

// refillUp reads on behind the last item, which is still in the tree: the walk
// from it finds it first.
func (c *cursor) refillUp() bool {
	from := c.items[len(c.items)-1]
	c.more()
	c.want++
	c.m.mu.RLock()
	from.prefix = c.b.skip.prefix(c.b.userKey(from)) // the skip may have changed
	c.b.tree.AscendGreaterOrEqual(from, c.collect)
	c.m.mu.RUnlock()
	c.want--
	c.items = c.items[:copy(c.items, c.items[1:])]
	return c.ascended()
}

// refillDown is refillUp in the other direction.
func (c *cursor) refillDown() bool {
	from := c.items[0]
	c.more()
	c.want++
	c.m.mu.RLock()
	from.prefix = c.b.skip.prefix(c.b.userKey(from))
	c.b.tree.DescendLessOrEqual(from, c.collect)
	c.m.mu.RUnlock()
	c.want--
	c.items = c.items[:copy(c.items, c.items[1:])]
	return c.descended()
}

// Key implements iterator.Iterator. The key is valid until the memtable is
// released.
func (c *cursor) Key() base.InternalKey {
	it := &c.items[c.i]
	return base.InternalKey{User: c.b.arena.key(it.pos, it.keyLen), Trailer: it.trailer}
}

// Value implements iterator.Iterator. The payload is valid until the memtable
// is released.
func (c *cursor) Value() []byte {
	it := &c.items[c.i]
	return c.b.arena.payload(it.pos, it.keyLen)
}

// Err implements iterator.Iterator: it is always nil.
func (c *cursor) Err() error { return nil }

// Close implements iterator.Iterator.
func (c *cursor) Close() error {
	if c.box != nil {
		cursorPool.Put(c.box)
	}
	c.box, c.items, c.place = nil, nil, unplaced
	return nil
}
