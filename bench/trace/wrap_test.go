package trace

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/cordwood-db/cordwood/db"
	"github.com/cordwood-db/cordwood/vfs"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func openStore(t testing.TB) *db.DB {
	t.Helper()
	store, err := db.Open("store", &db.Options{FS: vfs.NewMem(), Merge: db.Counter()})
	must(t, err)
	t.Cleanup(func() { store.Close() })
	return store
}

func create(t testing.TB, o Options) (path string, r *Recorder) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "app.trace")
	r, err := Create(path, o)
	must(t, err)
	t.Cleanup(func() { r.Close() })
	return path, r
}

// readAll is a whole trace.
func readAll(t testing.TB, path string) ([]Op, Summary) {
	t.Helper()
	r, err := Open(path)
	must(t, err)
	defer r.Close()
	var ops []Op
	for {
		var op Op
		if err := r.Next(&op); err == io.EOF {
			return ops, r.Summary()
		} else if err != nil {
			t.Fatal(err)
		}
		ops = append(ops, op.Clone())
	}
}

// show writes an operation without its times, and with the fields that are set.
func show(op *Op) string {
	var b strings.Builder
	fmt.Fprint(&b, op.Kind)
	field := func(set bool, format string, args ...any) {
		if set {
			fmt.Fprintf(&b, " "+format, args...)
		}
	}
	field(op.Client != 0, "client=%d", op.Client)
	field(op.Keyspace != 0, "space=%d", op.Keyspace)
	field(op.Snapshot, "snapshot")
	field(op.Key != nil, "%q", op.Key)
	field(op.Length != 0, "len=%d", op.Length)
	field(op.TTL != 0, "ttl=%v", op.TTL)
	field(op.Removes, "removes")
	field(op.Found, "found")
	field(op.Range.Lower != nil, "from=%q", op.Range.Lower)
	field(op.Range.Upper != nil, "to=%q", op.Range.Upper)
	field(op.Range.Backward, "backward")
	field(op.Range.KeysOnly, "keysonly")
	field(op.Kind == KindWalk, "%d+%d-%d", op.Walk.Position, op.Walk.Forward, op.Walk.Backward)
	field(op.Entries != 0, "entries=%d", op.Entries)
	field(op.Bytes != 0, "bytes=%d", op.Bytes)
	field(op.Sync, "sync")
	field(op.Tx.Outcome != 0, "outcome=%d", op.Tx.Outcome)
	field(op.Tx.ReadOnly, "readonly")
	field(op.Tx.SnapshotIsolation, "si")
	field(op.Tx.Try != 0, "try=%d", op.Tx.Try)
	field(op.Cut != 0, "cut=%d", op.Cut)
	field(op.Name != "", "name=%s", op.Name)
	field(op.Error != 0, "error=%v", op.Error)
	for i := range op.Items {
		fmt.Fprintf(&b, " [%s]", show(&op.Items[i]))
	}
	return b.String()
}

// k is a key or value.
func k(s string) []byte { return []byte(s) }

var errOwn = errors.New("the application's own")

