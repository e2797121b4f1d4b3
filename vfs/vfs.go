package vfs

import (
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"path/filepath"
)

// ErrLocked says that another process, or another handle of this process,
// holds the lock that FS.Lock was asked for.
var ErrLocked = errors.New("vfs: file is locked")

// File is an open file. All methods are safe for concurrent use; after Close
// they return an error that matches fs.ErrClosed.
type File interface {
	// ReadAt has the semantics of io.ReaderAt, with io.EOF at the end.
	io.ReaderAt
	// WriteAt writes at an absolute offset and extends the file where it must.
	// A short count always comes with an error. It does not keep p.
	io.WriterAt
	// Sync makes data and size durable. It does not make the file's name
	// durable: that is FS.SyncDir. After a failed Sync what is durable is
	// unknown; syncing again does not make it known.
	Sync() error
	// Flush is a hint to start write-back of n bytes at off. It promises no
	// durability and does nothing where the platform has no such call.
	Flush(off, n int64) error
	// Preallocate reserves space for [off, off+n) and extends the file with
	// zeros to off+n where the platform can; elsewhere it does nothing. It
	// never shrinks a file or changes its bytes. No room: IsNoSpace(err).
	Preallocate(off, n int64) error
	// Truncate sets the size in bytes. Bytes added read as zero.
	Truncate(size int64) error
	// Size returns the size in bytes.
	Size() (int64, error)
	// Close releases the handle, also when it returns an error. It syncs
	// nothing.
	Close() error
}

// FileInfo describes a directory entry.
type FileInfo struct {
	Name  string // base name
	Size  int64  // bytes; 0 for a directory
	IsDir bool
}

// FS is a file system. Paths are full paths in the platform's own form. All
// methods are safe for concurrent use. A missing file or directory gives an
// error that matches fs.ErrNotExist.
type FS interface {
	// Create makes a new file and opens it for reading and writing. If the
	// name is taken the error matches fs.ErrExist.
	Create(path string) (File, error)
	// Open opens an existing file for reading only.
	Open(path string) (File, error)
	// OpenReadWrite opens an existing file for reading and writing.
	OpenReadWrite(path string) (File, error)
	// Remove removes a file or an empty directory. Open handles stay valid.
	Remove(path string) error
	// Rename moves a file and atomically replaces newPath if it is there.
	// Open handles stay valid.
	Rename(oldPath, newPath string) error
	// Link gives a file a second name. If newPath is taken the error matches
	// fs.ErrExist.
	Link(oldPath, newPath string) error
	// MkdirAll makes a directory and its missing parents. The names it makes
	// are durable after a SyncDir of each parent.
	MkdirAll(path string) error
	// List returns the entries of a directory, sorted by name.
	List(dir string) ([]FileInfo, error)
	// Stat describes a file or a directory.
	Stat(path string) (FileInfo, error)
	// SyncDir makes the names in dir durable: all creations, removals, renames
	// and links in it that returned before the call.
	SyncDir(dir string) error
	// Lock takes the exclusive lock that path names, and creates the file if
	// need be. It never waits: if any process or handle holds the lock the
	// error matches ErrLocked. Closing the result, or the death of the
	// process, gives the lock up. The file stays.
	Lock(path string) (io.Closer, error)
	// LockShared takes a lock that any number of holders share, and that
	// excludes Lock. It writes nothing: the file must exist, or the error is
	// fs.ErrNotExist. Otherwise it is like Lock.
	LockShared(path string) (io.Closer, error)
	// Free returns the bytes that an unprivileged process can still allocate
	// below dir, math.MaxUint64 if that is not known.
	Free(dir string) (bytes uint64, err error)
}

// ReadFile returns the contents of a file of at most max bytes; a larger one
// is an error and is not read. The slice is the caller's.
func ReadFile(fs FS, path string, max int64) (data []byte, err error) {
	f, err := fs.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() {
		if cerr := f.Close(); cerr != nil && err == nil {
			data, err = nil, cerr
		}
	}()
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	if size > max {
		return nil, fmt.Errorf("vfs: read %s: %d bytes, more than the limit of %d", path, size, max)
	}
	data = make([]byte, size)
	n, err := f.ReadAt(data, 0)
	if err != nil && (err != io.EOF || int64(n) != size) {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF // it shrank between Size and ReadAt
		}
		return nil, fmt.Errorf("vfs: read %s: %w", path, err)
	}
	return data, nil
}

// WriteFileAtomic makes path hold data, durably, and never anything between
// its old and its new contents, whatever fails. It writes path+".tmp", syncs
// it, renames it over path and syncs the directory. A left-over temporary file
// is replaced. If the last step fails, path holds either of the two.
func WriteFileAtomic(fs FS, path string, data []byte) error {
	tmp := path + ".tmp"
	if err := writeTemporary(fs, tmp, data); err != nil {
		return err
	}
	if err := fs.Rename(tmp, path); err != nil {
		return errors.Join(err, fs.Remove(tmp))
	}
	return fs.SyncDir(filepath.Dir(path))
}

// writeTemporary creates name with data and syncs it, or leaves nothing.
func writeTemporary(fs FS, name string, data []byte) error {
	f, err := fs.Create(name)
	if errors.Is(err, iofs.ErrExist) {
		// Left by a crash. Truncating it instead would keep its blocks.
		if err := fs.Remove(name); err != nil {
			return err
		}
		f, err = fs.Create(name)
	}
	if err != nil {
		return err
	}
	if _, err = f.WriteAt(data, 0); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, fs.Remove(name))
	}
	return nil
}

// IsNoSpace says whether err is, or wraps, the platform's way to say that the
// disk or the quota is full.
func IsNoSpace(err error) bool {
	for _, e := range noSpaceErrors {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
