package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/syndtr/goleveldb/leveldb"
	"github.com/syndtr/goleveldb/leveldb/filter"
	"github.com/syndtr/goleveldb/leveldb/iterator"
	"github.com/syndtr/goleveldb/leveldb/opt"
	"github.com/syndtr/goleveldb/leveldb/util"

	"github.com/cordwood-db/cordwood/bench/engine"
)

func init() {
	engine.Register(&engine.Engine{
		Name:      "goleveldb",
		Title:     "goleveldb",
		Module:    "github.com/syndtr/goleveldb",
		Abilities: engine.Transactions,
		Settings:  goleveldbSettings,
		Open:      openGoleveldb,
	})
}

const (
	goleveldbFiles = 1000
	// goleveldbMemtables is how many memtables there are at most.
	goleveldbMemtables = 2
	// A transaction of a bulk load has so many memtables.
	goleveldbLoadBuffers = 4
)

func goleveldbOptions(o engine.Options) *opt.Options {
	options := &opt.Options{
		WriteBuffer:            int(o.MemtableBytes),
		BlockCacheCapacity:     int(o.CacheBytes),
		OpenFilesCacheCapacity: goleveldbFiles,
		DisableSeeksCompaction: true,
	}
	if o.MemtablesMax == 1 {
		options.WriteBuffer /= goleveldbMemtables
	}
	// As the defaults are to each other: 2 and 10 MiB to 4 MiB.
	options.CompactionTableSize = max(options.WriteBuffer/2, 64<<10)
	options.CompactionTotalSize = max(options.WriteBuffer/2*5, 64<<10)
	if o.FilterBits > 0 {
		options.Filter = filter.NewBloomFilter(o.FilterBits)
	}
	if o.Compression == engine.CompressionNone {
		options.Compression = opt.NoCompression
	}
	return options
}

func goleveldbSettings(o engine.Options) []engine.Setting {
	options := goleveldbOptions(o)
	bloom, compression := "none", "Snappy"
	if o.FilterBits > 0 {
		bloom = fmt.Sprintf("Bloom, %d bits", o.FilterBits)
	}
	if o.Compression == engine.CompressionNone {
		compression = "none"
	}
	return []engine.Setting{
		{Name: "WriteBuffer", Value: engine.Size(int64(options.WriteBuffer)), Why: "as for all engines; it has at most two of them"},
		{Name: "BlockCacheCapacity", Value: engine.Size(int64(options.BlockCacheCapacity)),
			Why: "as for all engines; indexes and filters are in it"},
		{Name: "Filter", Value: bloom, Why: "as for all engines"},
		{Name: "Compression", Value: compression, Why: "as asked; Snappy is its default"},
		{Name: "WriteOptions.Sync", Value: strconv.FormatBool(o.Sync),
			Why: "as for all engines; the journal reaches the operating system either way. NoSync stays off: it is for no fsync at all, of tables too"},
		{Name: "CompactionTableSize", Value: engine.Size(int64(options.CompactionTableSize)),
			Why: "half of WriteBuffer, as by default (2 and 4 MiB); smaller ones delayed writers longer in a measurement"},
		{Name: "CompactionTotalSize", Value: engine.Size(int64(options.CompactionTotalSize)),
			Why: "two and a half times WriteBuffer, as by default (10 and 4 MiB)"},
		{Name: "OpenFilesCacheCapacity", Value: strconv.Itoa(goleveldbFiles), Why: "all tables stay open; the default is 500"},
		{Name: "DisableSeeksCompaction", Value: "true",
			Why: "documentation of Options: compactions by seeks may be many and small; go-ethereum sets it"},
		{Name: "BlockSize", Value: "4 KiB", Why: "default"},
		{Name: "transactions", Value: "OpenTransaction",
			Why: "its only ones that write: they lock out all other writers, and each writes and syncs a table; its documentation advises against small ones. Those that only read are snapshots"},
		{Name: "bulk load", Value: "OpenTransaction",
			Why: "documentation of OpenTransaction: for data of at least a WriteBuffer; it goes to tables without a journal"},
	}
}

func openGoleveldb(o engine.Options) (engine.Store, error) {
	options := goleveldbOptions(o)
	opened, err := leveldb.OpenFile(o.Dir, options)
	if err != nil {
		return nil, err
	}
	return &goleveldbStore{db: opened, options: options, write: &opt.WriteOptions{Sync: o.Sync}}, nil
}

// goleveldbStore is an open store.
type goleveldbStore struct {
	db      *leveldb.DB
	options *opt.Options
	write   *opt.WriteOptions
}

