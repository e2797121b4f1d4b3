package vlog

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"sync"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/vfs"
)

// scratch is a pooled buffer for records that are copied out of it, or checked
// and dropped.
type scratch struct{ b []byte }

var scratchPool = sync.Pool{New: func() any { return new(scratch) }}

// scratchBytesMax is the largest need of a scratch: the header and key of a
// large record, a small record, or a piece of a record that is only verified.
const scratchBytesMax = recordHeaderLen + keyspaceLen + KeyLenMax + readDirectBytes

// readDirectBytes is the size from which a value is read into its final place.
// The second, short read that this takes finds its page in memory, since it is
// next to the value, and from 16 KiB on costs less than copying the value:
// 13.9 against 18.5 us for 64 KiB, 0.15 against 0.25 ms for 1 MiB from the page
// cache. It is set higher because a header on another page can cost a disk read.
const readDirectBytes = 32 << 10

// take gives the first n bytes of the buffer, whatever they hold.
func (s *scratch) take(n int) []byte {
	if cap(s.b) < n {
		s.b = make([]byte, max(n, 4<<10))
	}
	return s.b[:n]
}

// Read appends the value of the record at ptr to dst and returns the result. It
// checks that the record is what was written there: in that file, under that
// keyspace, key and sequence number. It makes one positional read (two for a value of 32
// KiB or more that has its place in dst), and allocates only where dst has too
// little room. dst's contents are kept in every case; what
// follows them is undefined after an error.
//
// Errors: *base.CorruptionError (also where the pointer leads nowhere, as for a
// record that is not flushed yet), *base.MissingFileError, base.ErrClosed, or
// the file system's own.
func (c *FileCache) Read(dst []byte, loc Location, keyspace uint32, key []byte, seq base.SeqNum, ptr base.Pointer) ([]byte, error) {
	h, err := c.acquire(loc)
	if err != nil {
		return dst, err
	}
	off, err := c.locate(h, ptr, prefixLen(keyspace)+len(key))
	if err == nil {
		dst, err = h.read(dst, wanted{keyspace: keyspace, key: key, seq: seq, ptr: ptr, off: off})
	}
	c.release(h)
	return dst, err
}

// read is Read of a record whose place is known.
func (h *handle) read(dst []byte, w wanted) ([]byte, error) {
	s := scratchPool.Get().(*scratch)
	defer scratchPool.Put(s)
	if w.ptr.ValueLen >= readDirectBytes {
		return h.readDirect(dst, s, w)
	}
	b := s.take(int(w.ptr.Size))
	if err := readFull(h.f, h.name, b, w.off); err != nil {
		return dst, err
	}
	value, err := h.verify(b, w)
	if err != nil {
		return dst, err
	}
	return append(dst, value...), nil
}

// wanted is what a read expects to find, and where.
type wanted struct {
	keyspace uint32
	key      []byte
	seq      base.SeqNum
	ptr      base.Pointer
	off      int64 // physical
}

// headLen is the length of all that stands before the value.
func (w *wanted) headLen() int { return recordHeaderLen + prefixLen(w.keyspace) + len(w.key) }

// differs says in what a record with the header rh and the start of its body is
// not what is wanted, or "".
func (w *wanted) differs(rh *recordHeader, body []byte) string {
	keyspace, key, _, wrong := rh.split(body)
	switch {
	case wrong != "":
		return wrong
	case keyspace != w.keyspace:
		return fmt.Sprintf("record of keyspace %d, want %d", keyspace, w.keyspace)
	case rh.seq != w.seq:
		return fmt.Sprintf("record has sequence number %d, want %d", rh.seq, w.seq)
	case !bytes.Equal(key, w.key):
		// The checksum has not been looked at: this may be damage to the key.
		return "record of another key"
	}
	return ""
}

// locate returns the physical offset of a record, and rejects pointers that
// cannot be right before anything is read or reserved for them. keyLen is the
// length of key and keyspace, -1 if they are not known.
func (c *FileCache) locate(h *handle, ptr base.Pointer, keyLen int) (int64, error) {
	off := int64(ptr.Offset)
	implied := int64(ptr.Size) - recordHeaderLen - int64(ptr.ValueLen)
	if ptr.ValueLen > ValueLenMax || implied < 0 || implied > keyspaceLen+KeyLenMax || (keyLen >= 0 && implied != int64(keyLen)) {
		return 0, base.Corruptf(h.name, off, "pointer to a record of %d bytes with a value of %d does not fit a key of %d",
			ptr.Size, ptr.ValueLen, keyLen)
	}
	if h.rewritten {
		var err error
		if off, err = c.translate(h, ptr); err != nil {
			return 0, err
		}
	} else if ptr.File != h.num || off < fileHeaderLen {
		return 0, base.Corruptf(h.name, off, "dangling pointer to file %d", ptr.File)
	}
	if off+int64(ptr.Size) > h.end.Load() {
		if err := h.reach(off, int64(ptr.Size)); err != nil {
			return 0, err
		}
	}
	return off, nil
}

// reach checks that size bytes at off are in the file, which may have grown
// since it was opened.
func (h *handle) reach(off, size int64) error {
	end := h.end.Load()
	if !h.rewritten {
		var err error
		if end, err = h.f.Size(); err != nil {
			return fmt.Errorf("vlog: size of %s: %w", h.name, err)
		}
		h.end.Store(end)
	}
	if off+size > end {
		return base.Corruptf(h.name, off, "pointer to %d bytes reaches past the end of records at %d", size, end)
	}
	return nil
}

