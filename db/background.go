package db

import (
	"errors"
	"io/fs"
	"math"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cordwood-db/cordwood/compaction"
	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/manifest"
)

// jobs is the state of background work. Guarded by DB.mu unless noted.
type jobs struct {
	waitingPublish atomic.Bool // a flush waits for commits to be published

	plans     []*compaction.Plan        // compactions that are running
	failed    map[uint32]time.Time      // when compactions of a keyspace failed last
	gcWanted  bool                      // value-log files are worth collecting
	flushTry  uint64                    // number of the flush that began last
	flushErr  error                     // of the last flush that ended
	failedTry uint64                    // number of the flush that flushErr is of
	recording sync.Mutex                // held while recovered is told to the MANIFEST; taken before mu
	recovered []manifest.VlogSeal       // by recovery, not in the MANIFEST yet
	unborn    map[base.FileNum]uint64   // bytes in them of a commit that did not come to be
	bad       map[manifest.FileRef]bool // files found to be damaged
}

// startWorkers starts all background goroutines of the store. They end when
// stopWorkers is called.
func (db *DB) startWorkers() {
	if db.opts.ReadOnly {
		return
	}
	db.workers.Go(db.flushLoop)
	db.workers.Go(db.gcLoop)
	db.workers.Go(db.cleanLoop)
	if db.opts.SyncInterval > 0 {
		db.workers.Go(db.syncLoop)
	}
	db.workers.Go(db.idleLoop)
	for range db.opts.CompactionsMax {
		db.workers.Go(db.compactLoop)
	}
}

// syncLoop syncs the logs at an interval, for commits that did not wait for
// it.
func (db *DB) syncLoop() {
	tick := time.NewTicker(db.opts.SyncInterval)
	defer tick.Stop()
	var proven uint64
	for {
		select {
		case <-db.ctx.Done():
			return
		case <-tick.C:
		}
		if err := db.syncLogs(); err != nil {
			db.pipeline.Fail(db.fail(err))
			return
		}
		if db.failure.Load() != nil {
			return // with all that was committed before it made durable
		}
		proven = db.proveSync(proven)
	}
}

// proveSync lets an idle WAL say that it is synced up to its end, so that
// damage there can later be told from a torn write. proven is where it ended
// after the last call; so it does this call.
func (db *DB) proveSync(proven uint64) uint64 {
	a := &db.active
	a.mu.Lock()
	log := a.log
	a.mu.Unlock()
	if log == nil || log.EndLSN() == proven || log.SyncedLSN() != log.EndLSN() {
		return proven
	}
	err := db.pipeline.Exclusive(func() error {
		if log.SyncedLSN() != log.EndLSN() {
			return nil
		}
		return log.WriteProof()
	})
	if err != nil {
		// The proof is a help for a later diagnosis, not part of any promise;
		// if the log itself has failed, the next commit says so.
		db.opts.Logger.Debug("cannot write a sync proof", "error", err)
	}
	return log.EndLSN()
}

// idleInterval is how often the store looks for work that no event starts.
const idleInterval = time.Second

// idleLoop flushes a memtable that hides garbage once nothing is written any
// more, so that deleted data gives its space back, and retries after the disk
// was full.
func (db *DB) idleLoop() {
	tick := time.NewTicker(idleInterval)
	defer tick.Stop()
	last := uint64(0)
	var cached cacheFit
	for {
		select {
		case <-db.ctx.Done():
			return
		case <-tick.C:
		}
		if db.failure.Load() != nil {
			return
		}
		now := db.visible.Load()
		idle := now == last
		last = now
		if idle {
			if err := db.flushIdle(); err != nil {
				db.opts.Logger.Warn("cannot flush an idle memtable", "error", err)
			}
		}
		if err := db.removeDropped(); err != nil {
			db.opts.Logger.Warn("cannot forget a dropped keyspace", "error", err)
		}
		db.fitCache(&cached)
		// Expiry makes work by the mere passing of time.
		db.mu.Lock()
		db.updatePressureLocked()
		db.changed.Broadcast()
		db.mu.Unlock()
	}
}

