package record

import (
	"errors"
	"fmt"
	"hash/crc32"
	"math"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/vfs"
)

// keepBytesMax bounds each of the two buffers that a Reader keeps from one call
// to the next. A larger record has buffers of its own.
const keepBytesMax = 4 << 20

// Reader reads the records of a file one by one, beside a Writer that appends
// to it. Unlike Scan it can start at any record, and it is told how far it may
// look, so that it meets neither a record in the making nor a torn one.
//
// It opens the file only for the time of a call, and only in every call that
// needs bytes that it has not read yet: it reads ahead up to 256 KiB. So a file
// that is to be removed is never held open.
//
// The zero value is ready for Reset. Not safe for concurrent use.
type Reader struct {
	open func() (vfs.File, error)
	h    FileHeader
	win  window // win.f is nil between calls
	size int64  // of the file, when it was last open
	crc  crcScratch
}

// Reset turns to another file, called name in errors, which open opens for
// reading, and reads its header. present is false if the file is shorter than a
// header or zero there; Next is of no use then, nor after an error. Errors are
// those of Scan, and open's as they are.
func (r *Reader) Reset(name string, kind base.FileKind, open func() (vfs.File, error)) (h FileHeader, present bool, err error) {
	r.open = open
	r.win = window{name: name, buf: r.win.buf[:0], spare: r.win.spare}
	if err := r.acquire(); err != nil {
		return h, false, err
	}
	h, present, err = readHeader(r.win.f, r.size, name, kind)
	r.h = h
	return h, present, r.release(err)
}

// Next reads the record at offset off, which must be a border: HeaderLen, or
// where an earlier record of the file ended. Nothing at or behind offset limit
// is looked at. ok is false, without an error, if the record reaches behind the
// limit; whether there is one at all is not known then.
//
// The payload is valid until the next call of any method. Memory is reserved
// only for a record that lies in the file.
//
// A *base.CorruptionError says that there is no valid record at off, though it
// is before the limit. Other errors are those of open, as they are, and of
// reading; the call may then be repeated.
func (r *Reader) Next(off, limit int64) (rec Record, ok bool, err error) {
	if limit-off < RecordHeaderLen {
		return rec, false, nil
	}
	r.shed(off)
	rec, ok, err = r.next(off, limit)
	return rec, ok, r.release(err)
}

func (r *Reader) next(off, limit int64) (rec Record, ok bool, err error) {
	b, err := r.at(off, off, RecordHeaderLen, limit)
	if err != nil {
		return rec, false, err
	}
	h, valid := decodeRecordHeader(b, r.h, off, &r.crc)
	if !valid {
		return rec, false, base.Corruptf(r.win.name, off, "record header fails its checksum")
	}
	body := off + RecordHeaderLen
	if h.length > limit-body {
		return rec, false, nil
	}
	if b, err = r.at(off, body, h.length, limit); err != nil {
		return rec, false, err
	}
	if crc32.Checksum(b, castagnoli) != h.payloadCRC {
		return rec, false, base.Corruptf(r.win.name, off, "record payload fails its checksum")
	}
	rec = Record{LSN: r.h.StartLSN + uint64(off), Synced: h.synced, Type: h.typ, Payload: b}
	rec.EndLSN = rec.LSN + RecordHeaderLen + uint64(h.length)
	return rec, true, nil
}

// at gives n bytes at off, of the record that starts at start.
func (r *Reader) at(start, off, n, limit int64) ([]byte, error) {
	if n > math.MaxInt-windowBytes {
		return nil, fmt.Errorf("record: %s: record of %d bytes at offset %d is too large for this platform", r.win.name, n, start)
	}
	if !r.win.has(off, int(n)) {
		if err := r.acquire(); err != nil {
			return nil, err
		}
		// What is read ahead stays below the limit too: behind it bytes change.
		r.win.size = min(r.size, limit)
		if n > r.win.size-off {
			return nil, base.Corruptf(r.win.name, start, "record is cut off by the end of the file")
		}
	}
	return r.win.at(off, int(n))
}

// shed lets go of buffers that a large record took, once nothing in them is
// wanted.
func (r *Reader) shed(off int64) {
	if cap(r.win.spare) > keepBytesMax {
		r.win.spare = nil
	}
	if cap(r.win.buf) > keepBytesMax && !r.win.has(off, 1) {
		r.win.buf = nil
	}
}

// acquire opens the file, unless this call has done so, and takes its size.
func (r *Reader) acquire() error {
	if r.win.f != nil {
		return nil
	}
	f, err := r.open()
	if err != nil {
		return err
	}
	if r.size, err = f.Size(); err != nil {
		return errors.Join(fmt.Errorf("record: size of %s: %w", r.win.name, err), f.Close())
	}
	r.win.f = f
	return nil
}

// release closes the file if this call has opened it, and returns err.
func (r *Reader) release(err error) error {
	if r.win.f == nil {
		return err
	}
	f := r.win.f
	r.win.f = nil
	if cerr := f.Close(); cerr != nil {
		err = errors.Join(err, fmt.Errorf("record: close %s: %w", r.win.name, cerr))
	}
	return err
}
