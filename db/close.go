package db

import (
	"context"
	"errors"
	"time"
)

// Close ends the store. It waits for calls in progress, writes what is in
// memory to tables, so that the next Open has nothing to replay, and releases
// everything. Calls after it return ErrClosed; open cursors, snapshots and
// transactions are closed, and reported as Leak events. A second Close waits for the first and
// returns the same.
//
// After an error nothing is lost that was committed: the next Open finds it in
// the log. The error of a store that a failure made read-only is that failure.
func (db *DB) Close() error {
	db.mu.Lock()
	if db.closed {
		db.mu.Unlock()
		<-db.done
		return db.closeErr
	}
	db.closed = true
	db.mu.Unlock()
	defer close(db.done)
	db.closeErr = classify(db.close())
	return db.closeErr
}

func (db *DB) close() error {
	db.pipeline.Close(ErrClosed)
	var errs []error
	if db.failure.Load() == nil && !db.opts.ReadOnly {
		errs = append(errs, db.flushLast())
	}
	db.mu.Lock()
	db.stopping = true
	db.changed.Broadcast()
	db.mu.Unlock()
	db.stop()
	db.workers.Wait()
	switch {
	case db.opts.ReadOnly:
	case db.failure.Load() == nil:
		errs = append(errs, db.closeLogs())
	default:
		errs = append(errs, db.closeFailed())
	}
	for _, where := range db.retained.closeFeeds() {
		db.reportLeak("feed", where)
	}
	cursors, snapshots, txs := db.opened.closeAll()
	for _, where := range cursors {
		db.reportLeak("cursor", where)
	}
	for _, where := range snapshots {
		db.reportLeak("snapshot", where)
	}
	for _, where := range txs {
		db.reportLeak("transaction", where)
	}
	db.mu.Lock()
	s := db.state.Swap(nil)
	db.changed.Broadcast()
	db.mu.Unlock()
	if s != nil {
		db.release(s)
	}
	db.awaitReaders()
	if !db.opts.ReadOnly {
		db.removeObsolete()
	}
	return errors.Join(append(errs, db.abandon())...)
}

// during runs a call that Close waits for: one that works on files, and may
// still have an edit to write when the store is being closed. Its context ends
// when Close wants it to.
func (db *DB) during(ctx context.Context, call func(context.Context) error) error {
	db.mu.Lock()
	if db.closed {
		db.mu.Unlock()
		return ErrClosed
	}
	db.workers.Add(1) // before Close waits, since it sets closed first
	db.mu.Unlock()
	defer db.workers.Done()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(db.ctx, cancel)()
	err := call(ctx)
	if errors.Is(err, context.Canceled) && db.ctx.Err() != nil {
		return ErrClosed
	}
	return classify(err)
}

func (db *DB) reportLeak(what, where string) {
	db.opts.Logger.Warn("left open until Close", "what", what, "where", where)
	db.events.post(Leak{What: what, Where: where})
}

// flushLast writes the memtables to tables. No commit is in progress.
func (db *DB) flushLast() error {
	if !db.w.gen.Empty() {
		if err := db.freezeLast(); err != nil {
			return classify(err)
		}
	}
	since := db.wantFlush()
	return classify(db.waitFor(db.ctx, func() (bool, error) {
		s := db.state.Load()
		return s == nil || len(s.gens) == 1, db.flushErrLocked(since)
	}))
}

// freezeLast freezes the last memtable of the store.
func (db *DB) freezeLast() error {
	if err := db.openWAL(); err != nil {
		return err
	}
	return db.freeze()
}

// closeLogs syncs, seals and closes the files that take writes.
func (db *DB) closeLogs() error {
	err := db.syncLogs()
	db.retireValues(0)
	return errors.Join(err, db.sealReplaced(), db.dropLogs())
}

// closeFailed closes the files that take writes after a failure, which it
// returns. What was committed before the failure is made durable if that can be
// done: logs that have failed themselves refuse to be synced.
func (db *DB) closeFailed() error {
	if err := db.syncLogs(); err != nil {
		db.opts.Logger.Warn("cannot sync the logs", "error", err)
	}
	return errors.Join(db.readOnlyErr(), db.dropLogs())
}

// dropLogs closes the files that take writes as they are.
func (db *DB) dropLogs() error {
	a := &db.active
	a.mu.Lock()
	defer a.mu.Unlock()
	files := a.replaced
	for _, f := range []*valueFile{a.values, a.next} {
		if f != nil {
			files = append(files, f)
		}
	}
	a.values, a.next, a.replaced = nil, nil, nil
	var errs []error
	for _, f := range files {
		errs = append(errs, f.Close())
	}
	if log := db.w.created; log != nil {
		errs = append(errs, log.Close())
		db.w.created = nil
	}
	return errors.Join(errs...)
}

// awaitReaders waits until the last reader has released its read state. A
// cursor that was being opened when the others were closed may come late.
func (db *DB) awaitReaders() {
	for db.readers.Load() > 0 {
		cursors, _, _ := db.opened.closeAll()
		for _, where := range cursors {
			db.reportLeak("cursor", where)
		}
		pause()
	}
}

// pause lets others run, while waiting for something that is about to happen.
func pause() { time.Sleep(50 * time.Microsecond) }