// flushIdle freezes the memtable if it holds deletions or value pointers.
func (db *DB) flushIdle() error {
	s, _ := db.acquire()
	if s == nil {
		return nil
	}
	want := s.gens[0].hidesWork()
	dead := db.active.mostlyDead(s.version)
	db.release(s)
	if !want && !dead {
		return nil
	}
	return db.pipeline.Exclusive(func() error {
		if dead {
			db.retireValues(1) // so that it can be collected
		}
		if !db.w.gen.hidesWork() || !db.mayFreeze() {
			return nil
		}
		if err := db.openWAL(); err != nil {
			return err
		}
		return db.freeze()
	})
}

// cleanLoop removes files that no version needs any more, and segments of the
// log that no feed does.
func (db *DB) cleanLoop() {
	for {
		select {
		case <-db.ctx.Done():
			return
		case <-db.cleanC:
		}
		db.shedLog()
		for _, f := range db.set.Obsolete() {
			start := time.Now()
			if err := db.removeFile(f.Kind, f.Num); err != nil {
				// It is an orphan now, which the next open removes.
				db.opts.Logger.Warn("cannot remove an obsolete file", "error", err)
			}
			if !db.pauseCleaning(time.Since(start)) {
				return
			}
		}
	}
}

// removeObsolete removes all of them at once, at the end.
func (db *DB) removeObsolete() {
	if db.set == nil || !db.set.Durable() {
		return
	}
	for _, f := range db.set.Obsolete() {
		if err := db.removeFile(f.Kind, f.Num); err != nil {
			db.opts.Logger.Warn("cannot remove an obsolete file", "error", err)
		}
	}
}

// pauseCleaning waits after a removal for as long as it took: a large unlink
// can hold up the file system's journal, and with it the WAL's next sync. There
// is no wait while writers are held back, which may be for want of space.
func (db *DB) pauseCleaning(took time.Duration) bool {
	if took < cleanPauseMin || math.Float64frombits(db.stall.pressure.Load()) > 0 {
		return db.ctx.Err() == nil
	}
	return db.sleep(took)
}

// cleanPauseMin is the shortest removal worth a pause.
const cleanPauseMin = time.Millisecond

// removeFile removes a table or value-log file and what is cached of it.
func (db *DB) removeFile(kind base.FileKind, num base.FileNum) error {
	switch kind {
	case base.FileTable:
		db.tables.Evict(num)
	case base.FileVlog:
		db.values.Evict(num)
	}
	err := db.fs.Remove(filepath.Join(db.dir, base.FileName(kind, uint64(num))))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// noteDamage keeps background work away from a damaged file.
func (db *DB) noteDamage(kind base.FileKind, num base.FileNum, err error) {
	if !db.markDamaged(manifest.FileRef{Kind: kind, Num: num}) {
		return
	}
	name := base.FileName(kind, uint64(num))
	db.opts.Logger.Error("damaged file", "file", name, "error", err)
	db.events.post(Damage{File: name, Err: err})
}

// leaveAlone keeps background work away from a file that cannot be worked on
// because of an error: damage in it, or in another file that is needed with it.
// Only the damaged one is reported as such.
func (db *DB) leaveAlone(kind base.FileKind, num base.FileNum, err error) {
	damagedKind, damagedNum := kind, num
	var corrupt *CorruptionError
	var missing *MissingFileError
	switch {
	case errors.As(err, &corrupt):
		damagedKind, damagedNum = numbered(corrupt.File, kind, num)
	case errors.As(err, &missing):
		damagedKind, damagedNum = numbered(missing.File, kind, num)
	}
	db.noteDamage(damagedKind, damagedNum, err)
	db.markDamaged(manifest.FileRef{Kind: kind, Num: num})
}

// numbered is the table or value-log file that a name stands for, or the file
// given for other names.
func numbered(name string, kind base.FileKind, num base.FileNum) (base.FileKind, base.FileNum) {
	k, n := base.ParseFileName(filepath.Base(name))
	if k == base.FileTable || k == base.FileVlog {
		return k, base.FileNum(n)
	}
	return kind, num
}

// markDamaged reports whether ref was not known to be damaged until now.
func (db *DB) markDamaged(ref manifest.FileRef) bool {
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.jobs.bad[ref] {
		return false
	}
	if db.jobs.bad == nil {
		db.jobs.bad = make(map[manifest.FileRef]bool)
	}
	db.jobs.bad[ref] = true
	return true
}

// damagedLocked reports whether a file was found to be damaged. The caller
// holds mu.
func (db *DB) damagedLocked(kind base.FileKind, num base.FileNum) bool {
	return db.jobs.bad[manifest.FileRef{Kind: kind, Num: num}]
}
