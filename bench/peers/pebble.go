package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/objstorage/objstorageprovider"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/cordwood-db/cordwood/bench/engine"
)

// What does not depend on the run's options. pebbleTool is where most of it
// comes from: the options of Pebble's own benchmark program.
const (
	pebbleTool = "as in Pebble's own benchmark (cmd/pebble/db.go)"

	pebbleLostByKill = "up to 32 KiB, a block of the WAL that is not full"

	pebbleBlockBytes      = 4 << 10
	pebbleIndexBlockBytes = 256 << 10
	pebbleL0Compaction    = 2
	pebbleL0Stop          = 1000
	pebbleL0Concurrency   = 2
	pebbleBaseBytes       = 64 << 20
	pebbleTableBytes      = 2 << 20 // of a table in L0
	pebbleOpenFiles       = 16384

	pebbleMinSeparated = 512
	pebbleBlobDepth    = 10
	pebbleBlobAge      = 5 * time.Minute
	pebbleBlobGarbage  = 0.20

	// pebbleIngestBytes is the length of keys and values in a table that is
	// built for bulk loading.
	pebbleIngestBytes = 64 << 20
)

func init() {
	engine.Register(pebbleEngine("pebble", "Pebble", false))
	engine.Register(pebbleEngine("pebble-valsep", "Pebble with value separation", true))
}

func pebbleEngine(name, title string, separate bool) *engine.Engine {
	abilities := engine.Merge
	if separate {
		abilities |= engine.ValueLog
	}
	return &engine.Engine{
		Name: name, Title: title, Module: "github.com/cockroachdb/pebble/v2", Abilities: abilities,
		LostByKill: pebbleLostByKill,
		Settings:   func(o engine.Options) []engine.Setting { return pebbleSettings(o, separate) },
		Open: func(o engine.Options) (engine.Store, error) {
			s, err := openPebble(o, separate)
			if err != nil {
				return nil, err
			}
			if separate {
				return pebbleCollector{s}, nil
			}
			return s, nil
		},
	}
}

// pebbleCacheBytes is the size to give to Pebble's cache so that it caches
// Options.CacheBytes: it takes the memory of memtables out of its cache, and
// keeps two of them at rest, the mutable one and one for reuse.
func pebbleCacheBytes(o engine.Options) int64 {
	return o.CacheBytes + int64(min(2, o.MemtablesMax))*o.MemtableBytes
}

func pebbleCompactions() int { return min(3, runtime.GOMAXPROCS(0)) }

func pebbleOptions(o engine.Options, separate bool) *pebble.Options {
	opts := &pebble.Options{
		CacheSize:                   pebbleCacheBytes(o),
		FormatMajorVersion:          pebble.FormatNewest,
		L0CompactionThreshold:       pebbleL0Compaction,
		L0StopWritesThreshold:       pebbleL0Stop,
		LBaseMaxBytes:               pebbleBaseBytes,
		MaxOpenFiles:                pebbleOpenFiles,
		MemTableSize:                uint64(o.MemtableBytes),
		MemTableStopWritesThreshold: o.MemtablesMax,
		CompactionConcurrencyRange:  func() (int, int) { return 1, pebbleCompactions() },
	}
	opts.Experimental.L0CompactionConcurrency = pebbleL0Concurrency
	opts.Experimental.EnableColumnarBlocks = func() bool { return true }
	for i := range opts.Levels {
		l := &opts.Levels[i]
		l.BlockSize = pebbleBlockBytes
		l.IndexBlockSize = pebbleIndexBlockBytes
		if o.FilterBits > 0 {
			l.FilterPolicy = bloom.FilterPolicy(o.FilterBits)
		}
	}
	opts.Levels[len(opts.Levels)-1].FilterPolicy = pebble.NoFilterPolicy
	if o.Compression == engine.CompressionNone {
		opts.ApplyCompressionSettings(func() pebble.DBCompressionSettings { return pebble.DBCompressionNone })
	}
	opts.Experimental.ValueSeparationPolicy = func() pebble.ValueSeparationPolicy {
		return pebble.ValueSeparationPolicy{
			Enabled:               separate,
			MinimumSize:           pebbleMinSeparated,
			MaxBlobReferenceDepth: pebbleBlobDepth,
			RewriteMinimumAge:     pebbleBlobAge,
			TargetGarbageRatio:    pebbleBlobGarbage,
		}
	}
	opts.TargetFileSizes[0] = pebbleTableBytes
	opts.FlushSplitBytes = pebbleTableBytes
	return opts
}

