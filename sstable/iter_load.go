package sstable

import (
	"bytes"
	"sync"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/cache"
	"github.com/cordwood-db/cordwood/internal/compress"
)

const (
	// aheadAfter is after how many blocks in a row that were not in the cache
	// an iterator reads ahead: aheadBytesMin, and each time twice as much, up to
	// whole chunks. So a scan that ends soon has read twice what it needed, at
	// most, and a long one makes few system calls.
	aheadAfter    = 3
	aheadBytesMin = 64 << 10

	// spanBytesMax bounds what is read ahead: the largest chunk with its
	// index. A chunk of one huge block is larger, and read without it.
	spanBytesMax = chunkBytesMax + chunkBytesMax/4

	// iterKeepMax bounds each buffer that is kept for the next iterator.
	iterKeepMax = 2 << 20
)

// iterBuffers is the memory that an iterator borrows while it lives.
type iterBuffers struct {
	span   []byte // stored blocks read ahead
	spanAt uint64 // offset in the file of span[0]
	stored []byte // one stored block
	data   []byte // contents of the current data block
	index  []byte // contents of the current chunk's index

	key, runKeys []byte
	run          []runEntry
}

var iterBuffersPool = sync.Pool{New: func() any { return new(iterBuffers) }}

func (b *iterBuffers) cursor() blockCursor {
	return blockCursor{keyBuf: b.key, runKeys: b.runKeys, run: b.run, runAt: -1}
}

// put gives the buffers back, with those that the cursor has grown.
func (b *iterBuffers) put(c *blockCursor) {
	b.key, b.runKeys, b.run = c.keyBuf[:0], c.runKeys[:0], c.run[:0]
	b.span = b.span[:0]
	for _, p := range []*[]byte{&b.span, &b.stored, &b.data, &b.index, &b.key, &b.runKeys} {
		if cap(*p) > iterKeepMax {
			*p = nil
		}
	}
	*c = blockCursor{}
	iterBuffersPool.Put(b)
}

// held is the stored block at h, if it was read ahead.
func (b *iterBuffers) held(h handle) []byte {
	if h.offset < b.spanAt || h.end() > b.spanAt+uint64(len(b.span)) {
		return nil
	}
	from := int(h.offset - b.spanAt)
	return b.span[from : from+int(h.length)]
}

// inBlock reports whether the current block is the one to search for the first
// entry at or after (user, trailer).
func (it *Iter) inBlock(user []byte, trailer base.Trailer) bool {
	if it.blockAt < 0 || it.idx.before(it.blockAt, user, trailer) {
		return false
	}
	switch {
	case it.blockAt > 0:
		return it.idx.before(it.blockAt-1, user, trailer)
	case it.chunk > 0:
		return it.r.top.before(it.chunk-1, user, trailer)
	}
	return true
}

// loadChunk makes chunk i current and no block of it.
func (it *Iter) loadChunk(i int) bool {
	if i == it.chunk {
		return true
	}
	it.dropBlock()
	it.dropChunk()
	h := it.r.top.chunkIndex(i)
	contents, blk, err := it.fetch(h, true, it.r.top.handle(i).offset, h.end())
	if err != nil {
		return it.fail(err)
	}
	it.idx, _ = parseIndex(contents) // checked when it was read
	it.idxBlock = blk
	it.chunk = i
	return true
}

// loadBlock makes block i of the chunk current; the cursor stands nowhere in
// it. forward says where the iterator is heading.
func (it *Iter) loadBlock(i int, forward bool) bool {
	if i == it.blockAt {
		return true
	}
	it.dropBlock()
	h := it.idx.handle(i)
	from, to := it.r.top.handle(it.chunk).offset, h.end()
	if forward {
		from, to = h.offset, it.aheadEnd(i)
	}
	contents, blk, err := it.fetch(h, false, from, to)
	if err != nil {
		return it.fail(err)
	}
	b, ok := parseBlock(contents)
	if !ok {
		if blk != nil {
			blk.Release()
		}
		return it.fail(it.r.corruptEntry(h))
	}
	it.cur.reset(b)
	it.curBlock = blk
	it.blockAt = i
	it.setBounds()
	return true
}

// setBounds finds out which bounds the keys of the current block need to be
// compared with: they are above the separator before it and up to its own.
func (it *Iter) setBounds() {
	it.checkLow, it.checkHigh = false, false
	if high := it.opts.Upper; high != nil {
		it.checkHigh = bytes.Compare(it.idx.user(it.blockAt), high) >= 0
	}
	if low := it.opts.Lower; low != nil {
		switch {
		case it.blockAt > 0:
			it.checkLow = bytes.Compare(it.idx.user(it.blockAt-1), low) < 0
		case it.chunk > 0:
			it.checkLow = bytes.Compare(it.r.top.user(it.chunk-1), low) < 0
		default:
			it.checkLow = true
		}
	}
}

