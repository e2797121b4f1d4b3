package db

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cordwood-db/cordwood/internal/testkit"
	"github.com/cordwood-db/cordwood/vfs"
)

// vlogReads counts the reads of value-log files. Who counts those of a call does
// so in a synctest bubble, where the store does not find itself idle because the
// machine is slow, and reads values for work of its own.
type vlogReads struct {
	*vfs.Faulty
	n    atomic.Int64
	fail atomic.Pointer[func(op vfs.Op) bool] // which of them fail
}

func newVlogReads(inner vfs.FS) *vlogReads {
	v := &vlogReads{}
	v.Faulty = vfs.NewFaulty(inner, func(op vfs.Op) *vfs.Fault {
		if op.Kind != vfs.OpRead || !strings.HasSuffix(op.Path, ".vlog") {
			return nil
		}
		v.n.Add(1)
		if fail := v.fail.Load(); fail != nil && (*fail)(op) {
			return &vfs.Fault{Err: vfs.ErrInjected}
		}
		return nil
	})
	return v
}

// separated is a store of n values in the value log, neighbours in key order.
func separated(t *testing.T, n int) (*DB, *vlogReads) {
	t.Helper()
	fs := newVlogReads(vfs.NewMem())
	store, err := Open("/db", &Options{FS: fs, ValueThreshold: 100, Merge: Counter()})
	must(t, err)
	for i := range n {
		must(t, store.Put(aheadKey(i), aheadValue(i)))
	}
	must(t, store.Compact(context.Background(), All()))
	fs.n.Store(0)
	return store, fs
}

func aheadKey(i int) []byte   { return fmt.Appendf(nil, "k%06d", i) }
func aheadValue(i int) []byte { return bytes.Repeat([]byte{byte(i), byte(i >> 8)}, 100+i%7) }

func TestScansFetchNeighbouringValuesTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 2000
		store, fs := separated(t, n)
		defer closeDB(t, store)
		for _, r := range []Range{All(), All().Backward()} {
			fs.n.Store(0)
			seen := 0
			for item, err := range store.Scan(r) {
				must(t, err)
				i := seen
				if r.backward {
					i = n - 1 - seen
				}
				v, err := item.Value()
				if err != nil || !bytes.Equal(v, aheadValue(i)) || !bytes.Equal(item.Key(), aheadKey(i)) || item.ValueSize() != len(v) {
					t.Fatalf("item %d: %s, %d bytes, %v", i, item.Key(), len(v), err)
				}
				seen++
			}
			if reads := fs.n.Load(); seen != n || reads > n/32+20 {
				t.Errorf("backward %v: %d items with %d reads", r.backward, seen, reads)
			}
		}
		if n := store.ahead.Load(); n != 0 {
			t.Errorf("%d bytes counted after all scans ended", n)
		}
	})
}

func TestALoopThatEndsSoonReadsLittleAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, fs := separated(t, 500)
		defer closeDB(t, store)
		_, err := store.Get(aheadKey(0)) // opens the file
		must(t, err)
		for _, c := range []struct{ items, reads int64 }{{1, 1}, {2, 2}, {3, 3}, {4, 4}, {8, 5}} {
			fs.n.Store(0)
			left := c.items
			for item, err := range store.Scan(All()) {
				must(t, err)
				_, err := item.Value()
				must(t, err)
				if left--; left == 0 {
					break
				}
			}
			if fs.n.Load() > c.reads {
				t.Errorf("%d values took %d reads", c.items, fs.n.Load())
			}
		}
	})
}

func TestNobodyPaysForValuesThatAreNotAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, fs := separated(t, 500)
		defer closeDB(t, store)
		for i := range 100 { // with values to merge over some of them
			must(t, store.Put(aheadKey(1000+i), append(make([]byte, 8), bytes.Repeat([]byte{1}, 100)...)[:8+i%3*50]))
		}
		must(t, store.Flush(context.Background()))
		for i := range 500 {
			must(t, store.Merge(fmt.Appendf(nil, "k%06dm", i), CounterBytes(1)))
		}
		fs.n.Store(0)
		for _, r := range []Range{All(), All().Backward(), All().KeysOnly(), All().KeysOnly().Backward()} {
			size := 0
			for item, err := range store.Scan(r) {
				must(t, err)
				size += item.ValueSize() + len(item.Key())
				if r.keysOnly {
					if _, err := item.Value(); !errors.Is(err, errKeysOnly) {
						t.Fatal(err)
					}
				}
			}
			if reads := fs.n.Load(); reads != 0 || size == 0 {
				t.Fatalf("%+v: %d reads of the value log", r, reads)
			}
		}
		// A cursor whose values nobody asks for any more stops.
		cur, err := store.NewCursor(All())
		must(t, err)
		for range 200 {
			cur.Next()
			_, err := cur.Value()
			must(t, err)
		}
		before := fs.n.Load()
		for cur.Next() {
		}
		must(t, cur.Err())
		if more := fs.n.Load() - before; more > 0 {
			t.Errorf("%d reads after the last value was asked for", more)
		}
		must(t, cur.Close())
	})
}