// verify checks the record b and returns its value, a part of b.
func (h *handle) verify(b []byte, w wanted) ([]byte, error) {
	head := w.headLen()
	sum, err := h.verifyHead(b[:head], w)
	if err != nil {
		return nil, err
	}
	if crc32.Checksum(b[recordHeaderLen:], castagnoli) != sum {
		return nil, base.Corruptf(h.name, w.off, "checksum mismatch in key and value")
	}
	return b[head:], nil
}

// verifyHead checks the header, keyspace and key in b and returns the checksum
// that the body must have.
func (h *handle) verifyHead(b []byte, w wanted) (sum uint32, err error) {
	rh, err := h.header(b, w.ptr, w.off)
	if err != nil {
		return 0, err
	}
	if reason := w.differs(&rh, b[recordHeaderLen:]); reason != "" {
		return 0, base.Corruptf(h.name, w.off, "%s", reason)
	}
	return rh.bodySum, nil
}

// header decodes the record header that starts b and checks that it is the one
// of ptr, which implies that its lengths are those of ptr.
func (h *handle) header(b []byte, ptr base.Pointer, off int64) (rh recordHeader, err error) {
	if wrong := rh.decode(b, h.seed, h.version); wrong != "" {
		return rh, base.Corruptf(h.name, off, "%s", wrong)
	}
	if got := rh.pointer(); got != ptr {
		return rh, base.Corruptf(h.name, off, "record %+v where the pointer says %+v", got, ptr)
	}
	return rh, nil
}

// readDirect reads a large value without copying it.
//
// Where dst has room, the value is read into its place and then the header and
// key into a scratch. Where dst is empty and too small, the new memory takes the whole record in one
// read and the result starts after the key.
func (h *handle) readDirect(dst []byte, s *scratch, w wanted) ([]byte, error) {
	head := w.headLen()
	valueLen := int(w.ptr.ValueLen)
	if len(dst) == 0 && cap(dst) < valueLen {
		b := make([]byte, head+valueLen)
		if err := readFull(h.f, h.name, b, w.off); err != nil {
			return dst, err
		}
		value, err := h.verify(b, w)
		if err != nil {
			return dst, err
		}
		return value, nil
	}
	grown := slices.Grow(dst, valueLen)
	value := grown[len(dst) : len(dst)+valueLen]
	if err := readFull(h.f, h.name, value, w.off+int64(head)); err != nil {
		return dst, err
	}
	b := s.take(head)
	if err := readFull(h.f, h.name, b, w.off); err != nil {
		return dst, err
	}
	sum, err := h.verifyHead(b, w)
	if err != nil {
		return dst, err
	}
	if crc32.Update(crc32.Checksum(b[recordHeaderLen:], castagnoli), castagnoli, value) != sum {
		return dst, base.Corruptf(h.name, w.off, "checksum mismatch in key and value")
	}
	return grown[:len(dst)+valueLen], nil
}

// Verify checks that the record at ptr is whole, without knowing its keyspace,
// key or sequence number and without keeping its value in memory. Errors as for Read.
func (c *FileCache) Verify(loc Location, ptr base.Pointer) error {
	return c.verifyRecord(loc, ptr, -1, func(rh *recordHeader, body []byte) string {
		_, _, _, wrong := rh.split(body)
		return wrong
	})
}

// VerifyRecord is Verify for a caller who knows keyspace, key and sequence
// number, as recovery does from the write-ahead log.
func (c *FileCache) VerifyRecord(loc Location, keyspace uint32, key []byte, seq base.SeqNum, ptr base.Pointer) error {
	w := wanted{keyspace: keyspace, key: key, seq: seq}
	return c.verifyRecord(loc, ptr, prefixLen(keyspace)+len(key), w.differs)
}

// verifyRecord reads a record in pieces and compares its checksums. wrong judges
// its header and the start of its body, with the whole key. keyLen is as for
// locate.
func (c *FileCache) verifyRecord(loc Location, ptr base.Pointer, keyLen int,
	wrong func(rh *recordHeader, body []byte) string) error {
	h, err := c.acquire(loc)
	if err != nil {
		return err
	}
	defer c.release(h)
	off, err := c.locate(h, ptr, keyLen)
	if err != nil {
		return err
	}
	s := scratchPool.Get().(*scratch)
	defer scratchPool.Put(s)
	var rh recordHeader
	sum, end := uint32(0), off+int64(ptr.Size)
	for pos := off; pos < end; {
		b := s.take(int(min(end-pos, scratchBytesMax)))
		if err := readFull(h.f, h.name, b, pos); err != nil {
			return err
		}
		first := pos == off
		pos += int64(len(b))
		if first { // header and key are in the first piece, whatever their size
			if rh, err = h.header(b, ptr, off); err != nil {
				return err
			}
			b = b[recordHeaderLen:]
			if reason := wrong(&rh, b); reason != "" {
				return base.Corruptf(h.name, off, "%s", reason)
			}
		}
		sum = crc32.Update(sum, castagnoli, b)
	}
	if sum != rh.bodySum {
		return base.Corruptf(h.name, off, "checksum mismatch in key and value")
	}
	return nil
}

// readFull reads exactly len(b) bytes at off.
func readFull(f vfs.File, name string, b []byte, off int64) error {
	n, err := f.ReadAt(b, off)
	switch {
	case n == len(b):
		return nil // an io.EOF that comes with the last byte is none
	case errors.Is(err, io.EOF):
		return base.Corruptf(name, off, "file ends %d bytes early", len(b)-n)
	default:
		return fmt.Errorf("vlog: read %s at %d: %w", name, off, err)
	}
}
