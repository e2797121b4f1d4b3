package db

import (
	"errors"
	"path/filepath"
	"sync"
	"time"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/record"
	"github.com/cordwood-db/cordwood/manifest"
	"github.com/cordwood-db/cordwood/vlog"
	"github.com/cordwood-db/cordwood/wal"
)

// activeLogs are the files that commits are appended to.
type activeLogs struct {
	// wal is set by the commit side, once; it may then be synced by others.
	wal *wal.Log

	// syncMu lets one sync of the logs run at a time.
	syncMu sync.Mutex

	// dirMu keeps segments from being removed while a log is created, which
	// looks at those that exist. Held during I/O.
	dirMu sync.Mutex

	// mu guards what follows. No I/O under it.
	mu       sync.Mutex
	log      *wal.Log     // = wal, for readers outside the commit side
	values   *valueFile   // takes large values; nil before the first one
	next     *valueFile   // made ahead, to replace values
	replaced []*valueFile // written to, not sealed yet
	pins     map[base.FileNum]int
}

// valueFile is a value-log file that takes writes.
type valueFile struct {
	*vlog.Writer
	num     base.FileNum
	synced  int64       // size at its last sync; guarded by activeLogs.syncMu
	lastSeq base.SeqNum // last sequence number of a commit when it was replaced
	sealed  *vlog.Info  // set once sealed; touched only by the sealing worker
}

// createWAL starts the WAL of this opening of the store.
func (db *DB) createWAL() error {
	w := &db.w
	if !db.set.Durable() {
		// A power loss may undo the newest edit, which Open had no room to
		// settle. A commit must not outlive the keyspace that it is for.
		if err := db.apply(&manifest.Edit{}, nil, nil); err != nil {
			return err
		}
	}
	if w.created == nil {
		opts := wal.Options{FS: db.fs, Dir: db.dir, NewID: db.rand.next, Synced: w.nextLSN,
			PreallocateBytes: min(db.opts.MemtableBytes/4, 8*mib)}
		db.noteSegment(w.nextSegment) // before its file can be seen
		db.active.dirMu.Lock()
		log, err := wal.Create(opts, w.nextSegment, w.nextLSN)
		db.active.dirMu.Unlock()
		if err != nil {
			return err
		}
		w.created = log
	}
	segment := w.created.Segment()
	if db.set.MinSegment() == 0 {
		// From now on the loss of the log would be noticed.
		id, err := db.segmentID(segment)
		if err != nil {
			return err
		}
		if err := db.apply(&manifest.Edit{MinSegment: &segment, MinSegmentID: id}, nil, nil); err != nil {
			return err
		}
	}
	w.nextSegment = segment + 1
	a := &db.active
	a.mu.Lock()
	defer a.mu.Unlock()
	a.wal, a.log = w.created, w.created
	return nil
}

// segmentID is the random id of a WAL segment's file.
func (db *DB) segmentID(segment base.SegmentNum) (id uint64, err error) {
	h, err := db.segmentHeader(segment)
	return h.ID, err
}

// segmentHeader is the header of a WAL segment's file.
func (db *DB) segmentHeader(segment base.SegmentNum) (h record.FileHeader, err error) {
	name := base.FileName(base.FileWAL, uint64(segment))
	f, err := db.fs.Open(filepath.Join(db.dir, name))
	if err != nil {
		return h, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	h, present, err := record.ReadHeader(f, name, base.FileWAL)
	if err == nil && !present {
		err = base.Corruptf(name, 0, "header is missing")
	}
	return h, err
}

// valueWriter is the value-log file that takes writes, made if there is none.
// Safe for concurrent use by the commit side and a flush.
func (db *DB) valueWriter() (*valueFile, error) {
	a := &db.active
	a.mu.Lock()
	if a.values == nil {
		a.values, a.next = a.next, nil
	}
	values := a.values
	a.mu.Unlock()
	if values != nil {
		return values, nil
	}
	made, err := db.createValueFile()
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.values == nil:
		a.values = made
	case a.next == nil:
		a.next = made
	default:
		a.replaced = append(a.replaced, made)
	}
	return a.values, nil
}

