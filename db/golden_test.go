package db

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/cordwood-db/cordwood/vfs"
)

// testdata/v1-closed and testdata/v1-killed are stores from before keyspaces, one
// of them closed, the other left by a process that was killed. Both hold the
// same:
//
//	key000 to key299  the key, 1, 121 or 241 times; every seventh was deleted,
//	                  and key100 to key119 with one range delete
//	merged            "ab", of two operands of Append
//	ttl               expires 3600 s after 1,700,000,000
//	batch1, batch2    "x", and 3,000 times "y"
//	late              2,000 times "z"
func TestStoresFromBeforeKeyspacesOpen(t *testing.T) {
	for _, name := range []string{"v1-closed", "v1-killed"} {
		t.Run(name, func(t *testing.T) {
			fs := goldenStore(t, name)
			var clock jumpingClock
			clock.set(time.Unix(1_700_000_001, 0).UnixNano())
			opts := Options{MemtableBytes: 64 << 10, MemoryMax: 4 << 20, TableBytes: 64 << 10, Merge: Append(),
				Clock: clock.Now, ReadOnly: true}
			store := openMem(t, fs, opts)
			checkGolden(t, store, true)
			closeDB(t, store)
			opts.ReadOnly = false
			store = openMem(t, fs, opts)
			checkGolden(t, store, true)
			if got := store.Keyspaces(); len(got) != 0 {
				t.Error(got)
			}
			ks := openSpace(t, store, "new", nil)
			must(t, ks.Put([]byte("key001"), bytes.Repeat([]byte("n"), 3000)))
			closeDB(t, store)
			clock.set(clock.latest + int64(time.Hour))
			store = openMem(t, fs, opts)
			checkGolden(t, store, false)
			must(t, store.Compact(context.Background(), All()), store.CollectGarbage(context.Background(), 0))
			checkGolden(t, store, false)
			if v, err := openSpace(t, store, "new", nil).Get([]byte("key001")); err != nil || len(v) != 3000 {
				t.Error(len(v), err)
			}
			closeDB(t, store)
		})
	}
}

// goldenStore is a copy of a store in testdata, in /db.
func goldenStore(t *testing.T, name string) *vfs.Mem {
	t.Helper()
	fs := vfs.NewMem()
	must(t, fs.MkdirAll("/db"))
	files, err := os.ReadDir(filepath.Join("testdata", name))
	must(t, err)
	for _, file := range files {
		data, err := os.ReadFile(filepath.Join("testdata", name, file.Name()))
		must(t, err)
		f, err := fs.Create(filepath.Join("/db", file.Name()))
		must(t, err)
		_, err = f.WriteAt(data, 0)
		must(t, err, f.Sync(), f.Close())
	}
	must(t, fs.SyncDir("/db"))
	return fs
}

func checkGolden(t *testing.T, store *DB, ttl bool) {
	t.Helper()
	want := map[string]string{"merged": "ab", "batch1": "x",
		"batch2": string(bytes.Repeat([]byte("y"), 3000)), "late": string(bytes.Repeat([]byte("z"), 2000))}
	for i := range 300 {
		if i%7 != 0 && (i < 100 || i >= 120) {
			key := fmt.Sprintf("key%03d", i)
			want[key] = string(bytes.Repeat([]byte(key), 1+i%3*120))
		}
	}
	if ttl {
		want["ttl"] = "gone"
	}
	have := contentsOf(t, store)
	for key, value := range want {
		if have[key] != value {
			t.Errorf("%s: have %d bytes, want %d", key, len(have[key]), len(value))
		}
		holds(t, store, key, value)
	}
	if len(have) != len(want) {
		t.Errorf("%d keys, want %d", len(have), len(want))
	}
}
