package db

import (
	"cmp"
	"slices"
	"sync"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/vlog"
)

// A cursor that walks in one direction and is asked for one value of the value
// log after the other looks ahead: it walks on over a window of entries, reads
// their values with few large reads instead of many small ones, and serves the
// moves that follow from memory.
//
//   - It begins after aheadAfter values in a row, with a small window that
//     doubles. An item whose value is not asked for ends it; keys and inline
//     values alone never begin it.
//   - Only values that lie near each other in a file are worth it: a read of 64
//     values that lie apart costs as much as 64 reads, and takes the keys and
//     pointers to memory besides. The pointers show that before anything is
//     read. A cursor that finds its values apart walks on without looking ahead
//     for a while, and longer each time.
//   - An error belongs to the item that has it. A value that could not be read
//     is read again, alone, when it is asked for; an error of the walk waits
//     until the items before it are passed.
//
// BenchmarkScanValues measures it.
const (
	aheadAfter    = 3       // values in a row that begin it
	aheadFirst    = 4       // items of the first window
	aheadItemsMax = 64      // of a window
	aheadBytesMax = 1 << 20 // keys and values of a window, but for its last item

	// aheadValueMax is the length up to which a value is fetched ahead. Values of
	// 16 KiB gain nothing: to copy one costs as much as the call that is saved.
	aheadValueMax = 8 << 10
	// aheadGapMax is how far apart in a file two records may be to be read in
	// one piece; the value log takes the same view.
	aheadGapMax = 32 << 10

	// How many items a cursor walks before it looks ahead again.
	aheadPauseMin = 16
	aheadPauseMax = 4096
)

// lookahead is a window of entries that a cursor has walked over ahead of its
// caller.
type lookahead struct {
	on       bool // the cursor's current entry is items[at]
	backward bool
	items    []aheadItem
	at       int

	// What came behind the items, if it was no entry.
	end bool
	err error

	window   int   // items of the next one
	pause    int   // items to walk before that
	patience int   // the last pause
	reserved int64 // bytes counted in DB.ahead

	arena  []byte // keys and inline values of items
	values []byte // fetched ones
	reqs   []vlog.ReadRequest
	order  []int // of reqs, as they lie in the value log
}

// aheadItem is an entry as the cursor shows it.
type aheadItem struct {
	key, value []byte
	kind       base.Kind
	seq        base.SeqNum
	expiry     uint64
	separated  bool // its value was fetched from the value log
}

var lookaheads = sync.Pool{New: func() any { return new(lookahead) }}

// recycle gives the memory of a lookahead away.
func (q *lookahead) recycle() {
	q.forget()
	if cap(q.arena)+cap(q.values) <= 3*aheadBytesMax {
		q.on, q.end, q.window, q.pause, q.patience = false, false, 0, 0, 0
		lookaheads.Put(q)
	}
}

// forget drops the items.
func (q *lookahead) forget() {
	clear(q.items)
	clear(q.reqs)
	q.items, q.reqs, q.err = q.items[:0], q.reqs[:0], nil
}

// move goes one key forward or backward.
func (c *Cursor) move(backward bool) bool {
	if c.valid && (c.separated || c.kind.Op() == base.KindSetPointer) {
		c.streak++
		if !c.asked {
			c.streak = 0
		}
	}
	c.asked, c.separated = false, false
	if c.walked != backward {
		c.walked, c.streak = backward, 0
	}
	if q := c.ahead; q != nil && q.on {
		if q.backward == backward && q.at+1 < len(q.items) {
			q.at++
			c.take(q)
			return true
		}
		q.on = false
		if q.backward != backward {
			c.at = atElsewhere
		} else if q.end {
			c.valid, c.err = false, q.err
			return false
		}
	}
	if !c.step(backward) {
		return false
	}
	if c.streak >= aheadAfter && c.kind.Op() == base.KindSetPointer && !c.rng.keysOnly {
		c.lookAhead()
	}
	return true
}

func (c *Cursor) step(backward bool) bool {
	if backward {
		return c.stepBackward()
	}
	return c.stepForward()
}

// restart is for a move that is no step.
func (c *Cursor) restart() {
	c.asked, c.separated, c.streak = false, false, 0
	if c.ahead != nil {
		c.ahead.on = false
	}
}

// expectValues tells a cursor that it will walk over about n items from the
// current one on, and be asked for their values.
func (c *Cursor) expectValues(n int, backward bool) {
	if !c.begin() {
		return
	}
	defer c.end()
	if c.streak, c.walked = aheadAfter, backward; c.ahead == nil && n > aheadFirst {
		c.newLookahead(min(n, aheadItemsMax))
	}
}

func (c *Cursor) newLookahead(window int) {
	c.ahead = lookaheads.Get().(*lookahead)
	c.ahead.window, c.ahead.patience = window, aheadPauseMin
}

// take makes items[at] the current entry.
func (c *Cursor) take(q *lookahead) {
	it := &q.items[q.at]
	c.valid = true
	c.key = append(c.key[:0], it.key...)
	c.kind, c.seqAt, c.expiry, c.value, c.separated = it.kind, it.seq, it.expiry, it.value, it.separated
}