// createValueFile makes a value-log file and tells the MANIFEST, so that it is
// neither taken for an orphan nor missed without notice.
func (db *DB) createValueFile() (*valueFile, error) {
	num, id := db.set.NewFileNum(), db.rand.next()
	w, err := vlog.Create(db.fs, db.dir, num, vlog.WriterOptions{Logical: num, ID: id})
	if err != nil {
		return nil, err
	}
	edit := &manifest.Edit{VlogAdded: []manifest.VlogMeta{{Logical: num, Physical: num, PhysicalID: id}}}
	if err := db.apply(edit, nil, nil); err != nil {
		err = errors.Join(err, w.Close())
		var uncertain *manifest.UncertainError
		if !errors.As(err, &uncertain) { // else the MANIFEST sees to the file
			err = errors.Join(err, db.removeFile(base.FileVlog, num))
		}
		return nil, err
	}
	db.dead.begin(num)
	return &valueFile{Writer: w, num: num}, nil
}

// flushValues hands what Append has buffered to the operating system. The
// caller is the commit side, which has appended to the active file only.
func (a *activeLogs) flushValues() error {
	a.mu.Lock()
	f := a.values
	a.mu.Unlock()
	return f.Flush()
}

// retireValues retires the active value-log file if it has reached limit bytes.
// The caller is the commit side, between two groups.
func (db *DB) retireValues(limit int64) bool { return db.active.retire(limit, db.w.applied) }

// retire retires the active file if it has reached limit bytes. It is not
// sealed before lastSeq is published.
func (a *activeLogs) retire(limit int64, lastSeq base.SeqNum) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.values == nil || a.values.Size() < limit {
		return false
	}
	a.values.lastSeq = lastSeq
	a.replaced = append(a.replaced, a.values)
	a.values, a.next = a.next, nil
	return true
}

// valuesFailed reports whether the active value-log file takes no more writes.
func (a *activeLogs) valuesFailed() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.values != nil && a.values.Failed() != nil
}

// mostlyDead reports whether more than half of the active value-log file is
// known to be garbage.
func (a *activeLogs) mostlyDead(v *manifest.Version) bool {
	a.mu.Lock()
	f := a.values
	a.mu.Unlock()
	if f == nil {
		return false
	}
	meta := v.Vlog(f.num)
	return meta != nil && int64(meta.Discarded) > f.Size()/2
}

// unsynced lists the value-log files that may hold bytes that no sync covers.
func (a *activeLogs) unsynced() []*valueFile {
	a.mu.Lock()
	defer a.mu.Unlock()
	var files []*valueFile
	if a.values != nil {
		files = append(files, a.values)
	}
	return append(files, a.replaced...)
}

// syncLogs makes everything that was written to the logs before the call
// durable: value log and WAL in parallel, then the mark that proves it.
func (db *DB) syncLogs() error {
	a := &db.active
	a.syncMu.Lock()
	defer a.syncMu.Unlock()
	a.mu.Lock()
	log := a.log
	a.mu.Unlock()
	if log == nil {
		return nil
	}
	// Every value that a record before lsn points at is in one of the files
	// listed after this line, or in one that was sealed and so synced.
	lsn := log.EndLSN()
	if lsn <= log.SyncedLSN() {
		return nil
	}
	start := time.Now()
	var valuesErr error
	var wg sync.WaitGroup
	if files := dirty(a.unsynced()); len(files) > 0 {
		wg.Go(func() { valuesErr = syncFiles(files) })
	}
	durable, err := log.Sync()
	wg.Wait()
	db.metrics.fsync.record(time.Since(start))
	if err = errors.Join(err, valuesErr); err != nil {
		return err
	}
	log.MarkSynced(min(lsn, durable))
	db.feeds.wake()
	return nil
}

