package compaction

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"syscall"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/iterator"
	"github.com/cordwood-db/cordwood/internal/rangedel"
	"github.com/cordwood-db/cordwood/manifest"
	"github.com/cordwood-db/cordwood/sstable"
)

// Run carries out plan, which was picked from tree or from an older state of it
// that shares all tables of the plan, and returns the edit that puts its effect
// in place. The caller holds a reference to a version with tree, and applies
// the edit.
//
// snapshots are as in WriteParams, now as in its Now. On an error nothing has
// changed: inputs are as they were, outputs are removed as far as possible.
// Damage in an input is a *base.CorruptionError.
//
// Damage does not keep the tables of a dropped keyspace alive: one whose
// properties are damaged, or that the disk cannot read (EIO), or whose file is
// missing, is dropped like the others. What it referred to in the value log is
// then not known, so that it is not in the edit's Discards, and Env.OnDamage is
// told. (Collection finds out that the records are dead when it gets to their
// files for other reasons.) Other errors, such as a lack of descriptors, fail
// the run also here, and trying again helps.
func Run(ctx context.Context, env *Env, tree *manifest.Tree, plan *Plan, snapshots []base.SeqNum, now uint64) (*manifest.Edit, Stats, error) {
	if plan.Keyspace != tree.Num {
		return nil, Stats{}, fmt.Errorf("compaction: %s: not a plan of keyspace %d", plan, tree.Num)
	}
	edit := &manifest.Edit{}
	plan.Tables(func(level int, t *manifest.TableMeta) {
		edit.Deleted = append(edit.Deleted, manifest.DeletedTable{Level: level, Num: t.Num})
	})
	var stats Stats
	var err error
	switch {
	case plan.TrivialMove:
		plan.Tables(func(_ int, t *manifest.TableMeta) {
			edit.Added = append(edit.Added, manifest.AddedTable{Level: plan.OutputLevel, Meta: t})
		})
	case plan.DeleteOnly:
		stats, err = runDrop(env, tree, plan, edit)
	default:
		stats, err = runMerge(ctx, env, tree, plan, snapshots, now, edit)
	}
	if err != nil {
		return nil, stats, fmt.Errorf("compaction: %s: %w", plan, err)
	}
	return edit, stats, nil
}

// runDrop accounts for the value-log bytes of tables that are dropped unread:
// their properties know.
func runDrop(env *Env, tree *manifest.Tree, plan *Plan, edit *manifest.Edit) (stats Stats, err error) {
	lost := make(map[base.FileNum]uint64)
	plan.Tables(func(_ int, t *manifest.TableMeta) {
		stats.TablesIn++
		stats.EntriesIn += t.Entries
		stats.Covered += t.Entries
		if t.VlogBytes == 0 || err != nil {
			return
		}
		err = addVlogBytes(env, t, lost)
		if err != nil && tree.Dropped && isLost(err) {
			if env.OnDamage != nil {
				env.OnDamage(t, err)
			}
			err = nil
		}
	})
	if len(lost) > 0 {
		edit.Discards = lost
	}
	return stats, err
}

// isLost reports whether err says that a file, or part of it, cannot be had
// back by reading it again.
func isLost(err error) bool {
	_, corrupt := errors.AsType[*base.CorruptionError](err)
	_, missing := errors.AsType[*base.MissingFileError](err)
	return corrupt || missing || errors.Is(err, syscall.EIO)
}

func runMerge(ctx context.Context, env *Env, tree *manifest.Tree, plan *Plan, snapshots []base.SeqNum, now uint64, edit *manifest.Edit) (Stats, error) {
	if env.Keyspace != tree.Num {
		env = new(*env)
		env.Keyspace = tree.Num
	}
	in, err := openInputs(env.Tables, tree, plan)
	if err != nil {
		return Stats{}, err
	}
	below := newOlder(tree, plan)
	out, err := WriteTables(ctx, env, in.input(), WriteParams{
		Snapshots:        snapshots,
		Now:              now,
		TargetTableBytes: plan.TargetTableBytes,
		Bottom:           below.bottom,
		BottomRange:      below.bottomRange,
		Grandparents:     plan.Grandparents,
		LevelHint:        plan.OutputLevel,
		filterRun:        &FilterRun{OutputLevel: plan.OutputLevel, Bottom: deepest(tree, plan)},
	})
	if cerr := in.close(); err == nil && cerr != nil {
		err = errors.Join(cerr, removeTables(env, out.Tables))
	}
	if err != nil {
		return Stats{}, err
	}
	var want uint64
	plan.Tables(func(_ int, t *manifest.TableMeta) {
		want += t.Entries
		out.Stats.TablesIn++
		out.Stats.TableBytesIn += t.Size
	})
	if got := out.Stats.EntriesIn; got != want {
		err := &base.CorruptionError{File: compactionInput, Offset: -1,
			Reason: fmt.Sprintf("tables hold %d entries, but %d were read", want, got)}
		return Stats{}, errors.Join(err, removeTables(env, out.Tables))
	}
	for _, t := range out.Tables {
		edit.Added = append(edit.Added, manifest.AddedTable{Level: plan.OutputLevel, Meta: t})
	}
	if len(out.Discards) > 0 {
		edit.Discards = out.Discards
	}
	if out.ExpiryHorizon > 0 {
		edit.ExpiryHorizon = &out.ExpiryHorizon
	}
	return out.Stats, nil
}

