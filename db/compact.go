package db

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/cordwood-db/cordwood/compaction"
	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/compress"
	"github.com/cordwood-db/cordwood/manifest"
	"github.com/cordwood-db/cordwood/sstable"
)

// Compact merges every table that holds keys of r down to the last level, so
// that overwritten, deleted and expired data of r gives its space back as far
// as no snapshot needs it. It flushes first. The value log's share is
// collected by itself, or by CollectGarbage.
func (db *DB) Compact(ctx context.Context, r Range) error {
	if r.empty() {
		return db.writable()
	}
	return db.during(ctx, func(ctx context.Context) error { return db.main.compactRange(ctx, r) })
}

// compactRange is Compact.
func (ks *Keyspace) compactRange(ctx context.Context, r Range) error {
	db := ks.db
	if err := db.flushAll(ctx); err != nil {
		return err
	}
	var start, end []byte
	if len(r.lower) > 0 {
		start = r.lower
	}
	if r.bounded {
		end = r.upper
	}
	var before base.FileNum
	if ks.set.Load().filter != nil {
		before = db.set.NewFileNum() // a filter wants to see everything, once
	}
	for level := 0; level < manifest.NumLevels; {
		job, wait, err := ks.nextManual(level, start, end, before)
		switch {
		case err != nil:
			return err
		case job == nil && wait == nil:
			level++
			continue
		case job == nil:
			if err := db.awaitOther(ctx, wait); err != nil {
				return err
			}
			continue
		}
		if err := db.compact(ctx, job); err != nil {
			return err
		}
	}
	return nil
}

// job is a compaction on its way.
type job struct {
	plan    *compaction.Plan
	version *manifest.Version // with a reference
	tree    *manifest.Tree    // of version
}

// collision is what a manual compaction has met: the version it looked at, and
// the compactions that were running then.
type collision struct {
	version *manifest.Version // compared, not used
	plans   []*compaction.Plan
}

// nextManual picks one step of a manual compaction. wait says that what is left
// to do collides with other compactions.
func (ks *Keyspace) nextManual(level int, start, end []byte, before base.FileNum) (j *job, wait *collision, err error) {
	db := ks.db
	s, _ := db.acquire()
	if s == nil {
		return nil, nil, ErrClosed
	}
	defer db.release(s)
	v := s.view(ks.num)
	if v == nil {
		return nil, nil, ks.droppedErr()
	}
	opts, err := db.pickOptions(s, v, db.snapshotSeqs())
	if err != nil {
		return nil, nil, err
	}
	opts.RewriteBefore = before
	db.mu.Lock()
	defer db.mu.Unlock()
	if cur := db.state.Load(); cur == nil || cur.version != s.version {
		return nil, &collision{version: s.version}, nil // a newer one is there: look again
	}
	plan := compaction.PickRange(v.tree, compaction.Busy{Plans: db.jobs.plans}, opts, level, start, end)
	switch {
	case plan != nil:
		return db.startLocked(plan, s.version, v.tree), nil, nil
	case db.blockedLocked(level, v.tree, start, end):
		return nil, &collision{s.version, slices.Clone(db.jobs.plans)}, nil
	}
	return nil, nil, nil
}

// blockedLocked reports whether a level has tables with keys of the range that
// are to be compacted, but cannot be beside what is running: they are taken
// themselves, or what they would be merged with is.
func (db *DB) blockedLocked(level int, tree *manifest.Tree, start, end []byte) bool {
	if !slices.ContainsFunc(db.jobs.plans, func(p *compaction.Plan) bool { return p.Keyspace == tree.Num }) {
		return false
	}
	deepest := 0
	for l := range tree.Levels {
		if len(tree.Overlaps(l, start, end)) > 0 {
			deepest = l
		}
	}
	return slices.ContainsFunc(tree.Overlaps(level, start, end), func(t *manifest.TableMeta) bool {
		return (t.Compacting || level == 0 || level < deepest) && !db.damagedLocked(base.FileTable, t.Num)
	})
}

