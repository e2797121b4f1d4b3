package db

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"time"

	"github.com/cordwood-db/cordwood/internal/compress"
	"github.com/cordwood-db/cordwood/vfs"
)

// Limits on what can be stored. They are checked before anything is written.
const (
	// MaxKeyBytes is the length of the longest key.
	MaxKeyBytes = 64 << 10
	// MaxValueBytes is the length of the longest value.
	MaxValueBytes = 1 << 30
	// MaxBatchBytes bounds the keys and values of one batch, which are held in
	// memory until it is committed. It is 1 GiB on 32-bit platforms. Without
	// the values that go to the value log, a batch has at most 3 GiB.
	MaxBatchBytes = maxBatchBytes
)

// Compression says how the blocks of a table are compressed.
type Compression uint8

const (
	// CompressionDefault is CompressionZstd, and for a keyspace what it had, or
	// what Options says.
	CompressionDefault Compression = iota
	// CompressionZstd is ZSTD at its fastest level.
	CompressionZstd
	// CompressionNone stores blocks as they are.
	CompressionNone

	compressionMax = CompressionNone
)

func (c Compression) kind() compress.Kind {
	if c == CompressionNone {
		return compress.None
	}
	return compress.Zstd
}

// Options are the settings of a store. nil and zero values mean the defaults;
// Open does not keep or change the struct it is given.
type Options struct {
	// FS is the file system. Default: the operating system's.
	FS vfs.FS
	// Logger gets one record for each background job and for each failure,
	// never a key or a value. Its handler must not use the store. Default:
	// nothing is logged.
	Logger *slog.Logger
	// Events is called, in order and from one goroutine, for what happens in
	// the background. A slow listener delays later events, never the store;
	// events beyond a backlog of 1024 are dropped and counted in Metrics. It
	// may use the store, but not Close it: Close waits for the last event.
	Events func(Event)
	// Merge is the operator behind Merge. Its name is stored: a store written
	// with one does not open with another. Default: none, Merge fails.
	Merge MergeOperator
	// CompactionFilter decides, while tables are merged, which values are kept.
	// It is for the default keyspace. Default: none.
	CompactionFilter CompactionFilter
	// Prefix finds prefixes of keys, which tables then remember beside the keys
	// in their filters: scans and cursors over Prefix(p), or another range whose
	// keys all have one prefix, pass over tables without such keys. It pays where
	// many tables cover each prefix and few hold it. Tables from before it was
	// set, or that another extractor was used for, are read as without one. It
	// is for the default keyspace, and called by any goroutine. Default: none.
	Prefix PrefixExtractor
	// Clock is the source of time for expiry. It is called while locks are
	// held, by any goroutine: it must not use the store. Default: time.Now.
	Clock func() time.Time

	// ReadOnly opens without writing anything: no lock file, no repair.
	ReadOnly bool
	// MustExist makes Open fail with fs.ErrNotExist instead of creating a store.
	MustExist bool

	// MemoryMax bounds memtables, block cache, filters and indexes together,
	// in bytes. What the Go collector adds is not in it (see docs/internals).
	// Default: 512 MiB.
	MemoryMax int64
	// MemtableBytes is the size at which a memtable is written out as a table.
	// At most 1 GiB and a quarter of MemoryMax. Default: 64 MiB, at most a sixth.
	MemtableBytes int64
	// BlockBytes is the size of a table's block before compression: the unit
	// of a point read. 1 to 16 MiB. Default: 8 KiB.
	BlockBytes int
	// TableBytes is the target size of a table below level 0. Default: 32 MiB.
	TableBytes int64
	// ValueThreshold is the length from which a value goes to the value log.
	// Default: 1 KiB. Negative: never.
	ValueThreshold int
	// FilterBitsPerKey sizes each table's filter. Default: 10. Negative: none.
	FilterBitsPerKey float64
	// Compression of table blocks. Default: CompressionZstd.
	Compression Compression

	// Durability is what Put, Delete and the other direct writes ask for, and
	// what Apply uses for DefaultDurability. Default: NoSync.
	Durability Durability
	// SyncInterval is how often the WAL is synced in the background for
	// commits that did not ask for it. Default: 100 ms. Negative: never.
	SyncInterval time.Duration
	// CompactionsMax is how many compactions run at once.
	// Default: half the processors, at least 2.
	CompactionsMax int
	// SpaceAmpMax is how many bytes of value log are kept for each live byte
	// before garbage collection slows writers to keep up. At least 1.05.
	// Default: 1.25.
	SpaceAmpMax float64
	// FeedBytes is how much of the log, together with the values that it points
	// at, is kept on disk for change feeds: those that are farther behind get
	// ErrFeedBehind. Values that are kept so count as live data for
	// SpaceAmpMax. Default: nothing, and 64 MiB while a feed is open.
	FeedBytes int64
	// OpenFilesMax bounds the descriptors held for tables and value-log files.
	// Default: 1000.
	OpenFilesMax int
}

