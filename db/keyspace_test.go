package db

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cordwood-db/cordwood/internal/testkit"
	"github.com/cordwood-db/cordwood/manifest"
	"github.com/cordwood-db/cordwood/vfs"
)

func openSpace(t *testing.T, store *DB, name string, o *KeyspaceOptions) *Keyspace {
	t.Helper()
	ks, err := store.Keyspace(name, o)
	must(t, err)
	return ks
}

// holds checks what a reader has for a key; "" is nothing.
func holds(t *testing.T, r Reader, key, want string) {
	t.Helper()
	got, err := r.Get([]byte(key))
	if errors.Is(err, ErrNotFound) {
		got, err = nil, nil
	}
	if err != nil || string(got) != want {
		t.Errorf("%s: have %.40q, %v, want %.40q", key, got, err, want)
	}
}

func scanned(t *testing.T, r Reader, rng Range) string {
	t.Helper()
	var out []string
	for item, err := range r.Scan(rng) {
		must(t, err)
		v, err := item.Value()
		must(t, err)
		out = append(out, fmt.Sprintf("%s=%.8s", item.Key(), v))
	}
	return strings.Join(out, " ")
}

func TestOneKeyHasAValueInEachKeyspace(t *testing.T) {
	fs := vfs.NewMem()
	store := openMem(t, fs, smallOptions())
	big := strings.Repeat("x", 3000)
	a, b := openSpace(t, store, "a", nil), openSpace(t, store, "b", nil)
	if again := openSpace(t, store, "a", nil); again != a {
		t.Error("opening a keyspace again gives another one")
	}
	must(t, store.Put([]byte("k"), []byte("main")), a.Put([]byte("k"), []byte("a"+big)), b.Put([]byte("k"), []byte("b")))
	check := func() {
		t.Helper()
		holds(t, store, "k", "main")
		holds(t, store.Default(), "k", "main")
		holds(t, a, "k", "a"+big)
		holds(t, b, "k", "b")
		if got := scanned(t, a, All()) + "|" + scanned(t, b, All().Backward()); got != "k=axxxxxxx|k=b" {
			t.Error(got)
		}
		values, err := a.MultiGet([]byte("k"), []byte("l"))
		if err != nil || string(values[0]) != "a"+big || values[1] != nil {
			t.Errorf("%.10q %v", values, err)
		}
	}
	check()
	must(t, store.Flush(context.Background()))
	check()
	must(t, store.Compact(context.Background(), All()), a.Compact(context.Background(), All()))
	check()
	closeDB(t, store)
	store = openMem(t, fs, smallOptions())
	defer closeDB(t, store)
	if got := store.Keyspaces(); !slices.Equal(got, []string{"a", "b"}) {
		t.Error(got)
	}
	a, b = openSpace(t, store, "a", nil), openSpace(t, store, "b", nil)
	check()
	must(t, a.Delete([]byte("k")), b.DeleteRange(All()))
	holds(t, a, "k", "")
	holds(t, b, "k", "")
	holds(t, store, "k", "main")
}

func TestBatchesAndSnapshotsSpanKeyspaces(t *testing.T) {
	fs := vfs.NewMem()
	store := openMem(t, fs, smallOptions())
	a := openSpace(t, store, "a", nil)
	b := store.NewBatch()
	must(t, b.Put([]byte("k"), []byte("1")), b.In(a).Put([]byte("k"), []byte("a1")), b.In(a).Put([]byte("big"), make([]byte, 2000)))
	must(t, store.Apply(b, Sync))
	snap, err := store.Snapshot()
	must(t, err)
	b.Reset()
	must(t, b.Delete([]byte("k")), b.In(a).Delete([]byte("k")), b.In(a).DeleteRange(Prefix([]byte("b"))))
	must(t, store.Apply(b, Sync))
	must(t, store.Flush(context.Background()), a.Compact(context.Background(), All()))
	holds(t, snap, "k", "1")
	holds(t, snap.In(a), "k", "a1")
	if got := scanned(t, snap.In(a), All()); got != "big=\x00\x00\x00\x00\x00\x00\x00\x00 k=a1" {
		t.Errorf("%q", got)
	}
	holds(t, store, "k", "")
	holds(t, a, "k", "")
	later := openSpace(t, store, "later", nil)
	holds(t, snap.In(later), "k", "")
	must(t, snap.Close())
	closeDB(t, store)
}

