package record

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/vfs"
)

// ErrStop ends a scan, without an error, behind the record just delivered, when
// the function that Scan calls returns it. The Tail then has CleanEnd set and
// says nothing of what follows.
var ErrStop = errors.New("record: stop")

// Record is one record of a file.
type Record struct {
	LSN     uint64 // of its first byte
	EndLSN  uint64 // of the first byte behind it
	Synced  uint64 // everything before this LSN was durable when it was written
	Type    byte   // the caller's
	Payload []byte // valid until the function that was called with it returns
}

// Tail says how a file ends.
type Tail struct {
	// CleanEnd: the valid records are followed by the end of the file or by
	// nothing but zeros.
	CleanEnd bool
	// Offset is where the valid prefix ends, in bytes from the start of the
	// file; 0 if there is no header.
	Offset int64
	// EndLSN is the LSN of Offset; 0 if there is no header.
	EndLSN uint64
	// Reason says what is wrong at Offset. Empty if CleanEnd.
	Reason string
	// LaterValid: behind Offset there is at least one valid record header.
	// (Its payload may be damaged: the header alone is proof.)
	LaterValid bool
	// LaterSynced is the largest synced LSN of the headers behind Offset.
	LaterSynced uint64
	// MaxSynced is the largest synced LSN that anything in the file proves:
	// its header, its records and those behind Offset.
	MaxSynced uint64
}

// Scan reads the file f from its start. fn gets each valid record in order; a
// nil fn only checks them. An error of fn ends the scan and is returned as it
// is, except ErrStop, which ends it without one; the Tail then describes the
// prefix up to and including that record.
//
// name is for errors. A damaged file header, or one of another kind, is a
// *base.CorruptionError; one of a newer version a *base.FormatError. A file
// that has no header, because it is shorter or zero there, gives the zero
// FileHeader and a Tail with Offset 0. Invalid records are not errors: the
// Tail tells of them, and the caller judges. Failed reads are errors.
func Scan(f vfs.File, name string, kind base.FileKind, fn func(Record) error) (FileHeader, Tail, error) {
	size, err := f.Size()
	if err != nil {
		return FileHeader{}, Tail{}, fmt.Errorf("record: size of %s: %w", name, err)
	}
	h, present, err := readHeader(f, size, name, kind)
	if err != nil {
		return h, Tail{}, err
	}
	s := scanner{win: window{f: f, name: name, size: size}, h: h, fn: fn}
	if !present {
		s.tail.Reason = "no file header"
		s.tail.CleanEnd, err = blank(&s.win, 0)
		if s.tail.CleanEnd {
			s.tail.Reason = ""
		}
		return h, s.tail, err
	}
	s.tail.MaxSynced = h.Synced
	err = s.run()
	s.tail.EndLSN = h.StartLSN + uint64(s.tail.Offset)
	return h, s.tail, err
}

// ReadHeader reads the header of f alone. present is false if f is shorter
// than a header or zero where it should be. Errors are those of Scan.
func ReadHeader(f vfs.File, name string, kind base.FileKind) (h FileHeader, present bool, err error) {
	size, err := f.Size()
	if err != nil {
		return h, false, fmt.Errorf("record: size of %s: %w", name, err)
	}
	return readHeader(f, size, name, kind)
}

func readHeader(f vfs.File, size int64, name string, kind base.FileKind) (h FileHeader, present bool, err error) {
	if size < HeaderLen {
		return h, false, nil
	}
	w := window{f: f, name: name, size: size, chunk: HeaderLen}
	b, err := w.at(0, HeaderLen)
	if err != nil {
		return h, false, err
	}
	if allZero(b) {
		return h, false, nil
	}
	h, err = decodeFileHeader(b, name, kind)
	return h, err == nil, err
}

// Blank reports whether f holds nothing but zeros from offset from to its end.
func Blank(f vfs.File, name string, from int64) (bool, error) {
	size, err := f.Size()
	if err != nil {
		return false, fmt.Errorf("record: size of %s: %w", name, err)
	}
	return blank(&window{f: f, name: name, size: size}, from)
}

// scanner is one run of Scan over a file that has a header.
type scanner struct {
	win  window
	h    FileHeader
	fn   func(Record) error
	tail Tail
	crc  crcScratch
}

