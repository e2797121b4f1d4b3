package sstable

import (
	"fmt"
	"sync"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/cache"
	"github.com/cordwood-db/cordwood/internal/compress"
)

// scratchKeepMax bounds the buffers that are kept for stored blocks.
const scratchKeepMax = 1 << 20

var scratchPool = sync.Pool{New: func() any { return new([]byte) }}

// resize returns b with length n, reallocated if need be. Its contents are
// undefined. Spare room lets decoders copy in whole words.
func resize(b []byte, n int) []byte {
	if cap(b) < n {
		return make([]byte, n, n+blockSlackBytes)
	}
	return b[:n]
}

// readSection reads a block outside the cache. The result is the caller's.
func (r *Reader) readSection(h handle) ([]byte, error) {
	stored := make([]byte, h.length)
	if err := r.readAt(stored, h.offset); err != nil {
		return nil, err
	}
	return r.contents(h, stored, nil)
}

// contents checks a stored block and returns what it holds: a part of stored
// if it is stored raw, otherwise in dst's memory, from its start, or in new
// memory if dst is too small.
func (r *Reader) contents(h handle, stored, dst []byte) ([]byte, error) {
	body, kind, err := r.check(h, stored)
	if err != nil || kind == compress.None {
		return body, err
	}
	n, err := r.contentsSize(h, body, kind)
	if err != nil {
		return nil, err
	}
	return r.decompress(h, body, kind, resize(dst, n)[:0])
}

// check checks a stored block's trailer and splits it off.
func (r *Reader) check(h handle, stored []byte) ([]byte, compress.Kind, error) {
	body, kind, reason := checkBlock(stored, r.id, h.offset)
	if reason != "" {
		return nil, 0, r.corrupt(h.offset, "%s", reason)
	}
	return body, kind, nil
}

func (r *Reader) contentsSize(h handle, body []byte, kind compress.Kind) (int, error) {
	n, err := r.codec.Size(body, kind)
	if err == nil && n > compressedContentsMax {
		err = fmt.Errorf("%d bytes in a compressed block", n)
	}
	if err != nil {
		return 0, r.undecodable(h, err)
	}
	return n, nil
}

func (r *Reader) decompress(h handle, body []byte, kind compress.Kind, dst []byte) ([]byte, error) {
	out, err := r.codec.Decompress(dst, body, kind, compressedContentsMax)
	if err != nil {
		return nil, r.undecodable(h, err)
	}
	return out, nil
}

func (r *Reader) undecodable(h handle, err error) error {
	return &base.CorruptionError{File: r.name, Offset: int64(h.offset), Reason: "block does not decompress", Err: err}
}

// cached returns the block at h from the cache, or reads it and leaves it
// there. The caller releases it.
func (r *Reader) cached(h handle, isIndex bool) (*cache.Block, error) {
	if r.cache == nil {
		return r.load(h, nil, isIndex)
	}
	if blk := r.cache.Get(r.num, h.offset); blk != nil {
		return blk, nil
	}
	return cache.LoadFrom(r.cache, r.num, h.offset, true, blockSource{r, h, nil, isIndex}, blockSource.load)
}

// blockSource says where a cache block comes from, see load.
type blockSource struct {
	r       *Reader
	h       handle
	stored  []byte
	isIndex bool
}

func (s blockSource) load() (*cache.Block, error) { return s.r.load(s.h, s.stored, s.isIndex) }

// load makes a cache block of the block at h. stored is its stored form, if it
// is in memory already. Indexes are checked here, once.
func (r *Reader) load(h handle, stored []byte, isIndex bool) (blk *cache.Block, err error) {
	raw := r.props.Compression == compress.None || h.length > compressedContentsMax+blockTrailerBytes
	switch {
	case stored != nil:
		blk, err = r.loadFrom(h, stored)
	case raw:
		blk, err = r.loadRaw(h)
	default:
		blk, err = r.loadCompressed(h)
	}
	if err != nil || !isIndex {
		return blk, err
	}
	if err = r.checkChunkIndex(h, blk.Bytes()); err != nil {
		blk.Release()
		return nil, err
	}
	return blk, nil
}

// loadRaw reads a block that is probably stored raw to where it stays.
func (r *Reader) loadRaw(h handle) (*cache.Block, error) {
	blk := cache.NewBlock(int(h.length))
	err := r.readAt(blk.Bytes(), h.offset)
	var kind compress.Kind
	var body []byte
	if err == nil {
		body, kind, err = r.check(h, blk.Bytes())
	}
	if err != nil {
		blk.Release()
		return nil, err
	}
	if kind == compress.None {
		blk.Truncate(len(body))
		return blk, nil
	}
	defer blk.Release()
	return r.loadFrom(h, blk.Bytes())
}

func (r *Reader) loadCompressed(h handle) (*cache.Block, error) {
	buf := scratchPool.Get().(*[]byte)
	*buf = resize(*buf, int(h.length))
	defer func() {
		if cap(*buf) <= scratchKeepMax {
			scratchPool.Put(buf)
		}
	}()
	if err := r.readAt(*buf, h.offset); err != nil {
		return nil, err
	}
	return r.loadFrom(h, *buf)
}

// loadFrom makes a cache block of a block's stored form.
func (r *Reader) loadFrom(h handle, stored []byte) (*cache.Block, error) {
	body, kind, err := r.check(h, stored)
	if err != nil {
		return nil, err
	}
	if kind == compress.None {
		blk := cache.NewBlock(len(body))
		copy(blk.Bytes(), body)
		return blk, nil
	}
	n, err := r.contentsSize(h, body, kind)
	if err != nil {
		return nil, err
	}
	blk := cache.NewBlock(n)
	out, err := r.decompress(h, body, kind, blk.Bytes()[:0])
	if err != nil {
		blk.Release()
		return nil, err
	}
	// A decoder that moved to memory of its own is as good.
	copy(blk.Bytes(), out)
	return blk, nil
}

// checkChunkIndex checks the index block at h against the chunk it belongs to.
func (r *Reader) checkChunkIndex(h handle, contents []byte) error {
	chunk := r.chunkOf(h)
	x, reason := checkIndex(contents, r.top.handle(chunk).offset, h.offset, false)
	if reason == "" && !x.endsWith(r.top.user(chunk), r.top.trailer(chunk)) {
		reason = "index of a chunk does not end with the chunk's separator"
	}
	if reason != "" {
		return r.corrupt(h.offset, "%s", reason)
	}
	return nil
}

// chunkOf is the chunk whose index block is at h.
func (r *Reader) chunkOf(h handle) int {
	lo, hi := 0, r.top.n-1
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if r.top.chunkIndex(mid).offset < h.offset {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

// corruptEntry is the error for an entry that does not decode in a block whose
// checksum is right.
func (r *Reader) corruptEntry(h handle) error {
	return r.corrupt(h.offset, "malformed entry in a block")
}