func TestABatchOverKeyspacesIsWholeAfterACrash(t *testing.T) {
	fs := vfs.NewMem()
	store := openMem(t, fs, smallOptions())
	a := openSpace(t, store, "a", nil)
	for i := range 50 {
		b := store.NewBatch()
		must(t, b.Put([]byte("n"), fmt.Append(nil, i)), b.In(a).Put([]byte("n"), fmt.Append(nil, i)))
		must(t, b.In(a).Put(fmt.Append(nil, i), make([]byte, 1500)))
		must(t, store.Apply(b, NoSync))
		image := fs.CrashClone(func(vfs.CrashItem) vfs.CrashChoice { return vfs.CrashDrop })
		lost := openMem(t, image, smallOptions())
		la, err := lost.Keyspace("a", nil)
		must(t, err)
		x, errX := lost.Get([]byte("n"))
		y, errY := la.Get([]byte("n"))
		if string(x) != string(y) || errors.Is(errX, ErrNotFound) != errors.Is(errY, ErrNotFound) {
			t.Fatalf("half a batch: %q %v, %q %v", x, errX, y, errY)
		}
		closeDB(t, lost)
	}
	closeDB(t, store)
}

func TestADroppedKeyspaceIsGoneAtOnceAndItsSpaceComesBack(t *testing.T) {
	for _, flushed := range []bool{false, true} {
		fs := vfs.NewMem()
		opts := smallOptions()
		store := openMem(t, fs, opts)
		a, b := openSpace(t, store, "a", nil), openSpace(t, store, "b", nil)
		for i := range 200 {
			key := fmt.Appendf(nil, "%03d", i)
			must(t, a.Put(key, make([]byte, 3000)), b.Put(key, make([]byte, 1100)), store.Put(key, key))
		}
		if flushed {
			must(t, store.Flush(context.Background()))
		}
		cur, err := a.NewCursor(All())
		must(t, err)
		snap, err := store.Snapshot()
		must(t, err)
		must(t, store.DropKeyspace("a"))
		for _, err := range []error{
			a.Put([]byte("k"), nil), a.Delete([]byte("k")), errOf(a.Get([]byte("001"))), errOf(snap.In(a).Get([]byte("001"))),
			errOf(a.NewCursor(All())), a.Compact(context.Background(), All()),
		} {
			if !errors.Is(err, ErrKeyspaceDropped) {
				t.Errorf("use of a dropped keyspace: %v", err)
			}
		}
		if err := store.DropKeyspace("a"); !errors.Is(err, ErrNoKeyspace) {
			t.Error(err)
		}
		n := 0
		for cur.Next() {
			if v, err := cur.Value(); err != nil || len(v) != 3000 {
				t.Fatal(len(v), err)
			}
			n++
		}
		if n != 200 || cur.Err() != nil {
			t.Errorf("an open cursor sees %d keys, %v", n, cur.Err())
		}
		must(t, cur.Close(), snap.Close())
		fresh := openSpace(t, store, "a", nil)
		holds(t, fresh, "001", "")
		must(t, fresh.Put([]byte("001"), []byte("new")))
		testkit.Until(t, func() bool {
			_ = store.Flush(context.Background())
			_ = store.CollectGarbage(context.Background(), 0)
			m := store.Metrics()
			return m.ValueLog.Bytes < 400<<10 && len(storedTrees(store)) == 3
		}, func() string { return fmt.Sprint(store.Metrics().ValueLog, storedTrees(store)) })
		closeDB(t, store)
		store = openMem(t, fs, opts)
		holds(t, openSpace(t, store, "a", nil), "001", "new")
		if v, err := openSpace(t, store, "b", nil).Get([]byte("199")); err != nil || len(v) != 1100 {
			t.Error(len(v), err)
		}
		closeDB(t, store)
	}
}

func errOf[T any](_ T, err error) error { return err }