// lookAhead walks over a window of entries that begins with the current one,
// and fetches their values.
func (c *Cursor) lookAhead() {
	if c.ahead == nil {
		c.newLookahead(aheadFirst)
	}
	q := c.ahead
	if q.pause > 0 {
		q.pause--
		return
	}
	bytesMax := int(min(aheadBytesMax, c.r.db.opts.MemoryMax/(4*aheadShare))) * q.window / aheadItemsMax
	if !c.r.db.reserveAhead(q, int64(bytesMax)) {
		q.rest()
		return
	}
	q.forget()
	if cap(q.arena) > 2*aheadBytesMax { // a very large value was in it
		q.arena = nil
	}
	q.arena, q.end = q.arena[:0], false
	for bytes := 0; ; {
		bytes += q.add(c)
		if len(q.items) == q.window || bytes >= bytesMax {
			break
		}
		if !c.step(c.walked) {
			q.end, q.err, c.err = true, c.err, nil
			break
		}
	}
	if c.fetch(q) {
		q.window, q.patience = min(2*q.window, aheadItemsMax), aheadPauseMin
	} else {
		q.rest()
	}
	q.on, q.backward, q.at = true, c.walked, 0
	c.take(q)
}

// rest makes the cursor walk without looking ahead for a while.
func (q *lookahead) rest() {
	q.window, q.pause, q.patience = aheadFirst, q.patience, min(2*q.patience, aheadPauseMax)
}

// add appends the cursor's current entry. It returns how many bytes that is,
// with the value that is to be fetched.
func (q *lookahead) add(c *Cursor) int {
	at := len(q.arena)
	q.arena = append(append(q.arena, c.key...), c.value...)
	value := at + len(c.key)
	// Where the arena moves, earlier items keep their bytes in the old one.
	q.items = append(q.items, aheadItem{key: q.arena[at:value:value], value: q.arena[value:len(q.arena):len(q.arena)],
		kind: c.kind, seq: c.seqAt, expiry: c.expiry})
	n := len(q.arena) - at
	if c.kind.Op() == base.KindSetPointer {
		if size := c.valueSize(); size <= aheadValueMax {
			n += size
		}
	}
	return n
}

// fetch reads the values of items from the value log, unless that is not worth
// it: then it reports false and leaves them where they are.
func (c *Cursor) fetch(q *lookahead) bool {
	size := 0
	for i := range q.items {
		it := &q.items[i]
		if it.kind.Op() != base.KindSetPointer || isOwn(it.seq) {
			continue
		}
		ptr, err := base.DecodePointer(it.value)
		if err != nil || ptr.ValueLen > aheadValueMax {
			continue // Value sees to it
		}
		meta := c.r.s.version.Vlog(ptr.File)
		if meta == nil {
			continue
		}
		q.reqs = append(q.reqs, vlog.ReadRequest{Loc: location(meta), Keyspace: c.r.ks.num, Key: it.key, Seq: it.seq, Ptr: ptr})
		size += int(ptr.ValueLen)
	}
	if !q.near() {
		return false
	}
	if cap(q.values) < size {
		q.values = make([]byte, max(size, 2*cap(q.values)))
	}
	free := q.values[:0:cap(q.values)]
	for i := range q.reqs {
		n := int(q.reqs[i].Ptr.ValueLen)
		q.reqs[i].Dst, free = free[:0:n], free[n:n:cap(free)]
	}
	_ = c.r.db.values.ReadMany(q.reqs) // each request has its own error
	next := 0
	for i := range q.items {
		it := &q.items[i]
		if next == len(q.reqs) || it.seq != q.reqs[next].Seq || it.kind.Op() != base.KindSetPointer {
			continue
		}
		if r := &q.reqs[next]; r.Err == nil {
			it.kind, it.value, it.separated = base.KindSet, r.Dst, true
		}
		next++
	}
	return true
}

// near reports whether most of the values lie where one read gets several.
func (q *lookahead) near() bool {
	if len(q.reqs) < 2 {
		return false
	}
	q.order = q.order[:0]
	for i := range q.reqs {
		q.order = append(q.order, i)
	}
	slices.SortFunc(q.order, func(a, b int) int {
		p, r := &q.reqs[a].Ptr, &q.reqs[b].Ptr
		return cmp.Or(cmp.Compare(p.File, r.File), cmp.Compare(p.Offset, r.Offset))
	})
	near := 0
	for i := 1; i < len(q.order); i++ {
		p, r := &q.reqs[q.order[i-1]].Ptr, &q.reqs[q.order[i]].Ptr
		if p.File == r.File && uint64(r.Offset) <= uint64(p.Offset)+uint64(p.Size)+aheadGapMax {
			near++
		}
	}
	return near >= len(q.reqs)/2
}

// aheadShare is the part of MemoryMax that all cursors together may hold for
// what they have fetched ahead.
const aheadShare = 16

// reserveAhead counts n bytes that a cursor is about to use, in place of those
// that it has counted before. false: others use too many already.
func (db *DB) reserveAhead(q *lookahead, n int64) bool {
	more := n - q.reserved
	if more <= 0 {
		return true
	}
	if db.ahead.Add(more) > db.opts.MemoryMax/aheadShare {
		db.ahead.Add(-more)
		return false
	}
	q.reserved = n
	return true
}

// unreserve takes back what the cursor has counted.
func (c *Cursor) unreserve() {
	if c.ahead != nil {
		c.r.db.ahead.Add(-c.ahead.reserved)
		c.ahead.reserved = 0
	}
}

// dropAhead gives the memory for looking ahead to the next cursor. Its owner
// calls it, who holds no value any more; a cursor that the store closes keeps
// it.
func (c *Cursor) dropAhead() {
	if !c.use.CompareAndSwap(cursorIdle, cursorBusy) {
		return
	}
	defer c.end()
	if c.ahead != nil {
		c.unreserve()
		c.ahead.recycle()
		c.ahead = nil
	}
}
