package cordwood

import (
	"fmt"
	"time"

	"github.com/cordwood-db/cordwood/bench/engine"
	"github.com/cordwood-db/cordwood/db"
)

func init() {
	engine.Register(&engine.Engine{
		Name:      "cordwood",
		Title:     "Cordwood",
		Module:    "github.com/cordwood-db/cordwood",
		Abilities: engine.Merge | engine.TTL | engine.Transactions | engine.ValueLog,
		Settings:  settings,
		Open:      open,
	})
}

const (
	// memtablesMax is how many memtables the engine sets aside memory for.
	memtablesMax = 3
	// memtableMin and spaceAmpMax are limits and defaults of db.Options.
	memtableMin = 64 << 10
	spaceAmpMax = 1.25
	// collectRatio is the share of garbage from which a value-log file is
	// collected when that is asked for: what spaceAmpMax leaves.
	collectRatio = 1 - 1/spaceAmpMax
)

// memory divides the memory of the options: the engine takes three memtables,
// and what MemoryMax has beyond them is for the block cache, filters and indexes.
func memory(o engine.Options) (memtable, memoryMax int64) {
	memtable = o.MemtableBytes
	if o.MemtablesMax > 0 && o.MemtablesMax < memtablesMax {
		memtable = memtable * int64(o.MemtablesMax) / memtablesMax
	}
	// A memtable is at most a quarter of MemoryMax.
	memtable = max(min(memtable, o.CacheBytes), memtableMin)
	return memtable, memtablesMax*memtable + max(o.CacheBytes, memtable)
}

func optionsOf(o engine.Options) *db.Options {
	memtable, memoryMax := memory(o)
	options := &db.Options{
		MemoryMax:        memoryMax,
		MemtableBytes:    memtable,
		FilterBitsPerKey: float64(o.FilterBits),
		SpaceAmpMax:      spaceAmpMax,
		Durability:       db.NoSync,
		Merge:            db.Append(),
	}
	if o.FilterBits == 0 {
		options.FilterBitsPerKey = -1
	}
	if o.Compression == engine.CompressionNone {
		options.Compression = db.CompressionNone
	}
	if o.Sync {
		options.Durability = db.Sync
	}
	return options
}

func settings(o engine.Options) []engine.Setting {
	memtable, memoryMax := memory(o)
	filter, compression, durability := fmt.Sprint(o.FilterBits), "ZSTD, fastest level", "NoSync"
	if o.FilterBits == 0 {
		filter = "none"
	}
	if o.Compression == engine.CompressionNone {
		compression = "none"
	}
	if o.Sync {
		durability = "Sync"
	}
	const defaults = "its default"
	return []engine.Setting{
		{Name: "MemoryMax", Value: engine.Size(memoryMax),
			Why: "three memtables and the cache: the engine bounds memtables, cached blocks, filters and indexes together"},
		{Name: "MemtableBytes", Value: engine.Size(memtable),
			Why: "as for all engines; at most three exist at once, within their common budget, and each is at most the cache"},
		{Name: "FilterBitsPerKey", Value: filter, Why: "as for all engines"},
		{Name: "Compression", Value: compression, Why: "as asked; ZSTD is its default, except for tables that hold little but pointers"},
		{Name: "Durability", Value: durability, Why: "as for all engines"},
		{Name: "SyncInterval", Value: "100 ms", Why: defaults + ": the log is synced in the background, which costs it more than peers that never sync without being asked"},
		{Name: "BlockBytes", Value: "8 KiB", Why: defaults},
		{Name: "TableBytes", Value: "32 MiB", Why: defaults},
		{Name: "ValueThreshold", Value: "1 KiB", Why: defaults + ": values from this length on go to the value log, where they are not compressed"},
		{Name: "SpaceAmpMax", Value: fmt.Sprint(spaceAmpMax), Why: defaults + ": value-log bytes for each live byte"},
		{Name: "CompactionsMax", Value: "half the processors, at least 2", Why: defaults},
		{Name: "OpenFilesMax", Value: "1000", Why: defaults},
		{Name: "Merge", Value: "Append", Why: "for the workloads that append"},
		{Name: "Isolation", Value: "Serializable", Why: defaults + "; more than kvbench asks for"},
		{Name: "CollectGarbage", Value: fmt.Sprintf("%.2g", collectRatio), Why: "when a workload asks for it: the garbage that SpaceAmpMax allows in all"},
	}
}

func open(o engine.Options) (engine.Store, error) {
	options := optionsOf(o)
	opened, err := db.Open(o.Dir, options)
	if err != nil {
		return nil, err
	}
	return &store{db: opened, memtableBytes: options.MemtableBytes}, nil
}

// How Settle watches the store.
const (
	settlePoll = 5 * time.Millisecond
	// settleCalm is how long the store must have nothing to do: work that one
	// job leaves to another begins within it.
	settleCalm = 50 * time.Millisecond
)
