package vfs

import (
	"io"
	iofs "io/fs"
	"math"
)

// memFile is a handle on an inode.
type memFile struct {
	m        *Mem
	node     *inode
	path     string // as opened
	readOnly bool
	closed   bool // guarded by m.mu
}

// open makes a handle; m.mu is held.
func (m *Mem) open(n *inode, path string, readOnly bool) *memFile {
	m.handles++
	n.handles++
	return &memFile{m: m, node: n, path: path, readOnly: readOnly}
}

// op describes an operation of this handle. Its length is cut to what fits an
// int on a 32-bit machine.
func (f *memFile) op(kind OpKind, off, n int64) Op {
	return Op{Kind: kind, Path: f.path, Offset: off, Len: int(min(n, math.MaxInt))}
}

// write runs fn under the write lock if the handle may write and neither end
// of [off, off+n) is out of bounds.
func (f *memFile) write(op Op, off, n int64, fn func() error) error {
	return f.m.change(op, func() error {
		switch {
		case f.closed:
			return iofs.ErrClosed
		case off < 0 || n < 0:
			return errInvalid
		case f.readOnly && op.Kind == OpTruncate:
			return errInvalid // what ftruncate says
		case f.readOnly:
			return errReadOnly
		case off > memFileBytesMax || n > memFileBytesMax-off:
			return errTooBig
		}
		before := f.node.file.allocated
		err := fn()
		f.m.used += (f.node.file.allocated - before) * pageBytes
		if !f.node.file.clean() {
			f.m.unsynced[f.node] = struct{}{}
		}
		return err
	})
}

// read takes the read lock for an open handle; the caller runs unlock.
func (f *memFile) read(op Op) (unlock func(), err error) {
	if err := f.m.begin(op); err != nil {
		return nil, err
	}
	f.m.mu.RLock()
	if f.closed {
		f.m.mu.RUnlock()
		return nil, opError(op, iofs.ErrClosed)
	}
	return f.m.mu.RUnlock, nil
}

func (f *memFile) ReadAt(p []byte, off int64) (int, error) {
	op := f.op(OpRead, off, int64(len(p)))
	unlock, err := f.read(op)
	if err != nil {
		return 0, err
	}
	defer unlock()
	if off < 0 {
		return 0, opError(op, errInvalid)
	}
	n := f.node.file.readAt(p, off)
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// WriteAt writes as much as there is room for, like a kernel.
func (f *memFile) WriteAt(p []byte, off int64) (n int, err error) {
	want := int64(len(p))
	err = f.write(f.op(OpWrite, off, want), off, want, func() error {
		if want == 0 {
			return nil
		}
		file := &f.node.file
		fits := file.fits(off, want, f.m.room()/pageBytes)
		if fits > 0 {
			file.mark(off, fits)
			file.writeAt(p[:fits], off)
		}
		if n = int(fits); fits < want {
			return errNoSpace
		}
		return nil
	})
	return n, err
}

func (f *memFile) Sync() error {
	return f.m.change(f.op(OpSync, 0, 0), func() error {
		if f.closed {
			return iofs.ErrClosed
		}
		f.node.file.sync()
		delete(f.m.unsynced, f.node)
		return nil
	})
}

func (f *memFile) Flush(off, n int64) error {
	op := f.op(OpFlush, off, n)
	unlock, err := f.read(op)
	if err != nil {
		return err
	}
	defer unlock()
	return checkRange(f.path, op.Kind.String(), off, n)
}

// Preallocate does nothing if there is not room for all of it.
func (f *memFile) Preallocate(off, n int64) error {
	return f.write(f.op(OpPreallocate, off, n), off, n, func() error {
		file := &f.node.file
		if n == 0 {
			return nil
		}
		if file.fits(off, n, f.m.room()/pageBytes) < n {
			return errNoSpace
		}
		file.preallocate(off, n)
		return nil
	})
}

func (f *memFile) Truncate(size int64) error {
	return f.write(f.op(OpTruncate, size, 0), size, 0, func() error {
		file := &f.node.file
		if size < file.size {
			file.shrink(size)
		} else {
			file.truncate(size)
		}
		return nil
	})
}

func (f *memFile) Size() (int64, error) {
	unlock, err := f.read(f.op(OpSize, 0, 0))
	if err != nil {
		return 0, err
	}
	defer unlock()
	return f.node.file.size, nil
}

func (f *memFile) Close() error { return f.close(func() {}) }

// close releases the handle whatever the hook says, and runs also with it.
func (f *memFile) close(also func()) error {
	op := f.op(OpClose, 0, 0)
	err := f.m.begin(op)
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if f.closed {
		return opError(op, iofs.ErrClosed)
	}
	f.closed = true
	f.m.handles--
	f.node.handles--
	f.m.release(f.node)
	also()
	return err
}

// memLock is a held lock.
type memLock struct{ file memFile }

func (l *memLock) Close() error {
	return l.file.close(func() {
		locked, n := l.file.m.locked, l.file.node
		if locked[n]--; locked[n] <= 0 {
			delete(locked, n)
		}
	})
}
