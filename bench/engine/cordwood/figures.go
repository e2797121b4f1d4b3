package cordwood

import (
	"fmt"
)

// l0Calm is how many tables in level 0 do not slow writers.
const l0Calm = 12

// Busy implements engine.Busier.
func (s *store) Busy() string {
	m := s.db.Metrics()
	switch {
	case m.Memtables >= memtablesMax && m.MemtableBytes >= memtablesMax*s.memtableBytes:
		return fmt.Sprintf("memtables full: %d", m.Memtables)
	case m.Pressure == 0:
		return ""
	case m.Levels[0].Tables > l0Calm:
		return fmt.Sprintf("L0 has %d tables", m.Levels[0].Tables)
	case m.CompactionDebt > 0:
		return fmt.Sprintf("compaction debt of %d MiB", m.CompactionDebt>>20)
	}
	return fmt.Sprintf("value log of %.2f times the live bytes", m.ValueLog.Amplification)
}

// Counters implements engine.Counter.
func (s *store) Counters() map[string]float64 {
	m := s.db.Metrics()
	var tables, tableBytes float64
	for _, level := range m.Levels {
		tables += float64(level.Tables)
		tableBytes += float64(level.Bytes)
	}
	return map[string]float64{
		"flushes":                     float64(m.Flushes),
		"compactions":                 float64(m.Compactions),
		"collections":                 float64(m.Collections),
		"wal_bytes":                   float64(m.WALBytes),
		"value_log_bytes":             float64(m.ValueLogBytes),
		"flushed_bytes":               float64(m.FlushedBytes),
		"compacted_bytes":             float64(m.CompactedBytes),
		"collected_bytes":             float64(m.CollectedBytes),
		"compaction_read_bytes":       float64(m.CompactionReadBytes),
		"cache_hits":                  float64(m.CacheHits),
		"cache_misses":                float64(m.CacheMisses),
		"write_delay_seconds":         m.WriteDelay.Seconds(),
		"conflicts":                   float64(m.Conflicts),
		"syncs":                       float64(m.Fsync.Count),
		"memtable_bytes_now":          float64(m.MemtableBytes),
		"cache_bytes_now":             float64(m.CacheBytes),
		"filter_and_index_bytes_now":  float64(m.PinnedBytes),
		"tables_now":                  tables,
		"table_bytes_now":             tableBytes,
		"l0_tables_now":               float64(m.Levels[0].Tables),
		"value_log_amplification_now": m.ValueLog.Amplification,
	}
}
