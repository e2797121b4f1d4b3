package sstable

import (
	"fmt"
	"sync"

	"github.com/cordwood-db/cordwood/vfs"
)

const (
	// writeBytesMin is the least that is written at once, but for the end.
	writeBytesMin = 256 << 10
	// outputKeepMax bounds the buffers that are kept for the next table.
	outputKeepMax = 1 << 20
	// flushBytes: every so many bytes the system is asked to start writing
	// them back, so that the sync at the end finds little left to do.
	flushBytes = 1 << 20
)

var outputPool = sync.Pool{New: func() any { return new([]byte) }}

// output turns appends into few large writes at ascending offsets. Its first
// error is sticky.
type output struct {
	f    vfs.File
	name string

	buf     *[]byte // not yet written; goes back to the pool in close
	at      uint64  // offset in the file of buf's first byte
	flushed uint64  // offset up to which write-back was started
	err     error
}

func newOutput(f vfs.File, name string) output {
	return output{f: f, name: name, buf: outputPool.Get().(*[]byte)}
}

// offset is where the next append goes.
func (o *output) offset() uint64 { return o.at + uint64(len(*o.buf)) }

// append adds b, which is not kept. A large b is written from where it is.
func (o *output) append(b []byte) {
	if o.err != nil {
		return
	}
	if len(b) >= writeBytesMin {
		o.write()
		o.writeAt(b)
		return
	}
	*o.buf = append(*o.buf, b...)
	if len(*o.buf) >= writeBytesMin {
		o.write()
	}
}

// write hands what is buffered to the file.
func (o *output) write() {
	if len(*o.buf) > 0 {
		o.writeAt(*o.buf)
		*o.buf = (*o.buf)[:0]
	}
}

func (o *output) writeAt(b []byte) {
	if o.err != nil {
		return
	}
	if _, err := o.f.WriteAt(b, int64(o.at)); err != nil {
		o.err = fmt.Errorf("sstable: write %s: %w", o.name, err)
		return
	}
	o.at += uint64(len(b))
	if n := o.at - o.flushed; n >= flushBytes {
		if err := o.f.Flush(int64(o.flushed), int64(n)); err != nil {
			o.err = fmt.Errorf("sstable: write back %s: %w", o.name, err)
		}
		o.flushed = o.at
	}
}

// sync writes what is left and makes the file durable.
func (o *output) sync() error {
	o.write()
	if o.err != nil {
		return o.err
	}
	if err := o.f.Sync(); err != nil {
		o.err = fmt.Errorf("sstable: sync %s: %w", o.name, err)
	}
	return o.err
}

// close gives the buffer back. Nothing may be appended afterwards.
func (o *output) close() {
	if o.buf == nil {
		return
	}
	if cap(*o.buf) <= outputKeepMax {
		*o.buf = (*o.buf)[:0]
		outputPool.Put(o.buf)
	}
	o.buf = nil
}
