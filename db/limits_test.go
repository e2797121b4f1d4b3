package db

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/cordwood-db/cordwood/vfs"
)

// smallOptions make everything happen with little data.
func smallOptions() Options {
	return Options{MemoryMax: 4 << 20, MemtableBytes: 16 << 10, TableBytes: 16 << 10, BlockBytes: 1 << 10,
		ValueThreshold: 256, SyncInterval: 5 * time.Millisecond}
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// wantValue reads a key in every way.
func wantValue(t *testing.T, store *DB, key, value []byte) {
	t.Helper()
	got, err := store.Get(key)
	if err != nil || !bytes.Equal(got, value) || got == nil {
		t.Fatalf("Get of a key of %d bytes: %d bytes (nil: %v), %v; want %d", len(key), len(got), got == nil, err, len(value))
	}
	many, err := store.MultiGet(key)
	if err != nil || !bytes.Equal(many[0], value) || many[0] == nil {
		t.Fatalf("MultiGet of a key of %d bytes: %v", len(key), err)
	}
	c, err := store.NewCursor(All())
	must(t, err)
	defer c.Close()
	if !c.SeekGE(key) || !bytes.Equal(c.Key(), key) || c.Item().ValueSize() != len(value) {
		t.Fatalf("SeekGE of a key of %d bytes: at %.20q, %v", len(key), c.Key(), c.Err())
	}
	if v, err := c.Value(); err != nil || !bytes.Equal(v, value) {
		t.Fatalf("cursor's value of a key of %d bytes: %d bytes, %v", len(key), len(v), err)
	}
}

func TestKeysUpToTheLimitAreStored(t *testing.T) {
	fs := vfs.NewMem()
	store := openMem(t, fs, smallOptions())
	keys := [][]byte{{}, {0}, bytes.Repeat([]byte{0xff}, MaxKeyBytes), bytes.Repeat([]byte{'k'}, MaxKeyBytes),
		append(bytes.Repeat([]byte{'k'}, MaxKeyBytes-1), 'l'), bytes.Repeat([]byte{'k'}, MaxKeyBytes-1)}
	check := func() {
		t.Helper()
		for i, k := range keys {
			wantValue(t, store, k, bytes.Repeat([]byte{'v'}, i*200))
		}
	}
	for i, k := range keys {
		must(t, store.Put(k, bytes.Repeat([]byte{'v'}, i*200)))
	}
	check()
	must(t, store.Flush(context.Background()))
	check()
	must(t, store.Compact(context.Background(), All()))
	check()
	closeDB(t, store)
	store = openMem(t, fs, smallOptions())
	check()
	must(t, store.DeleteRange(From(keys[2]))) // the last key there can be
	if _, err := store.Get(keys[2]); !errors.Is(err, ErrNotFound) {
		t.Fatal(err)
	}
	closeDB(t, store)
}

func TestWhatIsTooLargeIsRefusedBeforeAnythingIsWritten(t *testing.T) {
	fs := vfs.NewMem()
	opts := smallOptions()
	opts.Merge, opts.SyncInterval = Append(), -1
	store := openMem(t, fs, opts)
	defer closeDB(t, store)
	must(t, store.Put([]byte("a"), []byte("b")))
	long := make([]byte, MaxKeyBytes+1)
	writes := 0
	fs.SetHook(func(op vfs.Op) error {
		if op.Kind.Mutates() {
			writes++
		}
		return nil
	})
	key := map[string]error{
		"Put":         store.Put(long, nil),
		"PutTTL":      store.PutTTL(long, nil, time.Hour),
		"Delete":      store.Delete(long),
		"Merge":       store.Merge(long, nil),
		"DeleteRange": store.DeleteRange(Between(long, nil)),
		"end":         store.DeleteRange(Between(nil, append(long, 0))),
	}
	for call, err := range key {
		if !errors.Is(err, ErrKeyTooLarge) {
			t.Errorf("%s with a long key: %v", call, err)
		}
	}
	b := store.NewBatch()
	must(t, b.Put([]byte("x"), nil))
	if err := b.Put(long, nil); !errors.Is(err, ErrKeyTooLarge) {
		t.Error(err)
	}
	if err := store.Apply(b, Sync); !errors.Is(err, ErrKeyTooLarge) {
		t.Errorf("batch that could not take a write: %v", err)
	}
	if strconv.IntSize == 64 {
		huge := make([]byte, MaxValueBytes+1) // never touched: takes no memory
		for call, err := range map[string]error{
			"Put": store.Put([]byte("k"), huge), "PutTTL": store.PutTTL([]byte("k"), huge, time.Hour),
			"Merge": store.Merge([]byte("k"), huge),
		} {
			if !errors.Is(err, ErrValueTooLarge) {
				t.Errorf("%s with a large value: %v", call, err)
			}
		}
	}
	if ok, err := store.Has([]byte("x")); ok || err != nil || writes > 0 {
		t.Errorf("%v, %v, %d writes", ok, err, writes)
	}
	for _, ttl := range []time.Duration{0, -1, math.MaxInt64} {
		if err := store.PutTTL([]byte("k"), nil, ttl); !errors.Is(err, ErrInvalidTTL) {
			t.Errorf("time to live of %d: %v", ttl, err)
		}
	}
	if err := store.DeleteRange(Between([]byte("b"), []byte("a"))); !errors.Is(err, ErrInvalidRange) {
		t.Error(err)
	}
	must(t, store.DeleteRange(Between([]byte("a"), []byte("a"))))
	wantValue(t, store, []byte("a"), []byte("b"))
}

func TestBatchCountsItsRoom(t *testing.T) {
	b := Batch{bytes: MaxBatchBytes - 10}
	if err := b.room(nil, make([]byte, 4), make([]byte, 6)); err != nil || b.bytes != MaxBatchBytes {
		t.Error(err, b.bytes)
	}
	if err := b.room(nil, []byte{1}, nil); !errors.Is(err, ErrBatchTooLarge) || b.count != 1 {
		t.Error(err, b.count)
	}
	if err := b.room(nil, nil, nil); !errors.Is(err, ErrBatchTooLarge) {
		t.Error("the failure does not stick:", err)
	}
	b.Reset()
	b.bytes = MaxBatchBytes - 10
	if err := b.room(nil, make([]byte, 5), make([]byte, 6)); !errors.Is(err, ErrBatchTooLarge) {
		t.Error(err)
	}
	b.Reset()
	b.count = math.MaxUint32
	if err := b.room(nil, nil, nil); !errors.Is(err, ErrBatchTooLarge) {
		t.Error(err)
	}
	b.Reset()
	if b.Len() != 0 || b.Bytes() != 0 || b.Put([]byte("k"), []byte("value")) != nil || b.Len() != 1 || b.Bytes() != 6 {
		t.Error(b.Len(), b.Bytes())
	}
}

func TestValuesOfEverySizeComeBack(t *testing.T) {
	fs := vfs.NewMem()
	store := openMem(t, fs, smallOptions())
	sizes := []int{0, 1, 255, 256, 257, 511, 512, 513, 1 << 10, 16<<10 - 1, 16 << 10, 64<<10 - 1, 64 << 10, 64<<10 + 1, 1 << 20, 5 << 20}
	if s := os.Getenv("CORDWOOD_BIG"); s != "" {
		sizes = append(sizes, 256<<20)
	}
	value := func(n int) []byte { return bytes.Repeat([]byte{byte(n), byte(n >> 8), 7}, n/3+1)[:n] }
	for i, n := range sizes {
		b := store.NewBatch()
		must(t, b.Put(fmt.Appendf(nil, "%d/%d", i%3, n), value(n)))
		must(t, store.Apply(b, Durability(1+i%2)), store.Put(fmt.Appendf(nil, "direct/%d", n), value(n)))
	}
	check := func() {
		t.Helper()
		for i, n := range sizes {
			wantValue(t, store, fmt.Appendf(nil, "%d/%d", i%3, n), value(n))
			wantValue(t, store, fmt.Appendf(nil, "direct/%d", n), value(n))
		}
	}
	check()
	closeDB(t, store)
	store = openMem(t, fs, smallOptions())
	check()
	must(t, store.Compact(context.Background(), All()), store.CollectGarbage(context.Background(), 0))
	check()
	closeDB(t, store)
}

// Badger refuses a transaction of 15% of a memtable; here a batch may be many
// times its size, and is still all or nothing.
func TestBatchLargerThanAMemtableIsOneCommit(t *testing.T) {
	fs := vfs.NewMem()
	opts := smallOptions()
	opts.SyncInterval = -1
	store := openMem(t, fs, opts)
	b := store.NewBatch()
	const n = 20_000 // some 600 KiB, and memtables of 16 KiB
	for i := range n {
		must(t, b.Put(fmt.Appendf(nil, "key%08d", i), fmt.Appendf(nil, "value%d", i)))
	}
	before := fs.KillClone()
	must(t, store.Apply(b, Sync))
	after := fs.CrashClone(nil)
	for name, image := range map[string]*vfs.Mem{"before": before, "after": after} {
		s := openMem(t, image, opts)
		count := 0
		for _, err := range s.Scan(All()) {
			must(t, err)
			count++
		}
		if want := map[string]int{"before": 0, "after": n}[name]; count != want {
			t.Errorf("%s: %d keys, want %d", name, count, want)
		}
		closeDB(t, s)
	}
	closeDB(t, store)
}

func TestInvalidOptionsAreRefused(t *testing.T) {
	for _, o := range []Options{
		{MemoryMax: 1}, {MemtableBytes: 1}, {MemoryMax: 1 << 20, MemtableBytes: 1 << 20}, {BlockBytes: -1},
		{BlockBytes: 17 << 20}, {TableBytes: 1}, {FilterBitsPerKey: 65}, {Compression: 9}, {Durability: 9},
		{CompactionsMax: -1}, {SpaceAmpMax: 1.01}, {OpenFilesMax: 1},
	} {
		fs := vfs.NewMem()
		o.FS = fs
		store, err := Open("/db", &o)
		if !errors.Is(err, errOptions) {
			t.Errorf("%+v: %v", o, err)
		}
		if err == nil {
			closeDB(t, store)
		}
		if files, _ := fs.List("/"); len(files) > 0 {
			t.Errorf("%+v: wrote %v", o, files)
		}
	}
}