func pebbleSettings(o engine.Options, separate bool) []engine.Setting {
	opts := pebbleOptions(o, separate)
	filter := "none"
	if o.FilterBits > 0 {
		filter = fmt.Sprintf("Bloom, %d bits a key, L0 to L5", o.FilterBits)
	}
	compression := "Snappy"
	if o.Compression == engine.CompressionNone {
		compression = "none"
	}
	durability := "when the process is killed, it loses " + pebbleLostByKill
	if o.Sync {
		durability = "survives power loss"
	}
	list := []engine.Setting{
		{Name: "MemTableSize", Value: engine.Size(int64(opts.MemTableSize)), Why: "the run's memtable size"},
		{Name: "MemTableStopWritesThreshold", Value: strconv.Itoa(opts.MemTableStopWritesThreshold), Why: "the run's number of memtables"},
		{Name: "CacheSize", Value: engine.Size(opts.CacheSize), Why: "the run's cache size and two memtables: Pebble takes the memory of memtables out of its cache, and holds two of them at rest"},
		{Name: "FilterPolicy", Value: filter, Why: "the run's filter size; none in L6, " + pebbleTool + ": DB.Get reads none there, iterators only if asked (UseL6Filters, which its documentation advises for many seeks of missing keys, not for single ones)"},
		{Name: "Compression", Value: compression, Why: "the run's choice; Snappy is Pebble's default"},
		{Name: "BlockSize, IndexBlockSize", Value: engine.Size(pebbleBlockBytes) + ", " + engine.Size(pebbleIndexBlockBytes), Why: "the default, and for indexes " + pebbleTool + ". Its blocks of 32 KiB make scans a third cheaper, but twice the processor time for reads that miss the cache"},
		{Name: "L0CompactionThreshold, L0StopWritesThreshold", Value: fmt.Sprintf("%d, %d", pebbleL0Compaction, pebbleL0Stop), Why: pebbleTool + " and in CockroachDB"},
		{Name: "L0CompactionConcurrency", Value: strconv.Itoa(pebbleL0Concurrency), Why: "as in CockroachDB"},
		{Name: "LBaseMaxBytes", Value: engine.Size(pebbleBaseBytes), Why: pebbleTool + "; the default"},
		{Name: "TargetFileSizes", Value: "2 MiB, doubled for each level", Why: "the default"},
		{Name: "FlushSplitBytes", Value: engine.Size(opts.FlushSplitBytes), Why: pebbleTool + " and in CockroachDB: the target size of files in L0"},
		{Name: "CompactionConcurrencyRange", Value: fmt.Sprintf("1 to %d", pebbleCompactions()), Why: "1 to 3 " + pebbleTool + ", but not more than there are processors"},
		{Name: "MaxOpenFiles", Value: strconv.Itoa(pebbleOpenFiles), Why: pebbleTool},
		{Name: "FormatMajorVersion", Value: opts.FormatMajorVersion.String(), Why: "the newest format, with columnar blocks"},
		{Name: "cgo", Value: pebbleCgo(), Why: "with it Pebble has memtables and cache outside of Go's heap, else within"},
		{Name: "WriteOptions.Sync", Value: strconv.FormatBool(o.Sync), Why: "the run's durability: " + durability + " (WriteOptions.Sync); there is nothing between"},
	}
	if separate {
		list = append(list, engine.Setting{Name: "ValueSeparationPolicy",
			Value: fmt.Sprintf("values from %d B, depth %d, rewrites after %v at %.0f%% garbage", pebbleMinSeparated, pebbleBlobDepth, pebbleBlobAge, pebbleBlobGarbage*100),
			Why:   "sizes and age " + pebbleTool + "; the garbage ratio is the one that its documentation describes, for the benchmark never rewrites. Pebble rewrites on its own, and by that age nothing within phases of minutes: less is written then, and more space taken"})
	}
	return list
}

// pebbleCgo tells whether this program was built with cgo.
func pebbleCgo() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "CGO_ENABLED" {
				return strconv.FormatBool(s.Value == "1")
			}
		}
	}
	return "unknown"
}

// pebbleStore is an open store. The listener's fields are set by Pebble's
// goroutines.
type pebbleStore struct {
	db    *pebble.DB
	opts  *pebble.Options
	write *pebble.WriteOptions
	dir   string
	busy  atomic.Pointer[string] // why writers wait; nil: they do not
	fault atomic.Pointer[error]  // the first failure in the background
}

