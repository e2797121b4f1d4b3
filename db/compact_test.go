package db

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cordwood-db/cordwood/compaction"
	"github.com/cordwood-db/cordwood/internal/testkit"
	"github.com/cordwood-db/cordwood/manifest"
	"github.com/cordwood-db/cordwood/vfs"
)

// TestCompactWaitsForWhatStandsInItsWay: it must not leave tables where they
// are because those below are being compacted just then.
func TestCompactWaitsForWhatStandsInItsWay(t *testing.T) {
	store := openMem(t, vfs.NewMem(), Options{})
	defer closeDB(t, store)
	write := func(round int) {
		t.Helper()
		for k := range 100 {
			if err := store.Put(fmt.Appendf(nil, "key%03d", k), fmt.Appendf(nil, "%d", round)); err != nil {
				t.Fatal(err)
			}
		}
		if err := store.Flush(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	write(0)
	if err := store.Compact(context.Background(), All()); err != nil {
		t.Fatal(err)
	}
	write(1)
	// A compaction of the tables below begins.
	v := store.set.Current()
	plan := &compaction.Plan{StartLevel: manifest.NumLevels - 1, OutputLevel: manifest.NumLevels - 1}
	for level := 1; level < manifest.NumLevels; level++ {
		if tables := v.Trees[0].Levels[level]; len(tables) > 0 {
			plan.StartLevel, plan.OutputLevel = level, level
			plan.Inputs[0] = tables
			plan.Start, plan.End = tables[0].Smallest, tables[len(tables)-1].Largest
		}
	}
	store.mu.Lock()
	busy := store.startLocked(plan, v, v.Trees[0])
	store.mu.Unlock()
	v.Unref()
	done := make(chan error, 1)
	go func() { done <- store.Compact(context.Background(), All()) }()
	testkit.Until(t, func() bool { return len(done) > 0 || testkit.Blocked("db.(*DB).awaitOther(") },
		func() string { return "Compact neither waits nor ends" })
	select {
	case err := <-done:
		t.Errorf("Compact did not wait: %v", err)
		done <- err
	default:
	}
	store.finish(busy)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if m := store.Metrics(); m.Levels[0].Tables > 0 {
		t.Errorf("%d tables are left in level 0", m.Levels[0].Tables)
	}
}

// A compaction by hand that meets another one goes on when that one ends, not at
// the next tick of a clock: in the bubble the clock moves only when everybody waits.
func TestManualCompactionDoesNotWaitForTheClock(t *testing.T) {
	testkit.Sequential(t)
	synctest.Test(t, func(t *testing.T) {
		store, err := Open("/db", &Options{FS: vfs.NewMem(), MemtableBytes: 8 * kib, SyncInterval: -1})
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		waited := time.Duration(0)
		for range 300 {
			err := errors.Join(store.DeleteRange(All()), store.Put([]byte("k"), make([]byte, 2000)), store.Flush(t.Context()))
			start := time.Now()
			if err := errors.Join(err, store.Compact(t.Context(), All())); err != nil {
				t.Fatal(err)
			}
			waited += time.Since(start)
		}
		if waited >= idleInterval/2 {
			t.Errorf("300 compactions waited for %v", waited)
		}
	})
}
