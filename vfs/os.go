package vfs

import (
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"os"
)

// Modes of what is created, before the process's umask.
const (
	osFileMode = 0o644
	osDirMode  = 0o755
)

// osFS is the machine's file system. It has no state.
type osFS struct{}

// OS returns the machine's file system. Reading needs no more than permission
// to read: files are opened with O_RDONLY and nothing is written.
func OS() FS { return osFS{} }

func (osFS) Create(path string) (File, error) {
	return openOS(path, os.O_RDWR|os.O_CREATE|os.O_EXCL)
}

func (osFS) Open(path string) (File, error) { return openOS(path, os.O_RDONLY) }

func (osFS) OpenReadWrite(path string) (File, error) { return openOS(path, os.O_RDWR) }

// openOS opens path, which must not be a directory: that would only fail
// later, and differently on each platform.
func openOS(path string, flag int) (File, error) {
	f, err := openFile(path, flag, osFileMode)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && info.IsDir() {
		err = &iofs.PathError{Op: "open", Path: path, Err: errIsDir}
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &osFile{f}, nil
}

func (osFS) Remove(path string) error { return os.Remove(path) }

func (osFS) Rename(oldPath, newPath string) error { return os.Rename(oldPath, newPath) }

func (osFS) Link(oldPath, newPath string) error { return os.Link(oldPath, newPath) }

func (osFS) MkdirAll(path string) error { return os.MkdirAll(path, osDirMode) }

func (osFS) List(dir string) ([]FileInfo, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	infos := make([]FileInfo, 0, len(entries))
	for _, e := range entries {
		info, err := e.Info()
		if errors.Is(err, iofs.ErrNotExist) {
			continue // removed since ReadDir
		}
		if err != nil {
			return nil, err
		}
		infos = append(infos, fileInfo(info))
	}
	return infos, nil
}

func (osFS) Stat(path string) (FileInfo, error) {
	info, err := os.Stat(path)
	if err != nil {
		return FileInfo{}, err
	}
	return fileInfo(info), nil
}

// fileInfo hides the size of a directory, which means something else on every
// platform.
func fileInfo(info iofs.FileInfo) FileInfo {
	fi := FileInfo{Name: info.Name(), Size: info.Size(), IsDir: info.IsDir()}
	if fi.IsDir {
		fi.Size = 0
	}
	return fi
}

func (osFS) SyncDir(dir string) error { return syncDir(dir) }

func (osFS) Free(dir string) (uint64, error) {
	n, err := freeBytes(dir)
	if err != nil {
		return 0, &iofs.PathError{Op: "statfs", Path: dir, Err: err}
	}
	return n, nil
}

// lockAttemptsMax bounds how often Lock starts over because the lock file was
// replaced under it.
const lockAttemptsMax = 16

func (osFS) Lock(path string) (io.Closer, error) {
	return lockFile(path, openLockFile, true)
}

func (osFS) LockShared(path string) (io.Closer, error) {
	open := func(path string) (*os.File, error) { return openFile(path, os.O_RDONLY, 0) }
	return lockFile(path, open, false)
}

func lockFile(path string, open func(string) (*os.File, error), exclusive bool) (io.Closer, error) {
	for range lockAttemptsMax {
		f, err := open(path)
		if err != nil {
			return nil, err
		}
		if err := lockHandle(f, exclusive); err != nil {
			return nil, errors.Join(&iofs.PathError{Op: "lock", Path: path, Err: err}, f.Close())
		}
		// A lock on a file that has lost its name locks nobody out.
		named, err := os.Stat(path)
		if err == nil {
			var held iofs.FileInfo
			if held, err = f.Stat(); err == nil && os.SameFile(named, held) {
				return &heldLock{f}, nil
			}
		}
		if cerr := f.Close(); cerr != nil {
			return nil, cerr
		}
		if err != nil && !errors.Is(err, iofs.ErrNotExist) {
			return nil, err
		}
	}
	return nil, fmt.Errorf("vfs: lock %s: the file keeps being replaced", path)
}

// heldLock is a lock file that is locked.
type heldLock struct{ f *os.File }

// Close gives the lock up before it closes the file: a child that this process
// is starting has a copy of the descriptor until its program is loaded, and
// would keep the lock for so long.
func (l *heldLock) Close() error { return errors.Join(unlockHandle(l.f), l.f.Close()) }

// openLockFile opens path, creating it if it can. On read-only media an
// existing file will do: a lock needs no write.
func openLockFile(path string) (*os.File, error) {
	f, err := openFile(path, os.O_RDWR|os.O_CREATE, osFileMode)
	if err != nil && isReadOnly(err) {
		if ro, roErr := openFile(path, os.O_RDONLY, 0); roErr == nil {
			return ro, nil
		}
	}
	return f, err
}

// osFile adds to os.File what the platform has beyond it. os.File's own
// ReadAt and WriteAt are loops over pread and pwrite that retry EINTR.
type osFile struct{ *os.File }

func (f *osFile) Sync() error { return f.control("fsync", syncData) }

func (f *osFile) Flush(off, n int64) error {
	if err := checkRange(f.Name(), "flush", off, n); err != nil {
		return err
	}
	return f.control("flush", func(fd uintptr) error { return startWriteback(fd, off, n) })
}

func (f *osFile) Preallocate(off, n int64) error {
	if err := checkRange(f.Name(), "preallocate", off, n); err != nil {
		return err
	}
	if n == 0 {
		return nil
	}
	return f.control("preallocate", func(fd uintptr) error { return preallocate(fd, off, n) })
}

func (f *osFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// control runs fn on the descriptor, which cannot be closed meanwhile, and
// puts operation and path on its error.
func (f *osFile) control(op string, fn func(fd uintptr) error) error {
	conn, err := f.SyscallConn()
	if err != nil {
		return &iofs.PathError{Op: op, Path: f.Name(), Err: err}
	}
	var fnErr error
	if err := conn.Control(func(fd uintptr) { fnErr = fn(fd) }); err != nil {
		// Its only error, which does not match ErrClosed by itself.
		fnErr = iofs.ErrClosed
	}
	if fnErr != nil {
		return &iofs.PathError{Op: op, Path: f.Name(), Err: fnErr}
	}
	return nil
}

// checkRange refuses ranges that are negative or end past the largest offset.
func checkRange(path, op string, off, n int64) error {
	if off < 0 || n < 0 || off+n < 0 {
		return &iofs.PathError{Op: op, Path: path, Err: errInvalid}
	}
	return nil
}
