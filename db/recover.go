package db

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/manifest"
	"github.com/cordwood-db/cordwood/vfs"
	"github.com/cordwood-db/cordwood/vlog"
	"github.com/cordwood-db/cordwood/wal"
)

// recover finds the newest state that a prefix of all commits gives:
//
//  1. Read the MANIFEST, or create the store.
//  2. Find the valid end of each value-log file that was being written to.
//  3. Replay the WAL into memtables, without what tables hold already. The log
//     ends before the first record that was not proven durable and is not
//     whole, or points at value-log bytes that are not.
//  4. Make that end permanent, and what was replayed durable.
//  5. Remove files that nothing refers to.
//
// Nothing is written before step 4, nothing at all in a read-only store, and
// nothing that needs room on the disk.
func (db *DB) recover() error {
	name, err := db.loadManifest()
	if err != nil {
		return err
	}
	if err := db.loadKeyspaces(name); err != nil {
		return err
	}
	r := &recovery{db: db, values: make(map[base.FileNum]*valueEnd)}
	if err := r.findValueEnds(); err != nil {
		return err
	}
	if err := r.replay(); err != nil {
		return err
	}
	if !db.opts.ReadOnly {
		if err := r.settle(); err != nil {
			return err
		}
	}
	if cut := r.log.Cut; cut != nil {
		db.events.post(LogCut{File: cut.File, Offset: cut.Offset, Reason: cut.Reason})
	}
	r.install()
	if !db.opts.ReadOnly {
		return db.removeOrphans()
	}
	return nil
}

// loadManifest is step 1. name is that of the MANIFEST it read, if there was one.
func (db *DB) loadManifest() (name string, err error) {
	o := manifest.Options{FS: db.fs, Dir: db.dir, NewID: db.rand.next, CheckFiles: true}
	exists, err := manifest.Exists(db.fs, db.dir)
	switch {
	case err != nil:
		return "", err
	case exists:
		var info manifest.LoadInfo
		if db.set, info, err = manifest.Load(o); err != nil {
			return "", err
		}
		name = base.FileName(base.FileManifest, uint64(info.Manifest))
		if info.Cut {
			db.events.post(LogCut{File: name, Offset: info.CutOffset, Reason: info.CutReason})
		}
	case db.opts.ReadOnly || db.opts.MustExist:
		return "", db.noStore(false)
	default:
		if err := syncPath(db.fs, db.dir); err != nil {
			return "", err
		}
		if db.set, err = manifest.Create(o); err != nil {
			return "", err
		}
	}
	version := db.set.Current()
	defer version.Unref()
	return name, checkMergeOperator(db.opts.Merge, version.Tree(0).MergeOperator)
}

// checkMergeOperator compares an operator with the one that a keyspace was
// written with.
func checkMergeOperator(op MergeOperator, stored string) error {
	if op == nil || stored == "" || stored == op.Name() {
		return nil
	}
	return fmt.Errorf("%w: have %q, stored %q", ErrMergeOperator, op.Name(), stored)
}

// recovery is what steps 2 to 5 hand on.
type recovery struct {
	db     *DB
	values map[base.FileNum]*valueEnd // by logical number: files that were not sealed
	spaces []uint32                   // keyspaces that are not dropped, ascending
	gens   []*generation              // oldest first
	log    wal.ReplayResult
	seqMax base.SeqNum
	// seqLast is the last sequence number found in the log: they ascend, none
	// is given out twice.
	seqLast base.SeqNum
	writes  bool // the WAL held operations that no table has
}

// findValueEnds is step 2.
func (r *recovery) findValueEnds() error {
	version := r.db.set.Current()
	defer version.Unref()
	for _, meta := range version.Vlogs {
		if meta.Sealed {
			continue
		}
		v := &valueEnd{meta: meta}
		end, err := vlog.ScanFile(r.db.fs, r.db.dir, meta.Physical, meta.PhysicalID,
			int64(meta.SyncedTo), 0, func(rec vlog.Record) error {
				v.add(rec.Seq, uint64(rec.Pointer.Size))
				return nil
			})
		var missing *MissingFileError
		if err != nil && (!isCorruption(err) || errors.As(err, &missing)) {
			return err
		}
		v.end = max(end, int64(meta.SyncedTo))
		r.values[meta.Logical] = v
	}
	return nil
}

// valueEnd is where a value-log file that was being written to ends.
type valueEnd struct {
	meta *manifest.VlogMeta
	end  int64
	// damaged says that something before the end is not whole, though it was
	// durable: reads of it fail, and nothing is cut off.
	damaged bool
	runs    []valueRun // of records that the MANIFEST knows nothing of
}

// valueRun is some records of a value-log file, one after the other.
type valueRun struct {
	first base.SeqNum // the least of their sequence numbers
	bytes uint64
}