// aheadEnd is where reading ahead from block i ends: behind the chunk's blocks,
// or behind the last one that Upper lets the iterator reach.
func (it *Iter) aheadEnd(i int) uint64 {
	last := it.idx.n - 1
	if high := it.opts.Upper; high != nil {
		last = max(i, min(last, it.idx.search(high, trailerMax)))
	}
	return it.idx.handle(last).end()
}

// fetch returns the contents of the block at h, an index or a data block. They
// are pinned by blk or, if that is nil, lie in the iterator's buffers. If the
// iterator reads ahead and has not read the block yet, it reads [from, to).
func (it *Iter) fetch(h handle, isIndex bool, from, to uint64) (contents []byte, blk *cache.Block, err error) {
	r, buf := it.r, it.buffers
	if r.cache != nil && !it.opts.Readahead {
		if blk = r.cache.Get(r.num, h.offset); blk != nil {
			it.misses = 0
			return blk.Bytes(), blk, nil
		}
	}
	stored := buf.held(h)
	if stored == nil {
		if !isIndex {
			it.misses++
			it.ahead = it.ahead || it.misses > aheadAfter
		}
		if it.ahead {
			from, to = it.aheadSpan(h, isIndex, from, to)
			if err = it.readAhead(from, to); err != nil {
				return nil, nil, err
			}
			stored = buf.held(h)
		}
	}
	if r.cache != nil && it.opts.Fill {
		blk, err = cache.LoadFrom(r.cache, r.num, h.offset, true, blockSource{r, h, stored, isIndex}, blockSource.load)
		if err != nil {
			return nil, nil, err
		}
		return blk.Bytes(), blk, nil
	}
	if stored == nil {
		buf.stored = resize(buf.stored, int(h.length))
		stored = buf.stored
		if err = r.readAt(stored, h.offset); err != nil {
			return nil, nil, err
		}
	}
	contents, err = it.decode(h, stored, isIndex)
	return contents, nil, err
}

// aheadSpan is the part of [from, to) to read with the block at h now: empty
// if that should be read alone. The span starts with a block that is walked
// forward from, ends with one that is walked backward from, and is the whole
// chunk with an index.
func (it *Iter) aheadSpan(h handle, isIndex bool, from, to uint64) (uint64, uint64) {
	n := it.aheadBytes
	switch {
	case to-from <= n:
	case isIndex:
		return 0, 0 // where to go from here is not known
	case from == h.offset:
		to = max(h.end(), from+n)
	default:
		from = min(h.offset, to-n)
	}
	if to-from > spanBytesMax {
		return 0, 0
	}
	it.aheadBytes = min(2*n, spanBytesMax)
	return from, to
}

// readAhead reads [from, to) into the span; nothing if that is empty.
func (it *Iter) readAhead(from, to uint64) error {
	if from == to {
		return nil
	}
	buf := it.buffers
	buf.span = resize(buf.span, int(to-from))
	if err := it.r.readAt(buf.span, from); err != nil {
		buf.span = buf.span[:0]
		return err
	}
	buf.spanAt = from
	return nil
}

// decode checks a stored block and returns its contents, in the iterator's
// buffers. Those of a raw data block stay where they are; an index must outlive
// the next block that is read.
func (it *Iter) decode(h handle, stored []byte, isIndex bool) ([]byte, error) {
	body, kind, err := it.r.check(h, stored)
	if err != nil {
		return nil, err
	}
	dst := &it.buffers.data
	if isIndex {
		dst = &it.buffers.index
	}
	switch {
	case kind != compress.None:
		n, err := it.r.contentsSize(h, body, kind)
		if err != nil {
			return nil, err
		}
		*dst = resize(*dst, n)
		if *dst, err = it.r.decompress(h, body, kind, (*dst)[:0]); err != nil {
			return nil, err
		}
		body = *dst
	case isIndex:
		*dst = append((*dst)[:0], body...)
		body = *dst
	}
	if isIndex {
		return body, it.r.checkChunkIndex(h, body)
	}
	return body, nil
}

func (it *Iter) dropBlock() {
	it.cur.reset(block{})
	if it.curBlock != nil {
		it.curBlock.Release()
		it.curBlock = nil
	}
	it.blockAt = -1
}

func (it *Iter) dropChunk() {
	it.idx = index{}
	if it.idxBlock != nil {
		it.idxBlock.Release()
		it.idxBlock = nil
	}
	it.chunk = -1
}
