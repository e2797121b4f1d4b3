package db

import (
	"context"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
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

// DB is an open store. Its methods may be called from any number of
// goroutines, unless they say otherwise. Close it when done.
type DB struct {
	// Immutable after Open.
	opts     Options
	fs       vfs.FS
	dir      string
	lock     io.Closer // nil when read-only
	codec    *compress.Codec
	cache    *cache.Cache
	tables   *sstable.TableCache
	values   *vlog.FileCache
	set      *manifest.Set
	pipeline *commit.Pipeline
	rand     *idSource
	main     *Keyspace // the default one

	// Atomic.
	state   atomic.Pointer[readState] // nil once closed
	visible atomic.Uint64             // last published sequence number
	failure atomic.Pointer[failure]   // why the store takes no writes; sticky
	openTxs atomic.Int64              // transactions that may write
	readers atomic.Int64              // read states that somebody holds

	// The commit side, touched only by the pipeline's Write callback, by
	// functions it calls, and inside pipeline.Exclusive.
	w writer

	// lost are bytes of value-log files that failed flushes left, by logical
	// file; touched only by the flush worker.
	lost map[base.FileNum]uint64

	active  activeLogs   // WAL and value-log files that take writes; own mutex
	stall   throttle     // back-pressure; atomics
	space   space        // size of the value log; atomics
	dead    deadLists    // which of its records are garbage; own mutex
	metrics counters     // atomics
	events  *eventQueue  // own synchronisation
	opened  registry     // open snapshots and cursors; own mutex
	spaces  keyspaces    // the open keyspaces; own mutex
	turns   turns        // of conditional writes; mutexes
	ahead   atomic.Int64 // bytes that cursors have for what they fetch ahead
	feeds   signal       // wakes feeds that wait; own mutex

	retained retention // what is kept for feeds; own mutex

	// installMu serialises edits with the read states that show them, so that
	// no state can hold a memtable beside the table it was flushed to.
	// Taken before mu; held across the MANIFEST's I/O.
	installMu sync.Mutex

	// gcMu lets one collection of value-log files run at a time, since two
	// could choose the same files. Taken before installMu.
	gcMu sync.Mutex

	// mu guards what follows. No I/O under it.
	mu       sync.Mutex
	changed  sync.Cond // broadcast when any of it, or the read state, changed
	jobs     jobs
	stopping bool
	closed   bool
	closeErr error
	done     chan struct{} // closed when Close has finished

	stop    context.CancelFunc // ends background work
	ctx     context.Context
	workers sync.WaitGroup
	cleanC  chan struct{} // wakes the cleaner; one slot
	flushC  chan struct{} // ends the pause after a failed flush; one slot
}

// failure is the error that made the store read-only.
type failure struct{ err error }

// readOnlyErr is the error of writes, or nil if the store takes them.
func (db *DB) readOnlyErr() error {
	if db.opts.ReadOnly {
		return ErrReadOnly
	}
	if f := db.failure.Load(); f != nil {
		return f.err
	}
	return nil
}

// fail makes the store read-only for good, for the first cause it is given.
// It returns the error that writers see.
func (db *DB) fail(cause error) error {
	f := &failure{fmt.Errorf("%w: %w", ErrReadOnly, cause)}
	if db.failure.CompareAndSwap(nil, f) {
		db.opts.Logger.Error("store is read-only", "cause", cause)
		db.events.post(BackgroundError{Err: cause})
		db.broadcast()
		db.feeds.wake()
	}
	return db.failure.Load().err
}

// broadcast wakes whoever waits for a change.
func (db *DB) broadcast() {
	db.mu.Lock()
	defer db.mu.Unlock()
	db.changed.Broadcast()
}

// wakeCleaner tells the cleaner that files may have become obsolete.
func (db *DB) wakeCleaner() {
	select {
	case db.cleanC <- struct{}{}:
	default:
	}
}

// installLocked makes gens and version the read state; it takes over the
// reference to version. The caller holds mu (and installMu, if the version is
// a new one).
func (db *DB) installLocked(gens []*generation, version *manifest.Version) {
	old := db.state.Load()
	db.readers.Add(1)
	db.state.Store(newReadState(gens, version, old))
	db.changed.Broadcast()
	if old != nil {
		db.release(old)
	}
}

// apply writes edit to the MANIFEST and installs the version it gives. After a
// failure that the MANIFEST does not get over, the store is read-only. A full
// disk is none: an edit that it left in doubt is settled by the next one.
// prepare, if not nil, may amend the edit to the newest version; drop, if not
// nil, picks the generations that the edit replaces.
func (db *DB) apply(edit *manifest.Edit, prepare func(*manifest.Version) error, drop func(*generation) bool) error {
	return db.applyWith(edit, prepare, drop, nil)
}

// applyWith is apply. With the edit it does what settle, if not nil, does:
// whoever has seen the edit and calls awaitInstalls finds that done.
func (db *DB) applyWith(edit *manifest.Edit, prepare func(*manifest.Version) error, drop func(*generation) bool, settle func()) error {
	db.installMu.Lock()
	defer db.installMu.Unlock()
	version, err := db.set.Apply(edit, prepare)
	switch {
	case err == nil:
		if settle != nil {
			defer settle() // with installMu, without mu
		}
	case db.set.Failed() != nil:
		// The caller has to know what became of this edit: fail would return
		// an earlier failure.
		_ = db.fail(err)
		return fmt.Errorf("%w: %w", ErrReadOnly, err)
	default:
		return err
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	state := db.state.Load()
	if state == nil {
		// Nobody reads any more. What the edit names is in use all the same.
		version.Unref()
		return nil
	}
	gens := state.gens
	var gone []*generation
	if drop != nil {
		kept := make([]*generation, 0, len(gens))
		for _, g := range gens {
			if drop(g) {
				gone = append(gone, g)
			} else {
				kept = append(kept, g)
			}
		}
		gens = kept
	}
	db.installLocked(gens, version)
	for _, g := range gone {
		g.unref()
	}
	db.updatePressureLocked()
	return nil
}

// awaitInstalls waits until every edit that can be seen is installed.
func (db *DB) awaitInstalls() {
	db.installMu.Lock()
	defer db.installMu.Unlock()
}

// now is the time by which entries expire: the clock, but never before what
// expired data has been dropped for already.
func (db *DB) now(v *manifest.Version) uint64 {
	nanos := max(db.opts.Clock().UnixNano(), 0)
	return max(uint64(nanos), v.ExpiryHorizon)
}

// clock is the time from which a time to live counts: that by which entries
// expire, or one that ends after a clock was set back would never begin.
func (db *DB) clock() time.Time {
	now := db.opts.Clock()
	s := db.state.Load()
	if s == nil || now.UnixNano() >= 0 && uint64(now.UnixNano()) >= s.version.ExpiryHorizon {
		return now
	}
	return time.Unix(0, int64(s.version.ExpiryHorizon))
}

// snapshotSeqs are the sequence numbers that open snapshots read at, ascending.
func (db *DB) snapshotSeqs() []base.SeqNum { return db.opened.snapshotSeqs() }