// valueRunBytes is when a run ends: what a list of them may miscount.
const valueRunBytes = 64 * kib

func (v *valueEnd) add(seq base.SeqNum, bytes uint64) {
	if n := len(v.runs); n > 0 && v.runs[n-1].bytes < valueRunBytes {
		last := &v.runs[n-1]
		last.first, last.bytes = min(last.first, seq), last.bytes+bytes
		return
	}
	v.runs = append(v.runs, valueRun{seq, bytes})
}

// above is how many bytes belong to commits above seq, or a little less: those
// of a commit that did not come to be, and that nothing points at.
func (v *valueEnd) above(seq base.SeqNum) (bytes uint64) {
	for _, run := range v.runs {
		if run.first > seq {
			bytes += run.bytes
		}
	}
	return bytes
}

// replay is step 3.
func (r *recovery) replay() error {
	set := r.db.set
	flushed := set.LastSeq()
	r.seqMax = flushed
	version := set.Current()
	defer version.Unref()
	for _, tree := range version.Trees {
		if !tree.Dropped {
			r.spaces = append(r.spaces, tree.Num)
		}
	}
	err := r.checkFirstSegment()
	if err != nil {
		return err
	}
	r.log, err = wal.Replay(r.db.fs, r.db.dir, set.MinSegment(), func(rec wal.ReplayRecord) error {
		whole, err := r.valuesWhole(version, rec, flushed)
		if err != nil {
			return err
		}
		if !whole {
			return fmt.Errorf("%w: values of the commit are not whole", wal.ErrCutHere)
		}
		return r.replayRecord(rec, flushed)
	})
	return err
}

// checkFirstSegment compares the first segment with what the MANIFEST says of
// it: each later one is chained to the one before, but this one could come from
// another store. That it is missing is for the replay to say.
func (r *recovery) checkFirstSegment() error {
	segment, want := r.db.set.MinSegment(), r.db.set.MinSegmentID()
	if want == 0 {
		return nil
	}
	id, err := r.db.segmentID(segment)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case id != want:
		return base.Corruptf(base.FileName(base.FileWAL, uint64(segment)), 0,
			"file id %#x, the MANIFEST says %#x: this is the segment of another store, or of another time", id, want)
	}
	return nil
}

// valuesWhole reports whether every value that a record points at is whole.
// Those of a proven record were: if one is not now, that is damage, which its
// reads will report; unless its file never existed, which is damage to the log.
func (r *recovery) valuesWhole(version *manifest.Version, rec wal.ReplayRecord, flushed base.SeqNum) (bool, error) {
	whole := true
	err := eachOp(rec.Payload, flushed, func(seq base.SeqNum, op base.Op) error {
		if op.Kind.Op() != base.KindSetPointer || !whole {
			return nil
		}
		expiry, enc, err := base.SplitPayload(op.Kind, op.Payload)
		if err != nil {
			return err
		}
		ptr, err := base.DecodePointer(enc)
		if err != nil {
			return err
		}
		if ptr.File == 0 || ptr.File > r.db.set.LastFileNum() {
			if whole = false; rec.Proven {
				return errNoFile
			}
			return nil
		}
		if tree := version.Tree(op.Keyspace); tree == nil || tree.Dropped {
			return nil // nobody reads it; it may have been collected for that
		}
		if op.Kind.HasExpiry() && expiry <= version.ExpiryHorizon {
			return nil // nobody reads it; its file may have been dropped for that
		}
		whole, err = r.valueWhole(version, rec.Proven, op.Keyspace, op.Key, seq, ptr)
		return err
	})
	if err != nil && !vfsError(err) {
		err = r.undecodable(rec, err)
	}
	return whole, err
}

// valueWhole is valuesWhole for one value.
func (r *recovery) valueWhole(version *manifest.Version, proven bool, keyspace uint32, key []byte, seq base.SeqNum, ptr base.Pointer) (bool, error) {
	last := int64(ptr.Offset) + int64(ptr.Size)
	v := r.values[ptr.File]
	if proven {
		if v != nil && last > v.end {
			v.end, v.damaged = last, true
		}
		return true, nil
	}
	meta := version.Vlog(ptr.File)
	if meta == nil || v != nil && last > v.end {
		return false, nil
	}
	err := r.db.values.VerifyRecord(location(meta), keyspace, key, seq, ptr)
	if isCorruption(err) {
		return false, nil
	}
	return err == nil, err
}

// undecodable is the error for a WAL record whose checksums hold and whose
// contents make no sense.
func (r *recovery) undecodable(rec wal.ReplayRecord, err error) error {
	return &CorruptionError{File: base.FileName(base.FileWAL, uint64(rec.Segment)),
		Offset: -1, Reason: fmt.Sprintf("record at LSN %d does not decode", rec.LSN), Err: err}
}

