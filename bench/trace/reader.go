package trace

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"time"

	"github.com/klauspost/compress/zstd"
)

// Reader reads a trace from its beginning. It holds one block and the ring of
// keys: about 25 MiB at most, whatever the file. It belongs to one goroutine.
type Reader struct {
	in       *bufio.Reader
	closer   io.Closer
	h        header
	dec      decoder
	unpacker *zstd.Decoder
	payload  []byte
	raw      []byte
	left     uint32 // records in the block
	at       int64  // offset of the next block
	blockAt  int64
	number   uint32
	summary  Summary
	err      error // io.EOF at the end
}

// Summary is what a reader knows when it has come to the end.
type Summary struct {
	// Whole: the file has its end. Otherwise Next gave what was whole.
	Whole bool
	// Torn: the recording was cut off, as by a crash, and Problem says where.
	Torn    bool
	Problem string
	// Operations were recorded and Lost were not, by the end of the file; without
	// one, as far as the reader has come.
	Operations, Lost uint64
	// Duration of the recording.
	Duration time.Duration
}

// Open opens a trace. Errors: those of the file, *DamageError, *VersionError.
func Open(path string) (*Reader, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("trace: %w", err)
	}
	r, err := NewReader(f)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), f.Close())
	}
	r.closer = f
	return r, nil
}

// NewReader reads a trace from in, which stays the caller's to close, after
// Close.
func NewReader(in io.Reader) (*Reader, error) {
	r := &Reader{in: bufio.NewReaderSize(in, 64<<10)}
	var b [headerLen]byte
	n, err := io.ReadFull(r.in, b[:])
	if err != nil && !atEnd(err) {
		return nil, fmt.Errorf("trace: %w", err)
	}
	if r.h, err = decodeHeader(b[:n]); err != nil {
		return nil, err
	}
	r.unpacker, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(blockBytesMax),
		zstd.WithDecoderMaxWindow(blockBytesMax), zstd.WithDecoderLowmem(true))
	if err != nil {
		return nil, err
	}
	r.at = headerLen
	r.dec = decoder{tick: r.h.tick, ring: newKeyRing(r.h.hashed, false), hashed: r.h.hashed}
	return r, nil
}

func atEnd(err error) bool { return err == io.EOF || err == io.ErrUnexpectedEOF }

// Hashed reports whether the keys are hashes.
func (r *Reader) Hashed() bool { return r.h.hashed }

// Started is when the recording began.
func (r *Reader) Started() time.Time { return r.h.started }

// Next reads the next record into op, in the order in which operations ended.
// What op points to is valid until the next call, and the memory of op.Items is
// used again. It returns io.EOF at the end, also at one that is torn: Summary
// tells. A *DamageError ends the reading.
func (r *Reader) Next(op *Op) error {
	for r.err == nil && r.left == 0 {
		if len(r.dec.buf) != 0 {
			r.err = r.damage("bytes behind the records of a block")
			break
		}
		r.err = r.nextBlock()
	}
	if r.err != nil {
		return r.err
	}
	r.left--
	r.dec.record(op)
	if r.dec.problem != "" {
		r.err = r.damage(r.dec.problem)
		return r.err
	}
	switch op.Kind {
	case KindLost:
		r.summary.Lost += op.Entries
	case KindKeyspace:
	default:
		r.summary.Operations++
	}
	r.summary.Duration = max(r.summary.Duration, op.End())
	return nil
}

func (r *Reader) damage(problem string) error {
	r.summary.Problem = problem
	return &DamageError{r.blockAt, problem}
}

// torn ends the reading where the recording was cut off.
func (r *Reader) torn(problem string) error {
	r.summary.Torn, r.summary.Problem = true, fmt.Sprintf("%s at offset %d", problem, r.blockAt)
	return io.EOF
}