// methodCases are what is recorded for each method of each type, on a store that
// has a to e, each with a value of its name five times, and a keyspace "other"
// with x.
var methodCases = []struct {
	method string
	do     func(t *testing.T, d *DB, other *Keyspace)
	want   []string
}{
	{"DB.Get", func(t *testing.T, d *DB, _ *Keyspace) { d.Get(k("a")); d.Get(k("q")) }, []string{`get "a" len=5 found`, `get "q"`}},
	{"DB.AppendGet", func(t *testing.T, d *DB, _ *Keyspace) { d.AppendGet(k("123"), k("a")) }, []string{`get "a" len=5 found`}},
	{"DB.Has", func(t *testing.T, d *DB, _ *Keyspace) { d.Has(k("a")); d.Has(k("q")) }, []string{`has "a" found`, `has "q"`}},
	{"DB.MultiGet", func(t *testing.T, d *DB, _ *Keyspace) { d.MultiGet(k("b"), k("q")) },
		[]string{`multiget [get "b" len=5 found] [get "q"]`}},
	{"DB.Scan", func(t *testing.T, d *DB, _ *Keyspace) {
		for item, err := range d.Scan(db.Between(k("b"), k("e")).Backward().KeysOnly()) {
			must(t, err)
			if string(item.Key()) == "c" {
				break
			}
		}
	}, []string{`scan from="b" to="e" backward keysonly entries=2 bytes=12`}},
	{"DB.NewCursor", func(t *testing.T, d *DB, _ *Keyspace) {
		c, err := d.NewCursor(db.From(k("b")))
		must(t, err)
		c.Next()
		c.Next()
		c.SeekGE(k("d"))
		c.Prev()
		must(t, c.Close())
	}, []string{`walk from="b" 0+2-0 entries=2 bytes=12`, `walk "d" from="b" 3+0-1 entries=2 bytes=12`}},
	{"DB.ReadPage", func(t *testing.T, d *DB, _ *Keyspace) {
		p, err := d.ReadPage(db.All(), nil, 2)
		must(t, err)
		_, err = d.ReadPage(db.All(), p.Next, 2)
		must(t, err)
	}, []string{`scan entries=2 bytes=12`, `scan from="c" entries=2 bytes=12`}},
	{"DB.Put", func(t *testing.T, d *DB, _ *Keyspace) { must(t, d.Put(k("new"), k("value"))) }, []string{`put "new" len=5`}},
	{"DB.PutTTL", func(t *testing.T, d *DB, _ *Keyspace) { must(t, d.PutTTL(k("new"), k("value"), time.Second)) },
		[]string{`put-ttl "new" len=5 ttl=1s`}},
	{"DB.Delete", func(t *testing.T, d *DB, _ *Keyspace) { must(t, d.Delete(k("a"))) }, []string{`delete "a"`}},
	{"DB.DeleteRange", func(t *testing.T, d *DB, _ *Keyspace) { must(t, d.DeleteRange(db.Prefix(k("b")))) },
		[]string{`delete-range from="b" to="c"`}},
	{"DB.Merge", func(t *testing.T, d *DB, _ *Keyspace) { must(t, d.Merge(k("n"), db.CounterBytes(3))) }, []string{`merge "n" len=8`}},
	{"DB.PutIfAbsent", func(t *testing.T, d *DB, _ *Keyspace) { d.PutIfAbsent(k("a"), k("v")); d.PutIfAbsent(k("new"), k("v")) },
		[]string{`put-if-absent "a" len=1`, `put-if-absent "new" len=1 found`}},
	{"DB.PutIfAbsentTTL", func(t *testing.T, d *DB, _ *Keyspace) { d.PutIfAbsentTTL(k("new"), k("v"), time.Minute) },
		[]string{`put-if-absent-ttl "new" len=1 ttl=1m0s found`}},
	{"DB.CompareAndSwap", func(t *testing.T, d *DB, _ *Keyspace) {
		d.CompareAndSwap(k("a"), k("aaaaa"), k("v"))
		d.CompareAndSwap(k("a"), k("aaaaa"), nil)
		d.CompareAndSwap(k("a"), k("v"), nil)
	}, []string{`compare-and-swap "a" len=1 found`, `compare-and-swap "a" removes`, `compare-and-swap "a" removes found`}},
	{"DB.GetAndDelete", func(t *testing.T, d *DB, _ *Keyspace) { d.GetAndDelete(k("a")); d.GetAndDelete(k("a")) },
		[]string{`get-and-delete "a" len=5 found`, `get-and-delete "a"`}},
	{"DB.Add", func(t *testing.T, d *DB, _ *Keyspace) { d.Add(k("n"), 1); d.Add(k("a"), 1) },
		[]string{`add "n" len=8 found`, `add "a" len=8 error=other`}},
	{"DB.Apply", func(t *testing.T, d *DB, other *Keyspace) {
		b := d.NewBatch()
		must(t, b.Put(k("a"), k("value")))
		must(t, b.In(other).Delete(k("x")))
		must(t, b.PutTTL(k("b"), k("v"), time.Hour))
		must(t, b.Merge(k("n"), db.CounterBytes(1)))
		must(t, b.In(other).DeleteRange(db.All()))
		must(t, d.Apply(b, db.Sync))
		b.Reset()
		must(t, b.Delete(k("a")))
		must(t, d.Apply(b, db.NoSync))
	}, []string{`batch sync [put "a" len=5] [delete space=1 "x"] [put-ttl "b" len=1 ttl=1h0m0s] [merge "n" len=8] [delete-range space=1]`,
		`batch [delete "a"]`}},
	{"DB.NewBatch", func(t *testing.T, d *DB, _ *Keyspace) {
		var b Batch
		must(t, b.Put(k("a"), nil))
		if b.Len() != 1 || b.Bytes() != 1 {
			t.Errorf("batch of %d writes, %d bytes", b.Len(), b.Bytes())
		}
		if b.Put(make([]byte, db.MaxKeyBytes+1), nil) == nil || d.Apply(&b, db.NoSync) == nil {
			t.Error("a key too long was written")
		}
	}, []string{`batch error=too large [put "a"]`}},
	{"DB.Snapshot", func(t *testing.T, d *DB, other *Keyspace) {
		s, err := d.Snapshot()
		must(t, err)
		s.Get(k("a"))
		s.In(other).Get(k("x"))
		s.MultiGet(k("a"))
		if s.Seq() == 0 {
			t.Error("no sequence number")
		}
		must(t, s.Close())
		s.Get(k("a"))
	}, []string{`get snapshot "a" len=5 found`, `get space=1 snapshot "x" len=5 found`, `multiget snapshot [get "a" len=5 found]`,
		`get snapshot "a" error=closed`}},
	{"DB.Update", func(t *testing.T, d *DB, other *Keyspace) {
		must(t, d.Update(context.Background(), func(tx *Tx) error {
			tx.Get(k("a"))
			tx.GetForUpdate(k("b"))
			tx.In(other).Put(k("y"), k("12"))
			tx.MultiGet(k("a"), k("q"))
			c, err := tx.NewCursor(db.All())
			must(t, err)
			c.First()
			tx.Add(k("n"), 1)
			return tx.Delete(k("a"))
		}))
		if err := d.Update(context.Background(), func(tx *Tx) error { tx.Put(k("a"), nil); return errOwn }); err != errOwn {
			t.Error(err)
		}
	}, []string{`transaction [get "a" len=5 found] [get-for-update "b" len=5 found] [put space=1 "y" len=2] ` +
		`[get "a" len=5 found] [get "q"] [add "n" len=8 found] [delete "a"] [walk 1+0-0 entries=1 bytes=6]`,
		`transaction outcome=2 [put "a"]`}},
	{"DB.UpdateWith", func(t *testing.T, d *DB, _ *Keyspace) {
		tries := 0
		must(t, d.UpdateWith(context.Background(), db.TxOptions{Durability: db.Sync, Isolation: db.SnapshotIsolation}, func(tx *Tx) error {
			if tries++; tries == 1 {
				must(t, d.Put(k("a"), nil))
			}
			return tx.Put(k("a"), k("v"))
		}))
		cancelled, cancel := context.WithCancel(context.Background())
		cancel()
		d.Update(cancelled, func(*Tx) error { return nil })
	}, []string{`put "a"`, `transaction sync outcome=1 si [put "a" len=1]`, `transaction sync si try=1 [put "a" len=1]`,
		`transaction outcome=3 error=cancelled`}},
	{"DB.View", func(t *testing.T, d *DB, _ *Keyspace) {
		must(t, d.View(func(tx *Tx) error { tx.Has(k("a")); return nil }))
	}, []string{`transaction readonly [has "a" found]`}},
	{"DB.Begin", func(t *testing.T, d *DB, _ *Keyspace) {
		tx, err := d.Begin(db.TxOptions{})
		must(t, err)
		tx.PutIfAbsent(k("new"), k("v"))
		must(t, tx.Commit())
		tx.Discard()
		tx.Get(k("a"))
		tx, err = d.Begin(db.TxOptions{})
		must(t, err)
		tx.Discard()
	}, []string{`transaction [put-if-absent "new" len=1 found]`, `transaction outcome=2`}},
	{"DB.Keyspace", func(t *testing.T, d *DB, _ *Keyspace) {
		ks, err := d.Keyspace("third", nil)
		must(t, err)
		must(t, ks.Put(k("a"), nil))
		ks.PutIfAbsentTTL(k("b"), nil, time.Second)
		ks.Get(k("a"))
		ks.MultiGet(k("a"))
	}, []string{`keyspace space=2 name=third`, `put space=2 "a"`, `put-if-absent-ttl space=2 "b" ttl=1s found`, `get space=2 "a" found`,
		`multiget space=2 [get space=2 "a" found]`}},
	{"DB.DropKeyspace", func(t *testing.T, d *DB, _ *Keyspace) { must(t, d.DropKeyspace("other")) }, []string{`drop-keyspace space=1`}},
	{"DB.Default", func(t *testing.T, d *DB, _ *Keyspace) { d.Default().Get(k("a")) }, []string{`get "a" len=5 found`}},
	{"DB.Client", func(t *testing.T, d *DB, _ *Keyspace) { d.Client().Get(k("a")); d.Client().Default().Get(k("a")) },
		[]string{`get client=1 "a" len=5 found`, `get client=2 "a" len=5 found`}},
}

