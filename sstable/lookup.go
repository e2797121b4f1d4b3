package sstable

import (
	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/cache"
)

// Result is what Lookup found. Payload is valid until Release, and not to be
// changed. The zero value is ready; a Result may be used again after Release.
type Result struct {
	Trailer base.Trailer
	Payload []byte

	block *cache.Block // pins Payload
}

// Release lets go of the payload. It may be called more than once, and on a
// Result that was never filled.
func (res *Result) Release() {
	if res.block != nil {
		res.block.Release()
	}
	*res = Result{}
}

// Lookup finds the newest version of key that is visible at sequence number
// visible, whatever its kind. hash is filter.Hash(key). If it returns true the
// caller releases res; res must be empty before. Range tombstones are not
// looked at. It does not allocate if the blocks it needs are in the cache.
//
// Errors: *base.CorruptionError; what the file system reports, wrapped.
func (r *Reader) Lookup(key []byte, hash uint64, visible base.SeqNum, res *Result) (bool, error) {
	if r.hasFilter && !r.filter.MayContain(hash) {
		return false, nil
	}
	trailer := base.SeekTrailer(visible)
	chunk := r.top.search(key, trailer)
	if chunk == r.top.n {
		return false, nil
	}
	ih := r.top.chunkIndex(chunk)
	blk, err := r.cached(ih, true)
	if err != nil {
		return false, err
	}
	idx, ok := parseIndex(blk.Bytes())
	i := 0
	if ok {
		i = idx.search(key, trailer)
	}
	if !ok || i == idx.n {
		blk.Release()
		return false, r.corrupt(ih.offset, "index of a chunk ends before the chunk")
	}
	h := idx.handle(i)
	blk.Release()
	return r.lookupBlock(h, key, trailer, res)
}

// lookupBlock finishes a Lookup in the only block that may hold the key.
func (r *Reader) lookupBlock(h handle, key []byte, trailer base.Trailer, res *Result) (bool, error) {
	blk, err := r.cached(h, false)
	if err != nil {
		return false, err
	}
	b, ok := parseBlock(blk.Bytes())
	if !ok {
		blk.Release()
		return false, r.corruptEntry(h)
	}
	e, _, same, f := b.search(key, trailer)
	switch {
	case f == foundCorrupt || f == foundEntry && same && !storable(e.trailer):
		blk.Release()
		return false, r.corruptEntry(h)
	case f == foundEnd || !same:
		blk.Release()
		return false, nil
	}
	res.Trailer = e.trailer
	res.Payload = b.value(&e)
	res.block = blk
	return true, nil
}

// storable reports whether an entry may have a trailer of this kind.
func storable(t base.Trailer) bool {
	k := t.Kind()
	return k.Valid() && k != base.KindRangeDelete
}
