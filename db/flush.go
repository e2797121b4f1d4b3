package db

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/cordwood-db/cordwood/compaction"
	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/manifest"
	"github.com/cordwood-db/cordwood/wal"
)

// Flush writes everything that was committed before the call to tables and
// waits for it.
func (db *DB) Flush(ctx context.Context) error {
	return db.during(ctx, db.flushAll)
}

// flushAll is Flush.
func (db *DB) flushAll(ctx context.Context) error {
	if err := db.writable(); err != nil {
		return err
	}
	var last *generation
	err := db.pipeline.Exclusive(func() error {
		if db.w.gen.Empty() {
			db.mu.Lock()
			defer db.mu.Unlock()
			if s := db.state.Load(); s != nil && len(s.gens) > 1 {
				last = s.gens[1]
			}
			return nil
		}
		last = db.w.gen
		if err := db.openWAL(); err != nil {
			return err
		}
		return db.freeze()
	})
	if err != nil || last == nil {
		return err
	}
	since := db.wantFlush()
	return db.waitFor(ctx, func() (bool, error) {
		s := db.state.Load()
		if s == nil {
			return false, ErrClosed
		}
		if slices.Contains(s.gens, last) {
			return false, db.flushErrLocked(since)
		}
		return true, nil
	})
}

// wantFlush ends the pause after a flush that failed, because somebody waits
// for the next one, and returns what flushErrLocked wants to know.
func (db *DB) wantFlush() (since uint64) {
	db.mu.Lock()
	defer db.mu.Unlock()
	select {
	case db.flushC <- struct{}{}:
	default:
	}
	return db.jobs.flushTry
}

// flushErrLocked is the error of a flush that began after wantFlush returned
// since; an older one's tells nothing of what is to be flushed now. The caller
// holds mu.
func (db *DB) flushErrLocked(since uint64) error {
	if db.jobs.failedTry > since {
		return db.jobs.flushErr
	}
	return nil
}

// waitFor waits until done reports true or an error. done runs under mu,
// whenever something changed.
func (db *DB) waitFor(ctx context.Context, done func() (bool, error)) error {
	stop := context.AfterFunc(ctx, db.broadcast)
	defer stop()
	db.mu.Lock()
	defer db.mu.Unlock()
	for {
		ok, err := done()
		switch {
		case ok || err != nil:
			return err
		case db.ctx.Err() != nil:
			return ErrClosed
		case ctx.Err() != nil:
			return ctx.Err()
		case db.readOnlyErr() != nil:
			return db.readOnlyErr()
		}
		db.changed.Wait()
	}
}

// flushLoop is the worker that turns frozen memtables into tables.
func (db *DB) flushLoop() {
	var b backoff
	for {
		gens := db.nextFlush()
		if gens == nil {
			return
		}
		err := db.flush(gens)
		db.noteFlushEnd(err)
		if err == nil {
			b.reset()
			continue
		}
		if !db.jobFailed("flush", err, &b) {
			return
		}
	}
}

// noteFlushEnd tells those who wait how a flush ended.
func (db *DB) noteFlushEnd(err error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	db.jobs.flushErr = classify(err)
	if err != nil {
		db.jobs.failedTry = db.jobs.flushTry
	}
	db.changed.Broadcast()
}

// nextFlush waits for frozen generations, oldest first. nil: no more work.
func (db *DB) nextFlush() []*generation {
	db.mu.Lock()
	defer db.mu.Unlock()
	for {
		s := db.state.Load()
		if s == nil || db.failure.Load() != nil {
			return nil
		}
		if len(s.gens) > 1 {
			gens := slices.Clone(s.gens[1:])
			slices.Reverse(gens)
			db.jobs.flushTry++
			return gens
		}
		if db.stopping {
			return nil
		}
		db.changed.Wait()
	}
}

