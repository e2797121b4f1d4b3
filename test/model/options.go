package model

import (
	"time"

	"github.com/cordwood-db/cordwood/db"
)

// feedBytesEnough keeps the whole log of a history.
const feedBytesEnough = 1 << 30

// drawOptions draws the settings of the store, from one extreme to the other.
// Most may differ at the next opening.
func (r *run) drawOptions() {
	o := &r.opts
	o.MemoryMax = pick[int64](r, 32<<20, 256<<10, 1<<20, 0)
	o.MemtableBytes = pick[int64](r, 1<<20, 2<<10, 8<<10, 64<<10, 4<<20)
	if o.FeedBytes == feedBytesEnough {
		o.MemtableBytes = max(o.MemtableBytes, 64<<10) // or there are too many segments
	}
	if o.MemoryMax > 0 {
		o.MemtableBytes = min(o.MemtableBytes, o.MemoryMax/4)
	}
	o.BlockBytes = pick(r, 1<<10, 1, 128, 16<<10, 1<<20, 16<<20)
	o.TableBytes = pick[int64](r, 1<<20, 4<<10, 32<<10, 0)
	o.ValueThreshold = pick(r, 100, -1, 1, 24, 400, 0, 1<<20)
	o.FilterBitsPerKey = pick[float64](r, 10, -1, 1, 64)
	o.Compression = pick(r, db.CompressionNone, db.CompressionZstd, db.CompressionNone, db.CompressionDefault)
	o.Durability = pick(r, db.NoSync, db.DefaultDurability, db.NoSync, db.Sync)
	o.SyncInterval = pick(r, -1, 0, time.Millisecond, 45*time.Second)
	o.CompactionsMax = pick(r, 1, 2, 4, 8)
	o.SpaceAmpMax = pick(r, 3, 1.05, 1.25, 100)
	o.OpenFilesMax = pick(r, 100, 8, 0)
	o.Prefix = r.drawPrefix()
	o.CompactionFilter = r.drawFilter()
}

// drawPrefix draws an extractor of prefixes, or none.
func (r *run) drawPrefix() db.PrefixExtractor {
	return pick(r, nil, db.FixedPrefix(1), db.FixedPrefix(2), db.FixedPrefix(6), db.DelimitedPrefix('/'))
}

// drawOperator draws a merge operator, or none.
func (r *run) drawOperator() db.MergeOperator {
	return pick(r, nil, db.Append(), db.Append(), db.Counter(), db.Max(), db.Union())
}

// drawFilter draws a compaction filter, or none.
func (r *run) drawFilter() db.CompactionFilter {
	if r.draw.One(3) {
		return sameFilter{}
	}
	return nil
}

// sameFilter replaces values by what they are, so that nothing may change by it.
// TestWhatAFilterLeavesIsConsistent has filters that do something: when one has
// done it only reads can tell, so that it needs another model.
type sameFilter struct{}

// Begin leaves some runs alone.
func (sameFilter) Begin(db.FilterRun) db.FilterFunc {
	return func(e *db.FilterEntry) (db.FilterDecision, error) {
		if len(e.Key)%2 == 0 {
			return db.FilterKeep, nil
		}
		v, err := e.Value()
		e.Replace = v
		return db.FilterChange, err
	}
}

// drawSpaceOptions draws the options that an open keyspace may be given again.
func (r *run) drawSpaceOptions(op db.MergeOperator) *db.KeyspaceOptions {
	return &db.KeyspaceOptions{
		Merge:            op,
		Prefix:           r.drawPrefix(),
		DefaultTTL:       time.Duration(pick(r, 0, 0, 0, -1, 3000, 60_000)) * time.Millisecond,
		BlockBytes:       pick(r, 0, 1, 300, 4<<10, 16<<20),
		ValueThreshold:   pick(r, 0, -1, 1, 50, 600),
		FilterBitsPerKey: pick[float64](r, 0, -1, 4, 20),
		Compression:      pick(r, db.CompressionDefault, db.CompressionZstd, db.CompressionNone),
		CompactionFilter: r.drawFilter(),
	}
}

// noteOptions says for people what the settings are.
func (r *run) noteOptions() {
	if !r.explains {
		return
	}
	o := &r.opts
	r.note("MemoryMax %d, MemtableBytes %d, BlockBytes %d, TableBytes %d, ValueThreshold %d, FilterBitsPerKey %g",
		o.MemoryMax, o.MemtableBytes, o.BlockBytes, o.TableBytes, o.ValueThreshold, o.FilterBitsPerKey)
	r.note("Compression %d, Durability %d, SyncInterval %v, CompactionsMax %d, SpaceAmpMax %g, FeedBytes %d, OpenFilesMax %d",
		o.Compression, o.Durability, o.SyncInterval, o.CompactionsMax, o.SpaceAmpMax, o.FeedBytes, o.OpenFilesMax)
	r.note("Prefix %v, CompactionFilter %v, racing %v", o.Prefix, o.CompactionFilter, r.racing)
}
