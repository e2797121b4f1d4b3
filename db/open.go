package db

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"sync"
	"time"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/cache"
	"github.com/cordwood-db/cordwood/internal/commit"
	"github.com/cordwood-db/cordwood/internal/compress"
	"github.com/cordwood-db/cordwood/manifest"
	"github.com/cordwood-db/cordwood/sstable"
	"github.com/cordwood-db/cordwood/vfs"
	"github.com/cordwood-db/cordwood/vlog"
)

// Open opens the store in dir, creating dir and store where they do not exist.
// opts may be nil.
//
// Errors: ErrLocked if another owner has it; a *MissingFileError,
// *CorruptionError or *FormatError if the directory is not whole, is damaged
// before a point that was known durable, or is newer than this version;
// ErrMergeOperator; and what the file system says. A store that did not open
// is left as it was.
//
// Writes that were not synced when the machine lost power may have left a torn
// end of the log; Open cuts it and posts a LogCut event.
func Open(dir string, opts *Options) (*DB, error) {
	o, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	db := newDB(dir, o)
	if err := db.open(); err != nil {
		return nil, classify(errors.Join(fmt.Errorf("open %s: %w", dir, err), db.abandon()))
	}
	return db, nil
}

// newDB wires a store together, without touching the file system.
func newDB(dir string, o Options) *DB {
	db := &DB{opts: o, fs: o.FS, dir: dir, rand: newIDSource(), cleanC: make(chan struct{}, 1),
		flushC: make(chan struct{}, 1),
		done:   make(chan struct{})}
	db.stall.start = time.Now()
	db.dead.max = int(o.MemoryMax / 32 / deadOffsetBytes)
	db.changed.L = &db.mu
	db.ctx, db.stop = context.WithCancel(context.Background())
	db.codec = compress.NewCodec()
	db.cache = cache.New(o.cacheBytes(0))
	// Tables are read by every scan, value-log files one at a time.
	db.tables = sstable.NewTableCache(o.FS, dir, max(o.OpenFilesMax*3/4, 4), db.cache, db.codec)
	db.values = vlog.NewFileCache(o.FS, dir, max(o.OpenFilesMax/4, 4), db.cache)
	db.events = newEventQueue(o.Events)
	db.pipeline = commit.New(commit.Config{
		Write: db.writeGroup, Sync: db.syncGroups, Publish: db.publishGroup,
	})
	return db
}

// memtablesMax is how many memtables, frozen ones included, memory is set
// aside for.
const memtablesMax = 3

// cacheBytes is the block cache's share of MemoryMax, given what filters and
// indexes hold.
func (o *Options) cacheBytes(pinned int64) int64 {
	return max(o.MemoryMax-memtablesMax*o.MemtableBytes-pinned, o.MemoryMax/16)
}

// open brings the store up, from the lock to the workers.
func (db *DB) open() error {
	if err := db.acquireLock(); err != nil {
		return err
	}
	if err := db.recover(); err != nil {
		return err
	}
	db.startWorkers()
	return nil
}

// acquireLock makes this handle the only owner of the directory.
func (db *DB) acquireLock() error {
	path := filepath.Join(db.dir, base.LockName)
	if db.opts.ReadOnly {
		lock, err := db.fs.LockShared(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // never opened for writing, or copied without it
		}
		db.lock = lock
		return lockError(err)
	}
	if _, err := db.fs.Stat(db.dir); err != nil {
		if !errors.Is(err, fs.ErrNotExist) || db.opts.MustExist {
			return err
		}
		if err := db.fs.MkdirAll(db.dir); err != nil {
			return err
		}
	}
	if db.opts.MustExist {
		// Before the lock, which makes a file.
		if exists, err := manifest.Exists(db.fs, db.dir); err != nil || !exists {
			return errors.Join(err, db.noStore(exists))
		}
	}
	lock, err := db.fs.Lock(path)
	if err != nil {
		return lockError(err)
	}
	db.lock = lock
	return nil
}

// syncPath makes the name of dir durable, with those of all directories above,
// since nobody knows which of them were just made, perhaps by a process that
// died then. Directories that may not be read cannot be synced: others made
// them.
func syncPath(fsys vfs.FS, dir string) error {
	for {
		parent := filepath.Dir(dir)
		if parent == dir {
			return nil
		}
		if err := fsys.SyncDir(parent); err != nil && !errors.Is(err, fs.ErrPermission) {
			return err
		}
		dir = parent
	}
}

// noStore is the error for a directory without a store.
func (db *DB) noStore(exists bool) error {
	if exists {
		return nil
	}
	return fmt.Errorf("no store in %s: %w", db.dir, fs.ErrNotExist)
}

func lockError(err error) error {
	if errors.Is(err, vfs.ErrLocked) {
		return fmt.Errorf("%w: %w", ErrLocked, err)
	}
	return err
}

// abandon releases what a failed open holds.
func (db *DB) abandon() error {
	db.stop()
	db.workers.Wait()
	db.events.close()
	var errs []error
	if s := db.state.Swap(nil); s != nil {
		db.release(s)
	}
	errs = append(errs, db.tables.Close(), db.values.Close())
	db.cache.Close()
	if db.set != nil {
		errs = append(errs, db.set.Close())
	}
	if db.lock != nil { // last: then another owner may come
		errs = append(errs, db.lock.Close())
	}
	return errors.Join(errs...)
}

// idSource makes the random identities that checksums of files are bound to.
type idSource struct {
	mu  sync.Mutex
	buf [64]byte
	n   int
}

func newIDSource() *idSource { return &idSource{} }

// next is a random number that is not 0. Safe for concurrent use.
func (s *idSource) next() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		if s.n == 0 {
			// Read never returns an error; it ends the process if the system
			// has no randomness, as the Go runtime itself would.
			_, _ = rand.Read(s.buf[:])
			s.n = len(s.buf)
		}
		s.n -= 8
		if id := binary.LittleEndian.Uint64(s.buf[s.n:]); id != 0 {
			return id
		}
	}
}