// flushBuffered hands to the operating system what a flush of memtables has
// appended to value-log files. Nothing is lost if there is no room for it.
func (db *DB) flushBuffered() error {
	a := &db.active
	a.syncMu.Lock()
	defer a.syncMu.Unlock()
	for _, f := range dirty(a.unsynced()) {
		if err := f.Flush(); err != nil {
			if f.Failed() != nil {
				return db.fail(err)
			}
			return err
		}
	}
	return nil
}

// syncValues makes every value that was flushed before the call durable: what
// a table needs before it may point at them.
func (db *DB) syncValues() error {
	a := &db.active
	a.syncMu.Lock()
	defer a.syncMu.Unlock()
	return syncFiles(dirty(a.unsynced()))
}

// dirty keeps the files that have grown since their last sync. The caller
// holds syncMu.
func dirty(files []*valueFile) []*valueFile {
	kept := files[:0]
	for _, f := range files {
		if f.Size() != f.synced {
			kept = append(kept, f)
		}
	}
	return kept
}

// syncFiles syncs what was flushed of each of files: who has appended to them
// has seen to that, and what is left has no room or nothing points at it. The
// caller holds syncMu.
func syncFiles(files []*valueFile) error {
	for _, f := range files {
		n, err := f.SyncFlushed()
		if err != nil {
			return err
		}
		f.synced = n
	}
	return nil
}

// syncedSizes is how far each value-log file that takes writes is durable.
func (a *activeLogs) syncedSizes() []manifest.VlogSync {
	files := a.unsynced()
	a.syncMu.Lock()
	defer a.syncMu.Unlock()
	var sizes []manifest.VlogSync
	for _, f := range files {
		if f.synced > 0 {
			sizes = append(sizes, manifest.VlogSync{Logical: f.num, To: uint64(f.synced)})
		}
	}
	return sizes
}

// pinLocked keeps a value-log file from being sealed and collected while
// values in it wait for the edit that points at them.
func (a *activeLogs) pinLocked(num base.FileNum) {
	if a.pins == nil {
		a.pins = make(map[base.FileNum]int)
	}
	a.pins[num]++
}

func (a *activeLogs) unpin(num base.FileNum) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.pins[num]--; a.pins[num] == 0 {
		delete(a.pins, num)
	}
}

// sealable is a value-log file that has been replaced, all of whose appends are
// published and waited for by no flush, or nil.
func (db *DB) sealable() *valueFile {
	a := &db.active
	a.mu.Lock()
	defer a.mu.Unlock()
	visible := base.SeqNum(db.visible.Load())
	for _, f := range a.replaced {
		if visible >= f.lastSeq && a.pins[f.num] == 0 {
			return f
		}
	}
	return nil
}

// sealReplaced makes value-log files that have been replaced immutable: synced,
// closed, and recorded as such with their sizes. Then they may be collected.
func (db *DB) sealReplaced() error {
	for f := db.sealable(); f != nil; f = db.sealable() {
		if err := db.seal(f); err != nil {
			return err
		}
	}
	return nil
}

// seal seals f, whose every append is published, and forgets it.
func (db *DB) seal(f *valueFile) error {
	a := &db.active
	if f.sealed == nil {
		a.syncMu.Lock()
		info, err := f.Seal()
		if err == nil {
			f.synced = f.Size()
		}
		a.syncMu.Unlock()
		switch {
		case err == nil:
		case f.Failed() != nil:
			return db.fail(err) // another try would tell nothing
		default:
			return err
		}
		f.sealed = &info
		db.retained.noteSealed(f.num, f.lastSeq)
	}
	info := f.sealed
	edit := &manifest.Edit{VlogSealed: []manifest.VlogSeal{{
		Logical: f.num, Bytes: info.Bytes, SyncedTo: uint64(info.Size),
		ExpiryMin: info.ExpiryMin, ExpiryMax: info.ExpiryMax, AllExpire: info.AllExpire,
	}}}
	if err := db.apply(edit, nil, nil); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range a.replaced {
		if a.replaced[i] == f {
			a.replaced = append(a.replaced[:i], a.replaced[i+1:]...)
			break
		}
	}
	return nil
}