// run walks the records from the header on, then looks at what follows them.
func (s *scanner) run() error {
	off := int64(HeaderLen)
	for {
		s.tail.Offset = off
		if off == s.win.size {
			s.tail.CleanEnd = true
			return nil
		}
		rec, reason, err := s.record(off)
		if err != nil {
			return err
		}
		if reason != "" {
			return s.search(off, reason)
		}
		s.tail.MaxSynced = max(s.tail.MaxSynced, rec.Synced)
		off += int64(rec.EndLSN - rec.LSN)
		if s.fn == nil {
			continue
		}
		if err := s.fn(rec); err != nil {
			s.tail.Offset, s.tail.CleanEnd = off, true
			if errors.Is(err, ErrStop) {
				err = nil
			}
			return err
		}
	}
}

// record reads the record at off. reason is not empty if it is invalid.
func (s *scanner) record(off int64) (rec Record, reason string, err error) {
	rest := s.win.size - off - RecordHeaderLen
	if rest < 0 {
		return rec, "record header is cut off by the end of the file", nil
	}
	b, err := s.win.at(off, RecordHeaderLen)
	if err != nil {
		return rec, "", err
	}
	h, ok := decodeRecordHeader(b, s.h, off, &s.crc)
	if !ok {
		return rec, "record header fails its checksum", nil
	}
	if h.length > rest {
		return rec, "record is cut off by the end of the file", nil
	}
	rec = Record{LSN: s.h.StartLSN + uint64(off), Synced: h.synced, Type: h.typ}
	rec.EndLSN = rec.LSN + RecordHeaderLen + uint64(h.length)
	crc, err := s.payload(&rec, off+RecordHeaderLen, h.length)
	if err == nil && crc != h.payloadCRC {
		reason = "record payload fails its checksum"
	}
	return rec, reason, err
}

// payload computes the checksum of the payload at off, and sets rec.Payload if
// anybody is going to look at it.
func (s *scanner) payload(rec *Record, off, length int64) (crc uint32, err error) {
	if s.fn != nil || length <= windowBytes {
		if length > math.MaxInt-windowBytes {
			return 0, fmt.Errorf("record: %s: record of %d bytes at offset %d is too large for this platform",
				s.win.name, length, off-RecordHeaderLen)
		}
		b, err := s.win.at(off, int(length))
		if err != nil {
			return 0, err
		}
		rec.Payload = b
		return crc32.Checksum(b, castagnoli), nil
	}
	for length > 0 {
		n := min(length, windowBytes)
		b, err := s.win.at(off, int(n))
		if err != nil {
			return 0, err
		}
		crc = crc32.Update(crc, castagnoli, b)
		off, length = off+n, length-n
	}
	return crc, nil
}

// windowBytes is how much a window reads at once.
const windowBytes = 256 << 10

// window gives contiguous views of a file, read in large steps.
type window struct {
	f     vfs.File
	name  string
	size  int64  // of the file, when reading began
	chunk int    // bytes per read; 0 means windowBytes
	base  int64  // offset in the file of buf[0]
	buf   []byte // what is read
	spare []byte // the buffer before this one, to read the next step into
}

// has reports whether at would give the n bytes at off without reading.
func (w *window) has(off int64, n int) bool {
	i := off - w.base
	return i >= 0 && i+int64(n) <= int64(len(w.buf))
}

// at returns the n bytes at off, which must be inside the file. They stay valid
// until the next call.
func (w *window) at(off int64, n int) ([]byte, error) {
	if w.has(off, n) {
		i := off - w.base
		return w.buf[i : i+int64(n) : i+int64(n)], nil
	}
	chunk := w.chunk
	if chunk == 0 {
		chunk = windowBytes
	}
	want := int(min(int64(max(n, chunk)), w.size-off))
	next := w.spare[:0]
	if cap(next) < want {
		next = make([]byte, 0, want)
	}
	if i := off - w.base; i >= 0 && i < int64(len(w.buf)) {
		next = append(next, w.buf[i:]...)
	}
	have := len(next)
	next = next[:want]
	if err := readFull(w.f, next[have:], off+int64(have)); err != nil {
		return nil, fmt.Errorf("record: read %s at offset %d: %w", w.name, off+int64(have), err)
	}
	w.base, w.buf, w.spare = off, next, w.buf
	return next[:n:n], nil
}

// readFull fills b. The end of the file inside b is an error: the file was
// longer when its size was taken.
func readFull(f vfs.File, b []byte, off int64) error {
	n, err := f.ReadAt(b, off)
	switch {
	case n == len(b):
		return nil
	case err == nil || errors.Is(err, io.EOF):
		return io.ErrUnexpectedEOF
	}
	return err
}
