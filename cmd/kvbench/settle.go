package main

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/cordwood-db/cordwood/db"
)

const (
	settlePoll = 5 * time.Millisecond
	// settleCalm is how long the store must have nothing to do.
	settleCalm = 50 * time.Millisecond
	// settleMax is when a store counts as one that does not settle.
	settleMax = 60 * time.Second
)

// settle writes what is in memory to tables and waits until no compaction is
// running or due.
func settle(ctx context.Context, store *db.DB) (time.Duration, error) {
	began := time.Now()
	if err := store.Flush(ctx); err != nil {
		return 0, fmt.Errorf("flushing: %w", err)
	}
	calm := time.Now()
	var last db.Metrics
	for time.Since(calm) < settleCalm {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		m := store.Metrics()
		if m.BackgroundError != nil {
			return 0, fmt.Errorf("settling: the store failed: %w", m.BackgroundError)
		}
		if m.CompactionsRunning > 0 || m.CompactionDebt > 0 || m.Collections != last.Collections {
			calm = time.Now()
		}
		if time.Since(began) > settleMax {
			return 0, fmt.Errorf("the store does not settle: after %v %d compactions run and %d bytes are due",
				settleMax, m.CompactionsRunning, m.CompactionDebt)
		}
		last = m
		time.Sleep(settlePoll)
	}
	return time.Since(began), nil
}

// written is what a phase that writes did to the disk, after settling.
type written struct {
	SettleSeconds float64 `json:"settle_seconds"`
	UserBytes     uint64  `json:"user_bytes"` // keys and values that were put

	// Bytes that the store wrote, settling included.
	WAL       uint64 `json:"wal_bytes"`
	ValueLog  uint64 `json:"value_log_bytes"`
	Flushed   uint64 `json:"flushed_bytes"`
	Compacted uint64 `json:"compacted_bytes"`
	Collected uint64 `json:"collected_bytes"`

	LiveBytes   uint64        `json:"live_bytes"` // keys and values that can be read
	DiskBytes   uint64        `json:"disk_bytes"` // of all files of the store
	StoreBytes  int64         `json:"store_memory_bytes"`
	Flushes     uint64        `json:"flushes"`
	Compactions uint64        `json:"compactions"`
	Collections uint64        `json:"collections"`
	WriteDelay  time.Duration `json:"write_delay_ns"`
}

// perByte is how many bytes were written for each byte put.
func (w *written) perByte() float64 {
	return ratio(w.WAL+w.ValueLog+w.Flushed+w.Compacted+w.Collected, w.UserBytes)
}

// diskPerLive is how many bytes lie on disk for each live byte.
func (w *written) diskPerLive() float64 { return ratio(w.DiskBytes, w.LiveBytes) }

func ratio(a, b uint64) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}

// writtenSince compares two readings of a store's metrics.
func writtenSince(before, after db.Metrics) *written {
	return &written{
		WAL:         after.WALBytes - before.WALBytes,
		ValueLog:    after.ValueLogBytes - before.ValueLogBytes,
		Flushed:     after.FlushedBytes - before.FlushedBytes,
		Compacted:   after.CompactedBytes - before.CompactedBytes,
		Collected:   after.CollectedBytes - before.CollectedBytes,
		Flushes:     after.Flushes - before.Flushes,
		Compactions: after.Compactions - before.Compactions,
		Collections: after.Collections - before.Collections,
		WriteDelay:  after.WriteDelay - before.WriteDelay,
		StoreBytes:  after.MemtableBytes + after.CacheBytes + after.PinnedBytes,
	}
}

// diskBytes is the length of all files below dir. Files that vanish meanwhile,
// as a store's do, don't count.
func diskBytes(dir string) (uint64, error) {
	var total uint64
	err := filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if os.IsNotExist(err) {
			return nil
		}
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		info, err := entry.Info()
		if os.IsNotExist(err) {
			return nil
		}
		if err != nil {
			return err
		}
		total += uint64(info.Size())
		return nil
	})
	return total, err
}
