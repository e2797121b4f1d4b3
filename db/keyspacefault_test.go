package db

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cordwood-db/cordwood/internal/testkit"
	"github.com/cordwood-db/cordwood/vfs"
)

// fullManifest makes syncs of the MANIFEST fail for lack of space while it is
// set: whether the edit is there after a crash is open then.
func fullManifest(fs *vfs.Mem) *atomic.Bool {
	full := new(atomic.Bool)
	fs.SetHook(func(op vfs.Op) error {
		if full.Load() && strings.HasPrefix(filepath.Base(op.Path), "MANIFEST") && (op.Kind == vfs.OpSync || op.Kind == vfs.OpCreate) {
			return syscall.ENOSPC
		}
		return nil
	})
	return full
}

// A drop that failed may come to pass at the next open: what is written to the
// keyspace must not be acknowledged while that is so.
func TestWritesAfterADropThatFailedAreNotLost(t *testing.T) {
	fs := vfs.NewMem()
	full := fullManifest(fs)
	store := openMem(t, fs, smallOptions())
	a := openSpace(t, store, "a", nil)
	must(t, a.Put([]byte("k"), []byte("1")))
	full.Store(true)
	if err := store.DropKeyspace("a"); !errors.Is(err, ErrDiskFull) {
		t.Fatal(err)
	}
	holds(t, a, "k", "1")
	b := store.NewBatch()
	must(t, b.In(a).Put([]byte("k"), []byte("2")))
	err := store.Apply(b, Sync)
	if err != nil && !errors.Is(err, ErrDiskFull) {
		t.Error(err)
	}
	must(t, store.Put([]byte("other"), []byte("x"))) // goes on
	crash := fs.CrashClone(func(vfs.CrashItem) vfs.CrashChoice { return vfs.CrashKeep })
	if err == nil {
		next := openMem(t, crash, smallOptions())
		if ks, err := next.Keyspace("a", &KeyspaceOptions{MustExist: true}); err != nil {
			t.Errorf("an acknowledged write is lost: %v", err)
		} else {
			holds(t, ks, "k", "2")
		}
		closeDB(t, next)
	}
	full.Store(false)
	must(t, store.Apply(b, Sync)) // the store gets over it
	crash = fs.CrashClone(func(vfs.CrashItem) vfs.CrashChoice { return vfs.CrashKeep })
	next := openMem(t, crash, smallOptions())
	holds(t, openSpace(t, next, "a", &KeyspaceOptions{MustExist: true}), "k", "2")
	closeDB(t, next)
	must(t, store.DropKeyspace("a"))
	if err := store.Apply(b, Sync); !errors.Is(err, ErrKeyspaceDropped) {
		t.Error(err)
	}
	closeDB(t, store)
}

// Keyspaces that come and go, or that could not be made, leave nothing in
// memory.
func TestKeyspacesThatComeAndGoLeaveNothing(t *testing.T) {
	fs := vfs.NewMem()
	full := fullManifest(fs)
	store := openMem(t, fs, smallOptions())
	must(t, store.Put([]byte("k"), nil))
	for range 20 {
		openSpace(t, store, "a", nil)
		must(t, store.DropKeyspace("a"))
	}
	full.Store(true)
	for range 20 {
		if _, err := store.Keyspace("b", nil); !errors.Is(err, ErrDiskFull) {
			t.Fatal(err)
		}
	}
	full.Store(false)
	if n := len(*store.w.gen.spaces.Load()); n != 1 {
		t.Errorf("%d memtables for one keyspace", n)
	}
	b := openSpace(t, store, "b", nil)
	must(t, b.Put([]byte("k"), []byte("1")))
	holds(t, b, "k", "1")
	closeDB(t, store)
}

// failingFilter fails in every run.
type failingFilter struct{ runs atomic.Int64 }

func (f *failingFilter) Begin(FilterRun) FilterFunc {
	f.runs.Add(1)
	return func(*FilterEntry) (FilterDecision, error) { return FilterKeep, errors.New("no") }
}

// A filter that always fails is the trouble of its own keyspace: others are
// flushed and compacted, and writes go on.
func TestAFilterThatFailsHoldsUpNoOtherKeyspace(t *testing.T) {
	opts := smallOptions()
	opts.CompactionsMax = 1
	store := openMem(t, vfs.NewMem(), opts)
	filter := new(failingFilter)
	bad, good := openSpace(t, store, "bad", &KeyspaceOptions{CompactionFilter: filter}), openSpace(t, store, "good", nil)
	for i := range 40 {
		must(t, bad.Put([]byte("k"), make([]byte, 100)))
		if i%4 == 0 {
			must(t, good.Put([]byte("k"), make([]byte, 100)))
		}
		if err := store.Flush(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	tables := func(ks *Keyspace) int { return len(store.tree(ks.num).Levels[0]) }
	testkit.Until(t, func() bool { return tables(good) <= 4 },
		func() string { return fmt.Sprintf("%d tables wait in level 0 of the other keyspace", tables(good)) })
	testkit.Until(t, func() bool { return filter.runs.Load() > 0 }, func() string { return "the filter was not asked" })
	if tables(bad) < 4 {
		t.Error("what the filter refuses was compacted")
	}
	if err := bad.Compact(context.Background(), All()); err == nil {
		t.Error("a compaction by hand does not report the filter")
	}
	closeDB(t, store)
}

// The functions of the default keyspace are not for what others leave behind.
func TestADroppedKeyspaceHasNobodysFilter(t *testing.T) {
	opts := smallOptions()
	opts.Merge = Append()
	opts.CompactionFilter = new(failingFilter)
	store := openMem(t, vfs.NewMem(), opts)
	a := openSpace(t, store, "a", nil)
	must(t, store.DropKeyspace("a"))
	if set := store.settingsOf(a.num); set.filter != nil || set.merge != nil {
		t.Error("it has the default keyspace's")
	}
	if store.settingsOf(0).filter == nil {
		t.Error("the default keyspace has none")
	}
	closeDB(t, store)
}