// awaitPublished waits until every commit up to seq is visible. false: it will
// never be.
func (db *DB) awaitPublished(seq base.SeqNum) bool {
	db.mu.Lock()
	defer db.mu.Unlock()
	db.jobs.waitingPublish.Store(true)
	defer db.jobs.waitingPublish.Store(false)
	for base.SeqNum(db.visible.Load()) < seq {
		if db.failure.Load() != nil || db.pipeline.Failed() != nil {
			return false
		}
		db.changed.Wait()
	}
	return true
}

// errUnpublished ends a flush whose memtable holds a commit that failed.
var errUnpublished = errors.New("a commit in the memtable failed")

// flush writes frozen generations, oldest first, to level 0.
func (db *DB) flush(gens []*generation) error {
	start := time.Now()
	newest := gens[len(gens)-1]
	last := newest.last
	if !db.awaitPublished(last) {
		return errUnpublished
	}
	if err := db.recordRecovered(); err != nil {
		return err
	}
	f := &flushRun{db: db, gens: gens, separated: make(map[base.FileNum]uint64), discards: make(map[base.FileNum]uint64)}
	err := f.write()
	defer f.end()
	if err != nil {
		db.loseValues(f.separated)
		return err
	}
	id, err := db.settleFlush(newest.nextSegment)
	if err != nil {
		db.loseValues(f.separated)
		return errors.Join(err, db.removeTables(f.tables))
	}
	edit := f.edit()
	edit.MinSegment, edit.MinSegmentID, edit.LastSeq = &newest.nextSegment, id, &last
	synced := db.active.syncedSizes()
	prepare := func(v *manifest.Version) error {
		// A file may have been sealed, and even collected, in the meantime.
		edit.VlogSynced = slices.DeleteFunc(synced, func(s manifest.VlogSync) bool {
			meta := v.Vlog(s.Logical)
			return meta == nil || meta.Sealed
		})
		return nil
	}
	counted := false
	drop := func(g *generation) bool {
		if !counted { // before anybody who waits for the flush can look
			counted = true
			db.countFlush(&f.stats)
		}
		return slices.Contains(gens, g)
	}
	if err := db.applyTables(edit, f.tables, prepare, drop, func() { db.dead.add(f.dropped) }); err != nil {
		db.loseValues(f.separated)
		return err
	}
	clear(db.lost)
	db.noteFlush(f, time.Since(start))
	db.retireSegments(newest.nextSegment)
	return nil
}

// retireSegments removes the WAL segments before a segment.
func (db *DB) retireSegments(before base.SegmentNum) {
	a := &db.active
	from, err := db.keptFrom(before) // may read much: commits do not wait for it
	a.dirMu.Lock()
	defer a.dirMu.Unlock()
	a.mu.Lock()
	log := a.log
	a.mu.Unlock()
	if log != nil {
		log.Retire(before)
	}
	if err == nil {
		_, err = wal.Remove(db.fs, db.dir, from)
	}
	if err != nil {
		// They are orphans now, which the next open removes.
		db.opts.Logger.Warn("cannot remove retired log segments", "error", err)
	}
}

// settleFlush makes durable what the tables of a flush point at, which may be
// nowhere but in memory or in the page cache, and returns the id of the WAL
// segment that comes after them.
func (db *DB) settleFlush(next base.SegmentNum) (id uint64, err error) {
	if err := db.flushBuffered(); err != nil {
		return 0, err
	}
	if err := db.syncValues(); err != nil {
		return 0, db.fail(err)
	}
	if db.feedBytes() > 0 {
		// The log is kept for feeds beyond what recovery would miss: from the
		// edit on nothing but this sync says that it is durable.
		if err := db.syncLogs(); err != nil {
			return 0, db.fail(err)
		}
	}
	return db.segmentID(next)
}

// loseValues notes that values which a flush moved to the value log are garbage
// that no compaction will find, because the flush failed.
func (db *DB) loseValues(separated map[base.FileNum]uint64) {
	if db.lost == nil {
		db.lost = make(map[base.FileNum]uint64)
	}
	for file, n := range separated {
		db.dead.forget(file)
		db.lost[file] += n
	}
}

