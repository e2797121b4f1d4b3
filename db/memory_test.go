package db

import (
	"fmt"
	"testing"

	"github.com/cordwood-db/cordwood/internal/testkit"
	"github.com/cordwood-db/cordwood/vfs"
)

func TestCacheMakesRoomForFiltersAndIndexes(t *testing.T) {
	const memory = 1600
	var f cacheFit
	for _, c := range []struct {
		held, pinned int64
		changed      bool
	}{
		{0, 0, false}, {49, 0, false}, {60, 100, true}, {100, 0, false}, {101, 200, true},
		{99, 0, false}, {101, 0, false}, {1000, 1000, true}, {899, 0, false}, {800, 800, true}, {0, 0, true},
	} {
		if pinned, changed := f.fit(c.held, memory); changed != c.changed || pinned != c.pinned {
			t.Errorf("at %d: %d, %v; want %d, %v", c.held, pinned, changed, c.pinned, c.changed)
		}
	}
}

func TestMemoryStaysWithinItsBoundWithManyFilters(t *testing.T) {
	testkit.Sequential(t)
	opts := Options{MemoryMax: 1 << 20, MemtableBytes: 32 << 10, FilterBitsPerKey: 64, TableBytes: 16 << 10}
	store := openMem(t, vfs.NewMem(), opts)
	defer closeDB(t, store)
	const n = 40_000
	key := func(i int) []byte { return fmt.Appendf(nil, "key%06d", i*7919%n) }
	for i := range n {
		if err := store.Put(key(i), []byte("value")); err != nil {
			t.Fatal(err)
		}
	}
	var f cacheFit
	for range 2 {
		for i := range n {
			if _, err := store.Get(key(i)); err != nil {
				t.Fatal(err)
			}
		}
		store.fitCache(&f)
	}
	limit := opts.MemoryMax - memtablesMax*opts.MemtableBytes
	// A compaction may open tables just after the cache was fitted.
	var m Metrics
	testkit.Until(t, func() bool {
		store.fitCache(&f)
		m = store.Metrics()
		return m.CacheBytes+m.PinnedBytes <= limit
	}, func() string {
		return fmt.Sprintf("cache and filters hold %d bytes of %d; memtables %d", m.CacheBytes+m.PinnedBytes, limit, m.MemtableBytes)
	})
}