// Operands over a value in the value log: only its merged value needs it.
func TestKeysOnlyDoesNotMerge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := newVlogReads(vfs.NewMem())
		store, err := Open("/db", &Options{FS: fs, ValueThreshold: 8, Merge: Counter()})
		must(t, err)
		defer closeDB(t, store)
		for i := range 10 {
			must(t, store.Put(aheadKey(i), CounterBytes(int64(i))))
		}
		must(t, store.Flush(context.Background()))
		for i := range 10 {
			must(t, store.Merge(aheadKey(i), CounterBytes(1)))
		}
		fs.n.Store(0)
		for _, r := range []Range{All().KeysOnly(), All().KeysOnly().Backward()} {
			n := 0
			for item, err := range store.Scan(r) {
				must(t, err)
				n += 1 + item.ValueSize()
			}
			if n != 10 || fs.n.Load() != 0 {
				t.Fatalf("%d keys, %d reads", n, fs.n.Load())
			}
		}
	})
}

func TestADamagedValueIsAnErrorOfItsItemAlone(t *testing.T) {
	const n = 300
	store, fs := separated(t, n)
	defer closeDB(t, store)
	// Fail whatever reads some bytes in the middle of the file.
	var low int64
	fail := func(op vfs.Op) bool { return op.Offset <= low && low < op.Offset+int64(op.Len) }
	low = int64(n) / 2 * 260
	fs.fail.Store(&fail)
	for _, r := range []Range{All(), All().Backward()} {
		seen, bad := 0, 0
		for item, err := range store.Scan(r) {
			must(t, err)
			i := seen
			if r.backward {
				i = n - 1 - seen
			}
			seen++
			switch v, err := item.Value(); {
			case errors.Is(err, vfs.ErrInjected):
				bad++
			case err != nil || !bytes.Equal(v, aheadValue(i)):
				t.Fatalf("item %d: %d bytes, %v", i, len(v), err)
			}
		}
		if seen != n || bad != 1 {
			t.Errorf("backward %v: %d of %d items, %d with errors", r.backward, seen, n, bad)
		}
	}
}

// An error of the walk, met while looking ahead, comes after the items before it.
func TestAnErrorAheadWaitsForItsTurn(t *testing.T) {
	testkit.Sequential(t)
	inner := vfs.NewMem()
	var left atomic.Int64
	left.Store(1 << 40)
	fs := vfs.NewFaulty(inner, func(op vfs.Op) *vfs.Fault {
		if op.Kind == vfs.OpRead && strings.HasSuffix(op.Path, ".sst") && left.Add(-1) < 0 {
			return &vfs.Fault{Err: vfs.ErrInjected}
		}
		return nil
	})
	store, err := Open("/db", &Options{FS: fs, ValueThreshold: 100, BlockBytes: 200})
	must(t, err)
	defer closeDB(t, store)
	const n = 3000
	for i := range n {
		must(t, store.Put(aheadKey(i), aheadValue(i)))
	}
	must(t, store.Compact(context.Background(), All()))
	failed := 0
	for _, r := range []Range{All(), All().Backward()} {
		for fuse := range int64(20) {
			store.cache.Resize(0)
			store.cache.Resize(1 << 20)
			left.Store(fuse)
			seen := 0
			var end error
			for item, err := range store.Scan(r) {
				if end = err; err != nil {
					break
				}
				i := seen
				if r.backward {
					i = n - 1 - seen
				}
				if v, err := item.Value(); err != nil || !bytes.Equal(v, aheadValue(i)) {
					t.Fatalf("item %d: %d bytes, %v", i, len(v), err)
				}
				seen++
			}
			left.Store(1 << 40)
			if (end == nil) != (seen == n) || end != nil && !errors.Is(end, vfs.ErrInjected) {
				t.Fatalf("fuse %d: %d of %d items, %v", fuse, seen, n, end)
			}
			if end != nil && seen > 8 {
				failed++
			}
		}
	}
	if failed < 2 {
		t.Errorf("%d scans failed on their way", failed)
	}
}

// walker checks a cursor against the sorted keys that it should show.
type walker struct {
	t    *testing.T
	cur  *Cursor
	keys []string
	want map[string][]byte
	at   int // index of the current key; -1 before, len(keys) behind
}

