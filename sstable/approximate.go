package sstable

import "math"

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
	h, _ := r.approximateBlock(key)
	switch {
	case h.length == 0:
		return r.dataEnd
	case end:
		return h.end()
	}
	return h.offset
}

// approximateBlock is the block that may hold the first entry at or after key;
// if whole is false, the chunk that holds it, whose index cannot be read. It has
// no length if there is no such entry.
func (r *Reader) approximateBlock(key []byte) (h handle, whole bool) {
	chunk := r.top.search(key, trailerMax)
	if chunk == r.top.n {
		return handle{}, false
	}
	blocks, ih := r.top.handle(chunk), r.top.chunkIndex(chunk)
	h = handle{offset: blocks.offset, length: blocks.length + ih.length}
	blk, err := r.cached(ih, true)
	if err != nil {
		return h, false
	}
	defer blk.Release()
	idx, ok := parseIndex(blk.Bytes())
	if !ok {
		return h, false
	}
	return idx.handle(min(idx.search(key, trailerMax), idx.n-1)), true
}

// ApproximateEntries is about how many entries, of any kind and version, lie in
// [start, end); a nil end is infinity. It is 0 if and only if there are none,
// as far as blocks can be read.
//
// It takes the share that the range has of the data blocks and, in the two at
// its ends, of their keys: within a few per cent where entries are of similar
// size, and wrong by as much as their sizes differ from the table's mean
// elsewhere. It reads at most two index blocks and two data blocks, through the
// cache. Where one cannot be read it counts the whole block or chunk.
func (r *Reader) ApproximateEntries(start, end []byte) uint64 {
	total := float64(r.dataBefore(r.dataEnd))
	from, to := r.dataPosition(start, false), total
	if end != nil {
		to = r.dataPosition(end, true)
	}
	if from >= to {
		return 0
	}
	n := r.props.Entries
	share := math.Round(float64(n) * ((to - from) / total))
	return min(max(uint64(share), 1), n)
}

// dataBefore is how many bytes of data blocks lie before offset, where a block
// begins or ends.
func (r *Reader) dataBefore(offset uint64) uint64 {
	n := uint64(0)
	for i := range r.top.n {
		h := r.top.handle(i)
		if h.offset >= offset {
			break
		}
		n += min(h.length, offset-h.offset)
	}
	return n
}

// dataPosition is where the first entry at or after key would begin if there
// were only data blocks, and payloads lay beside their keys. end says which end
// of a block or chunk to take if it cannot be read.
func (r *Reader) dataPosition(key []byte, end bool) float64 {
	h, whole := r.approximateBlock(key)
	if h.length == 0 {
		return float64(r.dataBefore(r.dataEnd))
	}
	from, to := float64(r.dataBefore(h.offset)), float64(r.dataBefore(h.end()))
	if whole {
		if share, ok := r.keysBefore(h, key); ok {
			return from + (to-from)*share
		}
	}
	if end {
		return to
	}
	return from
}

// keysBefore is which share of the keys of a data block is before key. ok is
// false if the block cannot be read.
func (r *Reader) keysBefore(h handle, key []byte) (share float64, ok bool) {
	blk, err := r.cached(h, false)
	if err != nil {
		return 0, false
	}
	defer blk.Release()
	b, ok := parseBlock(blk.Bytes())
	if !ok {
		return 0, false
	}
	_, at, _, f := b.search(key, trailerMax)
	if f == foundEnd {
		return 1, true
	}
	return float64(at.key) / float64(len(b.keys)), f == foundEntry
}