// storedTrees are the numbers of the trees that the MANIFEST knows.
func storedTrees(store *DB) []uint32 {
	v := store.set.Current()
	defer v.Unref()
	var nums []uint32
	for _, tree := range v.Trees {
		nums = append(nums, tree.Num)
	}
	return nums
}

// The log still holds commits of a keyspace that is dropped, with values that
// may be collected before the log is retired.
func TestReplayPassesOverDroppedKeyspaces(t *testing.T) {
	fs := vfs.NewMem()
	opts := smallOptions()
	store := openMem(t, fs, opts)
	a := openSpace(t, store, "a", nil)
	b := store.NewBatch()
	must(t, b.In(a).Put([]byte("x"), make([]byte, 2000)), b.Put([]byte("y"), []byte("kept")), b.In(a).Merge([]byte("x"), nil))
	if err := store.Apply(b, Sync); !errors.Is(err, ErrNoMerge) {
		t.Fatal(err)
	}
	b.Reset()
	must(t, b.In(a).Put([]byte("x"), make([]byte, 2000)), b.Put([]byte("y"), []byte("kept")), b.In(a).Put([]byte("z"), nil))
	must(t, store.Apply(b, Sync))
	must(t, store.DropKeyspace("a"), store.Put([]byte("after"), []byte("too")))
	image := fs.CrashClone(func(vfs.CrashItem) vfs.CrashChoice { return vfs.CrashKeep })
	store2 := openMem(t, image, opts)
	holds(t, store2, "y", "kept")
	holds(t, store2, "after", "too")
	if got := store2.Keyspaces(); len(got) != 0 {
		t.Error(got)
	}
	holds(t, openSpace(t, store2, "a", nil), "z", "")
	closeDB(t, store2)
	closeDB(t, store)
}

// What a flush says of the log counts commits of dropped keyspaces too, or else
// the next open replays a commit that was flushed already.
func TestACommitThatEndsInADroppedKeyspaceIsReplayedOnce(t *testing.T) {
	fs := vfs.NewMem()
	opts := smallOptions()
	opts.Merge = Append()
	store := openMem(t, fs, opts)
	a := openSpace(t, store, "a", nil)
	b := store.NewBatch()
	must(t, b.Merge([]byte("m"), []byte("1")), b.In(a).Put([]byte("x"), nil))
	must(t, store.Apply(b, Sync), store.DropKeyspace("a"))
	for range 3 {
		fs = fs.KillClone()
		next := openMem(t, fs, opts)
		must(t, next.Flush(context.Background()))
		holds(t, next, "m", "1")
		fs = fs.KillClone()
		closeDB(t, next)
	}
	closeDB(t, store)
}

func TestKeyspaceOptionsAreStored(t *testing.T) {
	fs := vfs.NewMem()
	var clock jumpingClock
	clock.set(time.Unix(1000, 0).UnixNano())
	opts := smallOptions()
	opts.Clock = clock.Now
	store := openMem(t, fs, opts)
	o := &KeyspaceOptions{DefaultTTL: time.Minute, BlockBytes: 100, ValueThreshold: -1, FilterBitsPerKey: -1,
		Compression: CompressionNone, Merge: Append()}
	a := openSpace(t, store, "a", o)
	must(t, a.Put([]byte("k"), make([]byte, 5000)), a.PutTTL([]byte("long"), nil, time.Hour), a.Merge([]byte("m"), []byte("1")))
	closeDB(t, store)

	store = openMem(t, fs, opts)
	set := store.spaces.named("a").set.Load()
	if set.ttl != time.Minute || set.blockBytes != 100 || set.threshold != MaxValueBytes+1 || set.filterBits != 0 ||
		set.compression != CompressionNone || set.merge != nil {
		t.Errorf("%+v", set)
	}
	if _, err := store.Keyspace("a", &KeyspaceOptions{Merge: Counter()}); !errors.Is(err, ErrMergeOperator) {
		t.Error(err)
	}
	a = openSpace(t, store, "a", nil)
	if err := a.Merge([]byte("m"), []byte("2")); !errors.Is(err, ErrNoMerge) {
		t.Error(err)
	}
	a = openSpace(t, store, "a", &KeyspaceOptions{Merge: Append(), DefaultTTL: -1, BlockBytes: 200})
	must(t, a.Merge([]byte("m"), []byte("2")), a.Put([]byte("ever"), []byte("v")))
	holds(t, a, "m", "12")
	if _, err := store.Get([]byte("m")); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	if m := store.Metrics(); m.ValueLog.Files != 0 {
		t.Error("a keyspace without separation has values in the value log")
	}
	clock.set(clock.latest + int64(2*time.Minute))
	if ok, err := a.Has([]byte("k")); ok || err != nil {
		t.Error("the default time to live has no effect", err)
	}
	holds(t, a, "ever", "v")
	closeDB(t, store)
	store = openMem(t, fs, opts)
	if set := store.spaces.named("a").set.Load(); set.ttl != 0 || set.blockBytes != 200 {
		t.Errorf("%+v", set)
	}
	closeDB(t, store)
}