func (w *walker) check(what string, ok bool) {
	w.t.Helper()
	if want := w.at >= 0 && w.at < len(w.keys); ok != want || w.cur.Valid() != want || w.cur.Err() != nil {
		w.t.Fatalf("%s to %d of %d: %v, %v", what, w.at, len(w.keys), ok, w.cur.Err())
	}
	if ok && string(w.cur.Key()) != w.keys[w.at] {
		w.t.Fatalf("%s to %d: at %s, want %s", what, w.at, w.cur.Key(), w.keys[w.at])
	}
}

func (w *walker) value() {
	w.t.Helper()
	if w.at < 0 || w.at >= len(w.keys) {
		return
	}
	want := w.want[w.keys[w.at]]
	v, err := w.cur.Value()
	if err != nil || !bytes.Equal(v, want) || w.cur.Item().ValueSize() != len(want) {
		w.t.Fatalf("value of %s: %d bytes of %d, %v, want %d", w.keys[w.at], len(v), w.cur.Item().ValueSize(), err, len(want))
	}
}

func (w *walker) next() {
	w.t.Helper()
	w.at = min(w.at+1, len(w.keys))
	w.check("Next", w.cur.Next())
}

func (w *walker) prev() {
	w.t.Helper()
	w.at = max(w.at-1, -1)
	w.check("Prev", w.cur.Prev())
}

func (w *walker) seek(rng *rand.Rand) {
	w.t.Helper()
	key := aheadKey(rng.IntN(1000))
	i, _ := slices.BinarySearch(w.keys, string(key))
	switch rng.IntN(4) {
	case 0:
		w.at = 0
		w.check("First", w.cur.First())
	case 1:
		w.at = len(w.keys) - 1
		w.check("Last", w.cur.Last())
	case 2:
		w.at = i
		w.check("SeekGE", w.cur.SeekGE(key))
	case 3:
		w.at = i - 1
		w.check("SeekLT", w.cur.SeekLT(key))
	}
}

func TestCursorsThatLookAheadShowTheSame(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	rng := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	opts := smallOptions()
	opts.ValueThreshold, opts.Merge = 100, Counter()
	store := openMem(t, vfs.NewMem(), opts)
	defer closeDB(t, store)
	want := make(map[string][]byte)
	for round := range 4 {
		for i := range 1000 {
			key := aheadKey(i)
			switch dice := rng.IntN(20); {
			case round > 0 && dice < 12:
			case dice < 14:
				must(t, store.Delete(key))
				delete(want, string(key))
			case dice == 14:
				must(t, store.Put(key, CounterBytes(1)), store.Merge(key, CounterBytes(2)))
				want[string(key)] = CounterBytes(3)
			default:
				v := aheadValue(i)[:rng.IntN(200)]
				must(t, store.Put(key, v))
				want[string(key)] = v
			}
		}
		for i := range 200 { // a stretch of neighbours
			must(t, store.Put(aheadKey(400+i), aheadValue(i)))
			want[string(aheadKey(400+i))] = aheadValue(i)
		}
		if round == 1 {
			must(t, store.Compact(context.Background(), All()))
		}
	}
	w := &walker{t: t, want: want, at: -1}
	for k := range want {
		w.keys = append(w.keys, k)
	}
	slices.Sort(w.keys)
	var err error
	w.cur, err = store.NewCursor(All())
	must(t, err)
	w.at = 0
	w.check("First", w.cur.First())
	looked := 0
	for range 500 {
		if rng.IntN(5) == 0 {
			w.seek(rng)
		}
		step := w.next
		if rng.IntN(2) == 0 {
			step = w.prev
		}
		asks := rng.IntN(4) > 0
		for range rng.IntN(120) {
			step()
			if asks {
				w.value()
			}
			if w.cur.ahead != nil && w.cur.ahead.on {
				looked++
			}
		}
	}
	if looked == 0 {
		t.Error("the cursor never looked ahead")
	}
	if n := store.Metrics().PrefetchBytes; n > store.opts.MemoryMax/aheadShare || n == 0 {
		t.Errorf("%d bytes are counted", n)
	}
	must(t, w.cur.Close())
	if n := store.ahead.Load(); n != 0 {
		t.Errorf("%d bytes are counted after Close", n)
	}
}

