package vfs

import (
	"cmp"
	"io"
	iofs "io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// inodeBytes is what a file or directory costs beside its pages, so that a
// full file system refuses to create.
const inodeBytes = 512

// Mem is a file system in memory. It knows what is durable and what is not,
// and CrashClone says what a power loss would leave. Paths with and without a
// leading separator mean the same. Safe for concurrent use; create one with
// NewMem.
type Mem struct {
	hook atomic.Pointer[func(Op) error]
	ops  atomic.Int64

	mu       sync.RWMutex
	root     *inode
	inodes   uint64              // the last number given out
	unsynced map[*inode]struct{} // every file that is not clean, and maybe dead ones
	pending  []*dirOp            // un-synced directory operations, oldest first
	locked   map[*inode]int      // -1: exclusive, n > 0: by n that share it
	handles  int
	capacity int64 // bytes; negative: no limit
	used     int64 // bytes
}

var _ FS = (*Mem)(nil)

// NewMem returns an empty file system that holds only its root directory and
// has no size limit.
func NewMem() *Mem {
	m := &Mem{unsynced: map[*inode]struct{}{}, locked: map[*inode]int{}, capacity: -1}
	m.root = m.newInode(true)
	m.root.links = 1
	return m
}

// SetHook makes fn run before each operation, outside the file system's lock,
// so that it may call CrashClone, KillClone and Unsynced. An error from fn
// fails the operation, which then has no effect, but for a Close, which
// releases its handle all the same. nil removes the hook.
func (m *Mem) SetHook(fn func(op Op) error) {
	if fn == nil {
		m.hook.Store(nil)
		return
	}
	m.hook.Store(&fn)
}

// SetCapacity limits the space to so many bytes; a negative number lifts the
// limit. Pages written or preallocated count, 4096 bytes each, and 512 bytes
// for each file and directory. What is in use already stays, even if it is
// more. A removed file gives its space back when its last handle is closed.
func (m *Mem) SetCapacity(bytes int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.capacity = bytes
}

// Used returns the bytes that count against the capacity.
func (m *Mem) Used() int64 {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.used
}

// OpenHandles returns the number of files and locks that are not closed.
func (m *Mem) OpenHandles() int {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.handles
}

// begin counts an operation and asks the hook.
func (m *Mem) begin(op Op) error {
	op.Index = m.ops.Add(1)
	hook := m.hook.Load()
	if hook == nil {
		return nil
	}
	if err := (*hook)(op); err != nil {
		return opError(op, err)
	}
	return nil
}

// opError names operation and path, as the os package would.
func opError(op Op, err error) error {
	if op.Kind == OpRename || op.Kind == OpLink {
		return &os.LinkError{Op: op.Kind.String(), Old: op.OldPath, New: op.Path, Err: err}
	}
	return &iofs.PathError{Op: op.Kind.String(), Path: op.Path, Err: err}
}

// change runs fn under the write lock unless the hook objects.
func (m *Mem) change(op Op, fn func() error) error {
	if err := m.begin(op); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := fn(); err != nil {
		return opError(op, err)
	}
	return nil
}

// Create implements FS.
func (m *Mem) Create(path string) (f File, err error) {
	err = m.change(Op{Kind: OpCreate, Path: path}, func() error {
		at, err := m.findPlace(path)
		if err == errBusy || err == nil && at.node() != nil {
			return iofs.ErrExist
		}
		if err != nil {
			return err
		}
		n, err := m.create(at, false)
		if err == nil {
			f = m.open(n, path, false)
		}
		return err
	})
	return f, err
}

// Open implements FS.
func (m *Mem) Open(path string) (File, error) {
	return m.openExisting(Op{Kind: OpOpen, Path: path}, true)
}

// OpenReadWrite implements FS.
func (m *Mem) OpenReadWrite(path string) (File, error) {
	return m.openExisting(Op{Kind: OpOpenRW, Path: path}, false)
}

func (m *Mem) openExisting(op Op, readOnly bool) (f File, err error) {
	err = m.change(op, func() error {
		n, err := m.find(op.Path)
		if err != nil {
			return err
		}
		if n.dir != nil {
			return errIsDir
		}
		f = m.open(n, op.Path, readOnly)
		return nil
	})
	return f, err
}

// Remove implements FS.
func (m *Mem) Remove(path string) error {
	return m.change(Op{Kind: OpRemove, Path: path}, func() error {
		at, err := m.findPlace(path)
		if err != nil {
			return err
		}
		n := at.node()
		if n == nil {
			return iofs.ErrNotExist
		}
		if n.dir != nil && len(n.dir.entries) > 0 {
			return errNotEmpty
		}
		m.apply(&dirOp{kind: dirRemove, from: at, node: n})
		m.release(n)
		return nil
	})
}

// Rename implements FS. A directory can be renamed, but not over anything.
func (m *Mem) Rename(oldPath, newPath string) error {
	return m.change(Op{Kind: OpRename, Path: newPath, OldPath: oldPath}, func() error {
		from, err := m.findPlace(oldPath)
		if err != nil {
			return err
		}
		to, err := m.findPlace(newPath)
		if err != nil {
			return err
		}
		n, replaced := from.node(), to.node()
		switch {
		case n == nil:
			return iofs.ErrNotExist
		case replaced != nil && replaced.dir != nil:
			return iofs.ErrExist // as package os says on every platform
		case n.isAncestorOf(to.dir):
			return errInvalid
		case replaced == n:
			return nil // two names of one file: POSIX leaves both
		case replaced != nil && n.dir != nil:
			return errNotDir
		}
		m.apply(&dirOp{kind: dirRename, from: from, to: to, node: n, replaced: replaced})
		if replaced != nil {
			m.release(replaced)
		}
		return nil
	})
}

// Link implements FS.
func (m *Mem) Link(oldPath, newPath string) error {
	return m.change(Op{Kind: OpLink, Path: newPath, OldPath: oldPath}, func() error {
		from, err := m.findPlace(oldPath)
		if err != nil {
			return err
		}
		n := from.node()
		if n == nil {
			return iofs.ErrNotExist
		}
		to, err := m.findPlace(newPath)
		switch {
		case err != nil:
			return err
		case to.node() != nil:
			return iofs.ErrExist
		case n.dir != nil:
			return errNotOwner
		}
		m.apply(&dirOp{kind: dirLink, from: from, to: to, node: n})
		return nil
	})
}

// MkdirAll implements FS.
func (m *Mem) MkdirAll(path string) error {
	return m.change(Op{Kind: OpMkdir, Path: path}, func() error {
		at := m.root
		for rest := clean(path); rest != ""; {
			var name string
			name, rest, _ = strings.Cut(rest, "/")
			next := at.dir.entries[name]
			if next == nil {
				var err error
				if next, err = m.create(place{at, name}, true); err != nil {
					return err
				}
			}
			if next.dir == nil {
				return errNotDir
			}
			at = next
		}
		return nil
	})
}

// List implements FS.
func (m *Mem) List(dir string) (infos []FileInfo, err error) {
	op := Op{Kind: OpList, Path: dir}
	d, unlock, err := m.look(op)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if d.dir == nil {
		return nil, opError(op, errNotDir)
	}
	infos = make([]FileInfo, 0, len(d.dir.entries))
	for name, n := range d.dir.entries {
		infos = append(infos, n.info(name))
	}
	slices.SortFunc(infos, func(a, b FileInfo) int { return cmp.Compare(a.Name, b.Name) })
	return infos, nil
}

// Stat implements FS.
func (m *Mem) Stat(path string) (FileInfo, error) {
	n, unlock, err := m.look(Op{Kind: OpStat, Path: path})
	if err != nil {
		return FileInfo{}, err
	}
	defer unlock()
	return n.info(filepath.Base(path)), nil
}

// look finds op.Path and returns with the read lock held, unless it fails; the
// caller runs unlock.
func (m *Mem) look(op Op) (n *inode, unlock func(), err error) {
	if err := m.begin(op); err != nil {
		return nil, nil, err
	}
	m.mu.RLock()
	if n, err = m.find(op.Path); err != nil {
		m.mu.RUnlock()
		return nil, nil, opError(op, err)
	}
	return n, m.mu.RUnlock, nil
}

func (n *inode) info(name string) FileInfo {
	return FileInfo{Name: name, Size: n.file.size, IsDir: n.dir != nil}
}

// SyncDir implements FS.
func (m *Mem) SyncDir(dir string) error {
	return m.change(Op{Kind: OpSyncDir, Path: dir}, func() error {
		d, err := m.find(dir)
		if err != nil {
			return err
		}
		if d.dir == nil {
			return errNotDir
		}
		m.commit(d)
		return nil
	})
}

// Free implements FS.
func (m *Mem) Free(dir string) (uint64, error) {
	_, unlock, err := m.look(Op{Kind: OpFree, Path: dir})
	if err != nil {
		return 0, err
	}
	defer unlock()
	if m.capacity < 0 {
		return math.MaxUint64, nil
	}
	return uint64(m.room()), nil
}

// Lock implements FS.
func (m *Mem) Lock(path string) (io.Closer, error) { return m.lock(path, true) }

// LockShared implements FS.
func (m *Mem) LockShared(path string) (io.Closer, error) { return m.lock(path, false) }

func (m *Mem) lock(path string, exclusive bool) (lock io.Closer, err error) {
	err = m.change(Op{Kind: OpLock, Path: path}, func() error {
		at, err := m.findPlace(path)
		if err != nil {
			return err
		}
		n := at.node()
		switch {
		case n == nil && !exclusive:
			return iofs.ErrNotExist
		case n == nil:
			if n, err = m.create(at, false); err != nil {
				return err
			}
		case n.dir != nil:
			return errIsDir
		case m.locked[n] < 0 || exclusive && m.locked[n] > 0:
			return ErrLocked
		}
		if exclusive {
			m.locked[n] = -1
		} else {
			m.locked[n]++
		}
		lock = &memLock{memFile{m: m, node: n, path: path}}
		m.handles++
		n.handles++
		return nil
	})
	return lock, err
}
