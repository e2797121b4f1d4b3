package db_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cordwood-db/cordwood/db"
	"github.com/cordwood-db/cordwood/vfs"
)

// must keeps the examples short. Programs handle their errors.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

// openInMemory is what most examples start with.
func openInMemory(opts db.Options) *db.DB {
	opts.FS = vfs.NewMem()
	store, err := db.Open("store", &opts)
	must(err)
	return store
}

// The README shows this program; a test keeps the two the same.
func Example() {
	dir, err := os.MkdirTemp("", "cordwood-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	store, err := db.Open(dir, nil)
	if err != nil {
		log.Fatal(err)
	}

	// A transaction: all of it or nothing, as if it ran alone. If another commit
	// changes what it has read, it is run again.
	signUp := func(tx *db.Tx) error {
		taken, err := tx.Has([]byte("user/ada"))
		if err != nil || taken {
			return err
		}
		if err := tx.Put([]byte("user/ada"), []byte("Ada Lovelace")); err != nil {
			return err
		}
		// A value with a time to live.
		return tx.PutTTL([]byte("user/ada/session"), []byte("token"), time.Hour)
	}
	if err := store.Update(context.Background(), signUp); err != nil {
		log.Fatal(err)
	}

	name, err := store.Get([]byte("user/ada"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("name: %s\n", name)

	for item, err := range store.Scan(db.Prefix([]byte("user/"))) {
		if err != nil {
			log.Fatal(err)
		}
		value, err := item.Value()
		if err != nil {
			log.Fatal(err)
		}
		_, expires := item.ExpiresAt()
		fmt.Printf("%s = %s, expires: %t\n", item.Key(), value, expires)
	}

	if err := store.Close(); err != nil {
		log.Fatal(err)
	}
	// Output:
	// name: Ada Lovelace
	// user/ada = Ada Lovelace, expires: false
	// user/ada/session = token, expires: true
}

// A store in memory is the same engine on another file system.
func Example_inMemory() {
	store, err := db.Open("any name", &db.Options{FS: vfs.NewMem()})
	must(err)
	defer store.Close()

	must(store.Put([]byte("k"), []byte("v")))
	value, err := store.Get([]byte("k"))
	fmt.Printf("%s %v\n", value, err)
	// Output: v <nil>
}

func Example_readOnly() {
	fs := vfs.NewMem()
	store, err := db.Open("store", &db.Options{FS: fs})
	must(err)
	must(store.Put([]byte("k"), []byte("v")))
	must(store.Close())

	reader, err := db.Open("store", &db.Options{FS: fs, ReadOnly: true})
	must(err)
	defer reader.Close()
	value, err := reader.Get([]byte("k"))
	fmt.Printf("%s %v\n", value, err)
	fmt.Println(errors.Is(reader.Put([]byte("k"), nil), db.ErrReadOnly))
	// Output:
	// v <nil>
	// true
}

func ExampleOpen() {
	fs := vfs.NewMem()
	_, err := db.Open("store", &db.Options{FS: fs, MustExist: true})
	fmt.Println("there is none:", errors.Is(err, os.ErrNotExist))

	store, err := db.Open("store", &db.Options{
		FS:           fs,
		MemoryMax:    256 << 20,             // memtables, cache, filters and indexes
		SyncInterval: 50 * time.Millisecond, // the most that power loss takes from NoSync commits
	})
	must(err)
	defer store.Close()

	_, err = db.Open("store", &db.Options{FS: fs})
	fmt.Println("another owner has it:", errors.Is(err, db.ErrLocked))
	// Output:
	// there is none: true
	// another owner has it: true
}

func ExampleDB_Get() {
	store := openInMemory(db.Options{})
	defer store.Close()

	must(store.Put([]byte("empty"), nil))
	value, err := store.Get([]byte("empty"))
	fmt.Println(len(value), err)

	_, err = store.Get([]byte("missing"))
	fmt.Println(errors.Is(err, db.ErrNotFound))
	// Output:
	// 0 <nil>
	// true
}

// AppendGet reads into memory that the caller keeps: nothing is allocated.
func ExampleDB_AppendGet() {
	store := openInMemory(db.Options{})
	defer store.Close()
	must(store.Put([]byte("greeting"), []byte("hello")))

	buf := make([]byte, 0, 64)
	for range 2 {
		var err error
		buf, err = store.AppendGet(buf[:0], []byte("greeting"))
		must(err)
		fmt.Printf("%s\n", buf)
	}
	// Output:
	// hello
	// hello
}

// Of several writes of a key the last one of the batch wins.
func ExampleDB_Apply() {
	store := openInMemory(db.Options{})
	defer store.Close()
	must(store.Put([]byte("from"), []byte("10")))

	var batch db.Batch
	must(batch.Put([]byte("to"), []byte("1")))
	must(batch.Put([]byte("to"), []byte("10")))
	must(batch.Delete([]byte("from")))
	must(store.Apply(&batch, db.Sync)) // on disk when Apply returns

	batch.Reset() // its memory serves the next one
	must(batch.Put([]byte("note"), []byte("moved")))
	must(store.Apply(&batch, db.NoSync)) // survives the process now, power loss soon

	must(store.Sync()) // or at once: this covers all earlier commits
	to, err := store.Get([]byte("to"))
	must(err)
	has, err := store.Has([]byte("from"))
	fmt.Printf("to %s, from is there: %v, %v\n", to, has, err)
	// Output: to 10, from is there: false, <nil>
}

func ExampleDB_PutTTL() {
	var now atomic.Pointer[time.Time] // background work reads the clock, too
	now.Store(new(time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)))
	store := openInMemory(db.Options{Clock: func() time.Time { return *now.Load() }})
	defer store.Close()

	key := []byte("session/42")
	must(store.Put(key, []byte("an older value")))
	must(store.PutTTL(key, []byte("logged in"), 30*time.Minute))
	for item, err := range store.Scan(db.All()) {
		must(err)
		at, ok := item.ExpiresAt()
		fmt.Printf("%s expires: %v, %s\n", item.Key(), ok, at.UTC().Format(time.TimeOnly))
	}

	now.Store(new(now.Load().Add(30 * time.Minute)))
	_, err := store.Get(key) // the older value does not come back
	fmt.Println(errors.Is(err, db.ErrNotFound))
	// Output:
	// session/42 expires: true, 12:30:00
	// true
}

func ExampleDB_Scan() {
	store := openInMemory(db.Options{})
	defer store.Close()
	for _, name := range []string{"oak", "ash", "elm", "fir"} {
		must(store.Put([]byte("tree/"+name), []byte(strings.ToUpper(name))))
	}
	must(store.Put([]byte("zebra"), nil))

	for item, err := range store.Scan(db.Prefix([]byte("tree/"))) {
		must(err)
		value, err := item.Value()
		must(err)
		fmt.Printf("%s %s\n", item.Key(), value)
		if string(item.Key()) == "tree/elm" {
			break // the scan cleans up after itself
		}
	}
	fmt.Println("backward:")
	for item, err := range store.Scan(db.Between([]byte("tree/e"), []byte("tree/z")).Backward()) {
		must(err)
		fmt.Printf("%s\n", item.Key())
	}
	// Output:
	// tree/ash ASH
	// tree/elm ELM
	// backward:
	// tree/oak
	// tree/fir
	// tree/elm
}

// A scan of keys knows how long the values are and never reads them.
func ExampleRange_KeysOnly() {
	store := openInMemory(db.Options{})
	defer store.Close()
	must(store.Put([]byte("large"), make([]byte, 1<<20))) // in the value log
	must(store.Put([]byte("small"), []byte("s")))

	for item, err := range store.Scan(db.All().KeysOnly()) {
		must(err)
		fmt.Printf("%s: %d bytes\n", item.Key(), item.ValueSize())
	}
	// Output:
	// large: 1048576 bytes
	// small: 1 bytes
}

func ExampleCursor() {
	store := openInMemory(db.Options{})
	defer store.Close()
	for _, key := range []string{"a", "c", "e", "g"} {
		must(store.Put([]byte(key), []byte("value of "+key)))
	}

	c, err := store.NewCursor(db.All())
	must(err)
	defer c.Close()
	for ok := c.SeekGE([]byte("d")); ok; ok = c.Next() {
		fmt.Printf("%s ", c.Key())
	}
	fmt.Println("forward from d:", c.Err())
	for ok := c.SeekLT([]byte("d")); ok; ok = c.Prev() {
		fmt.Printf("%s ", c.Key())
	}
	fmt.Println("backward from d:", c.Err())

	// Any move may follow any other.
	c.Last()
	c.Prev()
	c.Prev()
	c.Next()
	value, err := c.Value()
	fmt.Printf("%s: %s, %v\n", c.Key(), value, err)
	// Output:
	// e g forward from d: <nil>
	// c a backward from d: <nil>
	// e: value of e, <nil>
}

func ExampleDB_Snapshot() {
	store := openInMemory(db.Options{})
	defer store.Close()
	must(store.Put([]byte("k"), []byte("then")))

	snapshot, err := store.Snapshot()
	must(err)
	defer snapshot.Close()
	must(store.Put([]byte("k"), []byte("now")))
	must(store.Put([]byte("new"), nil))
	must(store.Compact(context.Background(), db.All())) // keeps what the snapshot sees

	then, err := snapshot.Get([]byte("k"))
	must(err)
	now, err := store.Get([]byte("k"))
	must(err)
	has, err := snapshot.Has([]byte("new"))
	fmt.Printf("%s, %s, %v, %v\n", then, now, has, err)
	// Output: then, now, false, <nil>
}

// All values are of one moment; a key without a value gives nil.
func ExampleDB_MultiGet() {
	store := openInMemory(db.Options{})
	defer store.Close()
	must(store.Put([]byte("a"), []byte("1")))
	must(store.Put([]byte("c"), []byte{}))

	values, err := store.MultiGet([]byte("c"), []byte("b"), []byte("a"))
	must(err)
	for _, v := range values {
		fmt.Printf("%q %v\n", v, v != nil)
	}
	// Output:
	// "" true
	// "" false
	// "1" true
}

// The cost of a range delete does not depend on how many keys it removes.
func ExampleDB_DeleteRange() {
	store := openInMemory(db.Options{})
	defer store.Close()
	for i := range 1000 {
		must(store.Put(fmt.Appendf(nil, "log/%03d", i), nil))
	}

	must(store.DeleteRange(db.Between([]byte("log/"), []byte("log/998"))))
	for item, err := range store.Scan(db.All()) {
		must(err)
		fmt.Printf("%s\n", item.Key())
	}
	must(store.DeleteRange(db.All()))
	has, err := store.Has([]byte("log/999"))
	fmt.Println(has, err)
	// Output:
	// log/998
	// log/999
	// false <nil>
}

// A merge changes a value without reading it first.
func ExampleDB_Merge() {
	store := openInMemory(db.Options{Merge: db.Counter()})
	defer store.Close()

	key := []byte("visits")
	must(store.Merge(key, db.CounterBytes(40)))
	must(store.Merge(key, db.CounterBytes(3)))
	must(store.Merge(key, db.CounterBytes(-1)))
	value, err := store.Get(key)
	must(err)
	fmt.Println(db.CounterValue(value))
	// Output: 42 <nil>
}

func ExampleUnion() {
	store := openInMemory(db.Options{Merge: db.Union()})
	defer store.Close()

	key := []byte("tags/7")
	must(store.Merge(key, db.UnionBytes([]byte("new"), []byte("blue"))))
	must(store.Merge(key, db.UnionBytes([]byte("blue"), []byte("large"))))
	value, err := store.Get(key)
	must(err)
	members, err := db.UnionMembers(value)
	fmt.Printf("%s %v\n", members, err)
	// Output: [blue large new] <nil>
}

// lines is an operator of one's own: each operand becomes a line of the value,
// of which the last three are kept.
type lines struct{}

func (lines) Name() string { return "example.lines" }

func (lines) Merge(dst, key, base []byte, hasBase bool, operands [][]byte) ([]byte, error) {
	var all []string
	if hasBase {
		all = strings.Split(string(base), "\n")
	}
	for _, o := range operands {
		all = append(all, string(o))
	}
	return append(dst, strings.Join(all[max(len(all)-3, 0):], "\n")...), nil
}

// Combine is allowed to decline: the operands then stay apart until they are
// read, or meet the value below them.
func (lines) Combine(dst, key, older, newer []byte) ([]byte, bool) { return dst, false }

func ExampleMergeOperator() {
	store := openInMemory(db.Options{Merge: lines{}})
	defer store.Close()

	key := []byte("recent")
	for _, event := range []string{"one", "two", "three", "four"} {
		must(store.Merge(key, []byte(event)))
	}
	value, err := store.Get(key)
	must(err)
	fmt.Printf("%s\n", value)
	// Output:
	// two
	// three
	// four
}

// A checkpoint is a store of its own, made of links where that is possible.
func ExampleDB_Checkpoint() {
	fs := vfs.NewMem()
	store, err := db.Open("store", &db.Options{FS: fs})
	must(err)
	defer store.Close()
	must(store.Put([]byte("k"), []byte("before")))
	must(store.Checkpoint(context.Background(), "copy"))
	must(store.Put([]byte("k"), []byte("after")))

	replica, err := db.Open("copy", &db.Options{FS: fs})
	must(err)
	defer replica.Close()
	value, err := replica.Get([]byte("k"))
	fmt.Printf("%s %v\n", value, err)
	// Output: before <nil>
}

// All of it happens by itself. These calls are for those who want it now.
func ExampleDB_CollectGarbage() {
	ctx := context.Background()
	store := openInMemory(db.Options{})
	defer store.Close()
	value := make([]byte, 10<<10)
	for range 3 {
		must(store.Put([]byte("k"), value))
	}
	must(store.Flush(ctx))               // memtable -> table
	must(store.Compact(ctx, db.All()))   // finds out what is garbage
	must(store.CollectGarbage(ctx, 0.1)) // gives it back, in files with more than 10%

	v := store.Metrics().ValueLog
	fmt.Printf("%d KiB, %d of garbage\n", v.Bytes>>10, v.Garbage)
	// Output: 10 KiB, 0 of garbage
}

func ExampleDB_Metrics() {
	store := openInMemory(db.Options{})
	defer store.Close()
	for i := range 100 {
		must(store.Put(fmt.Append(nil, i), nil))
	}
	must(store.Compact(context.Background(), db.All()))
	_, err := store.Get([]byte("7"))
	must(err)

	m := store.Metrics()
	var entries uint64
	for _, level := range m.Levels {
		entries += level.Entries
	}
	fmt.Println("flushes:", m.Flushes)
	fmt.Println("entries:", entries)
	fmt.Println("gets:", m.Gets)
	fmt.Println("commits:", m.Commit.Count, m.Commit.P99 <= m.Commit.Max)
	fmt.Println("failure:", m.BackgroundError)
	// Output:
	// flushes: 1
	// entries: 100
	// gets: 1
	// commits: 100 true
	// failure: <nil>
}

// Events come in order, from one goroutine; Close waits until all were seen.
func ExampleEvent() {
	seen := make(map[string]int)
	store := openInMemory(db.Options{Events: func(e db.Event) {
		switch e := e.(type) {
		case db.FlushDone:
			seen["flush"] += e.Memtables
		case db.JobFailed, db.Damage, db.BackgroundError:
			seen["trouble"]++
		case db.Leak:
			seen["a "+e.What+" was left open"]++
		}
	}})
	must(store.Put([]byte("k"), nil))
	_, err := store.Snapshot() // never closed
	must(err)
	must(store.Close())
	fmt.Println(slices.Sorted(maps.Keys(seen)))
	// Output: [a snapshot was left open flush]
}

// Damaged bytes give an error that says where: never a wrong value, and never
// ErrNotFound.
func ExampleCorruptionError() {
	fs := vfs.NewMem()
	store, err := db.Open("store", &db.Options{FS: fs})
	must(err)
	must(store.Put([]byte("damaged"), make([]byte, 4<<10)))
	must(store.Put([]byte("whole"), []byte("v")))
	must(store.Close())
	flipLastByte(fs, "store", ".vlog")

	store, err = db.Open("store", &db.Options{FS: fs})
	must(err)
	defer store.Close()
	_, err = store.Get([]byte("damaged"))
	var damage *db.CorruptionError
	fmt.Println(errors.As(err, &damage), errors.Is(err, db.ErrNotFound))
	fmt.Println(path.Ext(damage.File), damage.Offset > 0)

	value, err := store.Get([]byte("whole")) // the rest stays readable
	fmt.Printf("%s %v\n", value, err)
	// Output:
	// true false
	// .vlog true
	// v <nil>
}

// flipLastByte damages the file of a directory that has a suffix.
func flipLastByte(fs vfs.FS, dir, suffix string) {
	files, err := fs.List(dir)
	must(err)
	for _, info := range files {
		if !strings.HasSuffix(info.Name, suffix) {
			continue
		}
		f, err := fs.OpenReadWrite(path.Join(dir, info.Name))
		must(err)
		last := make([]byte, 1)
		_, err = f.ReadAt(last, info.Size-1)
		must(err)
		last[0] ^= 0xff
		_, err = f.WriteAt(last, info.Size-1)
		must(err)
		must(f.Close())
	}
}
