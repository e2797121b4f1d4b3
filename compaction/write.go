package compaction

import (
	"context"
	"errors"
	"fmt"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/invariants"
	"github.com/cordwood-db/cordwood/internal/rangedel"
)

// WriteTables writes what is left of in, under the rules of the package
// comment, to tables of env.Dir. Flush and compaction share it.
//
// On return without error all tables and the directory are synced; there may
// be no table at all. On an error the files that were begun are removed as far
// as possible, failures of which are joined to the error, and no Output is
// returned. in.Iter stays the caller's to close.
func WriteTables(ctx context.Context, env *Env, in Input, p WriteParams) (*Output, error) {
	st := newStripes(p.Snapshots)
	tombs, err := survivingTombstones(in.RangeDels, st)
	if err != nil {
		return nil, err
	}
	values, err := newValueFilter(env, p, st)
	if err != nil {
		return nil, err
	}
	o := newOutputs(env, p, tombs, st)
	f := &filter{
		in:       in.Iter,
		out:      o,
		stripes:  st,
		now:      p.Now,
		zeroSeqs: env.ZeroSeqNums && env.Separate == nil && p.LevelHint > 0,
		bottom:   p.Bottom,
		merge:    env.Merge,
		values:   values,
		tick:     func(n int) error { return tick(ctx, env, n) },
		cover:    rangedel.NewCursor(rangedel.Merge(in.RangeDels, in.Hide)),
		discards: discards{bytes: make(map[base.FileNum]uint64), onDrop: env.OnDrop},
	}
	if f.bottom == nil {
		f.bottom = func([]byte) bool { return false }
	}
	err = f.walk()
	if err == nil {
		err = env.checkFiles(f.discards.bytes, compactionInput)
	}
	if err == nil {
		err = o.finish()
	}
	if err != nil {
		return nil, errors.Join(err, o.abandon())
	}
	s := &f.stats
	if s.EntriesIn != s.EntriesOut+s.Dropped() || s.EntriesOut != o.entries {
		err := fmt.Errorf("compaction: %d entries in, but %d out (%d counted in tables) and %d dropped",
			s.EntriesIn, s.EntriesOut, o.entries, s.Dropped())
		invariants.Check(false, "%v", err)
		return nil, errors.Join(err, o.abandon())
	}
	s.BytesOut, s.TablesOut = o.bytes, len(o.tables)
	s.Separated, s.SeparatedBytes = o.separated, o.separatedBytes
	return &Output{Tables: o.tables, Discards: f.discards.bytes, ExpiryHorizon: f.horizon, Stats: *s}, nil
}

// tick passes on that n bytes of input were read, and asks whether to go on.
func tick(ctx context.Context, env *Env, n int) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if env.Cancel != nil {
		if err := env.Cancel(); err != nil {
			return err
		}
	}
	if env.Pace != nil && n > 0 {
		env.Pace(n)
	}
	return nil
}
