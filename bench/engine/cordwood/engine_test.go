package cordwood

import (
	"testing"

	"github.com/cordwood-db/cordwood/bench/engine"
	"github.com/cordwood-db/cordwood/bench/engine/enginetest"
	"github.com/cordwood-db/cordwood/db"
)

func TestEngine(t *testing.T) {
	e, ok := engine.Find("cordwood")
	if !ok {
		t.Fatal("the engine is not registered")
	}
	enginetest.Run(t, e)
}

// The cache must not get what memtables leave, nor the other way round.
func TestMemoryIsThatOfTheOptions(t *testing.T) {
	for _, o := range []engine.Options{
		engine.DefaultOptions(),
		{MemtableBytes: 64 << 20, MemtablesMax: 2, CacheBytes: 256 << 20},
		{MemtableBytes: 64 << 20, MemtablesMax: 4, CacheBytes: 16 << 20},
		{MemtableBytes: 1 << 20, MemtablesMax: 3, CacheBytes: 1 << 30},
	} {
		memtable, memoryMax := memory(o)
		if memtable > o.MemtableBytes || memtablesMax*memtable > int64(o.MemtablesMax)*o.MemtableBytes {
			t.Errorf("%+v: memtables of %d", o, memtable)
		}
		if cache := memoryMax - memtablesMax*memtable; cache != o.CacheBytes {
			t.Errorf("%+v: %d bytes of cache", o, cache)
		}
		o.Dir = t.TempDir()
		store, err := open(o)
		if err != nil {
			t.Fatalf("%+v: %v", o, err)
		}
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestCollectionIsDue(t *testing.T) {
	for _, c := range []struct {
		bytes, garbage uint64
		due            bool
	}{{0, 0, false}, {1000, 0, false}, {1000, 100, false}, {1000, 102, true}, {1000, 1000, true}, {10, 20, true}} {
		if got := collectionDue(db.ValueLogMetrics{Bytes: c.bytes, Garbage: c.garbage}); got != c.due {
			t.Errorf("%d bytes with %d of garbage: %v", c.bytes, c.garbage, got)
		}
	}
}