// vfsError reports whether err comes from the file system.
func vfsError(err error) bool {
	var p *fs.PathError
	var l *os.LinkError
	return errors.As(err, &p) || errors.As(err, &l)
}

// eachOp calls fn for the operations of a WAL record above a sequence number.
func eachOp(payload []byte, above base.SeqNum, fn func(base.SeqNum, base.Op) error) error {
	for len(payload) > 0 {
		h, ops, rest, err := base.DecodeCommit(payload)
		if err != nil {
			return err
		}
		it := base.OpIter{B: ops}
		for seq := h.FirstSeq; ; seq++ {
			op, ok, err := it.Next()
			if err != nil {
				return err
			}
			if !ok {
				break
			}
			if seq <= above {
				continue
			}
			if err := fn(seq, op); err != nil {
				return err
			}
		}
		payload = rest
	}
	return nil
}

// replayRecord puts what tables do not hold yet of a WAL record into a
// memtable.
func (r *recovery) replayRecord(rec wal.ReplayRecord, flushed base.SeqNum) error {
	payload := rec.Payload
	for len(payload) > 0 {
		h, ops, rest, err := base.DecodeCommit(payload)
		if err != nil {
			return r.undecodable(rec, err)
		}
		payload = rest
		if h.FirstSeq <= r.seqLast || h.Count == 0 {
			return r.undecodable(rec, errOrder)
		}
		last := h.FirstSeq + base.SeqNum(h.Count) - 1
		r.seqLast, r.seqMax = last, max(r.seqMax, last)
		if last <= flushed {
			continue // commits are flushed whole
		}
		if err := r.generationFor(rec.Segment).apply(h, ops, r.skip); err != nil {
			return r.undecodable(rec, err)
		}
		r.writes = true
	}
	return nil
}

// errOrder is about a commit without operations, or with numbers that an earlier
// one has.
var errOrder = errors.New("sequence numbers do not ascend")

// errNoFile is about a pointer into a file that the MANIFEST has never heard of: a
// commit is written only after it has.
var errNoFile = errors.New("value-log file that never existed")

// errKeyspace is about an operation of a keyspace that never was.
var errKeyspace = errors.New("operation of an unknown keyspace")

// skip passes over an operation of a dropped keyspace: what it points at is
// garbage that no compaction will find.
func (r *recovery) skip(seq base.SeqNum, op base.Op) error {
	if op.Keyspace >= r.db.set.NextKeyspace() {
		return errKeyspace
	}
	ptr, ok, err := pointerOf(base.InternalKey{User: op.Key, Trailer: base.MakeTrailer(seq, op.Kind)}, op.Payload)
	if ok {
		r.db.loseValues(map[base.FileNum]uint64{ptr.File: uint64(ptr.Size)})
	}
	return err
}

// generationFor is the generation that takes the next commit of the replay. A
// full one is frozen: the segment being replayed is the oldest that holds newer
// commits.
func (r *recovery) generationFor(segment base.SegmentNum) *generation {
	var older *generation
	if n := len(r.gens); n > 0 {
		older = r.gens[n-1]
		if older.Bytes() < r.db.opts.MemtableBytes {
			return older
		}
		older.nextSegment = segment
	}
	r.gens = append(r.gens, newGeneration(r.db.opts.MemtableBytes, r.spaces, older))
	return r.gens[len(r.gens)-1]
}

// settle is step 4: what was cut off never shows again, and what was replayed
// is durable before anything builds on it.
func (r *recovery) settle() error {
	db := r.db
	if cut := r.log.Cut; cut != nil {
		if err := wal.Repair(db.fs, db.dir, *cut); err != nil {
			return err
		}
		db.opts.Logger.Warn("cut the torn end of the log", "file", cut.File, "offset", cut.Offset, "reason", cut.Reason)
	}
	db.jobs.unborn = make(map[base.FileNum]uint64)
	for _, v := range r.values {
		seal, err := db.sealRecovered(v)
		if err != nil {
			return err
		}
		db.jobs.recovered = append(db.jobs.recovered, seal)
		if n := v.above(r.seqMax); n > 0 {
			db.jobs.unborn[seal.Logical] = n
		}
	}
	for _, segment := range r.log.Segments {
		if err := db.syncFile(base.FileName(base.FileWAL, uint64(segment))); err != nil {
			return err
		}
	}
	return nil
}

