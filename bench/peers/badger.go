package main

import (
	"bytes"
	"context"
	"errors"
	"expvar"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
	"github.com/dgraph-io/badger/v4/pb"
	"github.com/dgraph-io/ristretto/v2/z"

	"github.com/cordwood-db/cordwood/bench/engine"
)

const (
	// badgerDiscardRatio is the share of garbage from which on a file of the value
	// log is worth rewriting.
	badgerDiscardRatio = 0.5
	// badgerCollectEvery is how often garbage is collected in the background.
	badgerCollectEvery = 30 * time.Second
	// badgerStreamBytes is the length of the entries that are handed to a stream
	// writer at once.
	badgerStreamBytes = 4 << 20
)

func init() {
	engine.Register(&engine.Engine{
		Name: "badger", Title: "Badger", Module: "github.com/dgraph-io/badger/v4",
		Abilities: engine.TTL | engine.Transactions | engine.ValueLog,
		Settings:  badgerSettings,
		Open:      func(o engine.Options) (engine.Store, error) { return openBadger(o) },
	})
}

// badgerIndexBytes is the part of the cache that is for indexes and filters:
// twice what the tables of the run's data need, about, and at most half of all.
func badgerIndexBytes(o engine.Options) int64 {
	const blockBytes, offsetBytes = 4 << 10, 40
	keys, entry := int64(o.Keys), int64(o.KeyBytes+o.ValueBytes)
	need := keys*int64(o.FilterBits)/8 + keys*entry/blockBytes*(offsetBytes+int64(o.KeyBytes))
	return min(max(2*need, o.CacheBytes/8), o.CacheBytes/2)
}

func badgerOptions(o engine.Options) badger.Options {
	index := badgerIndexBytes(o)
	opts := badger.DefaultOptions(o.Dir).
		WithLogger(badgerLogger{}).
		WithSyncWrites(o.Sync).
		WithMemTableSize(o.MemtableBytes).
		WithNumMemtables(max(1, o.MemtablesMax-2)).
		WithIndexCacheSize(index).
		WithBlockCacheSize(o.CacheBytes - index)
	if opts.BloomFalsePositive = 0; o.FilterBits > 0 {
		// Badger rounds up: a little less does not become one bit more.
		opts = opts.WithBloomFalsePositive(math.Exp2(0.01 - float64(o.FilterBits)))
	}
	if o.Compression == engine.CompressionNone {
		opts = opts.WithCompression(options.None).WithBlockCacheSize(0)
	}
	// A value below the threshold has to fit into a transaction.
	return opts.WithValueThreshold(min(opts.ValueThreshold, badgerTxnBytes(o)/2))
}

// badgerTxnBytes is what a transaction of Badger may write.
func badgerTxnBytes(o engine.Options) int64 { return 15 * o.MemtableBytes / 100 }

func badgerSettings(o engine.Options) []engine.Setting {
	opts := badgerOptions(o)
	compression, block := "Snappy", "the run's cache size but for IndexCacheSize"
	if o.Compression == engine.CompressionNone {
		compression = "none"
		block = "WithBlockCacheSize advises against a cache without compression: blocks are read through memory maps"
	}
	return []engine.Setting{
		{Name: "MemTableSize", Value: engine.Size(opts.MemTableSize), Why: "the run's memtable size. Badger has no call that flushes: what is in the last one when a phase settles stays there, and its log is the file that has it"},
		{Name: "NumMemtables", Value: strconv.Itoa(opts.NumMemtables), Why: "those that wait to be flushed: two fewer than the run's number of memtables, for the one that takes writes and the one that is being flushed"},
		{Name: "BlockCacheSize", Value: engine.Size(opts.BlockCacheSize), Why: block},
		{Name: "IndexCacheSize", Value: engine.Size(opts.IndexCacheSize), Why: "within the run's cache size: about twice what indexes and filters of the data need"},
		{Name: "BloomFalsePositive", Value: fmt.Sprintf("%.6f", opts.BloomFalsePositive), Why: fmt.Sprintf("the run's filter size: what makes Badger store %d bits a key (it stores -log2 of it)", o.FilterBits)},
		{Name: "Compression", Value: compression, Why: "the run's choice; Snappy is Badger's default"},
		{Name: "ValueThreshold", Value: engine.Size(opts.ValueThreshold), Why: "the default, 1 MiB, at most half of what fits into a transaction: smaller values are in the tree"},
		{Name: "SyncWrites", Value: strconv.FormatBool(o.Sync), Why: "the run's durability; without it writes are in a memory map, which survives the process"},
		{Name: "DetectConflicts", Value: strconv.FormatBool(opts.DetectConflicts), Why: "the default, needed by transactions"},
		{Name: "NumCompactors", Value: strconv.Itoa(opts.NumCompactors), Why: "the default"},
		{Name: "NumLevelZeroTables, NumLevelZeroTablesStall", Value: fmt.Sprintf("%d, %d", opts.NumLevelZeroTables, opts.NumLevelZeroTablesStall), Why: "the default"},
		{Name: "RunValueLogGC", Value: fmt.Sprintf("at %v garbage, every %v, and when a phase settles", badgerDiscardRatio, badgerCollectEvery), Why: "the ratio that RunValueLogGC recommends; Badger leaves calling it to the application"},
		{Name: "batches", Value: "one transaction of at most " + engine.Size(badgerTxnBytes(o)), Why: "a WriteBatch is not atomic, but several transactions; more than one holds (ErrTxnTooBig) is an error"},
		{Name: "PrefetchValues", Value: strconv.FormatBool(badgerPrefetch(o)), Why: "for values from the value log only: for others it is a goroutine each that copies what is in memory"},
	}
}

