package vlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/vfs"
)

const (
	// bufferBytesMax is how much an appender collects before it writes by
	// itself. A commit group of small records stays below it, and so becomes
	// one write call.
	bufferBytesMax = 1 << 20
	// directBytes is the size from which a value is written from the caller's
	// slice: an own write call then costs less than the copy.
	directBytes = 64 << 10
	// writeBackBytes is how much new data is announced to the kernel at a time,
	// so that a later fsync finds little left to do.
	writeBackBytes = 1 << 20
)

// appender adds records to the end of a file. [Writer] and [Rewriter] share it;
// it is not safe for concurrent use.
//
// Invariant: bytes [0, written) of the file are good and are never written
// again; buf holds whole records that follow. A failed call changes neither,
// but may leave bytes at written and after it.
type appender struct {
	f       vfs.File
	name    string
	seed    uint32
	buf     []byte
	written int64

	all   tally // of everything added
	whole tally // of what is in [0, written)

	announced int64 // up to where write-back was asked for
	noHints   bool
}

// createFile makes a value-log file with a header and makes both durable, the
// directory entry too.
func createFile(fsys vfs.FS, dir string, h fileHeader) (*appender, error) {
	path := filepath.Join(dir, fileName(h.number))
	f, err := fsys.Create(path)
	if err != nil {
		return nil, fmt.Errorf("vlog: create %s: %w", fileName(h.number), err)
	}
	b := h.encode()
	_, err = f.WriteAt(b[:], 0)
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = fsys.SyncDir(dir)
	}
	if err != nil {
		// Nobody knows the file yet, so it need not stay.
		err = errors.Join(err, f.Close(), fsys.Remove(path))
		return nil, fmt.Errorf("vlog: create %s: %w", fileName(h.number), err)
	}
	return &appender{
		f: f, name: fileName(h.number), seed: idSeed(h.id),
		written: fileHeaderLen, announced: fileHeaderLen,
	}, nil
}

// size is the length of the file with all that is buffered, in bytes.
func (a *appender) size() int64 { return a.written + int64(len(a.buf)) }

// add appends one record. h needs everything but its lengths and flags.
func (a *appender) add(h *recordHeader, keyspace uint32, key, value []byte) error {
	h.keyLen, h.valueLen, h.keyspaced = uint32(len(key)), uint32(len(value)), keyspace != 0
	size := h.size()
	if len(value) < directBytes {
		if int64(len(a.buf))+size > bufferBytesMax {
			if err := a.flush(); err != nil {
				return err
			}
		}
		a.bufferHead(h, keyspace, key)
		a.buf = append(a.buf, value...)
		a.all.add(size, h.expiry)
		return nil
	}
	mark := len(a.buf)
	a.bufferHead(h, keyspace, key)
	if err := a.writeAt(a.buf, a.written); err != nil {
		a.buf = a.buf[:mark]
		return err
	}
	// The earlier records are whole in the file now, whatever becomes of this.
	end := a.size()
	a.written += int64(mark)
	a.buf = a.buf[:0]
	a.whole = a.all
	if err := a.writeAt(value, end); err != nil {
		return err
	}
	a.written = end + int64(len(value))
	a.all.add(size, h.expiry)
	a.whole = a.all
	a.announce()
	return nil
}

// bufferHead buffers a record's header, keyspace and key.
func (a *appender) bufferHead(h *recordHeader, keyspace uint32, key []byte) {
	n := len(a.buf)
	a.buf = append(a.buf, make([]byte, recordHeaderLen)...)
	h.encode((*[recordHeaderLen]byte)(a.buf[n:]), a.seed)
	if h.keyspaced {
		a.buf = binary.LittleEndian.AppendUint32(a.buf, keyspace)
	}
	a.buf = append(a.buf, key...)
}

// flush writes what is buffered. After an error it is still buffered, so a
// later flush may succeed.
func (a *appender) flush() error {
	if len(a.buf) == 0 {
		return nil
	}
	if err := a.writeAt(a.buf, a.written); err != nil {
		return err
	}
	a.written += int64(len(a.buf))
	a.buf = a.buf[:0]
	a.whole = a.all
	a.announce()
	return nil
}

func (a *appender) writeAt(b []byte, off int64) error {
	if _, err := a.f.WriteAt(b, off); err != nil {
		return fmt.Errorf("vlog: write %s at %d: %w", a.name, off, err)
	}
	return nil
}

// announce asks for write-back of what was written since it last did.
func (a *appender) announce() {
	n := a.written - a.announced
	if a.noHints || n < writeBackBytes {
		return
	}
	if err := a.f.Flush(a.announced, n); err != nil {
		// A hint carries no promise, and the fsync that does will report a
		// failing device. Only stop asking.
		a.noHints = true
	}
	a.announced = a.written
}

// errOffset is returned where a record would start too far into its file.
func errOffset(name string, off int64) error {
	return fmt.Errorf("vlog: %s is full: a record would start at %d", name, off)
}

// checkLimits says whether key and value are within the format's limits.
func checkLimits(key, value []byte) error {
	if len(key) > KeyLenMax {
		return base.ErrKeyTooLarge
	}
	if len(value) > ValueLenMax {
		return base.ErrValueTooLarge
	}
	return nil
}