func TestEveryMethodIsRecorded(t *testing.T) {
	for _, c := range methodCases {
		t.Run(c.method, func(t *testing.T) {
			store := openStore(t)
			other, err := store.Keyspace("other", nil)
			must(t, err)
			for _, key := range []string{"a", "b", "c", "d", "e"} {
				must(t, store.Put(k(key), k(strings.Repeat(key, 5))))
			}
			must(t, other.Put(k("x"), k("xxxxx")))
			path, r := create(t, Options{})
			d := Wrap(store, r)
			ks, err := d.Keyspace("other", nil)
			must(t, err)
			c.do(t, d, ks)
			must(t, r.Close())
			ops, sum := readAll(t, path)
			if len(ops) == 0 || show(&ops[0]) != "keyspace space=1 name=other" {
				t.Fatalf("the trace begins with %v", ops)
			}
			var got []string
			for i := range ops[1:] {
				got = append(got, show(&ops[1+i]))
			}
			if c.method == "DB.Keyspace" && len(got) > 0 && got[0] != c.want[0] {
				t.Errorf("%q", got)
			}
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("recorded\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(c.want, "\n  "))
			}
			if !sum.Whole || sum.Lost != 0 || r.Dropped() != 0 {
				t.Errorf("%+v, %d dropped", sum, r.Dropped())
			}
		})
	}
}