// badgerPrefetch tells whether cursors prefetch values: if they are in the value
// log.
func badgerPrefetch(o engine.Options) bool {
	return int64(o.ValueBytes) >= badgerOptions(o).ValueThreshold
}

// badgerLogger prints errors.
type badgerLogger struct{}

func (badgerLogger) Errorf(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "badger: "+format+"\n", args...)
}

func (badgerLogger) Warningf(string, ...any) {}
func (badgerLogger) Infof(string, ...any)    {}
func (badgerLogger) Debugf(string, ...any)   {}

// badgerStore is an open store, with a goroutine that collects garbage.
type badgerStore struct {
	db       *badger.DB
	dir      string
	prefetch bool
	stop     chan struct{}
	stopped  chan error
}

func openBadger(o engine.Options) (*badgerStore, error) {
	db, err := badger.Open(badgerOptions(o))
	if err != nil {
		return nil, err
	}
	s := &badgerStore{db: db, dir: o.Dir, prefetch: badgerPrefetch(o), stop: make(chan struct{}), stopped: make(chan error, 1)}
	go s.collectLater()
	return s, nil
}

// collectLater collects garbage now and then until the store is closed, or a collection fails.
func (s *badgerStore) collectLater() {
	tick := time.NewTicker(badgerCollectEvery)
	defer tick.Stop()
	for {
		select {
		case <-s.stop:
			s.stopped <- nil
			return
		case <-tick.C:
		}
		if _, err := s.collect(context.Background()); err != nil {
			s.stopped <- err
			return
		}
	}
}

// Close closes the store. A collection in the background that is under way is
// waited for.
func (s *badgerStore) Close() error {
	close(s.stop)
	return errors.Join(<-s.stopped, s.db.Close())
}

func (s *badgerStore) Get(dst, key []byte) ([]byte, error) {
	txn := s.db.NewTransaction(false)
	dst, err := badgerGet(txn, dst, key)
	txn.Discard()
	return dst, err
}

// badgerGet appends the value of key. ValueCopy writes over what it gets, so
// that it gets what is behind dst.
func badgerGet(txn *badger.Txn, dst, key []byte) ([]byte, error) {
	item, err := txn.Get(key)
	if err != nil {
		if errors.Is(err, badger.ErrKeyNotFound) {
			err = engine.ErrNotFound
		}
		return dst, err
	}
	value, err := item.ValueCopy(dst[len(dst):])
	if err != nil {
		return dst, err
	}
	if len(dst) == 0 {
		return value, nil
	}
	return append(dst, value...), nil
}

// MultiGet reads in one transaction, which costs less than one for each key.
func (s *badgerStore) MultiGet(keys [][]byte, see func(i int, value []byte, err error) error) error {
	txn := s.db.NewTransaction(false)
	defer txn.Discard()
	var value []byte
	for i, key := range keys {
		var err error
		if value, err = badgerGet(txn, value[:0], key); err != nil && err != engine.ErrNotFound {
			return err
		}
		if err := see(i, value, err); err != nil {
			return err
		}
	}
	return nil
}

