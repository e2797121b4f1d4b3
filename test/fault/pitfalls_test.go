package fault

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cordwood-db/cordwood/db"
	"github.com/cordwood-db/cordwood/internal/testkit"
	"github.com/cordwood-db/cordwood/test/crash"
	"github.com/cordwood-db/cordwood/vfs"
)

// Cases in which other engines lost data, each with a test of its own.

func openStore(t *testing.T, fs vfs.FS, change func(*db.Options)) *db.DB {
	t.Helper()
	o := options(fs)
	if change != nil {
		change(&o)
	}
	store, err := db.Open(crash.Dir, &o)
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func options(fs vfs.FS) db.Options {
	return db.Options{FS: fs, MemoryMax: 1 << 20, MemtableBytes: 4 << 10, TableBytes: 4 << 10,
		BlockBytes: 256, ValueThreshold: 64, SyncInterval: -1}
}

func keyOf(i int) []byte { return fmt.Appendf(nil, "key%05d", i) }

func valueOf(i int) []byte { return bytes.Repeat(fmt.Appendf(nil, "%05d", i), 4+i%40) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// fill commits keys from up to to, one by one.
func fill(t *testing.T, store *db.DB, from, to int, d db.Durability) {
	t.Helper()
	b := store.NewBatch()
	for i := from; i < to; i++ {
		b.Reset()
		must(t, b.Put(keyOf(i), valueOf(i)))
		must(t, store.Apply(b, d))
	}
}

// expect compares the store with keys 0 up to n.
func expect(t *testing.T, store *db.DB, n int) {
	t.Helper()
	items, err := crash.ReadAll(store)
	must(t, err)
	want := make([]crash.Item, n)
	for i := range want {
		want[i] = crash.Item{Key: string(keyOf(i)), Value: valueOf(i)}
	}
	must(t, crash.Same(items, want))
}

func TestTableThatCannotBeCreatedInACompactionLosesNothing(t *testing.T) {
	for n := int64(1); ; n++ {
		mem := vfs.NewMem()
		faulty := vfs.NewFaulty(mem, nil)
		store := openStore(t, faulty, func(o *db.Options) { o.MemtableBytes = 256 << 10 })
		for i := range 2 { // too few tables for a compaction by itself
			fill(t, store, i*150, i*150+150, db.NoSync)
			must(t, store.Flush(context.Background()))
		}
		fill(t, store, 0, 1, db.NoSync)
		must(t, store.Flush(context.Background()))
		var fired atomic.Bool
		decide := vfs.FailNth(n, vfs.OfKind(vfs.OpCreate).And(vfs.OnFile("*.sst")), syscall.EIO, false)
		faulty.SetDecide(func(op vfs.Op) *vfs.Fault {
			f := decide(op)
			if f != nil {
				fired.Store(true)
			}
			return f
		})
		err := store.Compact(context.Background(), db.All())
		expect(t, store, 300)
		must(t, store.Close())
		store = openStore(t, mem, nil)
		expect(t, store, 300)
		must(t, store.Close())
		if !fired.Load() {
			must(t, err)
			if n == 1 {
				t.Fatal("the compaction creates no table")
			}
			return
		}
	}
}

// damage flips a byte in the middle of the newest file of a kind.
func damage(t *testing.T, mem *vfs.Mem, pattern string) (name string) {
	t.Helper()
	files, err := mem.List(crash.Dir)
	must(t, err)
	for _, f := range files {
		if ok, _ := filepath.Match(pattern, f.Name); ok {
			name = f.Name
		}
	}
	path := filepath.Join(crash.Dir, name)
	all, err := vfs.ReadFile(mem, path, 1<<20)
	must(t, err)
	at := len(bytes.TrimRight(all, "\x00")) / 2 // a log ends in zeros
	f, err := mem.OpenReadWrite(path)
	must(t, err)
	_, err = f.WriteAt([]byte{all[at] ^ 0x40}, int64(at))
	must(t, err)
	must(t, f.Close())
	return name
}

// refused sees that a damaged store does not open, and that the error names
// the file.
func refused(t *testing.T, mem *vfs.Mem, name string) {
	t.Helper()
	o := options(mem)
	store, err := db.Open(crash.Dir, &o)
	if err == nil {
		n, _ := crash.ReadAll(store)
		_ = store.Close()
		t.Fatalf("opened with %s damaged; %d keys are left", name, len(n))
	}
	var c *db.CorruptionError
	if !errors.As(err, &c) || !strings.Contains(err.Error(), name) {
		t.Fatalf("error of damage to %s: %v", name, err)
	}
}

func TestDamageInASyncedLogIsNotCutOff(t *testing.T) {
	mem := vfs.NewMem()
	store := openStore(t, mem, func(o *db.Options) { o.MemtableBytes = 256 << 10 })
	fill(t, store, 0, 100, db.Sync)
	image := mem.CrashClone(nil)
	must(t, store.Close())
	refused(t, image, damage(t, image, "*.wal"))
}

func TestDamageInTheMiddleOfTheManifestIsNotItsEnd(t *testing.T) {
	mem := vfs.NewMem()
	store := openStore(t, mem, nil)
	for i := range 10 {
		fill(t, store, i*10, i*10+10, db.NoSync)
		must(t, store.Flush(context.Background()))
	}
	image := mem.CrashClone(nil)
	must(t, store.Close())
	refused(t, image, damage(t, image, "MANIFEST-*"))
}

// commitFails makes operations fail and sees that a commit with Sync, of values
// that go to the value log, is not acknowledged, and that nothing but a new
// Open makes the store take writes again, even if only one operation failed.
func commitFails(t *testing.T, warm bool, filter vfs.Filter) {
	t.Helper()
	mem := vfs.NewMem()
	faulty := vfs.NewFaulty(mem, nil)
	store := openStore(t, faulty, func(o *db.Options) { o.MemtableBytes = 256 << 10 })
	n := 0
	if warm {
		n = 1
		fill(t, store, 0, n, db.Sync)
	}
	faulty.SetDecide(vfs.FailNth(1, filter, syscall.EIO, false))
	b := store.NewBatch()
	must(t, b.Put([]byte("large"), make([]byte, 100<<10)))
	err := store.Apply(b, db.Sync)
	if !errors.Is(err, db.ErrReadOnly) || !errors.Is(err, syscall.EIO) {
		t.Fatalf("the commit gave %v", err)
	}
	if err := store.Put([]byte("more"), nil); !errors.Is(err, db.ErrReadOnly) {
		t.Fatalf("the next commit gave %v", err)
	}
	expect(t, store, n)
	if err := store.Close(); !errors.Is(err, syscall.EIO) {
		t.Fatalf("Close gave %v", err)
	}
	store = openStore(t, mem.CrashClone(nil), nil)
	defer func() { must(t, store.Close()) }()
	if _, err := store.Get([]byte("large")); err != nil && !errors.Is(err, db.ErrNotFound) {
		t.Fatal(err)
	}
	if n > 0 {
		if v, err := store.Get(keyOf(0)); err != nil || !bytes.Equal(v, valueOf(0)) {
			t.Fatalf("%q, %v", v, err)
		}
	}
}

func TestCommitIsNotAcknowledgedWhenTheValueLogDoesNotSync(t *testing.T) {
	t.Run("first", func(t *testing.T) { commitFails(t, false, vfs.OfKind(vfs.OpSync).And(vfs.OnFile("*.vlog"))) })
	t.Run("later", func(t *testing.T) { commitFails(t, true, vfs.OfKind(vfs.OpSync).And(vfs.OnFile("*.vlog"))) })
}

func TestCommitIsNotAcknowledgedWhenTheLogDoesNotSync(t *testing.T) {
	t.Run("first", func(t *testing.T) { commitFails(t, false, vfs.OfKind(vfs.OpSync).And(vfs.OnFile("*.wal"))) })
	t.Run("later", func(t *testing.T) { commitFails(t, true, vfs.OfKind(vfs.OpSync).And(vfs.OnFile("*.wal"))) })
}

func TestCommitIsNotAcknowledgedWhenTheDirectoryDoesNotSync(t *testing.T) {
	commitFails(t, false, vfs.OfKind(vfs.OpSyncDir))
}

func TestFailedSyncIsNotTriedAgain(t *testing.T) {
	for _, pattern := range []string{"*.wal", "*.vlog", "MANIFEST-*"} {
		t.Run(pattern, func(t *testing.T) {
			mem := vfs.NewMem()
			faulty := vfs.NewFaulty(mem, nil)
			// Nothing is flushed yet, so the first sync is not that of a new
			// file, which would just be given up.
			store := openStore(t, faulty, func(o *db.Options) { o.MemtableBytes = 256 << 10 })
			fill(t, store, 0, 40, db.NoSync)
			var failed atomic.Pointer[string]
			var again atomic.Bool
			match := vfs.OfKind(vfs.OpSync).And(vfs.OnFile(pattern))
			faulty.SetDecide(func(op vfs.Op) *vfs.Fault {
				switch first := failed.Load(); {
				case !match(op):
				case first == nil:
					failed.Store(&op.Path)
					return &vfs.Fault{Err: syscall.EIO}
				case *first == op.Path:
					again.Store(true)
				}
				return nil
			})
			for range 3 {
				_ = store.Sync()
				_ = store.Flush(context.Background())
				_ = store.CollectGarbage(context.Background(), 0)
			}
			if err := store.Put([]byte("more"), nil); !errors.Is(err, db.ErrReadOnly) {
				t.Errorf("a write gave %v", err)
			}
			expect(t, store, 40)
			if err := store.Close(); !errors.Is(err, syscall.EIO) {
				t.Errorf("Close gave %v", err)
			}
			if failed.Load() == nil || again.Load() {
				t.Errorf("failed: %v, and was synced again: %v", failed.Load() != nil, again.Load())
			}
			store = openStore(t, mem, nil)
			expect(t, store, 40)
			must(t, store.Close())
		})
	}
}

// TestKeyspaceInDoubtIsDurableBeforeACommitToIt is about an edit of the MANIFEST
// that was written and not synced, for lack of room. The next Open finds it, and
// a power loss may still take it away: a commit that was acknowledged meanwhile
// would be in the log without its keyspace, and the store would not open.
func TestKeyspaceInDoubtIsDurableBeforeACommitToIt(t *testing.T) {
	mem := vfs.NewMem()
	faulty := vfs.NewFaulty(mem, nil)
	store := openStore(t, faulty, nil)
	fill(t, store, 0, 10, db.Sync)
	full := vfs.FailNth(1, vfs.OfKind(vfs.OpSync).And(vfs.OnFile("MANIFEST-*")), syscall.ENOSPC, true)
	faulty.SetDecide(full)
	if _, err := store.Keyspace("doubtful", nil); !errors.Is(err, db.ErrDiskFull) {
		t.Fatalf("made a keyspace: %v", err)
	}
	if err := store.Close(); err != nil && !errors.Is(err, db.ErrDiskFull) {
		t.Fatal(err)
	}
	store = openStore(t, faulty, nil)
	defer func() { must(t, store.Close()) }()
	ks, err := store.Keyspace("doubtful", &db.KeyspaceOptions{MustExist: true})
	must(t, err)
	b := store.NewBatch()
	must(t, b.In(ks).Put([]byte("key"), []byte("value")))
	if err := store.Apply(b, db.Sync); !errors.Is(err, db.ErrDiskFull) {
		t.Errorf("a commit to a keyspace that may vanish: %v", err)
	}
	lost := openStore(t, mem.CrashClone(nil), nil)
	expect(t, lost, 10)
	must(t, lost.Close())
	faulty.SetDecide(nil)
	must(t, store.Apply(b, db.Sync))
	kept := openStore(t, mem.CrashClone(nil), nil)
	defer func() { must(t, kept.Close()) }()
	ks, err = kept.Keyspace("doubtful", &db.KeyspaceOptions{MustExist: true})
	must(t, err)
	if v, err := ks.Get([]byte("key")); err != nil || string(v) != "value" {
		t.Errorf("after a power loss: %q, %v", v, err)
	}
}

// TestSyncOfANewLogThatFailsIsTheEndOfWriting is about a log that something else
// than a commit starts, or continues in a new file.
func TestSyncOfANewLogThatFailsIsTheEndOfWriting(t *testing.T) {
	for name, call := range map[string]func(store *db.DB) error{
		"Subscribe": func(store *db.DB) error {
			f, err := store.Subscribe(db.FeedOptions{})
			if err == nil {
				err = f.Close()
			}
			return err
		},
		"Flush": func(store *db.DB) error { return store.Flush(context.Background()) },
	} {
		t.Run(name, func(t *testing.T) {
			mem := vfs.NewMem()
			faulty := vfs.NewFaulty(mem, nil)
			store := openStore(t, faulty, nil)
			if name == "Flush" {
				fill(t, store, 0, 1, db.Sync)
			}
			faulty.SetDecide(vfs.FailNth(1, vfs.OfKind(vfs.OpSync).And(vfs.OnFile("*.wal")), syscall.ENOSPC, false))
			if err := call(store); !errors.Is(err, syscall.ENOSPC) {
				t.Fatalf("%s: %v", name, err)
			}
			if err := store.Metrics().BackgroundError; !errors.Is(err, syscall.ENOSPC) {
				t.Errorf("the store goes on: %v", err)
			}
			if err := store.Put([]byte("more"), nil); !errors.Is(err, db.ErrReadOnly) || !errors.Is(err, syscall.ENOSPC) {
				t.Errorf("a write gives %v", err)
			}
			if err := store.Close(); !errors.Is(err, syscall.ENOSPC) {
				t.Errorf("Close gives %v", err)
			}
		})
	}
}

// TestCommitThatWaitsForALogDoesNotRepeatItsSync is about a commit that has been
// let in already when the log that it waits for fails to be opened. What the sync
// of an older segment has failed to write, a second one would not write either,
// and say nothing.
func TestCommitThatWaitsForALogDoesNotRepeatItsSync(t *testing.T) {
	mem := vfs.NewMem()
	store := openStore(t, mem, nil)
	fill(t, store, 0, 1, db.NoSync)
	mem = mem.KillClone()
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}

	faulty := vfs.NewFaulty(mem, nil)
	store = openStore(t, faulty, nil)
	waiting := make(chan error, 1)
	var syncs atomic.Int32
	faulty.SetDecide(func(op vfs.Op) *vfs.Fault {
		if !vfs.OfKind(vfs.OpSync).And(vfs.OnFile("*.wal"))(op) || syncs.Add(1) > 1 {
			return nil
		}
		go func() { waiting <- store.Put([]byte("more"), nil) }()
		for start := time.Now(); !testkit.Blocked("db.(*DB).Put("); time.Sleep(time.Millisecond) {
			if time.Since(start) > testkit.HangsAfter { // before it waits, it would be refused at once
				t.Error("the commit does not wait")
				break
			}
		}
		return &vfs.Fault{Err: syscall.EIO}
	})
	f, err := store.Subscribe(db.FeedOptions{})
	if !errors.Is(err, syscall.EIO) {
		t.Errorf("Subscribe gives %v, %v", f, err)
	}
	if err := <-waiting; !errors.Is(err, db.ErrReadOnly) || !errors.Is(err, syscall.EIO) {
		t.Errorf("the commit gives %v", err)
	}
	if n := syncs.Load(); n != 1 {
		t.Errorf("%d syncs of the log, the first of which failed", n)
	}
	if err := store.Close(); !errors.Is(err, syscall.EIO) {
		t.Errorf("Close gives %v", err)
	}
}
