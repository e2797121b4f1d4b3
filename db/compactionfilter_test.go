package db

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/testkit"
	"github.com/cordwood-db/cordwood/vfs"
)

// filterFunc is a CompactionFilter without state.
type filterFunc func(e *FilterEntry) (FilterDecision, error)

func (f filterFunc) Begin(FilterRun) FilterFunc { return FilterFunc(f) }

// dropMarked drops values that start with "drop", and puts a new one in the
// place of those that start with "change".
func dropMarked(e *FilterEntry) (FilterDecision, error) {
	v, err := e.Value()
	switch {
	case err != nil:
		return FilterKeep, err
	case bytes.HasPrefix(v, []byte("drop")):
		return FilterDrop, nil
	case bytes.HasPrefix(v, []byte("change")):
		e.Replace = bytes.ToUpper(v)
		return FilterChange, nil
	}
	return FilterKeep, nil
}

func TestCompactionFilterDropsAndChanges(t *testing.T) {
	fs := vfs.NewMem()
	opts := smallOptions()
	opts.CompactionFilter = filterFunc(dropMarked)
	store := openMem(t, fs, opts)
	plain := openSpace(t, store, "plain", nil)
	other := openSpace(t, store, "other", &KeyspaceOptions{CompactionFilter: filterFunc(dropMarked)})
	long := strings.Repeat("-", 2000)
	for _, w := range []Writer{store, plain, other} {
		must(t, w.Put([]byte("a"), []byte("kept")), w.Put([]byte("b"), []byte("drop"+long)), w.Put([]byte("c"), []byte("drop")),
			w.Put([]byte("d"), []byte("change"+long)), w.Put([]byte("e"), []byte("older")))
	}
	must(t, store.Flush(context.Background()))
	for _, w := range []Writer{store, plain, other} {
		must(t, w.Put([]byte("e"), []byte("drop")))
	}
	for _, ks := range []*Keyspace{store.Default(), plain, other} {
		must(t, ks.Compact(context.Background(), All()))
	}
	for _, r := range []Reader{store, other} {
		if got := scanned(t, r, All()); got != "a=kept d=CHANGE--" {
			t.Error(got)
		}
	}
	if got := scanned(t, plain, All()); got != "a=kept b=drop---- c=drop d=change-- e=drop" {
		t.Error(got)
	}
	closeDB(t, store)
	// A filter that comes later sees what is at the bottom already.
	store = openMem(t, fs, smallOptions())
	plain = openSpace(t, store, "plain", &KeyspaceOptions{CompactionFilter: filterFunc(dropMarked)})
	must(t, plain.Compact(context.Background(), All()))
	if got := scanned(t, plain, All()); got != "a=kept d=CHANGE--" {
		t.Error(got)
	}
	closeDB(t, store)
}

// A snapshot sees the same before and after a filtered run, also one that was
// opened while the run was under way.
func TestSnapshotsAreStableBesideACompactionFilter(t *testing.T) {
	fs := vfs.NewMem()
	opts := smallOptions()
	opts.CompactionsMax = 1
	var inside atomic.Pointer[func()]
	var on atomic.Bool
	opts.CompactionFilter = filterFunc(func(e *FilterEntry) (FilterDecision, error) {
		if fn := inside.Swap(nil); fn != nil {
			(*fn)()
			on.Store(true)
		}
		if !on.Load() {
			return FilterKeep, nil // background work may be asking, too
		}
		return dropMarked(e)
	})
	store := openMem(t, fs, opts)
	for i := range 100 {
		must(t, store.Put(fmt.Appendf(nil, "%03d", i), []byte("drop"+strings.Repeat("x", i*20))))
	}
	var before, during *Snapshot
	open := func(s **Snapshot) func() {
		return func() {
			var err error
			if *s, err = store.Snapshot(); err != nil {
				t.Error(err)
			}
		}
	}
	open(&before)()
	on.Store(true)
	must(t, store.Compact(context.Background(), All()))
	if got := len(strings.Fields(scanned(t, before, All()))); got != 100 {
		t.Errorf("an older snapshot sees %d keys", got)
	}
	on.Store(false)
	must(t, before.Close())
	for i := range 100 {
		must(t, store.Put(fmt.Appendf(nil, "%03d", i), []byte("drop again")))
	}
	want := ""
	fn := func() {
		open(&during)()
		want = scanned(t, during, All())
	}
	inside.Store(&fn)
	must(t, store.Compact(context.Background(), All()))
	if during == nil {
		t.Fatal("the filter was not asked")
	}
	if got := scanned(t, store, All()); len(got) >= len(want) {
		t.Errorf("nothing was dropped of %q", got) // later runs leave what the snapshot sees
	}
	if got := scanned(t, during, All()); got != want {
		t.Errorf("a snapshot from within the run sees %q, saw %q", got, want)
	}
	must(t, during.Close())
	if _, err := during.Get([]byte("001")); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	// Left open, it is closed with the store.
	must(t, store.Put([]byte("k"), []byte("drop")))
	inside.Store(&fn)
	must(t, store.Flush(context.Background()))
	closeDB(t, store)
	if _, err := during.Get([]byte("k")); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
}

