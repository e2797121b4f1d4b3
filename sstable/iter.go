package sstable

import (
	"bytes"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/cache"
	"github.com/cordwood-db/cordwood/internal/iterator"
)

// IterOptions says how an iterator reads. The zero value walks the whole table
// and uses the cache without filling it.
type IterOptions struct {
	// Fill keeps blocks that were read in the cache.
	Fill bool
	// Readahead reads whole chunks from the start, past the cache: compaction,
	// full scans. Without it an iterator reads ahead more and more after a few
	// blocks in a row that were not in the cache.
	Readahead bool
	// Lower and Upper bound the user keys: Lower is part of the range, Upper
	// is not. nil is no bound. They must stay unchanged until Close.
	Lower, Upper []byte
}

// position is where an iterator stands.
type position uint8

const (
	posNone   position = iota // not positioned yet, or failed
	posEntry                  // on an entry
	posBefore                 // before the first entry
	posAfter                  // after the last
)

// Iter is a cursor over a table; it follows the rules of iterator.Iterator.
type Iter struct {
	r      *Reader
	handle *Handle // released by Close; may be nil
	opts   IterOptions
	pos    position
	err    error

	// The chunk: its number, and its index if idx.n > 0.
	chunk    int
	idx      index
	idxBlock *cache.Block // pins idx; nil if that is in buffers.index

	// The block: its number in idx, -1 if cur is in none.
	blockAt   int
	curBlock  *cache.Block // pins cur; nil if that is in buffers
	cur       blockCursor
	checkLow  bool // keys of the block may be below Lower
	checkHigh bool // keys of the block may be at or above Upper

	ahead      bool   // read more than one block at a time
	aheadBytes uint64 // how much, next time
	misses     int    // blocks in a row that were read, in one direction
	buffers    *iterBuffers
}

var _ iterator.Iterator = (*Iter)(nil)

// NewIter returns an iterator, to be closed before the reader is.
func (r *Reader) NewIter(opts IterOptions) iterator.Iterator { return r.newIter(opts) }

func (r *Reader) newIter(opts IterOptions) *Iter {
	it := &Iter{r: r, opts: opts, chunk: -1, blockAt: -1, ahead: opts.Readahead}
	it.buffers = iterBuffersPool.Get().(*iterBuffers)
	it.cur = it.buffers.cursor()
	return it
}

// First implements iterator.Iterator.
func (it *Iter) First() bool {
	if it.opts.Lower != nil {
		return it.SeekGE(it.opts.Lower, trailerMax)
	}
	it.start()
	if it.r.top.n == 0 {
		return it.exhausted(posAfter)
	}
	if !it.loadChunk(0) || !it.loadBlock(0, true) {
		return false
	}
	return it.forward(it.cur.first())
}

// Last implements iterator.Iterator.
func (it *Iter) Last() bool {
	if it.opts.Upper != nil {
		return it.SeekLT(it.opts.Upper)
	}
	it.start()
	if it.r.top.n == 0 {
		return it.exhausted(posBefore)
	}
	if !it.loadChunk(it.r.top.n-1) || !it.loadBlock(it.idx.n-1, false) {
		return false
	}
	return it.backward(it.cur.last())
}

// SeekGE implements iterator.Iterator.
func (it *Iter) SeekGE(user []byte, trailer base.Trailer) bool {
	it.start()
	if low := it.opts.Lower; low != nil && bytes.Compare(user, low) < 0 {
		user, trailer = low, trailerMax
	}
	if high := it.opts.Upper; high != nil && bytes.Compare(user, high) >= 0 {
		return it.exhausted(posAfter)
	}
	if !it.inBlock(user, trailer) {
		chunk := it.r.top.search(user, trailer)
		if chunk == it.r.top.n {
			return it.exhausted(posAfter)
		}
		if !it.loadChunk(chunk) || !it.loadBlock(it.idx.search(user, trailer), true) {
			return false
		}
	}
	return it.forward(it.cur.seekGE(user, trailer))
}