func TestKeyspaceErrors(t *testing.T) {
	fs := vfs.NewMem()
	store := openMem(t, fs, smallOptions())
	other := openMem(t, vfs.NewMem(), smallOptions())
	for _, name := range []string{"", strings.Repeat("n", 256), "\xff"} {
		if _, err := store.Keyspace(name, nil); !errors.Is(err, errOptions) {
			t.Errorf("name %q: %v", name, err)
		}
		if err := store.DropKeyspace(name); !errors.Is(err, errOptions) {
			t.Errorf("name %q: %v", name, err)
		}
	}
	for _, o := range []KeyspaceOptions{{BlockBytes: -1}, {FilterBitsPerKey: 65}, {Compression: 7}} {
		if _, err := store.Keyspace("bad", &o); !errors.Is(err, errOptions) {
			t.Errorf("%+v: %v", o, err)
		}
	}
	if _, err := store.Keyspace("none", &KeyspaceOptions{MustExist: true}); !errors.Is(err, ErrNoKeyspace) {
		t.Error(err)
	}
	a := openSpace(t, store, strings.Repeat("n", 255), nil)
	b := other.NewBatch()
	must(t, b.In(a).Put([]byte("k"), nil))
	if err := other.Apply(b, NoSync); !errors.Is(err, errForeignKeyspace) {
		t.Error(err)
	}
	snap, err := other.Snapshot()
	must(t, err)
	if _, err := snap.In(a).Get([]byte("k")); !errors.Is(err, errForeignKeyspace) {
		t.Error(err)
	}
	must(t, snap.Close())
	closeDB(t, other)
	must(t, a.Put([]byte("k"), []byte("v")))
	closeDB(t, store)

	opts := smallOptions()
	opts.ReadOnly = true
	store = openMem(t, fs, opts)
	if _, err := store.Keyspace("none", nil); !errors.Is(err, ErrNoKeyspace) {
		t.Error(err)
	}
	if err := store.DropKeyspace(a.Name()); !errors.Is(err, ErrReadOnly) {
		t.Error(err)
	}
	holds(t, openSpace(t, store, a.Name(), &KeyspaceOptions{DefaultTTL: time.Hour}), "k", "v")
	closeDB(t, store)
}

func TestACheckpointHoldsAllKeyspaces(t *testing.T) {
	fs := vfs.NewMem()
	store := openMem(t, fs, smallOptions())
	a := openSpace(t, store, "a", &KeyspaceOptions{Merge: Append(), ValueThreshold: 10})
	openSpace(t, store, "gone", nil)
	must(t, a.Put([]byte("k"), []byte("a value of some length")), a.Merge([]byte("m"), []byte("1")))
	must(t, store.DropKeyspace("gone"), store.Checkpoint(context.Background(), "/copy"))
	must(t, a.Put([]byte("k"), []byte("later")))
	closeDB(t, store)
	opts := smallOptions()
	opts.FS = fs
	twin, err := Open("/copy", &opts)
	must(t, err)
	defer closeDB(t, twin)
	if got := twin.Keyspaces(); !slices.Equal(got, []string{"a"}) {
		t.Error(got)
	}
	if _, err := twin.Keyspace("a", &KeyspaceOptions{Merge: Max()}); !errors.Is(err, ErrMergeOperator) {
		t.Error(err)
	}
	holds(t, openSpace(t, twin, "a", &KeyspaceOptions{Merge: Append()}), "k", "a value of some length")
	holds(t, twin.spaces.named("a"), "m", "1")
	if ks := openSpace(t, twin, "new", nil); ks.num <= 2 {
		t.Errorf("the copy gives out number %d again", ks.num)
	}
}

