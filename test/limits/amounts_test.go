package limits

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/cordwood-db/cordwood/db"
	"github.com/cordwood-db/cordwood/internal/testkit"
	"github.com/cordwood-db/cordwood/vfs"
)

// reopened closes a store and opens it again.
func reopened(t *testing.T, store *db.DB, o *db.Options) *db.DB {
	t.Helper()
	must(t, store.Close())
	return open(t, "/db", o)
}

func TestMergesOfThousandsOfOperands(t *testing.T) {
	operands := testkit.Amount{Short: 2_000, Normal: 10_000, CI: 10_000, Full: 100_000}.Budget(t).Want()
	o := smallOptions(vfs.NewMem())
	store := open(t, "/db", o)
	var want []byte
	var snapshot *db.Snapshot
	half := 0
	for i := range operands {
		op := fmt.Appendf(nil, "%d,", i)
		want = append(want, op...)
		must(t, store.Merge([]byte("k"), op))
		if i == operands/2 {
			var err error
			snapshot, err = store.Snapshot()
			must(t, err)
			half = len(want)
		}
	}
	check := func(from db.Reader, want []byte) {
		t.Helper()
		if got, err := from.Get([]byte("k")); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%d bytes, %v; want %d", len(got), err, len(want))
		}
	}
	check(store, want)
	check(snapshot, want[:half])
	must(t, store.Compact(context.Background(), db.All()))
	check(store, want)
	check(snapshot, want[:half])
	must(t, snapshot.Close())
	store = reopened(t, store, o)
	check(store, want)
	must(t, store.Compact(context.Background(), db.All()))
	check(store, want)
	must(t, store.Close())
}

func TestAHundredThousandRangeDeletes(t *testing.T) {
	deletes := testkit.Amount{Short: 2_000, Normal: 15_000, CI: 100_000, Full: 1_000_000}.Budget(t).Want()
	r := rand.New(rand.NewPCG(testkit.Seed(t), 0))
	o := smallOptions(vfs.NewMem())
	o.MemtableBytes = 512 << 10
	store := open(t, "/db", o)
	const keys = 20_000
	key := func(i int) []byte { return fmt.Appendf(nil, "%08d", i) }
	there := make([]bool, keys)
	b := store.NewBatch()
	for i := range keys {
		there[i] = true
		must(t, b.Put(key(i), key(i)))
	}
	must(t, store.Apply(b, db.NoSync))
	for i := range deletes {
		from := r.IntN(keys)
		end := min(from+1+r.IntN(3), keys)
		must(t, store.DeleteRange(db.Between(key(from), key(end))))
		clear(there[from:end])
		if i%2 == 0 { // something comes back
			must(t, store.Put(key(from), key(from)))
			there[from] = true
		}
	}
	check := func() {
		t.Helper()
		want := 0
		for _, ok := range there {
			if ok {
				want++
			}
		}
		for item, err := range store.Scan(db.All()) {
			must(t, err)
			var i int
			if _, err := fmt.Sscanf(string(item.Key()), "%d", &i); err != nil || !there[i] {
				t.Fatalf("key %q was deleted, %v", item.Key(), err)
			}
			want--
		}
		if want != 0 {
			t.Fatalf("%d keys are missing", want)
		}
		for range 1000 {
			i := r.IntN(keys)
			if ok, err := store.Has(key(i)); err != nil || ok != there[i] {
				t.Fatalf("key %d: %v, %v; want %v", i, ok, err, there[i])
			}
		}
	}
	check()
	store = reopened(t, store, o)
	check()
	must(t, store.Compact(context.Background(), db.All()))
	check()
	must(t, store.Close())
}