// pebbleCollector is a store with value separation, whose garbage Pebble
// collects by itself.
type pebbleCollector struct{ *pebbleStore }

// CollectGarbage waits until Pebble has done what it finds worth doing. It does
// not flush: that would make tables before their time.
func (s pebbleCollector) CollectGarbage(ctx context.Context) error { return s.wait(ctx) }

func openPebble(o engine.Options, separate bool) (*pebbleStore, error) {
	s := &pebbleStore{opts: pebbleOptions(o, separate), write: pebble.NoSync, dir: o.Dir}
	if o.Sync {
		s.write = pebble.Sync
	}
	s.opts.Logger = pebbleLogger{}
	s.opts.EventListener = &pebble.EventListener{
		BackgroundError: func(err error) { s.fault.CompareAndSwap(nil, &err) },
		WriteStallBegin: func(i pebble.WriteStallBeginInfo) { s.busy.Store(&i.Reason) },
		WriteStallEnd:   func() { s.busy.Store(nil) },
	}
	s.opts.EnsureDefaults()
	db, err := pebble.Open(o.Dir, s.opts)
	if err != nil {
		return nil, err
	}
	s.db = db
	return s, nil
}

// pebbleLogger drops what is for information. Pebble counts on Fatalf not to
// return.
type pebbleLogger struct{}

func (pebbleLogger) Infof(string, ...any) {}

func (pebbleLogger) Errorf(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "pebble: "+format+"\n", args...)
}

func (l pebbleLogger) Fatalf(format string, args ...any) {
	l.Errorf(format, args...)
	os.Exit(1)
}

func (s *pebbleStore) Get(dst, key []byte) ([]byte, error) {
	value, closer, err := s.db.Get(key)
	if err != nil {
		if errors.Is(err, pebble.ErrNotFound) {
			err = engine.ErrNotFound
		}
		return dst, err
	}
	dst = append(dst, value...)
	return dst, closer.Close()
}

func (s *pebbleStore) Put(key, value []byte) error { return s.db.Set(key, value, s.write) }

func (s *pebbleStore) Delete(key []byte) error { return s.db.Delete(key, s.write) }

func (s *pebbleStore) Merge(key, operand []byte) error { return s.db.Merge(key, operand, s.write) }

func (s *pebbleStore) NewBatch() engine.Batch {
	return &pebbleBatch{b: s.db.NewBatch(), write: s.write}
}

type pebbleBatch struct {
	b     *pebble.Batch
	write *pebble.WriteOptions
}

func (b *pebbleBatch) Put(key, value []byte) error { return b.b.Set(key, value, nil) }

func (b *pebbleBatch) Delete(key []byte) error { return b.b.Delete(key, nil) }

func (b *pebbleBatch) Commit() error {
	if err := b.b.Commit(b.write); err != nil {
		return err
	}
	b.b.Reset()
	return nil
}

func (b *pebbleBatch) Close() error { return b.b.Close() }

type pebbleCursor struct {
	it      *pebble.Iterator
	reverse bool
	after   []byte // the key after that of a Seek downwards
}

func (s *pebbleStore) NewCursor(o engine.CursorOptions) (engine.Cursor, error) {
	if o.Lower != nil && o.Upper != nil && bytes.Compare(o.Lower, o.Upper) > 0 {
		o.Upper = o.Lower // nothing either way, but Pebble wants bounds in order
	}
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: o.Lower, UpperBound: o.Upper})
	if err != nil {
		return nil, err
	}
	return &pebbleCursor{it: it, reverse: o.Reverse}, nil
}

func (c *pebbleCursor) First() bool {
	if c.reverse {
		return c.it.Last()
	}
	return c.it.First()
}

func (c *pebbleCursor) Seek(key []byte) bool {
	if c.reverse {
		c.after = append(append(c.after[:0], key...), 0)
		return c.it.SeekLT(c.after)
	}
	return c.it.SeekGE(key)
}

func (c *pebbleCursor) Next() bool {
	if c.reverse {
		return c.it.Prev()
	}
	return c.it.Next()
}

func (c *pebbleCursor) Key() []byte { return c.it.Key() }

func (c *pebbleCursor) Value() ([]byte, error) { return c.it.ValueAndErr() }

func (c *pebbleCursor) Err() error { return c.it.Error() }

func (c *pebbleCursor) Close() error { return c.it.Close() }

