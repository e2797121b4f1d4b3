package vlog

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/invariants"
	"github.com/cordwood-db/cordwood/vfs"
)

// WriterOptions says what a new file is.
type WriterOptions struct {
	// Logical is the logical file that the records belong to. It must be the
	// number that the file is created under; 0 stands for that.
	Logical base.FileNum
	// ID is random; it tells the file from every other, earlier ones of the
	// same number included. All checksums are bound to it.
	ID uint64
}

// Writer appends records to an active file. All methods are safe for concurrent
// use.
//
// # Failure
//
// After a write that failed for lack of space, the file is cut back to its last
// good offset and the writer stays usable: what was buffered is still buffered
// and goes out with the next Flush that succeeds. A record whose Append failed
// is not in the file; one whose Flush failed may get there later, but nobody
// can point at it, because its commit failed.
//
// After any other failed write, and after a failed fsync or truncation, every
// call returns that error: the owner then takes what is good with
// [Writer.Abandon] and starts another file.
type Writer struct {
	// Immutable after Create.
	logical base.FileNum

	// syncMu serialises fsyncs and is taken before mu, never after it. Appends
	// go on while an fsync runs.
	syncMu sync.Mutex

	mu sync.Mutex
	// Guarded by mu.
	a          *appender
	syncFailed bool // an fsync failed: what is in the file is unknown
	closed     bool

	// Atomic, written under mu: mu is held while values are written, and who
	// only asks must not wait for that.
	size      atomic.Int64 // of the file and what is buffered
	durable   atomic.Int64 // everything before it survives power loss
	expiryMax atomic.Uint64
	failed    atomic.Pointer[error] // sticky
}

// Create makes the value-log file num in dir. The file, with its header, and its
// directory entry are durable when Create returns.
func Create(fsys vfs.FS, dir string, num base.FileNum, opts WriterOptions) (*Writer, error) {
	if opts.Logical != 0 && opts.Logical != num {
		return nil, fmt.Errorf("vlog: create %s: logical file %d differs from it", fileName(num), opts.Logical)
	}
	a, err := createFile(fsys, dir, fileHeader{version: formatVersion, id: opts.ID, number: num})
	if err != nil {
		return nil, err
	}
	w := &Writer{logical: num, a: a}
	w.size.Store(a.written)
	w.durable.Store(a.written)
	return w, nil
}

// Append adds a record of a keyspace and returns the pointer to it. expiry is in
// nanoseconds since the Unix epoch, 0 for never. key and value are not kept: small records
// are copied, values of 64 KiB or more are written before Append returns.
//
// The record can be read, and may be pointed at, once Flush returned nil.
// Errors: base.ErrKeyTooLarge, base.ErrValueTooLarge, or a failed write; in each
// case the record is not part of the file.
func (w *Writer) Append(keyspace uint32, key []byte, seq base.SeqNum, expiry uint64, value []byte) (base.Pointer, error) {
	if err := checkLimits(key, value); err != nil {
		return base.Pointer{}, err
	}
	invariants.Check(seq <= base.SeqNumMax, "sequence number %d does not fit", seq)
	h := recordHeader{bodySum: bodySum(keyspace, key, value), file: w.logical, seq: seq, expiry: expiry}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.usable(); err != nil {
		return base.Pointer{}, err
	}
	off := w.size.Load()
	if off > OffsetMax {
		return base.Pointer{}, errOffset(w.a.name, off)
	}
	h.offset = uint32(off)
	if err := w.a.add(&h, keyspace, key, value); err != nil {
		return base.Pointer{}, w.writeFailed(err)
	}
	w.size.Store(w.a.size())
	w.expiryMax.Store(w.a.all.expiryMax)
	return h.pointer(), nil
}

// Flush hands all records appended so far to the operating system: they survive
// the death of the process and can be read.
func (w *Writer) Flush() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.flush()
}

func (w *Writer) flush() error {
	if err := w.usable(); err != nil {
		return err
	}
	if err := w.a.flush(); err != nil {
		return w.writeFailed(err)
	}
	return nil
}

func (w *Writer) usable() error {
	if err := w.Failed(); err != nil {
		return err
	}
	if w.closed {
		return fmt.Errorf("vlog: %s: %w", w.a.name, base.ErrClosed)
	}
	return nil
}

// writeFailed cuts a torn write off and decides whether the writer goes on.
func (w *Writer) writeFailed(err error) error {
	if cut := w.a.f.Truncate(w.a.written); cut != nil {
		err = errors.Join(err, fmt.Errorf("vlog: truncate %s: %w", w.a.name, cut))
		w.failed.Store(&err)
	} else if !vfs.IsNoSpace(err) {
		w.failed.Store(&err)
	}
	return err
}

// Size is the length of the file in bytes, with what is still buffered: where
// the next record starts. Like Durable, ExpiryMax and Failed it never waits.
func (w *Writer) Size() int64 { return w.size.Load() }

// Durable is the offset before which everything survives power loss, in bytes.
func (w *Writer) Durable() int64 { return w.durable.Load() }

// ExpiryMax is the latest expiry of a record so far, in nanoseconds since the
// Unix epoch; 0 if none expires.
func (w *Writer) ExpiryMax() uint64 { return w.expiryMax.Load() }

// Failed is the error for which the writer refuses everything, or nil while it
// takes appends.
func (w *Writer) Failed() error {
	if err := w.failed.Load(); err != nil {
		return *err
	}
	return nil
}

// Info sums up the records so far, buffered ones included.
func (w *Writer) Info() Info {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.a.all.info(w.a.size())
}