func TestAllCursorsTogetherStayWithinTheirShare(t *testing.T) {
	store, _ := separated(t, 300)
	defer closeDB(t, store)
	store.opts.MemoryMax = 1 << 20 // shares of 64 KiB
	var cursors []*Cursor
	for range 20 {
		cur, err := store.NewCursor(All())
		must(t, err)
		cursors = append(cursors, cur)
		for i := range 300 {
			if !cur.Next() {
				t.Fatal(cur.Err())
			}
			if v, err := cur.Value(); err != nil || !bytes.Equal(v, aheadValue(i)) {
				t.Fatalf("item %d: %v", i, err)
			}
		}
		if n := store.ahead.Load(); n > 64<<10 || n == 0 {
			t.Fatalf("%d bytes are counted", n)
		}
	}
	for _, cur := range cursors {
		must(t, cur.Close())
	}
	if n := store.ahead.Load(); n != 0 {
		t.Errorf("%d bytes are counted after all were closed", n)
	}
}

// A transaction relies on the items that its loop was given, and not on those
// that were fetched ahead.
func TestATransactionReliesOnWhatItWasShown(t *testing.T) {
	const n, shown = 100, 30
	for _, c := range []struct {
		r        Range
		shown    int
		key      []byte
		conflict bool
	}{
		{All(), shown, aheadKey(shown - 1), true},
		{All(), shown, append(aheadKey(shown-1), 'x'), false},
		{All(), shown, aheadKey(shown), false},
		{All(), n + 1, aheadKey(n), true},
		{All(), n, aheadKey(n), false},
		{All().Backward(), shown, aheadKey(n - shown), true},
		{All().Backward(), shown, aheadKey(n - shown - 1), false},
		{All().Backward(), n + 1, []byte("a"), true},
		{All().Backward(), n, []byte("a"), false},
	} {
		store, _ := separated(t, n)
		tx, err := store.Begin(TxOptions{})
		must(t, err)
		cur, err := tx.NewCursor(c.r)
		must(t, err)
		step := cur.Next
		if c.r.backward {
			step = cur.Prev
		}
		looked := false
		for i := range c.shown {
			if ok := step(); ok != (i < n) {
				t.Fatal(i, cur.Err())
			} else if ok {
				_, err := cur.Value()
				must(t, err)
			}
			looked = looked || cur.ahead != nil && cur.ahead.on
		}
		must(t, store.Put(c.key, nil), tx.Put([]byte("mine"), nil))
		if err := tx.Commit(); errors.Is(err, ErrConflict) != c.conflict || err != nil && !c.conflict {
			t.Errorf("%d items shown, %s written, backward %v: %v", c.shown, c.key, c.r.backward, err)
		}
		if !looked {
			t.Error("the cursor never looked ahead")
		}
		closeDB(t, store)
	}
}

func TestATransactionSeesItsOwnValuesAmongThoseFetchedAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 300
		store, fs := separated(t, n)
		defer closeDB(t, store)
		tx, err := store.Begin(TxOptions{})
		must(t, err)
		defer tx.Discard()
		own := func(i int) []byte { return bytes.Repeat([]byte{1, byte(i)}, 200) }
		for i := 0; i < n; i += 5 {
			must(t, tx.Put(aheadKey(i), own(i)))
		}
		for _, r := range []Range{All(), All().Backward()} {
			seen := 0
			for item, err := range tx.Scan(r) {
				must(t, err)
				i := seen
				if r.backward {
					i = n - 1 - seen
				}
				want := aheadValue(i)
				if i%5 == 0 {
					want = own(i)
				}
				if v, err := item.Value(); err != nil || !bytes.Equal(v, want) {
					t.Fatalf("item %d: %d bytes, %v", i, len(v), err)
				}
				seen++
			}
			if seen != n {
				t.Fatalf("%d items", seen)
			}
		}
		if reads := fs.n.Load(); reads > n/4 {
			t.Errorf("%d reads", reads)
		}
	})
}

func TestClosingTheStoreUncountsWhatCursorsFetchedAhead(t *testing.T) {
	store, _ := separated(t, 200)
	cur, err := store.NewCursor(All())
	must(t, err)
	var value []byte
	for i := range 50 {
		if !cur.Next() {
			t.Fatal(i, cur.Err())
		}
		value, err = cur.Value()
		must(t, err)
	}
	if store.Metrics().PrefetchBytes == 0 {
		t.Fatal("the cursor has not looked ahead")
	}
	closeDB(t, store)
	if n := store.ahead.Load(); n != 0 {
		t.Errorf("%d bytes are counted", n)
	}
	if !bytes.Equal(value, aheadValue(49)) {
		t.Error("the value changed in its holder's hands")
	}
	if cur.Next() || !errors.Is(cur.Err(), ErrClosed) {
		t.Error(cur.Err())
	}
	must(t, cur.Close())
	if n := store.ahead.Load(); n != 0 {
		t.Errorf("%d bytes are counted", n)
	}
}