// anyTableHas reports whether a table of the tree may hold keys of
// [start, end].
func anyTableHas(t *manifest.Tree, start, end []byte) bool {
	for level := range t.Levels {
		if len(t.Levels[level]) > 0 && len(t.Overlaps(level, start, end)) > 0 {
			return true
		}
	}
	return false
}

// valueWriterPinned is valueWriter for a flush: the file is pinned, once, and
// pinned, whose values are the caller's, remembers it.
func (db *DB) valueWriterPinned(pinned map[base.FileNum]uint64) (*valueFile, error) {
	for {
		f, err := db.valueWriter()
		if err != nil {
			return nil, err
		}
		if _, ok := pinned[f.num]; ok {
			return f, nil
		}
		a := &db.active
		a.mu.Lock()
		current := a.values == f
		if current {
			a.pinLocked(f.num)
			pinned[f.num] = 0
		}
		a.mu.Unlock()
		if current {
			return f, nil
		}
	}
}

// applyTables applies an edit that adds new tables, and removes them if the
// edit certainly has not taken place.
func (db *DB) applyTables(edit *manifest.Edit, tables []*manifest.TableMeta, prepare func(*manifest.Version) error, drop func(*generation) bool, settle func()) error {
	err := db.applyWith(edit, prepare, drop, settle)
	var uncertain *manifest.UncertainError
	if err == nil || errors.As(err, &uncertain) {
		return err // in doubt, the MANIFEST sees to the tables
	}
	return errors.Join(err, db.removeTables(tables))
}

// removeTables removes tables that no version has named.
func (db *DB) removeTables(tables []*manifest.TableMeta) error {
	var errs []error
	for _, t := range tables {
		errs = append(errs, db.removeFile(base.FileTable, t.Num))
	}
	return errors.Join(errs...)
}

// countFlush counts a flush whose edit has taken place.
func (db *DB) countFlush(stats *compaction.Stats) {
	m := &db.metrics
	m.flushes.Add(1)
	m.flushedBytes.Add(stats.BytesOut)
	m.valueBytes.Add(stats.SeparatedBytes)
}

// noteFlush tells of a flush that is done.
func (db *DB) noteFlush(f *flushRun, took time.Duration) {
	db.opts.Logger.Info("flush", "memtables", len(f.gens), "entries", f.stats.EntriesIn,
		"tables", len(f.tables), "bytes", f.stats.BytesOut, "took", took)
	db.events.post(FlushDone{Memtables: len(f.gens), Tables: len(f.tables),
		Bytes: f.stats.BytesOut, Took: took})
}

// backoff spaces out the tries of a job that fails.
type backoff struct {
	delay time.Duration
	tries int
}

const (
	backoffMin = 20 * time.Millisecond
	backoffMax = 2 * time.Second
)

func (b *backoff) reset() { *b = backoff{} }

func (b *backoff) next() time.Duration {
	b.tries++
	b.delay = min(max(2*b.delay, backoffMin), backoffMax)
	return b.delay
}

// jobFailed handles the failure of a background job and waits before the next
// try. false: there shall be none. Jobs are tried for ever: what they work on
// is whole, and a fault of a disk may pass. Failures after which nothing is
// certain any more do not come here: they have made the store read-only.
func (db *DB) jobFailed(job string, err error, b *backoff) bool {
	if db.ctx.Err() != nil || db.failure.Load() != nil || errors.Is(err, ErrClosed) {
		return false
	}
	wait := b.next()
	db.opts.Logger.Warn(job+" failed", "error", err, "try", b.tries, "next", wait)
	db.events.post(JobFailed{Job: job, Err: err, Tries: b.tries})
	var now <-chan struct{}
	if job == "flush" {
		now = db.flushC
	}
	return db.sleepUnless(wait, now)
}

// sleep waits unless background work is to end.
func (db *DB) sleep(d time.Duration) bool { return db.sleepUnless(d, nil) }

// sleepUnless is sleep that ends early when something comes from now.
func (db *DB) sleepUnless(d time.Duration, now <-chan struct{}) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-now:
		return true
	case <-db.ctx.Done():
		return false
	}
}
