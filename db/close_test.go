package db

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cordwood-db/cordwood/internal/testkit"
	"github.com/cordwood-db/cordwood/vfs"
)

// callsOf are calls of every method of a DB, a Snapshot and a Cursor.
func callsOf(store *DB, snap *Snapshot, cur *Cursor, key []byte) map[string]func() error {
	ctx := context.Background()
	scan := func(seq func(func(Item, error) bool)) error {
		for _, err := range seq {
			if err != nil {
				return err
			}
		}
		return nil
	}
	moved := func(bool) error { return cur.Err() }
	batch := store.NewBatch()
	_ = batch.Put(key, key)
	ks := store.Default()
	number, ids := slices.Concat(key, []byte("/number")), slices.Concat(key, []byte("/ids"))
	takeOne := func(s *Sequence, err error) error {
		if err == nil {
			_, err = s.Next()
			err = errors.Join(err, s.Close())
		}
		return err
	}
	return map[string]func() error{
		"Keyspace.Add":            func() error { _, err := ks.Add(number, 1); return err },
		"Keyspace.CompareAndSwap": func() error { _, err := ks.CompareAndSwap(key, nil, key); return err },
		"Keyspace.GetAndDelete":   func() error { _, err := ks.GetAndDelete(key); return err },
		"Keyspace.PutIfAbsent":    func() error { _, err := ks.PutIfAbsent(key, key); return err },
		"Keyspace.PutIfAbsentTTL": func() error { _, err := ks.PutIfAbsentTTL(key, key, time.Hour); return err },
		"Keyspace.Sequence":       func() error { return takeOne(ks.Sequence(ids, 1)) },
		"DB.Add":                  func() error { _, err := store.Add(number, 1); return err },
		"DB.CompareAndSwap":       func() error { _, err := store.CompareAndSwap(key, nil, key); return err },
		"DB.GetAndDelete":         func() error { _, err := store.GetAndDelete(key); return err },
		"DB.PutIfAbsent":          func() error { _, err := store.PutIfAbsent(key, key); return err },
		"DB.PutIfAbsentTTL":       func() error { _, err := store.PutIfAbsentTTL(key, key, time.Hour); return err },
		"DB.Sequence":             func() error { return takeOne(store.Sequence(ids, 1)) },

		"Keyspace.AppendGet":   func() error { _, err := ks.AppendGet(nil, key); return err },
		"Keyspace.Compact":     func() error { return ks.Compact(ctx, All()) },
		"Keyspace.Delete":      func() error { return ks.Delete(key) },
		"Keyspace.DeleteRange": func() error { return ks.DeleteRange(All()) },
		"Keyspace.Estimate":    func() error { _, err := ks.Estimate(All()); return err },
		"Keyspace.Get":         func() error { _, err := ks.Get(key); return err },
		"Keyspace.Has":         func() error { _, err := ks.Has(key); return err },
		"Keyspace.Merge":       func() error { return ks.Merge(key, key) },
		"Keyspace.MultiGet":    func() error { _, err := ks.MultiGet(key, key); return err },
		"Keyspace.NewCursor":   func() error { _, err := ks.NewCursor(All()); return err },
		"Keyspace.Put":         func() error { return ks.Put(key, key) },
		"Keyspace.PutTTL":      func() error { return ks.PutTTL(key, key, time.Hour) },
		"Keyspace.Scan":        func() error { return scan(ks.Scan(All())) },

		"DB.DropKeyspace": func() error {
			if err := store.DropKeyspace("space"); !errors.Is(err, ErrNoKeyspace) {
				return err
			}
			return nil
		},
		"DB.Subscribe": func() error {
			f, err := store.Subscribe(FeedOptions{Resume: true, After: snap.Seq()})
			if err == nil {
				err = f.Close()
			} else if errors.Is(err, ErrFeedBehind) {
				err = nil
			}
			return err
		},
		"DB.Keyspace": func() error { _, err := store.Keyspace("space", nil); return err },

		"DB.AppendGet":      func() error { _, err := store.AppendGet(nil, key); return err },
		"DB.Apply":          func() error { return store.Apply(batch, Sync) },
		"DB.Checkpoint":     func() error { return store.Checkpoint(ctx, "/elsewhere") },
		"DB.CollectGarbage": func() error { return store.CollectGarbage(ctx, 0) },
		"DB.Compact":        func() error { return store.Compact(ctx, All()) },
		"DB.Delete":         func() error { return store.Delete(key) },
		"DB.DeleteRange":    func() error { return store.DeleteRange(All()) },
		"DB.Estimate":       func() error { _, err := store.Estimate(All()); return err },
		"DB.Flush":          func() error { return store.Flush(ctx) },
		"DB.Get":            func() error { _, err := store.Get(key); return err },
		"DB.Has":            func() error { _, err := store.Has(key); return err },
		"DB.Merge":          func() error { return store.Merge(key, key) },
		"DB.MultiGet":       func() error { _, err := store.MultiGet(key, key); return err },
		"DB.NewCursor":      func() error { _, err := store.NewCursor(All()); return err },
		"DB.Put":            func() error { return store.Put(key, key) },
		"DB.PutTTL":         func() error { return store.PutTTL(key, key, time.Hour) },
		"DB.Scan":           func() error { return scan(store.Scan(All())) },
		"DB.Snapshot":       func() error { _, err := store.Snapshot(); return err },
		"DB.Sync":           store.Sync,

		"Snapshot.AppendGet": func() error { _, err := snap.AppendGet(nil, key); return err },
		"Snapshot.Get":       func() error { _, err := snap.Get(key); return err },
		"Snapshot.In":        func() error { _, err := snap.In(store.Default()).Has(key); return err },
		"Snapshot.Has":       func() error { _, err := snap.Has(key); return err },
		"Snapshot.MultiGet":  func() error { _, err := snap.MultiGet(key); return err },
		"Snapshot.NewCursor": func() error { _, err := snap.NewCursor(All()); return err },
		"Snapshot.Scan":      func() error { return scan(snap.Scan(All())) },

		"Cursor.AppendValue": func() error { _, err := cur.AppendValue(nil); return err },
		"Cursor.Value":       func() error { _, err := cur.Value(); return err },
		"Cursor.First":       func() error { return moved(cur.First()) },
		"Cursor.Last":        func() error { return moved(cur.Last()) },
		"Cursor.Next":        func() error { return moved(cur.Next()) },
		"Cursor.Prev":        func() error { return moved(cur.Prev()) },
		"Cursor.SeekGE":      func() error { return moved(cur.SeekGE(key)) },
		"Cursor.SeekLT":      func() error { return moved(cur.SeekLT(key)) },
	}
}

