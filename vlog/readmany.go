package vlog

import (
	"cmp"
	"slices"
	"sync"

	"github.com/cordwood-db/cordwood/internal/base"
)

const (
	// gapBytesMax is how far apart two records may be to be read in one piece:
	// reading the gap costs less than another call.
	gapBytesMax = 32 << 10
	// runBytesMax bounds one piece.
	runBytesMax = 1 << 20
)

// ReadRequest is one read of ReadMany.
type ReadRequest struct {
	// What to read, as for FileCache.Read.
	Loc      Location
	Keyspace uint32
	Key      []byte
	Seq      base.SeqNum
	Ptr      base.Pointer

	// Dst is what the value is appended to; ReadMany replaces it by the result.
	// After an error it is as it was.
	Dst []byte
	// Err is what FileCache.Read would have returned.
	Err error
}

// wanted is what the request expects to find at off.
func (r *ReadRequest) wanted(off int64) wanted {
	return wanted{keyspace: r.Keyspace, key: r.Key, seq: r.Seq, ptr: r.Ptr, off: off}
}

// ReadMany reads several records. It reads in the order of the disk and fetches
// neighbours in one piece, but leaves reqs in their order. It returns the first
// error in that order; each request has its own in any case, and a damaged
// record fails only its own request.
func (c *FileCache) ReadMany(reqs []ReadRequest) error {
	b := batchPool.Get().(*readBatch)
	defer b.free()
	for i := range reqs {
		reqs[i].Err = nil
		b.items = append(b.items, batchItem{req: i, file: reqs[i].Loc.Physical})
	}
	slices.SortFunc(b.items, func(x, y batchItem) int { return cmp.Compare(x.file, y.file) })
	for rest := b.items; len(rest) > 0; {
		n := 1
		for n < len(rest) && reqs[rest[n].req].Loc == reqs[rest[0].req].Loc {
			n++
		}
		c.readFile(b, reqs, rest[:n])
		rest = rest[n:]
	}
	for i := range reqs {
		if reqs[i].Err != nil {
			return reqs[i].Err
		}
	}
	return nil
}

// readBatch is the memory of a ReadMany.
type readBatch struct {
	items []batchItem
	buf   []byte
}

type batchItem struct {
	req  int
	file base.FileNum
	off  int64 // physical
}

var batchPool = sync.Pool{New: func() any { return new(readBatch) }}

func (b *readBatch) free() {
	b.items = b.items[:0]
	batchPool.Put(b)
}

// readFile serves the requests for one file.
func (c *FileCache) readFile(b *readBatch, reqs []ReadRequest, items []batchItem) {
	h, err := c.acquire(reqs[items[0].req].Loc)
	if err != nil {
		for _, it := range items {
			reqs[it.req].Err = err
		}
		return
	}
	defer c.release(h)
	found := items[:0]
	for _, it := range items {
		r := &reqs[it.req]
		if it.off, r.Err = c.locate(h, r.Ptr, prefixLen(r.Keyspace)+len(r.Key)); r.Err == nil {
			found = append(found, it)
		}
	}
	slices.SortFunc(found, func(x, y batchItem) int { return cmp.Compare(x.off, y.off) })
	for len(found) > 0 {
		n, bytes := runLen(reqs, found)
		if n == 1 || !h.readRun(b, reqs, found[:n], bytes) {
			for _, it := range found[:n] {
				r := &reqs[it.req]
				r.Dst, r.Err = h.read(r.Dst, r.wanted(it.off))
			}
		}
		found = found[n:]
	}
}

// runLen says how many of the items, which ascend by offset, are to be read in
// one piece, and how long that is in bytes.
func runLen(reqs []ReadRequest, items []batchItem) (n int, bytes int64) {
	start := items[0].off
	end := start + int64(reqs[items[0].req].Ptr.Size)
	for n = 1; n < len(items); n++ {
		off := items[n].off
		next := max(end, off+int64(reqs[items[n].req].Ptr.Size))
		if off > end+gapBytesMax || next > start+runBytesMax {
			break
		}
		end = next
	}
	return n, end - start
}

// readRun reads the items in one piece. It reports false if that read failed:
// then each has to be tried alone.
func (h *handle) readRun(b *readBatch, reqs []ReadRequest, items []batchItem, n int64) bool {
	if int64(cap(b.buf)) < n {
		b.buf = make([]byte, min(runBytesMax, max(2*n, 64<<10)))
	}
	start := items[0].off
	buf := b.buf[:n]
	if readFull(h.f, h.name, buf, start) != nil {
		return false
	}
	for _, it := range items {
		r := &reqs[it.req]
		rec := buf[it.off-start:][:r.Ptr.Size]
		value, err := h.verify(rec, r.wanted(it.off))
		if err != nil {
			r.Err = err
			continue
		}
		r.Dst = append(r.Dst, value...)
	}
	return true
}
