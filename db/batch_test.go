package db

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/cordwood-db/cordwood/vfs"
)

func TestValuesOfALargeBatchAreSpreadOverFiles(t *testing.T) {
	fs := vfs.NewMem()
	store := openMem(t, fs, Options{MemtableBytes: 64 * kib, MemoryMax: 4 * mib})
	defer closeDB(t, store)
	var b Batch
	value := func(i int) []byte { return bytes.Repeat([]byte{byte(i)}, 20_000) }
	for i := range 100 {
		if err := b.Put(fmt.Appendf(nil, "key%02d", i), value(i)); err != nil {
			t.Fatal(err)
		}
	}
	limit := 2*store.valueFileBytes() + 30_000
	if err := store.Apply(&b, Sync); err != nil {
		t.Fatal(err)
	}
	files, err := fs.List("/db")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if filepath.Ext(f.Name) == ".vlog" && f.Size > limit {
			t.Errorf("%s has %d bytes, want at most %d", f.Name, f.Size, limit)
		}
	}
	check := func(store *DB) {
		t.Helper()
		for i := range 100 {
			if got, err := store.Get(fmt.Appendf(nil, "key%02d", i)); err != nil || !bytes.Equal(got, value(i)) {
				t.Fatalf("key%02d: %d bytes, %v", i, len(got), err)
			}
		}
	}
	check(store)
	lost := openMem(t, fs.CrashClone(func(vfs.CrashItem) vfs.CrashChoice { return vfs.CrashDrop }), Options{})
	defer closeDB(t, lost)
	check(lost)
}

func TestBatchesThatNoMemtableHoldsAreRefused(t *testing.T) {
	var b Batch
	for i := range 10 {
		if err := b.Put(fmt.Appendf(nil, "%d", i), make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.checkInline(spaceWithThreshold(1000), 9000); err != nil {
		t.Fatalf("values for the value log count: %v", err)
	}
	if err := b.checkInline(spaceWithThreshold(1001), 9000); !errors.Is(err, ErrBatchTooLarge) {
		t.Fatalf("inline values do not count: %v", err)
	}
}

func spaceWithThreshold(n int) *Keyspace {
	ks := &Keyspace{}
	ks.set.Store(&settings{threshold: n})
	return ks
}