// harmless are the methods that say nothing of a closed store, and must not
// panic.
var harmless = map[string]bool{
	"DB.Close": true, "DB.Default": true, "DB.Keyspaces": true, "Keyspace.Name": true, "Keyspace.DefaultTTL": true, "Snapshot.Seq": true, "DB.Metrics": true, "DB.NewBatch": true, "Snapshot.Close": true, "Tx.Discard": true,
	"Cursor.Close": true, "Cursor.Err": true, "Cursor.Item": true, "Cursor.Key": true, "Cursor.Valid": true,
}

// Calls on a closed Pebble panic.
func TestEveryCallOnAClosedStoreReturnsErrClosed(t *testing.T) {
	opts := smallOptions()
	opts.Merge = Append()
	fs := vfs.NewMem()
	store := openMem(t, fs, opts)
	must(t, store.Put([]byte("k"), []byte("v")))
	snap, err := store.Snapshot()
	must(t, err)
	cur, err := store.NewCursor(All())
	must(t, err)
	if !cur.First() {
		t.Fatal(cur.Err())
	}
	tx, err := store.Begin(TxOptions{})
	must(t, err)
	calls := callsOf(store, snap, cur, []byte("k"))
	maps.Copy(calls, callsOfTx(store, tx, []byte("k")))
	for _, typ := range []reflect.Type{reflect.TypeFor[*DB](), reflect.TypeFor[*Keyspace](), reflect.TypeFor[*Snapshot](), reflect.TypeFor[*Cursor](), reflect.TypeFor[*Tx]()} {
		for i := range typ.NumMethod() {
			name := typ.Elem().Name() + "." + typ.Method(i).Name
			if calls[name] == nil && !harmless[name] {
				t.Errorf("%s is not tested", name)
			}
		}
	}
	closeDB(t, store)
	for range 2 {
		for name, call := range calls {
			if err := call(); !errors.Is(err, ErrClosed) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	if m := store.Metrics(); m.Memtables != 0 {
		t.Error(m)
	}
	if cur.Valid() {
		t.Error("a cursor of a closed store is valid")
	}
	must(t, store.Close(), snap.Close(), cur.Close(), snap.Close(), cur.Close())
	// A snapshot and a cursor that were closed say the same of an open store.
	store = openMem(t, fs, opts)
	defer closeDB(t, store)
	snap, err = store.Snapshot()
	must(t, err)
	cur, err = snap.NewCursor(All())
	must(t, err)
	must(t, snap.Close(), cur.Close())
	for name, call := range callsOf(store, snap, cur, []byte("k")) {
		open := strings.HasPrefix(name, "DB.") || strings.HasPrefix(name, "Keyspace.")
		if err := call(); open == errors.Is(err, ErrClosed) {
			t.Errorf("%s after the snapshot and the cursor were closed: %v", name, err)
		}
	}
}

// afterCalls returns once so many calls were made: at what is closed then, all of
// them have begun to be made, however fast the machine is.
func afterCalls(t *testing.T, made *atomic.Int64, n int64) {
	t.Helper()
	testkit.Until(t, func() bool { return made.Load() >= n || t.Failed() },
		func() string { return fmt.Sprintf("%d calls of %d", made.Load(), n) })
}

func TestCloseBesideEveryOtherCall(t *testing.T) {
	rounds := 30
	if testing.Short() {
		rounds = 6
	}
	for round := range rounds {
		opts := smallOptions()
		opts.Merge = Append()
		fs := vfs.NewMem()
		store := openMem(t, fs, opts)
		for i := range 300 {
			must(t, store.Put(fmt.Appendf(nil, "k%d", i), make([]byte, i*3)))
		}
		snap, err := store.Snapshot()
		must(t, err)
		var wg sync.WaitGroup
		var closed atomic.Bool
		var made atomic.Int64 // calls
		for worker := range 4 {
			wg.Go(func() {
				for ended := false; !ended; {
					ended = closed.Load()
					cur, err := snap.NewCursor(All())
					if err != nil {
						if !errors.Is(err, ErrClosed) {
							t.Error(err)
						}
						return
					}
					for name, call := range callsOf(store, snap, cur, fmt.Appendf(nil, "k%d", worker*7)) {
						err := call()
						made.Add(1)
						after := errors.Is(err, ErrClosed)
						if err != nil && !after && !errors.Is(err, ErrNotFound) && !errors.Is(err, errNoItem) &&
							!(name == "DB.Checkpoint" && strings.Contains(err.Error(), "exist")) {
							t.Errorf("%s: %v", name, err)
						}
						if err == nil && ended {
							t.Errorf("%s worked on a closed store", name)
						}
					}
					_ = cur.Close()
				}
			})
		}
		afterCalls(t, &made, int64(round%10*6))
		var closers sync.WaitGroup
		for range 3 {
			closers.Go(func() {
				if err := store.Close(); err != nil {
					t.Error(err)
				}
			})
		}
		closers.Wait()
		closed.Store(true)
		wg.Wait()
		if n := fs.OpenHandles(); n != 0 {
			t.Fatalf("%d handles open", n)
		}
	}
}

func TestWhatIsLeftOpenIsReportedWithItsStack(t *testing.T) {
	var mu sync.Mutex
	leaks := map[string]string{}
	opts := smallOptions()
	opts.Events = func(e Event) {
		if l, ok := e.(Leak); ok {
			mu.Lock()
			defer mu.Unlock()
			leaks[l.What] = l.Where
		}
	}
	store := openMem(t, vfs.NewMem(), opts)
	leakCursor(t, store)
	leakSnapshot(t, store)
	if m := store.Metrics(); m.Cursors != 1 || m.Snapshots != 1 {
		t.Errorf("%d cursors, %d snapshots", m.Cursors, m.Snapshots)
	}
	closeDB(t, store)
	mu.Lock()
	defer mu.Unlock()
	if len(leaks) != 2 || !strings.Contains(leaks["cursor"], "leakCursor") || !strings.Contains(leaks["snapshot"], "leakSnapshot") {
		t.Errorf("reported: %v", leaks)
	}
}

//go:noinline
func leakCursor(t *testing.T, store *DB) {
	if _, err := store.NewCursor(All()); err != nil {
		t.Error(err)
	}
}

//go:noinline
func leakSnapshot(t *testing.T, store *DB) {
	if _, err := store.Snapshot(); err != nil {
		t.Error(err)
	}
}

func TestOpeningAndClosingLeavesNothingBehind(t *testing.T) {
	cycles := 500
	if testing.Short() {
		cycles = 50
	}
	fs := vfs.NewMem()
	opts := smallOptions()
	opts.Events = func(Event) {}
	before := runtime.NumGoroutine()
	for i := range cycles {
		store := openMem(t, fs, opts)
		for k := range 20 {
			must(t, store.Put(fmt.Appendf(nil, "k%d", k), make([]byte, (i+k)%700)))
		}
		for _, err := range store.Scan(All()) {
			must(t, err)
		}
		if i%10 == 0 {
			must(t, store.Compact(context.Background(), All()))
		}
		closeDB(t, store)
		if n := fs.OpenHandles(); n != 0 {
			t.Fatalf("cycle %d: %d handles open", i, n)
		}
	}
	// Failed opens leave nothing either.
	must(t, fs.Remove("/db/CURRENT"))
	for range 20 {
		opts.FS = fs
		var missing *MissingFileError
		if _, err := Open("/db", &opts); !errors.As(err, &missing) {
			t.Fatal(err)
		}
	}
	if n := fs.OpenHandles(); n != 0 {
		t.Fatalf("%d handles open after failed opens", n)
	}
	testkit.Until(t, func() bool { return runtime.NumGoroutine() <= before }, func() string {
		buf := make([]byte, 1<<16)
		return fmt.Sprintf("%d goroutines, %d before:\n%s", runtime.NumGoroutine(), before, buf[:runtime.Stack(buf, true)])
	})
	files, err := fs.List("/db")
	must(t, err)
	if len(files) > 40 {
		t.Errorf("%d files in the end", len(files))
	}
}