// appendFound appends what Get returned, a slice that is its caller's.
func appendFound(dst, value []byte, err error) ([]byte, error) {
	switch {
	case err == nil && len(dst) == 0:
		return value, nil
	case err == nil:
		return append(dst, value...), nil
	case errors.Is(err, leveldb.ErrNotFound):
		return dst, engine.ErrNotFound
	}
	return dst, err
}

func (s *goleveldbStore) Get(dst, key []byte) ([]byte, error) {
	value, err := s.db.Get(key, nil)
	return appendFound(dst, value, err)
}

func (s *goleveldbStore) Put(key, value []byte) error { return s.db.Put(key, value, s.write) }

func (s *goleveldbStore) Delete(key []byte) error { return s.db.Delete(key, s.write) }

func (s *goleveldbStore) Close() error { return s.db.Close() }

// flush writes the memtable to a table: beginning a transaction does so, and
// there is no other call that does no more.
func (s *goleveldbStore) flush() error {
	tx, err := s.db.OpenTransaction()
	if err != nil {
		return err
	}
	tx.Discard()
	return nil
}

const (
	goleveldbPoll = 5 * time.Millisecond
	// goleveldbCalm is how long nothing may happen in a settled store.
	goleveldbCalm = 50 * time.Millisecond
)

// Settle waits until no level is over its limit and nothing is read or written:
// it does not tell whether a compaction runs.
func (s *goleveldbStore) Settle(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := s.flush(); err != nil {
		return fmt.Errorf("flushing: %w", err)
	}
	tick := time.NewTicker(goleveldbPoll)
	defer tick.Stop()
	var read, written uint64
	calm := time.Now()
	for time.Since(calm) < goleveldbCalm {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		var stats leveldb.DBStats
		if err := s.db.Stats(&stats); err != nil {
			return err
		}
		if stats.IORead != read || stats.IOWrite != written || s.compactionDue(&stats) {
			calm = time.Now()
		}
		read, written = stats.IORead, stats.IOWrite
	}
	return nil
}

// compactionDue goes by the engine's own measure for levels.
func (s *goleveldbStore) compactionDue(stats *leveldb.DBStats) bool {
	for level, size := range stats.LevelSizes {
		if level == 0 && stats.LevelTablesCounts[0] >= s.options.GetCompactionL0Trigger() ||
			level > 0 && size >= s.options.GetCompactionTotalSize(level) {
			return true
		}
	}
	return false
}

// Busy implements engine.Busier.
func (s *goleveldbStore) Busy() string {
	var stats leveldb.DBStats
	if err := s.db.Stats(&stats); err != nil || len(stats.LevelTablesCounts) == 0 {
		return ""
	}
	tables := stats.LevelTablesCounts[0]
	switch {
	case stats.WritePaused:
		return fmt.Sprintf("writes paused: L0 has %d tables", tables)
	case tables >= s.options.GetWriteL0SlowdownTrigger():
		return fmt.Sprintf("L0 has %d tables", tables)
	}
	return ""
}

// Counters implements engine.Counter.
func (s *goleveldbStore) Counters() map[string]float64 {
	var stats leveldb.DBStats
	if err := s.db.Stats(&stats); err != nil {
		return nil
	}
	counters := map[string]float64{
		"flushes":             float64(stats.MemComp),
		"l0_compactions":      float64(stats.Level0Comp),
		"other_compactions":   float64(stats.NonLevel0Comp),
		"seek_compactions":    float64(stats.SeekComp),
		"write_delays":        float64(stats.WriteDelayCount),
		"write_delay_seconds": stats.WriteDelayDuration.Seconds(),
		"written_bytes":       float64(stats.IOWrite),
		"read_bytes":          float64(stats.IORead),
		"cache_hits":          float64(stats.BlockCache.HitCount),
		"cache_misses":        float64(stats.BlockCache.MissCount),
		"cache_bytes_now":     float64(stats.BlockCacheSize),
		"open_tables_now":     float64(stats.OpenedTablesCount),
		"table_bytes_now":     float64(stats.LevelSizes.Sum()),
		"l0_tables_now":       0,
	}
	if len(stats.LevelTablesCounts) > 0 {
		counters["l0_tables_now"] = float64(stats.LevelTablesCounts[0])
	}
	return counters
}