func (s *badgerStore) Put(key, value []byte) error {
	return s.set(&badger.Entry{Key: key, Value: value})
}

func (s *badgerStore) PutTTL(key, value []byte, ttl time.Duration) error {
	return s.set((&badger.Entry{Key: key, Value: value}).WithTTL(ttl))
}

func (s *badgerStore) set(e *badger.Entry) error {
	txn := s.db.NewTransaction(true)
	defer txn.Discard()
	if err := txn.SetEntry(e); err != nil {
		return err
	}
	return txn.Commit()
}

func (s *badgerStore) Delete(key []byte) error {
	return s.db.Update(func(txn *badger.Txn) error { return txn.Delete(key) })
}

func (s *badgerStore) NewBatch() engine.Batch { return &badgerBatch{db: s.db} }

// badgerBatch is a transaction, since a WriteBatch of Badger is not atomic. A
// transaction refers to its keys and values, and so they are copied, into chunks
// that are used again.
type badgerBatch struct {
	db    *badger.DB
	txn   *badger.Txn // nil: nothing was written since the last Commit
	chunk badgerChunk
}

// badgerChunk is memory for copies, in pieces of growing size.
type badgerChunk struct{ free []byte }

func (c *badgerChunk) copy(b []byte) []byte {
	if len(b) > cap(c.free)-len(c.free) {
		c.free = make([]byte, 0, max(len(b), min(2*cap(c.free), 1<<20), 512))
	}
	start := len(c.free)
	c.free = append(c.free, b...)
	return c.free[start:len(c.free):len(c.free)]
}

func (b *badgerBatch) begin() *badger.Txn {
	if b.txn == nil {
		b.txn = b.db.NewTransaction(true)
	}
	return b.txn
}

func (b *badgerBatch) Put(key, value []byte) error {
	return badgerFits(b.begin().SetEntry(&badger.Entry{Key: b.chunk.copy(key), Value: b.chunk.copy(value)}))
}

func (b *badgerBatch) Delete(key []byte) error {
	return badgerFits(b.begin().Delete(b.chunk.copy(key)))
}

// badgerFits makes of Badger's error for a full transaction that of a batch.
func badgerFits(err error) error {
	if errors.Is(err, badger.ErrTxnTooBig) {
		return fmt.Errorf("%w: %w", engine.ErrBatchFull, err)
	}
	return err
}

func (b *badgerBatch) Commit() error {
	if b.txn == nil {
		return nil
	}
	err := b.txn.Commit()
	b.txn.Discard()
	b.txn, b.chunk.free = nil, b.chunk.free[:0]
	return err
}

func (b *badgerBatch) Close() error {
	if b.txn != nil {
		b.txn.Discard()
		b.txn = nil
	}
	return nil
}

// Update runs fn in a transaction of Badger, which is serializable.
func (s *badgerStore) Update(fn func(engine.Tx) error) (retries int, err error) {
	for ; ; retries++ {
		err := s.db.Update(func(txn *badger.Txn) error { return fn(&badgerTx{txn: txn}) })
		if !errors.Is(err, badger.ErrConflict) {
			return retries, err
		}
	}
}

// View runs fn in a transaction that only reads.
func (s *badgerStore) View(fn func(engine.Tx) error) error {
	return s.db.View(func(txn *badger.Txn) error { return fn(&badgerTx{txn: txn}) })
}

type badgerTx struct {
	txn   *badger.Txn
	chunk badgerChunk
}

func (t *badgerTx) Get(dst, key []byte) ([]byte, error) { return badgerGet(t.txn, dst, key) }

func (t *badgerTx) Put(key, value []byte) error {
	return t.txn.SetEntry(&badger.Entry{Key: t.chunk.copy(key), Value: t.chunk.copy(value)})
}

func (t *badgerTx) Delete(key []byte) error { return t.txn.Delete(t.chunk.copy(key)) }

// badgerCursor is an iterator and its transaction. Badger has no bounds but a
// prefix, so that the other ends are compared with.
type badgerCursor struct {
	txn   *badger.Txn
	it    *badger.Iterator
	o     engine.CursorOptions
	item  *badger.Item
	value []byte
}