// SeekLT implements iterator.Iterator.
func (it *Iter) SeekLT(user []byte) bool {
	it.start()
	if high := it.opts.Upper; high != nil && bytes.Compare(user, high) > 0 {
		user = high
	}
	if low := it.opts.Lower; low != nil && bytes.Compare(user, low) <= 0 {
		return it.exhausted(posBefore)
	}
	if !it.inBlock(user, trailerMax) {
		// The block that may hold user; behind the last one, the last one.
		chunk := min(it.r.top.search(user, trailerMax), it.r.top.n-1)
		if chunk < 0 {
			return it.exhausted(posBefore)
		}
		if !it.loadChunk(chunk) {
			return false
		}
		if !it.loadBlock(min(it.idx.search(user, trailerMax), it.idx.n-1), false) {
			return false
		}
	}
	return it.backward(it.cur.seekLT(user))
}

// Next implements iterator.Iterator.
func (it *Iter) Next() bool {
	switch it.pos {
	case posEntry:
		return it.forward(it.cur.next())
	case posBefore:
		return it.First()
	}
	return false
}

// Prev implements iterator.Iterator.
func (it *Iter) Prev() bool {
	switch it.pos {
	case posEntry:
		return it.backward(it.cur.prev())
	case posAfter:
		return it.Last()
	}
	return false
}

// forward completes a step to a higher key: ok says that the cursor stands on
// an entry, otherwise the search goes on in the next block.
func (it *Iter) forward(ok bool) bool {
	for !ok {
		if it.cur.corrupt {
			return it.failBlock()
		}
		if it.checkHigh {
			return it.exhausted(posAfter) // what follows is above a separator at or above Upper
		}
		if it.blockAt+1 < it.idx.n {
			if !it.loadBlock(it.blockAt+1, true) {
				return false
			}
		} else {
			if it.chunk+1 == it.r.top.n {
				return it.exhausted(posAfter)
			}
			if !it.loadChunk(it.chunk+1) || !it.loadBlock(0, true) {
				return false
			}
		}
		ok = it.cur.first()
	}
	if it.checkHigh && bytes.Compare(it.cur.key, it.opts.Upper) >= 0 {
		return it.exhausted(posAfter)
	}
	it.pos = posEntry
	return true
}

// backward completes a step to a lower key.
func (it *Iter) backward(ok bool) bool {
	for !ok {
		if it.cur.corrupt {
			return it.failBlock()
		}
		if it.checkLow {
			return it.exhausted(posBefore) // what precedes ends at a separator below Lower
		}
		if it.blockAt > 0 {
			if !it.loadBlock(it.blockAt-1, false) {
				return false
			}
		} else {
			if it.chunk == 0 {
				return it.exhausted(posBefore)
			}
			if !it.loadChunk(it.chunk-1) || !it.loadBlock(it.idx.n-1, false) {
				return false
			}
		}
		ok = it.cur.last()
	}
	if it.checkLow && bytes.Compare(it.cur.key, it.opts.Lower) < 0 {
		return it.exhausted(posBefore)
	}
	it.pos = posEntry
	return true
}

// start begins a First, Last or Seek: they may succeed after an error.
func (it *Iter) start() {
	it.err = nil
	it.pos = posNone
	it.misses = 0
	it.ahead = it.opts.Readahead
	it.aheadBytes = aheadBytesMin
	if it.ahead {
		it.aheadBytes = spanBytesMax
	}
}

func (it *Iter) exhausted(pos position) bool {
	it.pos = pos
	return false
}

// fail makes err the iterator's, until it is positioned anew.
func (it *Iter) fail(err error) bool {
	it.err = err
	it.pos = posNone
	return false
}

func (it *Iter) failBlock() bool {
	err := it.r.corruptEntry(it.idx.handle(it.blockAt))
	it.dropBlock()
	return it.fail(err)
}

// Key implements iterator.Iterator.
func (it *Iter) Key() base.InternalKey {
	return base.InternalKey{User: it.cur.key, Trailer: it.cur.trailer}
}

// Value implements iterator.Iterator.
func (it *Iter) Value() []byte { return it.cur.value }

// Err implements iterator.Iterator.
func (it *Iter) Err() error { return it.err }

// Close implements iterator.Iterator. A second Close does nothing.
func (it *Iter) Close() error {
	if it.buffers == nil {
		return it.err
	}
	it.dropBlock()
	it.dropChunk()
	it.pos = posNone
	it.buffers.put(&it.cur)
	it.buffers = nil
	if it.handle != nil {
		it.handle.Release()
		it.handle = nil
	}
	return it.err
}