func TestDamageThatAFilterMeetsIsReportedAndKept(t *testing.T) {
	fs := vfs.NewMem()
	opts := smallOptions()
	var reports atomic.Int32
	opts.Events = func(e Event) {
		if _, ok := e.(Damage); ok {
			reports.Add(1)
		}
	}
	store := openMem(t, fs, opts)
	for i := range 20 {
		must(t, store.Put(fmt.Appendf(nil, "%02d", i), []byte("drop"+strings.Repeat("x", 2000))))
	}
	closeDB(t, store)
	files, err := fs.List("/db")
	must(t, err)
	damaged := false
	for _, info := range files {
		if kind, _ := base.ParseFileName(info.Name); kind == base.FileVlog && info.Size > 1000 && !damaged {
			damaged = true
			f, err := fs.OpenReadWrite(filepath.Join("/db", info.Name))
			must(t, err)
			_, err = f.WriteAt([]byte{0xee}, 500)
			must(t, err, f.Close())
		}
	}
	opts.CompactionFilter = filterFunc(dropMarked)
	store = openMem(t, fs, opts)
	must(t, store.Compact(context.Background(), All()))
	keys := 0
	for item, err := range store.Scan(All()) {
		must(t, err)
		var corrupt *CorruptionError
		if _, err := item.Value(); !errors.As(err, &corrupt) {
			t.Errorf("%s: %v", item.Key(), err)
		}
		keys++
	}
	closeDB(t, store)
	if keys != 1 || reports.Load() != 1 {
		t.Errorf("%d keys left, %d reports of damage", keys, reports.Load())
	}
}

func TestAFilterThatFailsLosesNothing(t *testing.T) {
	fs := vfs.NewMem()
	opts := smallOptions()
	broken := true
	opts.CompactionFilter = filterFunc(func(e *FilterEntry) (FilterDecision, error) {
		if broken {
			panic("no")
		}
		return FilterKeep, nil
	})
	store := openMem(t, fs, opts)
	must(t, store.Put([]byte("k"), []byte("v")))
	must(t, store.Flush(context.Background()))
	holds(t, store, "k", "v")
	if err := store.Compact(context.Background(), All()); err == nil || !strings.Contains(err.Error(), "panicked: no") {
		t.Error(err)
	}
	holds(t, store, "k", "v")
	broken = false
	must(t, store.Compact(context.Background(), All()))
	holds(t, store, "k", "v")
	closeDB(t, store)
}

// In a store that always has a transaction open, every value is seen by one.
// Filters get at it all the same, and the transactions do not notice; only what
// old snapshots see is left alone.
func TestFiltersGetAtValuesThatYoungReadersSee(t *testing.T) {
	opts := smallOptions()
	opts.CompactionFilter = filterFunc(dropMarked)
	store := openMem(t, vfs.NewMem(), opts)
	tree := func() int { // keys that are not filtered yet
		n := 0
		for _, err := range store.Scan(All()) {
			must(t, err)
			n++
		}
		return n
	}
	must(t, store.Put([]byte("a"), []byte("drop")), store.Put([]byte("b"), []byte("drop"+strings.Repeat("-", 3000))))
	tx, err := store.Begin(TxOptions{})
	must(t, err)
	snap, err := store.Snapshot()
	must(t, err)
	must(t, store.Compact(context.Background(), All()))
	if n := tree(); n != 0 {
		t.Errorf("%d keys are left", n)
	}
	for _, r := range []Reader{tx, snap} {
		if got := scanned(t, r, All()); got != "a=drop b=drop----" {
			t.Errorf("a reader from before sees %q", got)
		}
	}
	must(t, tx.Put([]byte("c"), []byte("kept")), tx.Commit(), snap.Close())
	testkit.Until(t, func() bool { return store.readers.Load() == 1 }, func() string { return "read states are held" })

	var old *Snapshot
	for pinned := true; pinned; { // by background work that had begun before
		must(t, store.Put([]byte("a"), []byte("drop")))
		old, err = store.Snapshot()
		must(t, err)
		store.opened.mu.Lock()
		old.began = old.began.Add(-time.Hour)
		pinned = old.pin.state.Load() != nil || store.opened.filtering > 0
		store.opened.mu.Unlock()
		if pinned {
			must(t, old.Close())
		}
	}
	if ok, err := old.Has([]byte("a")); !ok || err != nil {
		t.Fatal(ok, err)
	}
	must(t, store.Put([]byte("b"), []byte("drop")), store.Compact(context.Background(), All()))
	if n := tree(); n != 2 || old.pin.state.Load() != nil {
		t.Errorf("%d keys are left, an old snapshot is pinned: %t", n, old.pin.state.Load() != nil)
	}
	must(t, old.Close(), store.Compact(context.Background(), All()))
	if got := scanned(t, store, All()); got != "c=kept" {
		t.Error(got)
	}
	closeDB(t, store)
}
