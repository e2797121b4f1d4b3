package record

import (
	"errors"
	"hash/crc32"

	"github.com/cordwood-db/cordwood/vfs"
)

// writeBytesMax bounds what one WriteAt call carries, and with it the buffer
// that a Writer keeps: a record of up to this size, header included, is one
// call; a larger one is several.
const writeBytesMax = 4 << 20

// ErrPayloadTooLarge says that a payload is longer than PayloadLenMax. Nothing
// was written.
var ErrPayloadTooLarge = errors.New("record: payload too large")

var errSyncedAhead = errors.New("record: synced LSN is ahead of the record")

// Writer appends records to a file. It does not own the file: it neither syncs
// nor closes it. Not safe for concurrent use.
type Writer struct {
	f   vfs.File
	h   FileHeader
	off int64  // where the next record starts
	buf []byte // scratch, at most writeBytesMax
	crc crcScratch
}

// NewWriter writes h at the start of f, which should be empty, and returns a
// Writer that appends behind it. Nothing is synced. h.Version 0 means Version.
func NewWriter(f vfs.File, h FileHeader) (*Writer, error) {
	if h.Version == 0 {
		h.Version = Version
	}
	b, err := h.append(nil)
	if err != nil {
		return nil, err
	}
	if _, err := f.WriteAt(b, 0); err != nil {
		return nil, err
	}
	return &Writer{f: f, h: h, off: HeaderLen}, nil
}

// ResumeWriter returns a Writer that appends at offset off of f, which h starts
// and whose valid records end there. What stands behind off is overwritten.
func ResumeWriter(f vfs.File, h FileHeader, off int64) *Writer {
	return &Writer{f: f, h: h, off: off}
}

// Header returns the file's header.
func (w *Writer) Header() FileHeader { return w.h }

// Offset is where the next record starts, in bytes from the start of the file.
func (w *Writer) Offset() int64 { return w.off }

// EndLSN is the LSN of the next record: everything appended ends there.
func (w *Writer) EndLSN() uint64 { return w.h.StartLSN + uint64(w.off) }

// Append writes one record whose payload is the concatenation of parts, in one
// WriteAt call if the record is of up to 4 MiB, and returns the LSN behind it.
// synced must not be larger than EndLSN; 0 claims nothing. The parts are not
// kept. The caller syncs.
//
// After an error the Writer stands where it stood, and the bytes behind
// Offset are undefined. They hold no whole record if the error came from a
// short write. To go on, the caller truncates the file to Offset first.
func (w *Writer) Append(synced uint64, typ byte, parts ...[]byte) (endLSN uint64, err error) {
	var length uint64
	var crc uint32
	for _, p := range parts {
		length += uint64(len(p))
		crc = crc32.Update(crc, castagnoli, p)
	}
	switch {
	case length > PayloadLenMax:
		return 0, ErrPayloadTooLarge
	case synced > w.EndLSN():
		return 0, errSyncedAhead
	case w.EndLSN()+RecordHeaderLen+length > LSNMax:
		return 0, errLSN
	}
	w.buf = append(w.buf[:0], zeros[:RecordHeaderLen]...)
	recordHeader{payloadCRC: crc, synced: synced, length: int64(length), typ: typ}.put(w.buf, w.h.ID, w.off, &w.crc)
	if RecordHeaderLen+length > writeBytesMax {
		err = w.writeLarge(parts)
	} else {
		for _, p := range parts {
			w.buf = append(w.buf, p...)
		}
		_, err = w.f.WriteAt(w.buf, w.off)
	}
	if err != nil {
		return 0, err
	}
	w.off += RecordHeaderLen + int64(length)
	return w.EndLSN(), nil
}

// writeLarge writes w.buf, which holds the header, and parts, front to back.
// Small parts are gathered in w.buf; large ones go to the file from where they
// are.
func (w *Writer) writeLarge(parts [][]byte) error {
	off := w.off
	flush := func(b []byte) error {
		if len(b) == 0 {
			return nil
		}
		n, err := w.f.WriteAt(b, off)
		off += int64(n)
		return err
	}
	for _, p := range parts {
		if len(w.buf)+len(p) <= writeBytesMax {
			w.buf = append(w.buf, p...)
			continue
		}
		if err := flush(w.buf); err != nil {
			return err
		}
		w.buf = w.buf[:0]
		for len(p) > writeBytesMax/2 {
			n := min(len(p), writeBytesMax)
			if err := flush(p[:n]); err != nil {
				return err
			}
			p = p[n:]
		}
		w.buf = append(w.buf, p...)
	}
	return flush(w.buf)
}
