package sstable

// ApproximateBytes is about how many bytes of the file hold entries in
// [start, end); a nil end is infinity. It counts whole blocks, so that it is 0
// only if there are none. It reads at most two index blocks, through the cache;
// where one cannot be read it counts whole chunks.
func (r *Reader) ApproximateBytes(start, end []byte) uint64 {
	from := r.approximateOffset(start, false)
	to := r.dataEnd
	if end != nil {
		to = r.approximateOffset(end, true)
	}
	return max(from, to) - from
}

// approximateOffset is where the block that may hold key begins, or ends.
func (r *Reader) approximateOffset(key []byte, end bool) uint64 {
	chunk := r.top.search(key, trailerMax)
	if chunk == r.top.n {
		return r.dataEnd
	}
	blocks, ih := r.top.handle(chunk), r.top.chunkIndex(chunk)
	h := handle{offset: blocks.offset, length: blocks.length + ih.length}
	if blk, err := r.cached(ih, true); err == nil {
		if idx, ok := parseIndex(blk.Bytes()); ok {
			h = idx.handle(min(idx.search(key, trailerMax), idx.n-1))
		}
		blk.Release()
	}
	if end {
		return h.end()
	}
	return h.offset
}