// sealRecovered makes a value-log file that was being written to immutable. A
// worker tells the MANIFEST later: until then, this is done at every open.
func (db *DB) sealRecovered(v *valueEnd) (manifest.VlogSeal, error) {
	if !v.damaged {
		info, err := vlog.Recover(db.fs, db.dir, v.meta.Physical, v.meta.PhysicalID, int64(v.meta.SyncedTo))
		if err == nil {
			return manifest.VlogSeal{Logical: v.meta.Logical, Bytes: info.Bytes, SyncedTo: uint64(info.Size),
				ExpiryMin: info.ExpiryMin, ExpiryMax: info.ExpiryMax, AllExpire: info.AllExpire}, nil
		}
		if !isCorruption(err) {
			return manifest.VlogSeal{}, err
		}
	}
	return db.sealDamaged(v)
}

// sealDamaged seals a value-log file that is not whole. What it lacks at its
// end is not recorded as part of it: the next open would refuse to go without.
func (db *DB) sealDamaged(v *valueEnd) (manifest.VlogSeal, error) {
	name := base.FileName(base.FileVlog, uint64(v.meta.Physical))
	db.noteDamage(base.FileVlog, v.meta.Physical, base.Corruptf(name, -1, "values that were durable are not whole"))
	info, err := db.fs.Stat(filepath.Join(db.dir, name))
	if err != nil {
		return manifest.VlogSeal{}, err
	}
	end := uint64(min(v.end, info.Size))
	return manifest.VlogSeal{Logical: v.meta.Logical, Bytes: end, SyncedTo: end}, db.syncFile(name)
}

// syncFile makes the contents of a file durable that an earlier process may
// have written.
func (db *DB) syncFile(name string) error {
	f, err := db.fs.OpenReadWrite(filepath.Join(db.dir, name))
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// seqGap separates sequence numbers given out after an unclean end from those
// that a commit may have used which left traces only in the value log.
const seqGap = 1 << 32

// checkpointLSN is where the log of a checkpoint starts, which comes without one:
// not at the beginning, so that a feed that wants what the checkpoint's tables
// hold hears that it is gone.
const checkpointLSN = 1

// install makes the recovered state the current one.
func (r *recovery) install() {
	db := r.db
	w := &db.w
	// Positions that are given out before the next commit do not count the gap:
	// it is forgotten if the store is closed without one.
	db.visible.Store(uint64(r.seqMax))
	w.seq = r.seqMax
	if r.writes || r.log.Cut != nil {
		w.seq += seqGap
	}
	w.seq = min(w.seq, seqNumLast)
	w.nextSegment = max(r.log.NextSegment, 1)
	w.nextLSN = r.log.EndLSN
	if w.nextLSN == 0 && db.set.LastSeq() > 0 {
		w.nextLSN = checkpointLSN
	}
	db.beginRetention(w.seq, w.nextLSN)
	w.gen = newGeneration(db.opts.MemtableBytes, r.spaces, nil)
	if n := len(r.gens); n > 0 {
		// The last segment stays until a later flush: the next one does not
		// exist yet, and recovery insists on the one that the MANIFEST names.
		r.gens[n-1].nextSegment = w.nextSegment - 1
	}
	slices.Reverse(r.gens)
	gens := append([]*generation{w.gen}, r.gens...)
	db.mu.Lock()
	defer db.mu.Unlock()
	db.installLocked(gens, db.set.Current())
	db.updatePressureLocked()
}

// removeOrphans is step 5: files that a crash left between their creation and
// the edit that was to name them, or between an edit and their removal. A file
// that cannot be removed is only a waste of space: it is reported, not fatal.
func (db *DB) removeOrphans() error {
	live, durable := db.set.LiveFiles()
	if !durable {
		// The newest edit may be undone by a power loss, and with it what
		// makes a file an orphan. The next edit settles that; with no room for
		// one, orphans wait for the next open.
		if err := db.apply(&manifest.Edit{}, nil, nil); err != nil {
			if vfs.IsNoSpace(err) {
				return nil
			}
			return err
		}
		live, _ = db.set.LiveFiles()
	}
	files, err := db.fs.List(db.dir)
	if err != nil {
		return err
	}
	for _, f := range files {
		kind, num := base.ParseFileName(f.Name)
		orphan := false
		switch kind {
		case base.FileTable, base.FileVlog, base.FileManifest:
			_, used := live[manifest.FileRef{Kind: kind, Num: base.FileNum(num)}]
			orphan = !used
		case base.FileWAL:
			orphan = base.SegmentNum(num) < db.set.MinSegment() && db.opts.FeedBytes == 0
		case base.FileTemp:
			orphan = true
		}
		if !orphan || f.IsDir {
			continue
		}
		if err := db.fs.Remove(filepath.Join(db.dir, f.Name)); err != nil {
			db.opts.Logger.Warn("cannot remove an unused file", "file", f.Name, "error", err)
		}
	}
	return nil
}
