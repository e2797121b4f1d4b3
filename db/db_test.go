package db

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/cordwood-db/cordwood/vfs"
)

func openMem(t *testing.T, fs *vfs.Mem, opts Options) *DB {
	t.Helper()
	opts.FS = fs
	store, err := Open("/db", &opts)
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func closeDB(t *testing.T, store *DB) {
	t.Helper()
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestWhatIsPutCanBeReadBeforeAndAfterReopening(t *testing.T) {
	fs := vfs.NewMem()
	opts := Options{MemtableBytes: 16 << 10, MemoryMax: 4 << 20, TableBytes: 32 << 10, ValueThreshold: 200}
	store := openMem(t, fs, opts)
	const n = 5000
	value := func(i int) []byte { return bytes.Repeat([]byte{byte(i)}, i%400) }
	key := func(i int) []byte { return fmt.Appendf(nil, "key%06d", i*7919%n) }
	for i := range n {
		if err := store.Put(key(i), value(i)); err != nil {
			t.Fatal(err)
		}
	}
	check := func() {
		t.Helper()
		for i := range n {
			got, err := store.Get(key(i))
			if err != nil || !bytes.Equal(got, value(i)) {
				t.Fatalf("Get %s: %d bytes, %v; want %d bytes", key(i), len(got), err, len(value(i)))
			}
		}
		if _, err := store.Get([]byte("missing")); !errors.Is(err, ErrNotFound) {
			t.Fatalf("Get of a missing key: %v", err)
		}
		for _, r := range []Range{All(), All().Backward()} {
			count := 0
			for item, err := range store.Scan(r) {
				if err != nil {
					t.Fatal(err)
				}
				if _, err := item.Value(); err != nil {
					t.Fatal(err)
				}
				count++
			}
			if count != n {
				t.Fatalf("scan of %d keys, want %d", count, n)
			}
		}
	}
	check()
	closeDB(t, store)
	store = openMem(t, fs, opts)
	check()
	if err := store.Compact(context.Background(), All()); err != nil {
		t.Fatal(err)
	}
	check()
	m := store.Metrics()
	t.Logf("%+v", m)
	closeDB(t, store)
	if n := fs.OpenHandles(); n != 0 {
		t.Fatalf("%d handles open after Close", n)
	}
}
