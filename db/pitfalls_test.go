package db

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cordwood-db/cordwood/internal/testkit"
	"github.com/cordwood-db/cordwood/vfs"
)

// What other engines are known to fail at; each test says whose trouble it was.

// Badger's collection during an open transaction made its later reads give an
// empty value and no error.
func TestGarbageCollectionTakesNothingFromOpenSnapshotsAndCursors(t *testing.T) {
	fs := vfs.NewMem()
	store := openMem(t, fs, smallOptions())
	ctx := context.Background()
	old := func(i int) []byte { return bytes.Repeat([]byte{byte(i), 1}, 300) }
	const n = 100
	for i := range n {
		must(t, store.Put(fmt.Appendf(nil, "k%03d", i), old(i)))
	}
	must(t, store.Flush(ctx))
	snap, err := store.Snapshot()
	must(t, err)
	cur, err := store.NewCursor(All())
	must(t, err)
	for round := range 4 {
		for i := range n {
			if i%3 == 0 {
				must(t, store.Delete(fmt.Appendf(nil, "k%03d", i)))
			} else {
				must(t, store.Put(fmt.Appendf(nil, "k%03d", i), bytes.Repeat([]byte{byte(i), 2}, 300+round)))
			}
		}
		if round == 2 {
			must(t, store.DeleteRange(All()))
		}
		must(t, store.Compact(ctx, All()), store.CollectGarbage(ctx, 0))
		seen := 0
		for ok := cur.First(); ok; ok = cur.Next() {
			if v, err := cur.Value(); err != nil || !bytes.Equal(v, old(seen)) {
				t.Fatalf("round %d: cursor at %s: %d bytes, %v", round, cur.Key(), len(v), err)
			}
			seen++
		}
		must(t, cur.Err())
		if seen != n {
			t.Fatalf("round %d: the cursor sees %d keys", round, seen)
		}
		for i := range n {
			if v, err := snap.Get(fmt.Appendf(nil, "k%03d", i)); err != nil || !bytes.Equal(v, old(i)) {
				t.Fatalf("round %d: snapshot at %d: %d bytes, %v", round, i, len(v), err)
			}
		}
	}
	if m := store.Metrics(); m.Collections == 0 {
		t.Error("nothing was collected")
	}
	must(t, snap.Close(), cur.Close())
	closeDB(t, store)
}

// Badger's collection, and its compaction, brought deleted keys back.
func TestDeletedKeysNeverComeBack(t *testing.T) {
	fs := vfs.NewMem()
	opts := smallOptions()
	store := openMem(t, fs, opts)
	ctx := context.Background()
	key := func(i int) []byte { return fmt.Appendf(nil, "k%03d", i) }
	const n = 90
	gone := func(i int) bool { return i%3 != 0 }
	check := func(when string) {
		t.Helper()
		for i := range n {
			_, err := store.Get(key(i))
			if gone(i) != errors.Is(err, ErrNotFound) || err != nil && !gone(i) {
				t.Fatalf("%s: key %d: %v", when, i, err)
			}
		}
	}
	for round := range 6 {
		for i := range n {
			must(t, store.Put(key(i), bytes.Repeat([]byte{byte(i)}, 400+round)))
		}
		if round%2 == 0 {
			must(t, store.Compact(ctx, All()))
		}
		for i := range n {
			switch {
			case !gone(i):
			case i%3 == 1:
				must(t, store.Delete(key(i)))
			default:
				must(t, store.DeleteRange(Between(key(i), append(key(i), 0))))
			}
		}
		check("deleted")
		must(t, store.CollectGarbage(ctx, 0))
		check("collected")
		must(t, store.Flush(ctx), store.Compact(ctx, Between(key(0), key(n/2))))
		check("half compacted")
		must(t, store.CollectGarbage(ctx, 0))
		check("collected again")
		must(t, store.Compact(ctx, All()), store.CollectGarbage(ctx, 0))
		check("compacted")
		if round%2 == 1 {
			killed := fs.KillClone()
			closeDB(t, store)
			fs = killed
		} else {
			closeDB(t, store)
		}
		store = openMem(t, fs, opts)
		check("opened again")
	}
	closeDB(t, store)
}

// eventually polls until ok.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	testkit.Until(t, ok, func() string { return what })
}

