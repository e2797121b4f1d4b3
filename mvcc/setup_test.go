package mvcc

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cordwood-db/cordwood/db"
	"github.com/cordwood-db/cordwood/vfs"
)

// smallOptions make trees of several levels out of little data.
func smallOptions(fs vfs.FS) *db.Options {
	return &db.Options{FS: fs, MemoryMax: 4 << 20, MemtableBytes: 16 << 10, BlockBytes: 256,
		TableBytes: 4 << 10, ValueThreshold: 64, SyncInterval: -1, CompactionsMax: 2}
}

func openStore(t testing.TB, fs vfs.FS) *db.DB {
	t.Helper()
	store, err := db.Open("/db", smallOptions(fs))
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func openSpace(t testing.TB, store *db.DB) *Space {
	t.Helper()
	s, err := Open(store, "v", nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// newSpace is a space in a store of its own, closed with the test.
func newSpace(t testing.TB) (*db.DB, *Space) {
	t.Helper()
	store := openStore(t, vfs.NewMem())
	t.Cleanup(func() { must(t, store.Close()) })
	return store, openSpace(t, store)
}

func must(t testing.TB, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// commit writes "key=value" and "-key" at ts.
func commit(t testing.TB, s *Space, ts Timestamp, writes ...string) {
	t.Helper()
	must(t, batchOf(s, writes...).Commit(ts, db.DefaultDurability))
}

func batchOf(s *Space, writes ...string) *Batch {
	b := s.NewBatch()
	for _, w := range writes {
		if key, deleted := strings.CutPrefix(w, "-"); deleted {
			b.Delete([]byte(key))
			continue
		}
		key, value, _ := strings.Cut(w, "=")
		b.Put([]byte(key), []byte(value))
	}
	return b
}

func at(t testing.TB, s *Space, ts Timestamp) *View {
	t.Helper()
	v, err := s.At(ts)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// read is what a view sees in r: "key=value@version", joined.
func read(t testing.TB, v *View, r db.Range) string {
	t.Helper()
	var all []string
	for item, err := range v.Scan(r) {
		must(t, err)
		value, err := item.Value()
		must(t, err)
		if len(value) != item.ValueSize() {
			t.Fatalf("%q: %d bytes, told %d", item.Key(), len(value), item.ValueSize())
		}
		all = append(all, fmt.Sprintf("%s=%s@%d", item.Key(), value, item.Version()))
	}
	return strings.Join(all, " ")
}

func readAt(t testing.TB, s *Space, ts Timestamp, r db.Range) string {
	t.Helper()
	v := at(t, s, ts)
	defer v.Close()
	return read(t, v, r)
}

// versions lists those of a key: "value@3 -@2".
func versions(t testing.TB, s *Space, key string) string {
	t.Helper()
	var all []string
	for v, err := range s.Versions([]byte(key)) {
		must(t, err)
		value, err := v.Value()
		if v.Deleted() != errors.Is(err, db.ErrNotFound) {
			t.Fatal(err)
		}
		if v.Deleted() {
			value = []byte("-")
		}
		all = append(all, fmt.Sprintf("%s@%d", value, v.Timestamp()))
	}
	return strings.Join(all, " ")
}

func wants(t testing.TB, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func wantsErr(t testing.TB, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("got error %v, want %v", got, want)
	}
}

var ctx = context.Background()