// awaitOther waits until there is another version than c met, or other
// compactions run. Either may be so already.
func (db *DB) awaitOther(ctx context.Context, c *collision) error {
	return db.waitFor(ctx, func() (bool, error) {
		s := db.state.Load()
		if s == nil {
			return false, ErrClosed
		}
		return s.version != c.version || !slices.Equal(db.jobs.plans, c.plans), nil
	})
}

// compactLoop is a worker that runs one compaction at a time.
func (db *DB) compactLoop() {
	var b backoff
	for {
		job, err := db.nextCompaction()
		if err == nil && job == nil {
			return
		}
		if err == nil {
			err = db.compact(db.ctx, job)
			db.noteTry(job.tree.Num, err)
		}
		if err == nil {
			b.reset()
			continue
		}
		if !db.jobFailed("compaction", err, &b) {
			return
		}
	}
}

// nextCompaction waits for a compaction that is worth it. nil: no more work.
func (db *DB) nextCompaction() (*job, error) {
	for {
		s, _ := db.acquire()
		if s == nil {
			return nil, nil
		}
		job, again, err := db.pick(s)
		db.release(s)
		if err != nil || job != nil || !again {
			return job, err
		}
	}
}

// pick picks from s, or waits for a change where there is nothing to do.
func (db *DB) pick(s *readState) (j *job, again bool, err error) {
	wanted, err := db.urgent(s)
	if err != nil {
		return nil, false, err
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.stopping || db.failure.Load() != nil {
		return nil, false, nil
	}
	if cur := db.state.Load(); cur == nil || cur.version != s.version {
		return nil, cur != nil, nil
	}
	for _, failed := range []bool{false, true} {
		skip := func(num uint32) bool { return db.failedLocked(num) != failed }
		if job := db.pickLocked(s, wanted, skip); job != nil {
			return job, false, nil
		}
	}
	db.changed.Wait()
	return nil, true, nil
}

// pickLocked picks from s among the keyspaces that are not skipped.
func (db *DB) pickLocked(s *readState, wanted []want, skip func(num uint32) bool) *job {
	busy := compaction.Busy{Plans: db.jobs.plans}
	for _, tree := range s.version.Trees {
		if !tree.Dropped || skip(tree.Num) {
			continue
		}
		if plan := compaction.PickDropped(tree, busy); plan != nil {
			return db.startLocked(plan, s.version, tree)
		}
	}
	for _, w := range wanted {
		if skip(w.view.num) {
			continue
		}
		if plan := compaction.Pick(w.view.tree, busy, w.opts); plan != nil {
			return db.startLocked(plan, s.version, w.view.tree)
		}
	}
	if v := db.levelZeroHides(s, skip); v != nil {
		i := slices.IndexFunc(wanted, func(w want) bool { return w.view == v })
		if plan := compaction.PickRange(v.tree, busy, wanted[i].opts, 0, nil, nil); plan != nil {
			return db.startLocked(plan, s.version, v.tree)
		}
	}
	return nil
}

// failedRest is for how long a keyspace stands back behind the others after one
// of its compactions has failed: one whose filter always fails, say, would else
// keep all workers at it. Longer than backoffMax.
const failedRest = 2 * backoffMax

// noteTry notes how a compaction of a keyspace ended.
func (db *DB) noteTry(num uint32, err error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	if err == nil {
		delete(db.jobs.failed, num)
		return
	}
	if db.jobs.failed == nil {
		db.jobs.failed = make(map[uint32]time.Time)
	}
	db.jobs.failed[num] = time.Now()
}

// failedLocked reports whether a compaction of a keyspace has failed lately. The
// caller holds mu.
func (db *DB) failedLocked(num uint32) bool {
	at, ok := db.jobs.failed[num]
	return ok && time.Since(at) < failedRest
}

// want is a tree that may want to be compacted.
type want struct {
	view    *treeView
	opts    compaction.PickOptions
	urgency float64
}

// urgent are the trees of s, the most urgent first.
func (db *DB) urgent(s *readState) ([]want, error) {
	wanted := make([]want, 0, len(s.views))
	snapshots := db.snapshotSeqs()
	for i := range s.views {
		v := &s.views[i]
		opts, err := db.pickOptions(s, v, snapshots)
		if err != nil {
			return nil, err
		}
		wanted = append(wanted, want{v, opts, compaction.Urgency(v.tree, opts)})
	}
	slices.SortStableFunc(wanted, func(a, b want) int { return cmp.Compare(b.urgency, a.urgency) })
	return wanted, nil
}

// startLocked marks the tables of plan as taken.
func (db *DB) startLocked(plan *compaction.Plan, v *manifest.Version, tree *manifest.Tree) *job {
	plan.Tables(func(_ int, t *manifest.TableMeta) { t.Compacting = true })
	db.jobs.plans = append(db.jobs.plans, plan)
	v.Ref()
	return &job{plan, v, tree}
}

// finish undoes startLocked. Tables that turned out to be damaged stay taken.
func (db *DB) finish(j *job) {
	db.mu.Lock()
	j.plan.Tables(func(_ int, t *manifest.TableMeta) {
		t.Compacting = db.damagedLocked(base.FileTable, t.Num)
	})
	db.jobs.plans = slices.DeleteFunc(db.jobs.plans, func(p *compaction.Plan) bool { return p == j.plan })
	db.changed.Broadcast()
	db.mu.Unlock()
	j.version.Unref()
	db.wakeCleaner()
}

// pickOptions are the settings that compactions of a keyspace are picked by.
func (db *DB) pickOptions(s *readState, v *treeView, snapshots []base.SeqNum) (compaction.PickOptions, error) {
	// What is known of them is enough: they only save work here.
	tombs, err := db.tableRangeDels(v, func(*manifest.TableMeta) bool { return false })
	if err != nil {
		return compaction.PickOptions{}, err
	}
	o := db.sizeOptions()
	o.Now = db.now(s.version)
	o.RangeDels = tombs
	o.Snapshots = snapshots
	o.SnapshotMin = base.SeqNumMax
	if len(o.Snapshots) > 0 {
		o.SnapshotMin = o.Snapshots[0]
	}
	return o, nil
}

// sizeOptions is the part of pickOptions that does not depend on a version.
func (db *DB) sizeOptions() compaction.PickOptions {
	return compaction.PickOptions{
		BaseBytesMax:     4 * uint64(db.opts.MemtableBytes),
		TargetTableBytes: uint64(db.opts.TableBytes),
		SpaceSlack:       min(upperShare/db.replacedShare(), 1),
	}
}

// debt is how many bytes of tables wait to be compacted.
func (db *DB) debt(v *manifest.Version) (bytes uint64) {
	for _, tree := range v.Trees {
		if !tree.Dropped {
			bytes += compaction.Debt(tree, db.sizeOptions())
		}
	}
	return bytes
}

// pointersOnly is from how many value-log bytes for each byte of table the
// tables are not compressed.
const pointersOnly = 8

// compactionEnv is what writing tables of a keyspace needs. Values are read
// through version, which its user holds.
//
// Compressing keys and pointers is not worth its time where the values that
// they point at are most of the store.
func (db *DB) compactionEnv(version *manifest.Version, keyspace uint32, set *settings, tableBytes, valueBytes uint64) *compaction.Env {
	compression := set.compression.kind()
	if valueBytes > pointersOnly*tableBytes {
		compression = compress.None
	}
	return &compaction.Env{
		FS: db.fs, Dir: db.dir,
		NewFileNum: db.set.NewFileNum, LastFileNum: db.set.LastFileNum, NewID: db.rand.next,
		Tables:   db.tables,
		Keyspace: keyspace,
		Merge:    set.merge,
		Filter:   set.filter,
		ReadValue: func(key []byte, seq base.SeqNum, p base.Pointer) ([]byte, error) {
			value, err := db.readValue(nil, version, keyspace, key, seq, p)
			if meta := version.Vlog(p.File); meta != nil && isCorruption(err) {
				db.leaveAlone(base.FileVlog, meta.Physical, err)
			}
			return value, err
		},
		Writer: sstable.WriterOptions{
			BlockBytes: set.blockBytes, FilterBitsPerKey: set.filterBits,
			Compression: compression, Codec: db.codec, Keyspace: keyspace, Prefix: set.prefix,
		},
	}
}

// compact runs a compaction and applies its edit.
func (db *DB) compact(ctx context.Context, j *job) error {
	defer db.finish(j)
	start := time.Now()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(db.ctx, cancel)()
	// The snapshots are listed after the version was fixed: one opened later
	// reads at a sequence number that no input is above.
	var size, values uint64
	j.plan.Tables(func(_ int, t *manifest.TableMeta) {
		size += t.Size
		values += t.VlogBytes
	})
	set := db.settingsOf(j.tree.Num)
	var above base.SeqNum
	if set.filter != nil {
		above = db.beginFilter()
		defer db.opened.endFilter()
	}
	env := db.compactionEnv(j.version, j.tree.Num, set, size, values)
	env.FilterAbove = &above
	env.OnDamage = func(t *manifest.TableMeta, err error) { db.noteDamage(base.FileTable, t.Num, err) }
	var dropped []base.Pointer
	env.OnDrop = func(p base.Pointer) { dropped = append(dropped, p) }
	edit, stats, err := compaction.Run(ctx, env, j.tree, j.plan, db.snapshotSeqs(), db.now(j.version))
	if err != nil {
		if isCorruption(err) {
			db.blameTables(ctx, j, err)
		}
		return err
	}
	var made []*manifest.TableMeta
	if !j.plan.TrivialMove {
		for _, a := range edit.Added {
			made = append(made, a.Meta)
		}
	}
	settle := func() {
		db.dead.add(dropped)
		if j.plan.DeleteOnly {
			for file := range edit.Discards {
				db.dead.forget(file)
			}
		}
	}
	if err := db.applyTables(edit, made, nil, nil, settle); err != nil {
		return err
	}
	db.noteCompaction(j.plan, edit, stats, time.Since(start))
	return nil
}

// blameTables finds out which inputs of a failed compaction are damaged, so
// that the others can still be compacted.
func (db *DB) blameTables(ctx context.Context, j *job, cause error) {
	found := false
	j.plan.Tables(func(_ int, t *manifest.TableMeta) {
		if err := db.verifyTable(ctx, t); isCorruption(err) {
			found = true
			db.noteDamage(base.FileTable, t.Num, err)
		}
	})
	if found {
		return
	}
	// What was damaged a moment ago now reads well, or is in a table that the
	// inputs need beside them: leave all of them alone.
	j.plan.Tables(func(_ int, t *manifest.TableMeta) { db.leaveAlone(base.FileTable, t.Num, cause) })
}

// verifyTable checks every checksum of a table.
func (db *DB) verifyTable(ctx context.Context, t *manifest.TableMeta) error {
	h, err := db.tables.Get(t.Num, t.ID)
	if err != nil {
		return err
	}
	defer h.Release()
	return h.Verify(ctx)
}

// noteCompaction tells of a compaction that is done.
func (db *DB) noteCompaction(plan *compaction.Plan, edit *manifest.Edit, stats compaction.Stats, took time.Duration) {
	var bytesOut uint64
	tablesIn := 0
	plan.Tables(func(int, *manifest.TableMeta) { tablesIn++ })
	if !plan.TrivialMove {
		for _, a := range edit.Added {
			bytesOut += a.Meta.Size
		}
	}
	m := &db.metrics
	m.compactions.Add(1)
	m.compactedRead.Add(stats.TableBytesIn)
	m.compactedWritten.Add(bytesOut)
	db.opts.Logger.Info("compaction", "reason", plan.Reason.String(), "from", plan.StartLevel, "to", plan.OutputLevel,
		"move", plan.TrivialMove, "drop", plan.DeleteOnly, "tablesIn", tablesIn, "tablesOut", len(edit.Added),
		"bytesIn", plan.InputBytes(), "bytesOut", bytesOut, "took", took)
	db.events.post(CompactionDone{Reason: plan.Reason.String(), FromLevel: plan.StartLevel, ToLevel: plan.OutputLevel,
		TablesIn: tablesIn, TablesOut: len(edit.Added), BytesIn: plan.InputBytes(), BytesOut: bytesOut, Took: took})
}