// Badger's value log never shrinks unless the application asks for it, and its
// expired data stays, since compaction looks at sizes only.
func TestExpiredAndDeletedDataGivesItsSpaceBackByItself(t *testing.T) {
	clock := &jumpingClock{}
	clock.set(int64(1000 * time.Hour))
	fs := vfs.NewMem()
	opts := smallOptions()
	opts.Clock = clock.Now
	store := openMem(t, fs, opts)
	for i := range 1000 {
		value := bytes.Repeat([]byte{byte(i)}, 200+i%2*1000)
		if i%3 == 0 {
			must(t, store.Put(fmt.Appendf(nil, "k%04d", i), value))
		} else {
			must(t, store.PutTTL(fmt.Appendf(nil, "k%04d", i), value, time.Hour))
		}
	}
	must(t, store.Flush(context.Background()))
	full := fs.Used()
	clock.set(clock.nanos.Load() + int64(2*time.Hour))
	eventually(t, "the expired two thirds are gone", func() bool { return fs.Used() < full*2/3 })
	for i := 0; i < 1000; i += 3 {
		must(t, store.Delete(fmt.Appendf(nil, "k%04d", i)))
	}
	eventually(t, "deleted data is gone", func() bool { return fs.Used() < full/3 })
	closeDB(t, store)
	t.Logf("%d KiB, then %d", full>>10, fs.Used()>>10)
}

// An empty Badger shows 2 GiB of apparent file size.
func TestEmptyStoreIsSmall(t *testing.T) {
	fs := vfs.NewMem()
	store := openMem(t, fs, Options{})
	if used := fs.Used(); used > 64<<10 {
		t.Errorf("%d KiB on disk for an empty store", used>>10)
	}
	must(t, store.Put([]byte("k"), []byte("v")))
	if used := fs.Used(); used > 10<<20 {
		t.Errorf("%d KiB on disk with one key", used>>10)
	}
	files, err := fs.List("/db")
	must(t, err)
	for _, f := range files {
		if f.Size > 10<<20 {
			t.Errorf("%s has %d bytes", f.Name, f.Size)
		}
	}
	if m := store.Metrics(); m.MemtableBytes+m.PinnedBytes+m.CacheBytes > 8<<20 {
		t.Errorf("%d bytes in memory", m.MemtableBytes+m.PinnedBytes+m.CacheBytes)
	}
	closeDB(t, store)
	if used := fs.Used(); used > 64<<10 {
		t.Errorf("%d KiB on disk in the end", used>>10)
	}
}

// Scans of Badger and Pebble crawl over tombstones. Here runs of them make
// compactions.
func TestTombstonesGoAwayByThemselves(t *testing.T) {
	store := openMem(t, vfs.NewMem(), smallOptions())
	for i := range 5000 {
		must(t, store.Put(fmt.Appendf(nil, "k%05d", i), fmt.Appendf(nil, "value %d", i)))
	}
	must(t, store.Flush(context.Background()))
	for i := range 4990 {
		must(t, store.Delete(fmt.Appendf(nil, "k%05d", i)))
	}
	must(t, store.Flush(context.Background()))
	eventually(t, "the tombstones are gone", func() bool {
		var deletes uint64
		for _, l := range store.Metrics().Levels {
			deletes += l.Deletes
		}
		return deletes < 500
	})
	closeDB(t, store)
}

// Badger acknowledged a commit whose value-log sync had failed.
func TestFailedValueLogSyncFailsTheCommit(t *testing.T) {
	mem := vfs.NewMem()
	var failing atomic.Bool
	faulty := vfs.NewFaulty(mem, func(op vfs.Op) *vfs.Fault {
		if failing.Load() && op.Kind == vfs.OpSync && strings.HasSuffix(op.Path, ".vlog") {
			return &vfs.Fault{Err: vfs.ErrInjected}
		}
		return nil
	})
	opts := smallOptions()
	opts.FS, opts.SyncInterval = faulty, -1
	store, err := Open("/db", &opts)
	must(t, err)
	must(t, store.Put([]byte("before"), make([]byte, 100<<10)), store.Sync())
	failing.Store(true)
	b := store.NewBatch()
	must(t, b.Put([]byte("k"), make([]byte, 100<<10))) // more than is embedded in the WAL
	if err := store.Apply(b, Sync); !errors.Is(err, ErrReadOnly) || !errors.Is(err, vfs.ErrInjected) {
		t.Errorf("Apply: %v", err)
	}
	if err := store.Put([]byte("later"), nil); !errors.Is(err, ErrReadOnly) {
		t.Errorf("Put after it: %v", err)
	}
	if _, err := store.Get([]byte("before")); err != nil {
		t.Errorf("reads go on, but: %v", err)
	}
	if ok, err := store.Has([]byte("k")); ok || err != nil {
		t.Errorf("the failed commit is visible: %v, %v", ok, err)
	}
	if err := store.Close(); !errors.Is(err, vfs.ErrInjected) {
		t.Errorf("Close: %v", err)
	}
}
