package limits

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"testing"

	"github.com/cordwood-db/cordwood/db"
	"github.com/cordwood-db/cordwood/internal/testkit"
)

const (
	kib = 1 << 10
	mib = 1 << 20
)

// sizedValue is a value of n bytes that tells each of its pages from all others.
func sizedValue(n int) []byte {
	v := make([]byte, n)
	for at := 0; at+16 <= n; at += 1000 {
		binary.LittleEndian.PutUint64(v[at:], uint64(n))
		binary.LittleEndian.PutUint64(v[at+8:], uint64(at)*0x9E3779B97F4A7C15)
	}
	if n > 0 {
		v[n-1] = byte(n) | 1
	}
	return v
}

// sizesUpTo are the powers of two from 24 bytes up, with their neighbours, and
// those of the thresholds: of blocks, batches, the value log, memtables, records
// and chunks.
func sizesUpTo(most int) []int {
	sizes := []int{0, 1, 24, 299, 300, 301, 511, 512, 513, 1000, 1023, 1025, 64<<10 - 40, 4<<20 - 40}
	for n := 32; n < most && n <= 16*mib; n *= 2 {
		sizes = append(sizes, n-1, n, n+1)
	}
	for n := 32 * mib; n < most; n *= 2 {
		sizes = append(sizes, n)
	}
	sizes = slices.DeleteFunc(append(sizes, most), func(n int) bool { return n > most })
	slices.Sort(sizes)
	return slices.Compact(sizes)
}

// readBack reads a value in every way that there is.
func readBack(from db.Reader, key []byte, n int) error {
	want := sizedValue(n)
	bad := func(how string, got []byte, err error) error {
		if err != nil || !bytes.Equal(got, want) {
			return fmt.Errorf("%s of %q: %d bytes, %w", how, key, len(got), err)
		}
		return nil
	}
	got, err := from.Get(key)
	if err := bad("Get", got, err); err != nil {
		return err
	}
	if got, err = from.AppendGet(got[:0], key); bad("AppendGet", got, err) != nil {
		return bad("AppendGet", got, err)
	}
	many, err := from.MultiGet(key, []byte("missing"))
	if err != nil || many[1] != nil || bad("MultiGet", many[0], nil) != nil {
		return fmt.Errorf("MultiGet of %q: %w", key, err)
	}
	many = nil
	c, err := from.NewCursor(db.All())
	if err != nil {
		return err
	}
	defer c.Close()
	if !c.SeekGE(key) || c.Item().ValueSize() != n {
		return fmt.Errorf("a cursor finds %q instead of %q, %w", c.Key(), key, c.Err())
	}
	v, err := c.Value()
	return bad("cursor", v, err)
}

// readAll reads the values of all sizes, one by one and by scans in both
// directions.
func readAll(from db.Reader, sizes []int) error {
	for _, n := range sizes {
		if err := readBack(from, sizedKey(n), n); err != nil {
			return err
		}
	}
	for _, r := range []db.Range{db.All(), db.All().Backward()} {
		seen := 0
		for item, err := range from.Scan(r) {
			if err != nil {
				return err
			}
			n := sizes[seen]
			if r.IsBackward() {
				n = sizes[len(sizes)-1-seen]
			}
			v, err := item.Value()
			if err != nil || !bytes.Equal(item.Key(), sizedKey(n)) || !bytes.Equal(v, sizedValue(n)) {
				return fmt.Errorf("a scan meets %q with %d bytes, want %d, %w", item.Key(), len(v), n, err)
			}
			seen++
		}
		if seen != len(sizes) {
			return fmt.Errorf("a scan of %d values, want %d", seen, len(sizes))
		}
	}
	return nil
}

func sizedKey(n int) []byte { return fmt.Appendf(nil, "%012d", n) }

// largest is the largest value of a run, and the largest that is kept out of the
// value log.
func largest() (separate, inline int) {
	switch {
	case testing.Short():
		return mib, 256 * kib
	case os.Getenv(testkit.SoakEnv) != "" && strconv.IntSize == 64:
		return db.MaxValueBytes, 64 * mib
	case testkit.Thorough():
		return 64 * mib, 16 * mib
	}
	return 16 * mib, 4 * mib
}

func TestValuesOfEverySizeComeBack(t *testing.T) {
	separate, inline := largest()
	defer debug.FreeOSMemory()
	ctx := context.Background()
	dir := t.TempDir()
	o := smallOptions(nil)
	sizes, inlined := sizesUpTo(separate), sizesUpTo(inline)
	store := open(t, dir, o)
	spaceOf := func() *db.Keyspace {
		t.Helper()
		ks, err := store.Keyspace("inline", &db.KeyspaceOptions{ValueThreshold: -1})
		must(t, err)
		return ks
	}
	ks := spaceOf()
	for i, n := range sizes {
		switch i % 3 {
		case 0:
			must(t, store.Put(sizedKey(n), sizedValue(n)))
		case 1:
			b := store.NewBatch()
			must(t, b.Put(sizedKey(n), sizedValue(n)), store.Apply(b, db.Sync))
		case 2:
			must(t, store.Update(ctx, func(tx *db.Tx) error { return tx.Put(sizedKey(n), sizedValue(n)) }))
		}
		if slices.Contains(inlined, n) {
			must(t, ks.Put(sizedKey(n), sizedValue(n)))
		}
	}
	check := func(when string) {
		t.Helper()
		for _, err := range []error{readAll(store, sizes), readAll(ks, inlined)} {
			if err != nil {
				t.Fatalf("%s: %v", when, err)
			}
		}
	}
	check("when written")
	must(t, store.Close())
	store = open(t, dir, o)
	ks = spaceOf()
	// Every second one is written again, so that there is garbage beside it.
	for i, n := range sizes {
		if i%2 == 0 {
			must(t, store.Put(sizedKey(n), []byte("garbage")), store.Put(sizedKey(n), sizedValue(n)))
		}
	}
	must(t, store.Compact(ctx, db.All()), ks.Compact(ctx, db.All()), store.CollectGarbage(ctx, 0))
	check("compacted and collected")
	must(t, store.Close())
	o.ReadOnly = true
	store = open(t, dir, o)
	must(t, readAll(store, sizes), store.Close())
}

func TestKeysOfEveryLengthComeBack(t *testing.T) {
	o := smallOptions(nil)
	dir := t.TempDir()
	store := open(t, dir, o)
	lengths := sizesUpTo(db.MaxKeyBytes)
	key := func(n int) []byte { return append(sizedKey(n), bytes.Repeat([]byte{'k'}, max(n-12, 0))...)[:n] }
	lengths = slices.DeleteFunc(lengths, func(n int) bool { return n < 12 })
	for i, n := range lengths {
		must(t, store.Put(key(n), sizedValue(i*40)))
	}
	check := func() {
		t.Helper()
		for i, n := range lengths {
			must(t, readBack(store, key(n), i*40))
		}
	}
	check()
	must(t, store.Close())
	store = open(t, dir, o)
	check()
	must(t, store.Compact(context.Background(), db.All()), store.CollectGarbage(context.Background(), 0))
	check()
	for i, n := range lengths {
		must(t, store.DeleteRange(db.Between(key(n), append(key(n), 0)[:min(n+1, db.MaxKeyBytes+1)])))
		if ok, err := store.Has(key(n)); ok || err != nil {
			t.Fatalf("key of %d bytes: %v, %v", n, ok, err)
		}
		if i+1 < len(lengths) {
			must(t, readBack(store, key(lengths[i+1]), (i+1)*40))
		}
	}
	must(t, store.Close())
}