// leftOut are methods that the wrappers do not have, and notRecorded those that
// they only pass on.
var leftOut = map[string]string{}

const (
	upkeep = "upkeep of this engine alone"
	asks   = "asks the engine about itself"
)

var notRecorded = map[string]string{
	"DB.Close":            "the end of the application",
	"DB.Sync":             upkeep,
	"DB.Flush":            upkeep,
	"DB.Compact":          upkeep,
	"DB.CollectGarbage":   upkeep,
	"DB.Checkpoint":       upkeep,
	"DB.Estimate":         asks,
	"DB.Metrics":          asks,
	"DB.Keyspaces":        asks,
	"DB.Sequence":         "a lease is an upkeep of its own, and no other engine has it",
	"DB.Subscribe":        "reads the log, which no other engine gives",
	"Keyspace.Compact":    upkeep,
	"Keyspace.Estimate":   asks,
	"Keyspace.Name":       asks,
	"Keyspace.DefaultTTL": asks,
	"Keyspace.Sequence":   "as DB.Sequence",
}

// A method that the store gains must be recorded, or listed with a reason.
func TestTheWrappersHaveTheMethodsOfTheStore(t *testing.T) {
	types := []struct {
		name          string
		store, traced any
	}{
		{"DB", (*db.DB)(nil), (*DB)(nil)},
		{"Keyspace", (*db.Keyspace)(nil), (*Keyspace)(nil)},
		{"Batch", (*db.Batch)(nil), (*Batch)(nil)},
		{"Cursor", (*db.Cursor)(nil), (*Cursor)(nil)},
		{"Snapshot", (*db.Snapshot)(nil), (*Snapshot)(nil)},
		{"Tx", (*db.Tx)(nil), (*Tx)(nil)},
	}
	known := map[string]bool{}
	for _, c := range methodCases {
		known[c.method] = true
	}
	seen := map[string]bool{}
	for _, ty := range types {
		store, traced := reflect.TypeOf(ty.store), reflect.TypeOf(ty.traced)
		for m := range store.Methods() {
			name := ty.name + "." + m.Name
			seen[name] = true
			if leftOut[name] != "" {
				continue
			}
			own, ok := traced.MethodByName(m.Name)
			if !ok {
				t.Errorf("trace has no %s, and no reason is listed", name)
				continue
			}
			if own.Type.NumIn() != m.Type.NumIn() || own.Type.NumOut() != m.Type.NumOut() {
				t.Errorf("%s has another shape than the store's", name)
			}
			if ty.name == "DB" && !known[name] && notRecorded[name] == "" {
				t.Errorf("no test of what %s records, and no reason is listed", name)
			}
		}
	}
	for name := range notRecorded {
		if !seen[name] {
			t.Errorf("%s is listed, but does not exist", name)
		}
	}
}