func (s *badgerStore) NewCursor(o engine.CursorOptions) (engine.Cursor, error) {
	o.Lower, o.Upper = bytes.Clone(o.Lower), bytes.Clone(o.Upper)
	opts := badger.IteratorOptions{Reverse: o.Reverse, PrefetchValues: s.prefetch, PrefetchSize: badger.DefaultIteratorOptions.PrefetchSize}
	if o.Entries > 0 {
		opts.PrefetchSize = min(opts.PrefetchSize, o.Entries)
	}
	txn := s.db.NewTransaction(false)
	return &badgerCursor{txn: txn, it: txn.NewIterator(opts), o: o}, nil
}

func (c *badgerCursor) First() bool {
	if c.o.Reverse {
		c.it.Seek(c.o.Upper) // nil: from the end
		return c.below()
	}
	c.it.Seek(c.o.Lower) // nil: from the beginning
	return c.found()
}

func (c *badgerCursor) Seek(key []byte) bool {
	if !c.o.Reverse {
		if bytes.Compare(key, c.o.Lower) < 0 {
			key = c.o.Lower
		}
		c.it.Seek(key)
		return c.found()
	}
	if c.o.Upper != nil && bytes.Compare(key, c.o.Upper) >= 0 {
		c.it.Seek(c.o.Upper)
		return c.below()
	}
	if len(key) == 0 { // Badger has no empty key, and takes it for none
		c.item = nil
		return false
	}
	c.it.Seek(key)
	return c.found()
}

// below skips the upper bound itself, which a cursor downwards does not show.
func (c *badgerCursor) below() bool {
	if c.o.Upper != nil && c.it.Valid() && bytes.Equal(c.it.Item().Key(), c.o.Upper) {
		c.it.Next()
	}
	return c.found()
}

func (c *badgerCursor) Next() bool {
	c.it.Next()
	return c.found()
}

// found takes the entry that the iterator is on, unless it is behind the end.
func (c *badgerCursor) found() bool {
	c.item = nil
	if !c.it.Valid() {
		return false
	}
	item := c.it.Item()
	if c.o.Reverse {
		if c.o.Lower != nil && bytes.Compare(item.Key(), c.o.Lower) < 0 {
			return false
		}
	} else if c.o.Upper != nil && bytes.Compare(item.Key(), c.o.Upper) >= 0 {
		return false
	}
	c.item = item
	return true
}

func (c *badgerCursor) Key() []byte { return c.item.Key() }

func (c *badgerCursor) Value() (_ []byte, err error) {
	c.value, err = c.item.ValueCopy(c.value)
	return c.value, err
}

// Err is nil: Badger's iterators report no errors.
func (c *badgerCursor) Err() error { return nil }

func (c *badgerCursor) Close() error {
	c.it.Close()
	c.txn.Discard()
	return nil
}

// Settle syncs the logs, and waits until no memtable is to be flushed, no
// compaction runs, none is due, and a collection of garbage finds nothing worth
// it. Badger flushes no memtable before it is full: its log is its file. A level
// that Badger leaves alone for a second is none that it means to compact.
func (s *badgerStore) Settle(ctx context.Context) error {
	if err := s.db.Sync(); err != nil {
		return err
	}
	for {
		if err := s.wait(ctx); err != nil {
			return err
		}
		collected, err := s.collect(ctx)
		if err != nil || !collected {
			return err
		}
	}
}

// CollectGarbage rewrites files of the value log until none is worth it.
func (s *badgerStore) CollectGarbage(ctx context.Context) error {
	_, err := s.collect(ctx)
	return err
}

// collect reports whether there was anything worth collecting.
func (s *badgerStore) collect(ctx context.Context) (collected bool, err error) {
	for {
		if err := ctx.Err(); err != nil {
			return collected, err
		}
		err := s.db.RunValueLogGC(badgerDiscardRatio)
		switch {
		case err == nil:
			collected = true
		case errors.Is(err, badger.ErrNoRewrite):
			return collected, nil
		case errors.Is(err, badger.ErrRejected): // one runs in the background
			if err := badgerPause(ctx); err != nil {
				return collected, err
			}
		default:
			return collected, fmt.Errorf("badger: collecting garbage: %w", err)
		}
	}
}

// wait waits for flushes and compactions.
func (s *badgerStore) wait(ctx context.Context) error {
	quiet := time.Now()
	for {
		memtables, err := s.memtables()
		if err != nil {
			return err
		}
		running := memtables > 1 || badgerMetric("badger_compaction_current_num_lsm") > 0
		if running {
			quiet = time.Now()
		}
		if !running && (!s.due() || time.Since(quiet) > time.Second) {
			return ctx.Err()
		}
		if err := badgerPause(ctx); err != nil {
			return err
		}
	}
}