// BulkLoad writes tables without a journal, in several transactions so that
// level 0 can be compacted meanwhile.
func (s *goleveldbStore) BulkLoad(ctx context.Context, next func() (key, value []byte, ok bool)) error {
	for more := true; more; {
		if err := ctx.Err(); err != nil {
			return err
		}
		tx, err := s.db.OpenTransaction()
		if err != nil {
			return err
		}
		for held := 0; held < goleveldbLoadBuffers*s.options.GetWriteBuffer(); {
			var key, value []byte
			if key, value, more = next(); !more {
				break
			}
			if err := tx.Put(key, value, nil); err != nil {
				tx.Discard()
				return err
			}
			held += len(key) + len(value)
		}
		if err := tx.Commit(); err != nil {
			tx.Discard()
			return err
		}
	}
	return nil
}

// Update implements engine.Transactor. There are no conflicts: one transaction
// is open at a time.
func (s *goleveldbStore) Update(fn func(engine.Tx) error) (retries int, err error) {
	tx, err := s.db.OpenTransaction()
	if err != nil {
		return 0, err
	}
	if err := fn(goleveldbTx{tx}); err != nil {
		tx.Discard()
		return 0, err
	}
	if err := tx.Commit(); err != nil {
		tx.Discard()
		return 0, err
	}
	return 0, nil
}

// View implements engine.Viewer by a snapshot, which locks nobody out.
func (s *goleveldbStore) View(fn func(engine.Tx) error) error {
	snapshot, err := s.db.GetSnapshot()
	if err != nil {
		return err
	}
	defer snapshot.Release()
	return fn(goleveldbView{snapshot})
}

// goleveldbView is a transaction that only reads.
type goleveldbView struct{ snapshot *leveldb.Snapshot }

func (v goleveldbView) Get(dst, key []byte) ([]byte, error) {
	value, err := v.snapshot.Get(key, nil)
	return appendFound(dst, value, err)
}

func (goleveldbView) Put([]byte, []byte) error { return leveldb.ErrReadOnly }

func (goleveldbView) Delete([]byte) error { return leveldb.ErrReadOnly }

type goleveldbTx struct{ tx *leveldb.Transaction }

func (t goleveldbTx) Get(dst, key []byte) ([]byte, error) {
	value, err := t.tx.Get(key, nil)
	return appendFound(dst, value, err)
}

func (t goleveldbTx) Put(key, value []byte) error { return t.tx.Put(key, value, nil) }

func (t goleveldbTx) Delete(key []byte) error { return t.tx.Delete(key, nil) }

// goleveldbBatch is a leveldb.Batch that knows its store.
type goleveldbBatch struct {
	store *goleveldbStore
	batch leveldb.Batch
}

func (s *goleveldbStore) NewBatch() engine.Batch { return &goleveldbBatch{store: s} }

func (b *goleveldbBatch) Put(key, value []byte) error {
	b.batch.Put(key, value)
	return nil
}

func (b *goleveldbBatch) Delete(key []byte) error {
	b.batch.Delete(key)
	return nil
}

func (b *goleveldbBatch) Commit() error {
	err := b.store.db.Write(&b.batch, b.store.write)
	b.batch.Reset()
	return err
}

func (b *goleveldbBatch) Close() error {
	b.batch = leveldb.Batch{}
	return nil
}

func (s *goleveldbStore) NewCursor(o engine.CursorOptions) (engine.Cursor, error) {
	var within *util.Range
	if o.Lower != nil || o.Upper != nil {
		within = &util.Range{Start: o.Lower, Limit: o.Upper}
	}
	it := s.db.NewIterator(within, nil)
	if err := it.Error(); err != nil {
		it.Release()
		return nil, err
	}
	if o.Reverse {
		return &goleveldbBack{goleveldbCursor{it}}, nil
	}
	return &goleveldbCursor{it}, nil
}

// goleveldbCursor goes upwards.
type goleveldbCursor struct{ iterator.Iterator }

func (c *goleveldbCursor) Value() ([]byte, error) { return c.Iterator.Value(), nil }

func (c *goleveldbCursor) Err() error { return c.Error() }

func (c *goleveldbCursor) Close() error {
	c.Release()
	return nil
}

// goleveldbBack goes downwards.
type goleveldbBack struct{ goleveldbCursor }

func (c *goleveldbBack) First() bool { return c.Last() }

func (c *goleveldbBack) Next() bool { return c.Prev() }

func (c *goleveldbBack) Seek(key []byte) bool {
	switch {
	case !c.Iterator.Seek(key):
		return c.Error() == nil && c.Last()
	case bytes.Equal(c.Key(), key):
		return true
	}
	return c.Prev()
}