const (
	kib = 1 << 10
	mib = 1 << 20
)

// withDefaults returns a copy of o with every default filled in.
func (o *Options) withDefaults() (Options, error) {
	var c Options
	if o != nil {
		c = *o
	}
	if c.FS == nil {
		c.FS = vfs.OS()
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	setDefault(&c.MemoryMax, 512*mib)
	setDefault(&c.MemtableBytes, min(64*mib, c.MemoryMax/6))
	setDefault(&c.BlockBytes, 8*kib)
	setDefault(&c.TableBytes, 32*mib)
	setDefault(&c.ValueThreshold, 1*kib)
	setDefault(&c.FilterBitsPerKey, 10)
	setDefault(&c.SyncInterval, 100*time.Millisecond)
	setDefault(&c.CompactionsMax, max(2, runtime.GOMAXPROCS(0)/2))
	setDefault(&c.SpaceAmpMax, 1.25)
	setDefault(&c.OpenFilesMax, 1000)
	if c.Durability == DefaultDurability {
		c.Durability = NoSync
	}
	setDefault(&c.Compression, CompressionZstd)
	c.ValueThreshold = thresholdOf(c.ValueThreshold)
	c.FilterBitsPerKey = max(c.FilterBitsPerKey, 0)
	return c, c.check()
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// errOptions is what every error about Options wraps.
var errOptions = errors.New("cordwood: invalid options")

func (o *Options) check() error {
	var errs []error
	bad := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf("%w: "+format, append([]any{errOptions}, args...)...))
		}
	}
	bad(o.MemoryMax >= 64*kib, "MemoryMax %d is below 64 KiB", o.MemoryMax)
	bad(o.MemtableBytes >= kib, "MemtableBytes %d is below 1 KiB", o.MemtableBytes)
	bad(o.MemtableBytes <= memtableBytesMax, "MemtableBytes %d is over 1 GiB", o.MemtableBytes)
	bad(o.MemtableBytes <= o.MemoryMax/4, "MemtableBytes %d is over a quarter of MemoryMax %d", o.MemtableBytes, o.MemoryMax)
	bad(o.BlockBytes >= 1 && o.BlockBytes <= 16*mib, "BlockBytes %d is not in 1..16 MiB", o.BlockBytes)
	bad(o.TableBytes >= kib, "TableBytes %d is below 1 KiB", o.TableBytes)
	bad(o.FilterBitsPerKey <= 64, "FilterBitsPerKey %g is over 64", o.FilterBitsPerKey)
	bad(o.Compression <= compressionMax, "Compression %d is unknown", o.Compression)
	bad(o.Durability <= Sync, "Durability %d is unknown", o.Durability)
	bad(o.CompactionsMax >= 1, "CompactionsMax %d is below 1", o.CompactionsMax)
	bad(o.SpaceAmpMax >= 1.05, "SpaceAmpMax %g is below 1.05", o.SpaceAmpMax)
	bad(o.FeedBytes >= 0, "FeedBytes %d is negative", o.FeedBytes)
	bad(o.OpenFilesMax >= 8, "OpenFilesMax %d is below 8", o.OpenFilesMax)
	return errors.Join(errs...)
}
