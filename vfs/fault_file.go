package vfs

import "math"

// faultyFile is a file of a Faulty.
type faultyFile struct {
	fs    *Faulty
	inner File
	path  string // as opened
}

// op describes an operation of this file; its length is cut to what fits an
// int on a 32-bit machine.
func (f *faultyFile) op(kind OpKind, off, n int64) Op {
	return Op{Kind: kind, Path: f.path, Offset: off, Len: int(min(n, math.MaxInt))}
}

func (f *faultyFile) ReadAt(p []byte, off int64) (int, error) {
	if fault := f.fs.begin(f.op(OpRead, off, int64(len(p)))); fault != nil {
		return 0, fault.Err
	}
	return f.inner.ReadAt(p, off)
}

func (f *faultyFile) WriteAt(p []byte, off int64) (int, error) {
	fault := f.fs.begin(f.op(OpWrite, off, int64(len(p))))
	switch {
	case fault == nil:
		return f.inner.WriteAt(p, off)
	case !fault.Short:
		return 0, fault.Err
	}
	n, err := f.inner.WriteAt(p[:len(p)/2], off)
	if err != nil {
		return n, err // a real error comes before an injected one
	}
	return n, fault.Err
}

func (f *faultyFile) Sync() error {
	return f.fs.do(f.op(OpSync, 0, 0), f.inner.Sync)
}

func (f *faultyFile) Flush(off, n int64) error {
	return f.fs.do(f.op(OpFlush, off, n), func() error { return f.inner.Flush(off, n) })
}

func (f *faultyFile) Preallocate(off, n int64) error {
	return f.fs.do(f.op(OpPreallocate, off, n), func() error { return f.inner.Preallocate(off, n) })
}

func (f *faultyFile) Truncate(size int64) error {
	return f.fs.do(f.op(OpTruncate, size, 0), func() error { return f.inner.Truncate(size) })
}

func (f *faultyFile) Size() (size int64, err error) {
	err = f.fs.do(f.op(OpSize, 0, 0), func() error {
		size, err = f.inner.Size()
		return err
	})
	return size, err
}

func (f *faultyFile) Close() error { return f.fs.close(f.path, f.inner) }