// Writers that lose their keyspace get its error; the others of their groups
// don't notice.
func TestDropBesideWriters(t *testing.T) {
	fs := vfs.NewMem()
	store := openMem(t, fs, smallOptions())
	for round := range 20 {
		a := openSpace(t, store, "a", nil)
		var wg sync.WaitGroup
		var made atomic.Int64 // writes
		for w := range 3 {
			wg.Go(func() {
				for i := range 200 {
					key := fmt.Appendf(nil, "%d/%d", w, i)
					if err := store.Put(key, fmt.Append(nil, round)); err != nil {
						t.Error(err)
						return
					}
					made.Add(1)
					b := store.NewBatch()
					must(t, b.In(a).Put(key, make([]byte, i*9)), b.Put(append(key, 'x'), fmt.Append(nil, round)))
					if err := store.Apply(b, NoSync); err != nil {
						if !errors.Is(err, ErrKeyspaceDropped) {
							t.Error(err)
						}
						if v, _ := store.Get(append(key, 'x')); string(v) == fmt.Sprint(round) {
							t.Error("half of a refused batch is visible")
						}
					}
				}
			})
		}
		afterCalls(t, &made, int64(round*30)) // of 600
		must(t, store.DropKeyspace("a"))
		wg.Wait()
	}
	testkit.Until(t, func() bool {
		_ = store.Flush(context.Background())
		return len(storedTrees(store)) == 1
	}, func() string { return fmt.Sprint(storedTrees(store)) })
	closeDB(t, store)
	store = openMem(t, fs, smallOptions())
	holds(t, store, "2/199", "19")
	closeDB(t, store)
}

func TestBadSettingsAreRefused(t *testing.T) {
	for _, c := range []struct {
		bytes string
		newer bool
	}{
		{"\x63\x01", true},
		{"\x05\x09", true},
		{"\x05\x82\x02", true}, // 258, which is 2 in a byte
		{"\x01", false},
		{"\x80", false},
		{"\x02\xff\xff\xff\xff\x0f", false},
		{"\x04\x80\x80\x80\x80\x80\x80\x80\xfc\x7f", false}, // not a number
	} {
		fs := vfs.NewMem()
		store := openMem(t, fs, smallOptions())
		a := openSpace(t, store, "a", nil)
		must(t, store.apply(&manifest.Edit{KeyspacesChanged: []manifest.KeyspaceChange{{Num: a.num, Settings: []byte(c.bytes)}}}, nil, nil))
		closeDB(t, store)
		for _, readOnly := range []bool{true, false} {
			opts := smallOptions()
			opts.FS, opts.ReadOnly = fs, readOnly
			_, err := Open("/db", &opts)
			d, isDamage := errors.AsType[*CorruptionError](err)
			n, isNewer := errors.AsType[*FormatError](err)
			if isNewer != c.newer || isDamage == c.newer || err == nil || !strings.Contains(err.Error(), `keyspace "a"`) {
				t.Errorf("% x, read-only %v: %v", c.bytes, readOnly, err)
			} else if c.newer && n.File != "MANIFEST-000001" || !c.newer && d.File != "MANIFEST-000001" {
				t.Errorf("% x: another file: %v", c.bytes, err)
			}
		}
	}
	for _, s := range []storedSettings{{}, {ttl: -1, blockBytes: 5, threshold: -1, filterBits: -1, compression: CompressionZstd}} {
		if got, err := decodeSettings(s.encode()); err != nil || got != s {
			t.Errorf("%+v: %+v %v", s, got, err)
		}
	}
}

// The example of docs/format/manifest.md.
func TestSettingsAreEncodedAsSpecified(t *testing.T) {
	s := storedSettings{ttl: time.Second, blockBytes: 100, threshold: -1, compression: CompressionNone}
	if got := fmt.Sprintf("% x", s.encode()); got != "01 80 a8 d6 b9 07 02 64 03 01 05 02" {
		t.Error(got)
	}
}
