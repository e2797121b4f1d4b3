package model

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"

	"github.com/cordwood-db/cordwood/db"
)

// events is what the store has told in the background.
type events struct {
	mu   sync.Mutex
	bad  error // a failure, though nothing was made to fail
	told told  // since the store was opened
}

// told counts events.
type told struct {
	leaks, cuts                       int
	flushes, compactions, collections uint64
}

// note is the store's listener.
func (e *events) note(what db.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch what := what.(type) {
	case db.Leak:
		e.told.leaks++
		if what.What == "" || what.Where == "" {
			e.bad = errors.Join(e.bad, fmt.Errorf("a leak of %q at %q", what.What, what.Where))
		}
	case db.FlushDone:
		e.told.flushes++
	case db.CompactionDone:
		e.told.compactions++
	case db.GarbageCollected:
		e.told.collections++
		if what.Files == 0 {
			e.bad = errors.Join(e.bad, errors.New("no files were collected"))
		}
	case db.LogCut:
		e.told.cuts++
		if what.File == "" || what.Offset < 0 {
			e.bad = errors.Join(e.bad, fmt.Errorf("a cut nowhere: %+v", what))
		}
	case db.JobFailed:
		e.bad = errors.Join(e.bad, fmt.Errorf("%s failed %d times: %w", what.Job, what.Tries, what.Err))
	case db.Damage:
		e.bad = errors.Join(e.bad, fmt.Errorf("%s is damaged: %w", what.File, what.Err))
	case db.BackgroundError:
		e.bad = errors.Join(e.bad, what.Err)
	}
}

// begin counts from 0 again.
func (e *events) begin() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.told = told{}
}

// soFar is what was told up to now.
func (e *events) soFar() (told, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.told, e.bad
}

// failures is a log handler that takes an error in the log for a failure.
type failures struct{ *events }

func (f failures) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelError }
func (f failures) WithAttrs([]slog.Attr) slog.Handler               { return f }
func (f failures) WithGroup(string) slog.Handler                    { return f }

// Handle implements slog.Handler.
func (f failures) Handle(_ context.Context, rec slog.Record) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.bad = errors.Join(f.bad, fmt.Errorf("logged: %s", rec.Message))
	return nil
}

// checkMetrics looks at what must hold of the figures.
func (r *run) checkMetrics() error {
	told, bad := r.events.soFar()
	m := r.store.Metrics()
	if err := cmp.Or(bad, m.BackgroundError); err != nil {
		return err
	}
	if m.Snapshots != len(r.snapshots) || m.Cursors != len(r.cursors) || m.Transactions != len(r.txs) {
		return fmt.Errorf("%d snapshots, %d cursors, %d transactions are open; want %d, %d, %d",
			m.Snapshots, m.Cursors, m.Transactions, len(r.snapshots), len(r.cursors), len(r.txs))
	}
	if m.Conflicts != r.refused {
		return fmt.Errorf("%d conflicts, there were %d", m.Conflicts, r.refused)
	}
	if names := r.store.Keyspaces(); !slices.Equal(names, r.names()) {
		return fmt.Errorf("keyspaces %q, want %q", names, r.names())
	}
	if m.Pressure < 0 || m.Pressure > 1 || m.CacheBytes < 0 || m.PinnedBytes < 0 || m.PrefetchBytes < 0 {
		return fmt.Errorf("impossible figures: %+v", m)
	}
	for _, l := range []db.Latencies{m.Commit, m.Fsync} {
		if l.P50 > l.P99 || l.P99 > l.P999 || l.P50 < 0 {
			return fmt.Errorf("impossible latencies: %+v", l)
		}
	}
	if err := fell(r.figures, counters(&m)); err != nil {
		return err
	}
	r.figures = counters(&m)
	if r.racing {
		return nil
	}
	return r.checkSettled(&m, told)
}

// checkSettled looks at what must hold while nothing goes on.
func (r *run) checkSettled(m *db.Metrics, told told) error {
	if m.EventsDropped == 0 && (m.Flushes != told.flushes || m.Compactions != told.compactions || m.Collections != told.collections) {
		return fmt.Errorf("%d flushes, %d compactions, %d collections; events told of %+v", m.Flushes, m.Compactions, m.Collections, told)
	}
	if len(m.Keyspaces) != len(r.spaces)+1 {
		return fmt.Errorf("figures of %d keyspaces, want %d", len(m.Keyspaces), len(r.spaces)+1)
	}
	var all, each db.LevelMetrics
	for i := range m.Levels {
		addTo(&all, &m.Levels[i])
	}
	for i := range m.Keyspaces {
		addTo(&each, &m.Keyspaces[i].LevelMetrics)
	}
	if all != each {
		return fmt.Errorf("all levels have %+v, all keyspaces %+v", all, each)
	}
	if m.ValueLog.Garbage > m.ValueLog.Bytes || m.CompactionsRunning != 0 || m.Memtables < 1 {
		return fmt.Errorf("impossible figures: %+v", m)
	}
	return nil
}

func addTo(sum, m *db.LevelMetrics) {
	sum.Tables += m.Tables
	sum.Bytes += m.Bytes
	sum.ValueLogBytes += m.ValueLogBytes
	sum.Entries += m.Entries
	sum.Deletes += m.Deletes
}

// counters are the figures that only grow while the store is open.
func counters(m *db.Metrics) []uint64 {
	return []uint64{m.CacheHits, m.CacheMisses, m.CacheDropped, m.CacheEvicted, m.Gets, m.TablesSkipped,
		m.WALBytes, m.ValueLogBytes, m.FlushedBytes, m.CompactedBytes, m.CollectedBytes, m.CompactionReadBytes,
		m.Flushes, m.Compactions, m.Collections, m.Commit.Count, m.Fsync.Count, uint64(m.WriteDelay), m.Conflicts, m.EventsDropped}
}

// fell reports a figure that is less than it was.
func fell(before, now []uint64) error {
	for i := range before {
		if now[i] < before[i] {
			return fmt.Errorf("figure %d fell from %d to %d", i, before[i], now[i])
		}
	}
	return nil
}
