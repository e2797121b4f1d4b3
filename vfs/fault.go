package vfs

import (
	"errors"
	"io"
	iofs "io/fs"
	"sync/atomic"
	"time"
)

// ErrInjected is an error for faults that need no particular errno.
var ErrInjected = errors.New("vfs: injected fault")

// Fault says how an operation goes wrong.
type Fault struct {
	// Err fails the operation, which is not passed on; a Close is, so that no
	// handle leaks. It is wrapped with the operation and the path. nil: the
	// operation is done.
	Err error
	// Short makes a failing write write its first half before it fails.
	Short bool
	// Delay is waited before anything else.
	Delay time.Duration
}

// Faulty wraps a file system and makes operations fail, including those of the
// files and locks that it opens. Safe for concurrent use.
type Faulty struct {
	inner  FS
	count  atomic.Int64
	decide atomic.Pointer[func(op Op) *Fault]
	sleep  atomic.Pointer[func(d time.Duration)]
}

var _ FS = (*Faulty)(nil)

// NewFaulty returns a wrapper of inner. decide is asked before each operation,
// perhaps by several goroutines at once, and returns nil to let it pass. A nil
// decide lets everything pass.
func NewFaulty(inner FS, decide func(op Op) *Fault) *Faulty {
	f := &Faulty{inner: inner}
	f.SetDecide(decide)
	f.SetSleep(time.Sleep)
	return f
}

// SetDecide replaces the decision, also for files that are open.
func (f *Faulty) SetDecide(decide func(op Op) *Fault) {
	if decide == nil {
		f.decide.Store(nil)
		return
	}
	f.decide.Store(&decide)
}

// SetSleep replaces time.Sleep as what waits for Fault.Delay.
func (f *Faulty) SetSleep(sleep func(d time.Duration)) { f.sleep.Store(&sleep) }

// Count returns the number of operations so far, failed ones included.
func (f *Faulty) Count() int64 { return f.count.Load() }

// begin counts the operation, waits out its delay and returns its fault; nil:
// none.
func (f *Faulty) begin(op Op) *Fault {
	op.Index = f.count.Add(1)
	decide := f.decide.Load()
	if decide == nil {
		return nil
	}
	fault := (*decide)(op)
	if fault == nil {
		return nil
	}
	if fault.Delay > 0 {
		(*f.sleep.Load())(fault.Delay)
	}
	if fault.Err == nil {
		return nil
	}
	return &Fault{Err: opError(op, fault.Err), Short: fault.Short}
}

// do runs call unless the operation fails.
func (f *Faulty) do(op Op, call func() error) error {
	if fault := f.begin(op); fault != nil {
		return fault.Err
	}
	return call()
}

// open wraps the file that call opens.
func (f *Faulty) open(op Op, call func(path string) (File, error)) (File, error) {
	if fault := f.begin(op); fault != nil {
		return nil, fault.Err
	}
	file, err := call(op.Path)
	if err != nil {
		return nil, err
	}
	return &faultyFile{fs: f, inner: file, path: op.Path}, nil
}

// Create implements FS.
func (f *Faulty) Create(path string) (File, error) {
	return f.open(Op{Kind: OpCreate, Path: path}, f.inner.Create)
}

// Open implements FS.
func (f *Faulty) Open(path string) (File, error) {
	return f.open(Op{Kind: OpOpen, Path: path}, f.inner.Open)
}

// OpenReadWrite implements FS.
func (f *Faulty) OpenReadWrite(path string) (File, error) {
	return f.open(Op{Kind: OpOpenRW, Path: path}, f.inner.OpenReadWrite)
}

// Remove implements FS.
func (f *Faulty) Remove(path string) error {
	return f.do(Op{Kind: OpRemove, Path: path}, func() error { return f.inner.Remove(path) })
}

// Rename implements FS.
func (f *Faulty) Rename(oldPath, newPath string) error {
	op := Op{Kind: OpRename, Path: newPath, OldPath: oldPath}
	return f.do(op, func() error { return f.inner.Rename(oldPath, newPath) })
}

// Link implements FS.
func (f *Faulty) Link(oldPath, newPath string) error {
	op := Op{Kind: OpLink, Path: newPath, OldPath: oldPath}
	return f.do(op, func() error { return f.inner.Link(oldPath, newPath) })
}

// MkdirAll implements FS.
func (f *Faulty) MkdirAll(path string) error {
	return f.do(Op{Kind: OpMkdir, Path: path}, func() error { return f.inner.MkdirAll(path) })
}

// List implements FS.
func (f *Faulty) List(dir string) (infos []FileInfo, err error) {
	err = f.do(Op{Kind: OpList, Path: dir}, func() error {
		infos, err = f.inner.List(dir)
		return err
	})
	return infos, err
}

// Stat implements FS.
func (f *Faulty) Stat(path string) (info FileInfo, err error) {
	err = f.do(Op{Kind: OpStat, Path: path}, func() error {
		info, err = f.inner.Stat(path)
		return err
	})
	return info, err
}

// SyncDir implements FS.
func (f *Faulty) SyncDir(dir string) error {
	return f.do(Op{Kind: OpSyncDir, Path: dir}, func() error { return f.inner.SyncDir(dir) })
}

// Free implements FS.
func (f *Faulty) Free(dir string) (free uint64, err error) {
	err = f.do(Op{Kind: OpFree, Path: dir}, func() error {
		free, err = f.inner.Free(dir)
		return err
	})
	return free, err
}

// Lock implements FS.
func (f *Faulty) Lock(path string) (io.Closer, error) { return f.lock(path, f.inner.Lock) }

// LockShared implements FS.
func (f *Faulty) LockShared(path string) (io.Closer, error) {
	return f.lock(path, f.inner.LockShared)
}

func (f *Faulty) lock(path string, take func(string) (io.Closer, error)) (lock io.Closer, err error) {
	err = f.do(Op{Kind: OpLock, Path: path}, func() error {
		inner, err := take(path)
		if err == nil {
			lock = &faultyLock{fs: f, inner: inner, path: path}
		}
		return err
	})
	return lock, err
}

// close asks about an OpClose and closes whatever the answer is.
func (f *Faulty) close(path string, inner io.Closer) error {
	fault := f.begin(Op{Kind: OpClose, Path: path})
	err := inner.Close()
	if fault != nil && !errors.Is(err, iofs.ErrClosed) {
		return errors.Join(fault.Err, err)
	}
	return err
}

// faultyLock is a lock whose closing can fail.
type faultyLock struct {
	fs    *Faulty
	inner io.Closer
	path  string
}

func (l *faultyLock) Close() error { return l.fs.close(l.path, l.inner) }