// Settle flushes, and waits until no compaction runs and no level has a score
// that asks for one. A score that Pebble leaves alone for a second is none that
// it means to act upon.
func (s *pebbleStore) Settle(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := s.db.Flush(); err != nil {
		return err
	}
	return s.wait(ctx)
}

// wait waits for compactions, those that rewrite blob files included.
func (s *pebbleStore) wait(ctx context.Context) error {
	quiet := time.Now()
	for {
		m := s.db.Metrics()
		running, due := pebbleWork(m)
		if running {
			quiet = time.Now()
		}
		if !running && (!due || time.Since(quiet) > time.Second) {
			return s.failure()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// pebbleWork tells whether work runs in the background, and whether some is due.
func pebbleWork(m *pebble.Metrics) (running, due bool) {
	running = m.Compact.NumInProgress > 0 || m.Flush.NumInProgress > 0 || m.MemTable.Count > 1
	due = m.Compact.MarkedFiles > 0 || m.Table.ObsoleteCount > 0 || m.BlobFiles.ObsoleteCount > 0 ||
		m.Table.PendingStatsCollectionCount > 0 || !m.Table.InitialStatsCollectionComplete
	for i := range m.Levels {
		due = due || m.Levels[i].Score >= 1
	}
	return running, due
}

func (s *pebbleStore) failure() error {
	if err := s.fault.Load(); err != nil {
		return fmt.Errorf("pebble: in the background: %w", *err)
	}
	return nil
}

func (s *pebbleStore) Close() error { return errors.Join(s.db.Close(), s.failure()) }

// Busy is what Pebble said when it began to stall writes.
func (s *pebbleStore) Busy() string {
	if reason := s.busy.Load(); reason != nil {
		return *reason
	}
	return ""
}

func (s *pebbleStore) Counters() map[string]float64 {
	m := s.db.Metrics()
	var compacted uint64
	for i := range m.Levels {
		compacted += m.Levels[i].TableBytesCompacted + m.Levels[i].BlobBytesCompacted
	}
	return map[string]float64{
		"flushes":           float64(m.Flush.Count),
		"compactions":       float64(m.Compact.Count),
		"compacted_bytes":   float64(compacted),
		"wal_bytes":         float64(m.WAL.BytesWritten),
		"cache_hits":        float64(m.BlockCache.Hits),
		"cache_misses":      float64(m.BlockCache.Misses),
		"blob_rewrites":     float64(m.Compact.BlobFileRewriteCount),
		"cache_bytes_now":   float64(m.BlockCache.Size),
		"l0_sublevels_now":  float64(m.Levels[0].Sublevels),
		"blob_bytes_now":    float64(m.BlobFiles.LiveSize),
		"memtable_size_now": float64(m.MemTable.Size),
	}
}

// BulkLoad builds tables of the last level and ingests them, which is atomic.
// Values stay in them: Pebble separates those that it flushes or compacts.
func (s *pebbleStore) BulkLoad(ctx context.Context, next func() (key, value []byte, ok bool)) error {
	dir := filepath.Join(s.dir, "bulkload")
	if err := os.Mkdir(dir, 0o777); err != nil {
		return err
	}
	paths, err := s.buildTables(ctx, dir, next)
	if err == nil && len(paths) > 0 {
		err = s.db.Ingest(ctx, paths)
	}
	return errors.Join(err, os.RemoveAll(dir))
}

func (s *pebbleStore) buildTables(ctx context.Context, dir string, next func() (key, value []byte, ok bool)) ([]string, error) {
	options := s.opts.MakeWriterOptions(len(s.opts.Levels)-1, s.db.FormatMajorVersion().MaxTableFormat())
	var paths []string
	var w *sstable.Writer
	size := 0
	for {
		key, value, ok := next()
		if !ok {
			break
		}
		if w == nil {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			path := filepath.Join(dir, strconv.Itoa(len(paths))+".sst")
			f, err := vfs.Default.Create(path, vfs.WriteCategoryUnspecified)
			if err != nil {
				return nil, err
			}
			w, size = sstable.NewWriter(objstorageprovider.NewFileWritable(f), options), 0
			paths = append(paths, path)
		}
		if err := w.Set(key, value); err != nil {
			return nil, errors.Join(err, w.Close())
		}
		if size += len(key) + len(value); size >= pebbleIngestBytes {
			if err := w.Close(); err != nil {
				return nil, err
			}
			w = nil
		}
	}
	if w == nil {
		return paths, nil
	}
	return paths, w.Close()
}