func TestThousandsOfCursorsStayWhereTheyAre(t *testing.T) {
	count := testkit.Amount{Short: 500, Normal: 2_000, CI: 5_000, Full: 20_000}.Budget(t).Want()
	ctx := context.Background()
	store := open(t, "/db", smallOptions(vfs.NewMem()))
	key := func(i int) []byte { return fmt.Appendf(nil, "%08d", i) }
	const keys = 500
	for i := range keys {
		must(t, store.Put(key(i), make([]byte, i)))
	}
	var cursors []*db.Cursor
	for i := range count {
		c, err := store.NewCursor(db.All())
		must(t, err)
		if !c.SeekGE(key(i % keys)) {
			t.Fatalf("cursor %d finds nothing: %v", i, c.Err())
		}
		cursors = append(cursors, c)
		// What comes later is not for it.
		must(t, store.Put(fmt.Appendf(key(i%keys), "/%d", i), make([]byte, i%keys)))
		if i == count/2 {
			must(t, store.Flush(ctx), store.DeleteRange(db.Prefix([]byte("0000010"))), store.Compact(ctx, db.All()))
		}
	}
	must(t, store.DeleteRange(db.All()), store.Compact(ctx, db.All()), store.CollectGarbage(ctx, 0))
	for i, c := range cursors {
		v, err := c.Value()
		if !bytes.HasPrefix(c.Key(), key(i % keys)[:8]) && i <= count/2 || err != nil {
			t.Fatalf("cursor %d is at %q, %v", i, c.Key(), err)
		}
		if string(c.Key()) == string(key(i%keys)) && len(v) != i%keys {
			t.Fatalf("cursor %d: %d bytes", i, len(v))
		}
		last := append([]byte{}, c.Key()...)
		if c.Next() && bytes.Compare(c.Key(), last) <= 0 || c.Err() != nil {
			t.Fatalf("cursor %d goes from %q to %q, %v", i, last, c.Key(), c.Err())
		}
		must(t, c.Close())
	}
	if m := store.Metrics(); m.Cursors != 0 || m.Memtables > 3 {
		t.Errorf("%d cursors and %d memtables are left", m.Cursors, m.Memtables)
	}
	must(t, store.Close())
}

// A few hundred is what the documentation allows.
func TestHundredsOfKeyspaces(t *testing.T) {
	count := testkit.Amount{Short: 100, Normal: 500, CI: 1_000, Full: 2_000}.Budget(t).Want()
	o := smallOptions(vfs.NewMem())
	store := open(t, "/db", o)
	name := func(i int) string { return fmt.Sprintf("space/%d", i) }
	value := func(i int) []byte { return make([]byte, i%600) }
	b := store.NewBatch()
	for i := range count {
		ks, err := store.Keyspace(name(i), nil)
		must(t, err, b.In(ks).Put([]byte("k"), value(i)))
	}
	must(t, store.Apply(b, db.Sync)) // one commit over all
	check := func(from int) {
		t.Helper()
		if got := len(store.Keyspaces()); got != count-from {
			t.Fatalf("%d keyspaces, want %d", got, count-from)
		}
		for i := from; i < count; i++ {
			ks, err := store.Keyspace(name(i), &db.KeyspaceOptions{MustExist: true})
			must(t, err)
			if v, err := ks.Get([]byte("k")); err != nil || !bytes.Equal(v, value(i)) {
				t.Fatalf("keyspace %d: %d bytes, %v", i, len(v), err)
			}
		}
	}
	check(0)
	store = reopened(t, store, o)
	check(0)
	for i := range count / 2 {
		must(t, store.DropKeyspace(name(i)))
	}
	check(count / 2)
	store = reopened(t, store, o)
	check(count / 2)
	must(t, store.Close())
}