// nextBlock reads a block.
func (r *Reader) nextBlock() error {
	r.blockAt = r.at
	var b [blockHeaderLen]byte
	switch n, err := io.ReadFull(r.in, b[:]); {
	case err == io.EOF:
		return r.torn("no end")
	case err == io.ErrUnexpectedEOF:
		return r.torn(fmt.Sprintf("%d bytes of a block's header", n))
	case err != nil:
		return fmt.Errorf("trace: %w", err)
	}
	h, sum, problem := decodeBlockHeader(r.h.id, b[:])
	if problem != "" {
		zero, err := r.onlyZeros(b[:])
		switch {
		case err != nil:
			return fmt.Errorf("trace: %w", err)
		case zero:
			return r.torn("zeros")
		}
		return r.damage(problem)
	}
	if h.number != r.number {
		return r.damage(fmt.Sprintf("block %d in place of %d", h.number, r.number))
	}
	r.payload = append(r.payload[:0], make([]byte, h.stored)...)
	switch n, err := io.ReadFull(r.in, r.payload); {
	case err != nil && atEnd(err):
		return r.torn(fmt.Sprintf("%d of %d bytes of a block", n, h.stored))
	case err != nil:
		return fmt.Errorf("trace: %w", err)
	}
	if crc32.Checksum(r.payload, castagnoli) != sum {
		return r.badPayload()
	}
	r.at += blockHeaderLen + int64(h.stored)
	r.number++
	return r.unpack(h)
}

// badPayload says what a block is whose header is well and whose contents are
// not: torn if nothing follows it, for after a power loss a part of it may be
// missing.
func (r *Reader) badPayload() error {
	if _, err := r.in.ReadByte(); err == io.EOF {
		return r.torn("an incomplete block")
	}
	return r.damage("checksum of a block")
}

// onlyZeros reports whether b and all that follows are zeros, which a power loss
// may leave.
func (r *Reader) onlyZeros(b []byte) (bool, error) {
	for {
		for _, c := range b {
			if c != 0 {
				return false, nil
			}
		}
		r.payload = append(r.payload[:0], make([]byte, 32<<10)...)
		n, err := r.in.Read(r.payload)
		b = r.payload[:n]
		if err == io.EOF && n == 0 {
			return true, nil
		}
		if err != nil && err != io.EOF {
			return false, err
		}
	}
}

// unpack takes in a block.
func (r *Reader) unpack(h blockHeader) error {
	raw := r.payload
	if h.packing == packingZstd {
		var err error
		if raw, err = r.unpacker.DecodeAll(raw, r.raw[:0]); err != nil || len(raw) != int(h.raw) {
			return r.damage("compressed block")
		}
		r.raw = raw
	}
	if h.kind == blockEnd {
		return r.finish(raw)
	}
	r.dec.buf, r.dec.keysLeft, r.left = raw, blockKeyBytesMax, h.records
	if h.records == 0 {
		return r.damage("empty block")
	}
	return nil
}

// finish takes in the end of the file.
func (r *Reader) finish(b []byte) error {
	var totals [3]uint64
	for i := range totals {
		n, size := binary.Uvarint(b)
		if size <= 0 || n > timeMax {
			return r.damage("end of the file")
		}
		totals[i], b = n, b[size:]
	}
	if _, err := r.in.ReadByte(); len(b) != 0 || err != io.EOF {
		return r.damage("bytes behind the end")
	}
	if totals[0] != r.summary.Operations || totals[2] > timeMax/uint64(r.h.tick) {
		return r.damage("number of operations")
	}
	r.summary.Whole, r.summary.Lost = true, totals[1]
	r.summary.Duration = max(r.summary.Duration, time.Duration(totals[2])*r.h.tick)
	return io.EOF
}

// Summary is complete once Next has returned io.EOF or another error.
func (r *Reader) Summary() Summary { return r.summary }

// Close releases the reader, and the file that Open has opened.
func (r *Reader) Close() error {
	r.unpacker.Close()
	r.err = os.ErrClosed
	if r.closer == nil {
		return nil
	}
	err := r.closer.Close()
	r.closer = nil
	return err
}