// inputs are the open sources of a merge.
type inputs struct {
	cache *sstable.TableCache
	iters []iterator.Iterator
	held  []*sstable.Handle // of tables with range tombstones, whose keys they own
	own   []*rangedel.Set
	hide  []*rangedel.Set
	merge *iterator.Merging
}

// openInputs opens the plan's tables: those of level 0 all at once, those of
// other levels one after another as the merge gets to them. On an error nothing
// stays open.
func openInputs(cache *sstable.TableCache, tree *manifest.Tree, plan *Plan) (in *inputs, err error) {
	in = &inputs{cache: cache}
	defer func() {
		if err != nil {
			err = errors.Join(err, in.close())
		}
	}()
	for i, tables := range plan.Inputs {
		if len(tables) == 0 {
			continue
		}
		if i > 0 || plan.StartLevel > 0 {
			in.iters = append(in.iters, &concat{tables: tables, open: in.openTable})
			continue
		}
		for _, t := range tables {
			it, err := in.openTable(t)
			if err != nil {
				return in, err
			}
			in.iters = append(in.iters, it)
		}
	}
	var isInput []base.FileNum
	plan.Tables(func(_ int, t *manifest.TableMeta) {
		isInput = append(isInput, t.Num)
		if err == nil {
			err = in.addRangeDels(t, &in.own, nil)
		}
	})
	if err != nil {
		return in, err
	}
	// Range tombstones of other tables hide entries just as well. Those that
	// lie below are older than all that is in the inputs: they do no harm.
	for l := range tree.Levels {
		for _, t := range tree.Overlaps(l, plan.Start, plan.End) {
			if slices.Contains(isInput, t.Num) {
				continue
			}
			if err := in.addRangeDels(t, &in.hide, plan); err != nil {
				return in, err
			}
		}
	}
	in.merge = iterator.NewMerging(in.iters...)
	in.iters = nil
	return in, nil
}

func (in *inputs) input() Input {
	return Input{Iter: in.merge, RangeDels: rangedel.Merge(in.own...), Hide: rangedel.Merge(in.hide...)}
}

// openTable opens a table for reading it through once.
func (in *inputs) openTable(t *manifest.TableMeta) (iterator.Iterator, error) {
	h, err := in.cache.Get(t.Num, t.ID)
	if err != nil {
		return nil, err
	}
	return &tableIter{Iterator: h.NewIter(sstable.IterOptions{Readahead: true}), handle: h}, nil
}

// addRangeDels adds the table's range tombstones to *sets, if it has any; only
// those within the plan's keys, if there is a plan.
func (in *inputs) addRangeDels(t *manifest.TableMeta, sets *[]*rangedel.Set, within *Plan) error {
	if t.RangeDels == 0 {
		return nil
	}
	h, err := in.cache.Get(t.Num, t.ID)
	if err != nil {
		return err
	}
	in.held = append(in.held, h)
	set := h.RangeDels()
	if within != nil {
		behind := append(bytes.Clone(within.End), 0) // the first key after End
		set = set.Truncate(within.Start, behind)
	}
	*sets = append(*sets, set)
	return nil
}

// close closes what is open.
func (in *inputs) close() error {
	var errs []error
	if in.merge != nil {
		errs = append(errs, in.merge.Close())
	}
	for _, it := range in.iters {
		errs = append(errs, it.Close())
	}
	for _, h := range in.held {
		h.Release()
	}
	return errors.Join(errs...)
}

// tableIter holds on to its table while it is open.
type tableIter struct {
	iterator.Iterator
	handle *sstable.Handle
}

// Close implements iterator.Iterator.
func (it *tableIter) Close() error {
	err := it.Iterator.Close()
	it.handle.Release()
	return err
}