// A batch and a transaction of many times a memtable's size are one commit each.
func TestCommitsLargerThanMemtables(t *testing.T) {
	keys := testkit.Amount{Short: 6_000, Normal: 40_000, CI: 200_000, Full: 2_000_000}.Budget(t).Want()
	fs := vfs.NewMem()
	o := smallOptions(fs)
	store := open(t, "/db", o)
	b := store.NewBatch()
	tx, err := store.Begin(db.TxOptions{Durability: db.Sync})
	must(t, err)
	for i := range keys {
		value := make([]byte, 20+i%5/4*400) // every fifth for the value log
		must(t, b.Put(fmt.Appendf(nil, "batch/%08d", i), value), tx.Put(fmt.Appendf(nil, "tx/%08d", i), value))
	}
	count := func(prefix string) (n int) {
		t.Helper()
		for item, err := range store.Scan(db.Prefix([]byte(prefix))) {
			must(t, err)
			if v, err := item.Value(); err != nil || len(v) != 20+n%5/4*400 {
				t.Fatalf("%q: %d bytes, %v", item.Key(), len(v), err)
			}
			n++
		}
		return n
	}
	must(t, store.Apply(b, db.Sync))
	if n, of := count("batch/"), count("tx/"); n != keys || of != 0 {
		t.Fatalf("%d keys of the batch, %d of the transaction", n, of)
	}
	must(t, tx.Commit())
	o.FS = fs.CrashClone(nil) // power is lost
	old := store
	store = open(t, "/db", o)
	if n, of := count("batch/"), count("tx/"); n != keys || of != keys {
		t.Fatalf("%d keys of the batch, %d of the transaction, of %d", n, of, keys)
	}
	must(t, store.Close(), old.Close())
}

// Everything that takes a key or a value checks its limit before it writes.
func TestWhatIsOverALimitIsRefusedAndNothingIsWritten(t *testing.T) {
	fs := vfs.NewMem()
	o := smallOptions(fs)
	o.SyncInterval = -1
	store := open(t, "/db", o)
	ks, err := store.Keyspace("other", &db.KeyspaceOptions{Merge: db.Append()})
	must(t, err, ks.Put([]byte("k"), []byte("v")), store.Put([]byte("k"), []byte("v")))
	long := make([]byte, db.MaxKeyBytes+1)
	var huge []byte // never touched: takes no memory
	if large := strconv.IntSize == 64 && !testing.Short(); large {
		huge = make([]byte, db.MaxValueBytes+1)
	}
	key := []byte("k")
	writes := 0
	fs.SetHook(func(op vfs.Op) error {
		if op.Kind.Mutates() {
			writes++
		}
		return nil
	})
	refuse := func(what string, want error, errs ...error) {
		t.Helper()
		for i, err := range errs {
			if !errors.Is(err, want) {
				t.Errorf("%s, call %d: %v, want %v", what, i, err, want)
			}
		}
	}
	for _, w := range []*db.Keyspace{store.Default(), ks} {
		_, absent := w.PutIfAbsent(long, nil)
		_, swap := w.CompareAndSwap(long, nil, nil)
		_, remove := w.GetAndDelete(long)
		_, add := w.Add(long, 1)
		_, seq := w.Sequence(long, 1)
		refuse("long key", db.ErrKeyTooLarge, absent, swap, remove, add, seq, w.Put(long, nil), w.Delete(long),
			w.Merge(long, nil), w.PutTTL(long, nil, 1), w.DeleteRange(db.From(long)))
		if huge != nil {
			_, absent = w.PutIfAbsent([]byte("new"), huge)
			_, swap = w.CompareAndSwap(key, []byte("v"), huge)
			b := store.NewBatch()
			refuse("huge value", db.ErrValueTooLarge, absent, swap, w.Put(key, huge), w.PutTTL(key, huge, 1), w.Merge(key, huge),
				b.In(w).Put(key, huge), store.Apply(b, db.Sync))
		}
		tx, err := store.Begin(db.TxOptions{})
		must(t, err)
		refuse("long key in a transaction", db.ErrKeyTooLarge, tx.In(w).Put(long, nil), tx.In(w).Delete(long), tx.In(w).Merge(long, nil))
		tx.Discard()
		if v, err := w.Get(key); err != nil || string(v) != "v" {
			t.Errorf("%q, %v", v, err)
		}
		_, err = w.Get(long)
		refuse("read of a long key", db.ErrNotFound, err)
	}
	if _, err := store.Keyspace(string(long), nil); err == nil {
		t.Error("a keyspace with a long name is made")
	}
	if writes > 0 {
		t.Errorf("%d writes", writes)
	}
	fs.SetHook(nil)
	must(t, store.Close())
}