func badgerPause(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(10 * time.Millisecond):
		return nil
	}
}

// memtables counts the memtables by their logs, which Badger removes when it has
// flushed them.
func (s *badgerStore) memtables() (int, error) {
	logs, err := filepath.Glob(filepath.Join(s.dir, "*.mem"))
	return len(logs), err
}

// due tells whether Badger means to compact a level.
func (s *badgerStore) due() bool {
	for _, level := range s.db.Levels() {
		if level.Adjusted >= 1 || level.Level == 0 && level.Score >= 1 {
			return true
		}
	}
	return false
}

// badgerMetric reads a metric of Badger, or the sum of a map of them.
func badgerMetric(name string) int64 {
	switch v := expvar.Get(name).(type) {
	case *expvar.Int:
		return v.Value()
	case *expvar.Map:
		var sum int64
		v.Do(func(kv expvar.KeyValue) {
			if n, ok := kv.Value.(*expvar.Int); ok {
				sum += n.Value()
			}
		})
		return sum
	}
	return 0
}

// Busy names what Badger lets writers wait for: room in level 0, or for a
// memtable.
func (s *badgerStore) Busy() string {
	opts := s.db.Opts()
	if level := s.db.Levels()[0]; level.NumTables >= opts.NumLevelZeroTablesStall {
		return fmt.Sprintf("L0 has %d tables", level.NumTables)
	}
	if n, err := s.memtables(); err == nil && n > opts.NumMemtables+1 {
		return fmt.Sprintf("%d memtables are full", n)
	}
	return ""
}

func (s *badgerStore) Counters() map[string]float64 {
	lsm, vlog := s.db.Size()
	counters := map[string]float64{
		"l0_bytes_written":        float64(badgerMetric("badger_write_bytes_l0")),
		"compacted_bytes":         float64(badgerMetric("badger_write_bytes_compaction")),
		"value_log_bytes_written": float64(badgerMetric("badger_write_bytes_vlog")),
		"value_log_reads":         float64(badgerMetric("badger_read_num_vlog")),
		"filter_hits":             float64(badgerMetric("badger_hit_num_lsm_bloom_filter")),
		"l0_tables_now":           float64(s.db.Levels()[0].NumTables),
		"lsm_bytes_now":           float64(lsm),
		"value_log_bytes_now":     float64(vlog),
	}
	if m := s.db.BlockCacheMetrics(); m != nil {
		counters["block_cache_hits"], counters["block_cache_misses"] = float64(m.Hits()), float64(m.Misses())
	}
	if m := s.db.IndexCacheMetrics(); m != nil {
		counters["index_cache_hits"], counters["index_cache_misses"] = float64(m.Hits()), float64(m.Misses())
	}
	return counters
}

// BulkLoad writes tables of the last level with a StreamWriter. That drops what
// was in the store before, and so it has to be empty.
func (s *badgerStore) BulkLoad(ctx context.Context, next func() (key, value []byte, ok bool)) error {
	if err := s.checkEmpty(); err != nil {
		return err
	}
	w := s.db.NewStreamWriter()
	defer w.Cancel()
	if err := w.Prepare(); err != nil {
		return err
	}
	buf := z.NewBuffer(badgerStreamBytes+badgerStreamBytes/4, "bulk load")
	defer func() { _ = buf.Release() }() // memory of Go, which is not released by hand
	kv := &pb.KV{Version: 1}
	for more := true; more; {
		if err := ctx.Err(); err != nil {
			return err
		}
		buf.Reset()
		for buf.LenNoPadding() < badgerStreamBytes {
			if kv.Key, kv.Value, more = next(); !more {
				break
			}
			badger.KVToBuffer(kv, buf)
		}
		if err := w.Write(buf); err != nil {
			return err
		}
	}
	return w.Flush()
}

func (s *badgerStore) checkEmpty() error {
	txn := s.db.NewTransaction(false)
	defer txn.Discard()
	it := txn.NewIterator(badger.IteratorOptions{})
	defer it.Close()
	if it.Rewind(); it.Valid() {
		return errors.New("badger: bulk loading needs an empty store")
	}
	return nil
}
