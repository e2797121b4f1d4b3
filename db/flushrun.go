package db

import (
	"errors"
	"maps"
	"slices"

	"github.com/cordwood-db/cordwood/compaction"
	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/iterator"
	"github.com/cordwood-db/cordwood/internal/rangedel"
	"github.com/cordwood-db/cordwood/manifest"
	"github.com/cordwood-db/cordwood/memtable"
)

// flushRun writes the memtables of some generations: for each keyspace those of
// all generations into tables of its own, for one edit.
type flushRun struct {
	db   *DB
	gens []*generation // oldest first

	tables        []*manifest.TableMeta
	discards      map[base.FileNum]uint64
	dropped       []base.Pointer // whose entries are gone
	expiryHorizon uint64
	stats         compaction.Stats
	filtering     bool        // a compaction filter takes part
	above         base.SeqNum // it may decide about what is newer

	// separated are the bytes of values that went to each value-log file, which
	// is pinned: it must not be collected before the edit is applied.
	separated map[base.FileNum]uint64
}

// write writes all tables. On an error it leaves none.
func (f *flushRun) write() error {
	mems := make(map[uint32][]*memtable.Memtable)
	for _, g := range f.gens {
		for _, m := range *g.spaces.Load() {
			if !m.Empty() {
				mems[m.num] = append(mems[m.num], m.Memtable)
			}
		}
	}
	// The version comes before the snapshots: one opened later sees nothing
	// older than all that is flushed here.
	version := f.db.set.Current()
	defer version.Unref()
	for _, num := range slices.Sorted(maps.Keys(mems)) {
		tree := version.Tree(num)
		if tree == nil || tree.Dropped {
			if err := f.discard(mems[num]); err != nil {
				return errors.Join(err, f.db.removeTables(f.tables))
			}
			continue
		}
		if err := f.writeKeyspace(version, tree, mems[num]); err != nil {
			return errors.Join(err, f.db.removeTables(f.tables))
		}
	}
	return nil
}

// writeKeyspace writes the memtables of one keyspace. A filter that fails is left
// out: others are flushed with it, and writers wait for them. It will be asked
// when the tables are compacted.
func (f *flushRun) writeKeyspace(version *manifest.Version, tree *manifest.Tree, mems []*memtable.Memtable) error {
	db := f.db
	set := db.settingsOf(tree.Num)
	if set.filter != nil && !f.filtering {
		f.filtering = true
		f.above = db.beginFilter()
	}
	dropped, separated := len(f.dropped), maps.Clone(f.separated)
	err := f.tryKeyspace(version, tree, mems, set)
	failed, ok := errors.AsType[*compaction.FilterError](err)
	if !ok || set.filter == nil {
		return err
	}
	db.opts.Logger.Warn("compaction filter failed: flushed without it", "error", failed)
	db.events.post(JobFailed{Job: "compaction filter", Err: failed, Tries: 1})
	f.dropped = f.dropped[:dropped]
	lost := make(map[base.FileNum]uint64)
	for file, n := range f.separated {
		if n > separated[file] {
			lost[file], f.separated[file] = n-separated[file], separated[file]
		}
	}
	db.loseValues(lost)
	unfiltered := *set
	unfiltered.filter = nil
	return f.tryKeyspace(version, tree, mems, &unfiltered)
}

// tryKeyspace is one try of writeKeyspace.
func (f *flushRun) tryKeyspace(version *manifest.Version, tree *manifest.Tree, mems []*memtable.Memtable, set *settings) error {
	db := f.db
	var iters []iterator.Iterator
	var sets []*rangedel.Set
	var size, values uint64
	for _, m := range mems {
		iters = append(iters, m.NewIter())
		if set := m.RangeDels(); !set.Empty() {
			sets = append(sets, set)
		}
		size += uint64(m.Bytes())
		values += m.VlogBytes()
	}
	in := compaction.Input{Iter: iterator.NewMerging(iters...), RangeDels: rangedel.Merge(sets...)}
	env := db.compactionEnv(version, tree.Num, set, size, values)
	env.FilterAbove = &f.above
	env.OnDrop = func(p base.Pointer) { f.dropped = append(f.dropped, p) }
	env.ValueThreshold = set.threshold
	env.Separate = func(key []byte, seq base.SeqNum, expiry uint64, value []byte) (base.Pointer, error) {
		file, err := db.valueWriterPinned(f.separated)
		if err != nil {
			return base.Pointer{}, err
		}
		ptr, err := file.Append(tree.Num, key, seq, expiry, value)
		f.separated[file.num] += uint64(ptr.Size)
		return ptr, err
	}
	out, err := compaction.WriteTables(db.ctx, env, in, compaction.WriteParams{
		Snapshots:        db.snapshotSeqs(),
		Now:              db.now(version),
		TargetTableBytes: uint64(db.opts.TableBytes),
		Bottom:           func(key []byte) bool { return !anyTableHas(tree, key, key) },
		BottomRange:      func(start, end []byte) bool { return !anyTableHas(tree, start, end) },
	})
	if err == nil {
		f.tables = append(f.tables, out.Tables...)
		for file, n := range out.Discards {
			f.discards[file] += n
		}
		f.expiryHorizon = max(f.expiryHorizon, out.ExpiryHorizon)
		f.stats.EntriesIn += out.Stats.EntriesIn
		f.stats.BytesOut += out.Stats.BytesOut
		f.stats.SeparatedBytes += out.Stats.SeparatedBytes
	}
	return errors.Join(err, in.Iter.Close())
}

// discard counts what the memtables of a dropped keyspace point at.
func (f *flushRun) discard(mems []*memtable.Memtable) error {
	for _, m := range mems {
		it := m.NewIter()
		for ok := it.First(); ok; ok = it.Next() {
			ptr, ok, err := pointerOf(it.Key(), it.Value())
			if err != nil {
				return errors.Join(err, it.Close())
			}
			if ok {
				f.discards[ptr.File] += uint64(ptr.Size)
				f.dropped = append(f.dropped, ptr)
			}
		}
		if err := errors.Join(it.Err(), it.Close()); err != nil {
			return err
		}
	}
	return nil
}

// pointerOf is the value pointer of an entry; ok is false if it has none.
func pointerOf(key base.InternalKey, payload []byte) (ptr base.Pointer, ok bool, err error) {
	kind := key.Trailer.Kind()
	if kind.Op() != base.KindSetPointer {
		return ptr, false, nil
	}
	_, enc, err := base.SplitPayload(kind, payload)
	if err == nil {
		ptr, err = base.DecodePointer(enc)
	}
	if err != nil {
		return ptr, false, payloadError(key.User, key.Trailer, err)
	}
	return ptr, true, nil
}

// edit is what the flush changes, without where the log begins.
func (f *flushRun) edit() *manifest.Edit {
	edit := &manifest.Edit{Discards: f.discards}
	for file, n := range f.db.lost {
		edit.Discards[file] += n
	}
	for _, meta := range f.tables {
		edit.Added = append(edit.Added, manifest.AddedTable{Level: 0, Meta: meta})
	}
	if f.expiryHorizon > 0 {
		edit.ExpiryHorizon = &f.expiryHorizon
	}
	return edit
}

// end lets go of what the run holds: value-log files that values were moved
// to, and snapshots that keep their read state.
func (f *flushRun) end() {
	if f.filtering {
		f.db.opened.endFilter()
	}
	for file := range f.separated {
		f.db.active.unpin(file)
	}
}
