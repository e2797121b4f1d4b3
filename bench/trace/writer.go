package trace

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/klauspost/compress/zstd"
)

// file is what a trace is written to: an *os.File.
type file interface {
	io.Writer
	Truncate(size int64) error
	Seek(offset int64, whence int) (int64, error)
	Sync() error
	Close() error
}

const (
	blockBytesAim = 256 << 10 // a block of so many bytes is written out
	// tickDefault is the resolution of times in a file: times of operations vary
	// by more, and the digits below cost a byte each.
	tickDefault = 100 * time.Nanosecond
)

// writer writes the blocks of a file. It belongs to one goroutine.
type writer struct {
	f       file
	h       header
	enc     encoder
	packer  *zstd.Encoder
	packed  []byte
	block   []byte
	number  uint32
	size    int64  // of the whole blocks
	records uint32 // in enc
	waiting uint64 // operations in enc
	total   uint64 // operations that were written
	lost    uint64 // operations that were not
	err     error  // the first one: nothing is written after it
}

// newWriter writes the header of a new file.
func newWriter(f file, h header, key secret) (*writer, error) {
	packer, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest),
		zstd.WithWindowSize(1<<20), zstd.WithEncoderCRC(false))
	if err != nil {
		return nil, err
	}
	w := &writer{f: f, h: h, packer: packer}
	w.enc = encoder{tick: h.tick, ring: newKeyRing(h.hashed, true), hashed: h.hashed, secret: key,
		buf: make([]byte, 0, blockBytesAim+64<<10)}
	n, err := f.Write(h.encode())
	if err == nil && n != headerLen {
		err = io.ErrShortWrite
	}
	if err != nil {
		return nil, fmt.Errorf("trace: write the header: %w", err)
	}
	w.size = headerLen
	return w, nil
}

// put encodes a whole record.
func (w *writer) put(op *Op) {
	w.enc.record(op)
	w.count(op.Kind)
}

// count notes a record that was encoded, and writes the block if it is full.
func (w *writer) count(kind Kind) {
	w.records++
	if kind != KindLost && kind != KindKeyspace {
		w.waiting++
	}
	if len(w.enc.buf) >= blockBytesAim || w.enc.keys >= blockKeyBytesMax/2 {
		w.flush()
	}
}

// flush writes out what is encoded.
func (w *writer) flush() {
	if w.records == 0 {
		return
	}
	if w.write(blockRecords, w.enc.buf); w.err == nil {
		w.total += w.waiting
	} else {
		w.lost += w.waiting
	}
	w.enc.buf, w.enc.keys, w.records, w.waiting = w.enc.buf[:0], 0, 0, 0
}

func (w *writer) write(kind byte, raw []byte) {
	if w.err != nil {
		return
	}
	h := blockHeader{number: w.number, kind: kind, stored: uint32(len(raw)), raw: uint32(len(raw)), records: w.records}
	payload := raw
	if w.packed = w.packer.EncodeAll(raw, w.packed[:0]); len(w.packed) < len(raw) {
		h.packing, h.stored, payload = packingZstd, uint32(len(w.packed)), w.packed
	}
	w.block = appendBlock(w.block[:0], w.h.id, h, payload)
	n, err := w.f.Write(w.block)
	if err == nil && n != len(w.block) {
		err = io.ErrShortWrite
	}
	if err != nil {
		w.err = fmt.Errorf("trace: write a block: %w", err)
		return
	}
	w.number++
	w.size += int64(len(w.block))
}

// close ends the file with a block that tells how much there was, and closes
// it. After a failed write it cuts the file behind its last whole block first:
// on a full disk that makes the room which the end needs.
func (w *writer) close(lost uint64, end time.Duration) error {
	w.flush()
	failed := w.err
	if failed != nil {
		w.err = w.f.Truncate(w.size)
		if _, err := w.f.Seek(w.size, io.SeekStart); w.err == nil {
			w.err = err
		}
	}
	b := binary.AppendUvarint(nil, w.total)
	b = binary.AppendUvarint(b, w.lost+lost)
	b = binary.AppendUvarint(b, uint64(max(end, 0)/w.h.tick))
	w.write(blockEnd, b)
	err := w.err
	if err == nil {
		if err = w.f.Sync(); err != nil {
			err = fmt.Errorf("trace: sync: %w", err)
		}
	}
	if failed != nil { // the first failure tells more
		err = failed
	}
	w.packer.Close()
	w.err = errors.Join(err, w.f.Close())
	return w.err
}
