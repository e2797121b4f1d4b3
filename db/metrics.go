package db

import (
	"math"
	"sync/atomic"
	"time"

	"github.com/cordwood-db/cordwood/manifest"
)

// counters are what the store counts as it goes. All atomic.
type counters struct {
	gets, tablesSkipped                          atomic.Uint64
	walBytes, valueBytes                         atomic.Uint64
	flushes, flushedBytes                        atomic.Uint64
	compactions, compactedRead, compactedWritten atomic.Uint64
	collections, collectedBytes, gcWritten       atomic.Uint64
	conflicts                                    atomic.Uint64
	commit, fsync                                histogram
}

// Metrics is what the store tells of itself. Counts are since Open.
type Metrics struct {
	Levels    [manifest.NumLevels]LevelMetrics // of all keyspaces together
	Keyspaces []KeyspaceMetrics                // the default one first

	Memtables     int   // the one that takes writes and those that wait for their flush
	MemtableBytes int64 // in memory

	// Memory that Options.MemoryMax bounds, together with MemtableBytes.
	CacheBytes  int64
	PinnedBytes int64 // filters and indexes of open tables, and of open value-log files

	PrefetchBytes int64 // what cursors may hold of values fetched ahead

	CacheHits, CacheMisses, CacheDropped, CacheEvicted uint64

	Gets          uint64 // point reads
	TablesSkipped uint64 // by cursors and scans, because of prefix filters

	// Bytes written, in total: WAL + ValueLog + Flushed + Compacted + Collected.
	WALBytes       uint64 // payload of the WAL
	ValueLogBytes  uint64 // records, by commits and flushes
	FlushedBytes   uint64 // tables, by flushes
	CompactedBytes uint64 // tables, by compactions
	CollectedBytes uint64 // value-log records, by garbage collection

	CompactionReadBytes uint64

	Flushes, Compactions, Collections uint64
	CompactionsRunning                int
	CompactionDebt                    uint64 // bytes of tables to compact until no level is over its target

	ValueLog ValueLogMetrics

	Pressure   float64       // back-pressure on writers: 0 none, 1 most
	WriteDelay time.Duration // that writers have spent waiting, in sum

	Commit Latencies // of commits, as callers see them
	Fsync  Latencies // of WAL and value log together

	// Open ones; Transactions are those of Update and View, too.
	Snapshots, Cursors, Transactions int

	Conflicts uint64 // commits of transactions that were refused; Update tried most of them again

	EventsDropped   uint64
	BackgroundError error // why the store is read-only, if it is
}

// KeyspaceMetrics is about one keyspace.
type KeyspaceMetrics struct {
	Name          string // empty for the default one
	MemtableBytes int64
	LevelMetrics  // over all levels
}

// nameOf is the name of a keyspace that is not dropped.
func (db *DB) nameOf(num uint32) string {
	if ks := db.spaces.numbered(num); ks != nil {
		return ks.name
	}
	return ""
}

// LevelMetrics is about one level of the trees.
type LevelMetrics struct {
	Tables        int
	Bytes         uint64 // of table files
	ValueLogBytes uint64 // of the value-log records that its entries point at
	Entries       uint64
	Deletes       uint64
}

// ValueLogMetrics is about the value log.
type ValueLogMetrics struct {
	Files         int
	Bytes         uint64  // of records in sealed files
	Garbage       uint64  // of them known to be garbage
	Amplification float64 // estimated bytes for each live byte, hidden garbage included
}

// Metrics returns a consistent enough picture of the store: each figure is
// right at some moment during the call. On a closed store it is all zero.
func (db *DB) Metrics() Metrics {
	s, _ := db.acquire()
	if s == nil {
		return Metrics{}
	}
	defer db.release(s)
	c, cached := &db.metrics, db.cache.Metrics()
	m := Metrics{
		Memtables:     len(s.gens),
		CacheBytes:    cached.Bytes,
		PinnedBytes:   db.tables.PinnedBytes() + db.values.PinnedBytes(),
		PrefetchBytes: db.ahead.Load(),
		CacheHits:     cached.Hits, CacheMisses: cached.Misses,
		CacheDropped: cached.Dropped, CacheEvicted: cached.Evicted,
		Gets: c.gets.Load(), TablesSkipped: c.tablesSkipped.Load(),
		WALBytes: c.walBytes.Load(), ValueLogBytes: c.valueBytes.Load(),
		FlushedBytes: c.flushedBytes.Load(), CompactedBytes: c.compactedWritten.Load(),
		CollectedBytes: c.gcWritten.Load(), CompactionReadBytes: c.compactedRead.Load(),
		Flushes: c.flushes.Load(), Compactions: c.compactions.Load(), Collections: c.collections.Load(),
		CompactionDebt: db.debt(s.version),
		Pressure:       math.Float64frombits(db.stall.pressure.Load()),
		WriteDelay:     time.Duration(db.stall.waited.Load()),
		Commit:         c.commit.latencies(), Fsync: c.fsync.latencies(),
		EventsDropped: db.events.dropped.Load(),
	}
	for _, t := range s.gens {
		m.MemtableBytes += t.Bytes()
	}
	for i := range s.views {
		v := &s.views[i]
		k := KeyspaceMetrics{Name: db.nameOf(v.num)}
		for level, tables := range v.tree.Levels {
			l := levelMetrics(tables)
			m.Levels[level].add(l)
			k.add(l)
		}
		for _, mem := range v.mems {
			k.MemtableBytes += mem.Bytes()
		}
		m.Keyspaces = append(m.Keyspaces, k)
	}
	m.ValueLog = ValueLogMetrics{
		Files: len(s.version.Vlogs), Bytes: uint64(db.space.bytes.Load()),
		Garbage: uint64(db.space.discarded.Load()), Amplification: db.amplification(s),
	}
	m.Snapshots, m.Cursors, m.Transactions = db.opened.counts()
	m.Conflicts = db.metrics.conflicts.Load()
	db.mu.Lock()
	m.CompactionsRunning = len(db.jobs.plans)
	db.mu.Unlock()
	if f := db.failure.Load(); f != nil {
		m.BackgroundError = f.err
	}
	return m
}

func (l *LevelMetrics) add(o LevelMetrics) {
	l.Tables += o.Tables
	l.Bytes += o.Bytes
	l.ValueLogBytes += o.ValueLogBytes
	l.Entries += o.Entries
	l.Deletes += o.Deletes
}

func levelMetrics(tables []*manifest.TableMeta) LevelMetrics {
	l := LevelMetrics{Tables: len(tables)}
	for _, t := range tables {
		l.Bytes += t.Size
		l.ValueLogBytes += t.VlogBytes
		l.Entries += t.Entries
		l.Deletes += t.Deletes
	}
	return l
}
