package fuzz

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cordwood-db/cordwood/db"
	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/vfs"
)

const (
	dir       = "/store"
	sideName  = "side"
	bytesMax  = 64 << 10 // of a file: offsets in edits have 16 bits
	stateFile = "state"  // beside the files of an image: what may be read of it
)

// now is when stores are written and opened.
var now = time.Unix(2e9, 0)

func options(fs vfs.FS) *db.Options {
	return &db.Options{
		FS: fs, Clock: func() time.Time { return now }, Merge: db.Append(), Prefix: db.FixedPrefix(1),
		MemoryMax: 1 << 20, MemtableBytes: 8 << 10, BlockBytes: 300, TableBytes: 2 << 10,
		ValueThreshold: 100, SyncInterval: -1, CompactionsMax: 1, MustExist: true,
	}
}

// image is a store as it lies on disk.
type image struct {
	names []string // sorted
	files map[string][]byte
	// values are what each key has once had since the last flush, by keyspace
	// and key ("side/k"); "" if it may be missing.
	values map[string][]string
}

// clone is a copy whose files may be changed, but not the map of values.
func (im *image) clone() *image {
	c := &image{names: slices.Clone(im.names), files: make(map[string][]byte), values: im.values}
	for name, b := range im.files {
		c.files[name] = slices.Clone(b)
	}
	return c
}

// size is that of all files, in bytes.
func (im *image) size() (n int) {
	for _, b := range im.files {
		n += len(b)
	}
	return n
}

// mem is a file system with the image in it.
func (im *image) mem(t testing.TB) *vfs.Mem {
	fs := vfs.NewMem()
	must(t, fs.MkdirAll(dir))
	for name, b := range im.files {
		f, err := fs.Create(path.Join(dir, name))
		must(t, err)
		_, err = f.WriteAt(b, 0)
		must(t, err, f.Sync(), f.Close())
	}
	must(t, fs.SyncDir(dir))
	return fs
}

func must(t testing.TB, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// load reads an image of testdata.
func load(t testing.TB, name string) *image {
	t.Helper()
	if os.Getenv("UPDATE_TESTDATA") != "" {
		save(t, name, build(t, name))
	}
	im := &image{files: make(map[string][]byte), values: make(map[string][]string)}
	entries, err := os.ReadDir(filepath.Join("testdata", name))
	must(t, err)
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join("testdata", name, e.Name()))
		must(t, err)
		if e.Name() != stateFile {
			im.names = append(im.names, e.Name())
			im.files[e.Name()] = b
			continue
		}
		for line := range strings.Lines(string(b)) {
			key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
			im.values[key] = append(im.values[key], value)
		}
	}
	return im
}

// save writes an image to testdata.
func save(t testing.TB, name string, im *image) {
	to := filepath.Join("testdata", name)
	must(t, os.RemoveAll(to), os.MkdirAll(to, 0o777))
	var state []byte
	for _, key := range slices.Sorted(maps.Keys(im.values)) {
		for _, v := range im.values[key] {
			state = fmt.Appendf(state, "%s=%s\n", key, v)
		}
	}
	must(t, os.WriteFile(filepath.Join(to, stateFile), state, 0o666))
	for file, b := range im.files {
		if len(b) > bytesMax {
			t.Fatalf("%s has %d bytes", file, len(b))
		}
		must(t, os.WriteFile(filepath.Join(to, file), b, 0o666))
	}
}

// writer writes a store and remembers what it holds.
type writer struct {
	store *db.DB
	side  *db.Keyspace
	now   map[string]string // by keyspace and key
	err   error
}

func (w *writer) do(err error) { w.err = errors.Join(w.err, err) }

func (w *writer) put(key, value string) {
	if s, ok := strings.CutPrefix(key, sideName+"/"); ok {
		w.do(w.side.Put([]byte(s), []byte(value)))
	} else {
		w.do(w.store.Put([]byte(key), []byte(value)))
	}
	w.now[key] = value
}

func (w *writer) merge(key, operand string) {
	w.do(w.store.Merge([]byte(key), []byte(operand)))
	w.now[key] += operand
}

func (w *writer) remove(key string) {
	w.do(w.store.Delete([]byte(key)))
	delete(w.now, key)
}

func (w *writer) removeRange(from, to string) {
	w.do(w.store.DeleteRange(db.Between([]byte(from), []byte(to))))
	maps.DeleteFunc(w.now, func(k, _ string) bool { return from <= k && k < to })
}

func large(tag string, i int) string {
	return fmt.Sprintf("%s%03d", tag, i) + strings.Repeat(string(rune('a'+i)), 110)
}

// expiring writes values that have not expired yet.
func (w *writer) expiring() {
	for i, value := range []string{"for an hour", large("hour", 4)} {
		key := fmt.Sprintf("e%d", i+1)
		w.do(w.store.PutTTL([]byte(key), []byte(value), time.Hour))
		w.now[key] = value
	}
}

// tables fills several levels, and rewrites a value-log file.
func (w *writer) tables() {
	ctx := context.Background()
	for i := range 40 {
		w.put(fmt.Sprintf("a%03d", i), fmt.Sprint("value ", i*i*i))
		w.put(fmt.Sprintf("side/s%03d", i), fmt.Sprint(i))
	}
	for i := range 12 {
		w.put(fmt.Sprintf("l%03d", i), large("first", i))
	}
	w.merge("m1", "one")
	w.do(errors.Join(w.store.Flush(ctx), w.store.Compact(ctx, db.All())))
	for i := range 8 {
		w.put(fmt.Sprintf("l%03d", i), large("second", i))
	}
	w.removeRange("a005", "a009")
	w.do(errors.Join(w.store.Flush(ctx), w.store.Compact(ctx, db.All()), w.store.CollectGarbage(ctx, 0.01)))
	w.merge("m1", "two")
	w.remove("a001")
	w.removeRange("a010", "a012")
	w.put("side/s001", "again")
	w.do(w.store.Flush(ctx))
}

// log writes what only the log is to hold. No key is written to twice.
func (w *writer) log() {
	for i := range 4 {
		w.put(fmt.Sprintf("w%03d", i), "logged")
	}
	w.put("l009", large("third", 9))
	w.merge("m1", "three")
	w.do(w.store.Sync())
	w.remove("a002")
	w.put("side/s002", large("side", 2))
	w.removeRange("a020", "a023")
}

// build writes a store: "killed" was not closed, "plain" is one like it without
// compression, "checkpoint" is a checkpoint, and "small" has one file of each kind.
func build(t testing.TB, name string) *image {
	fs := vfs.NewMem()
	opts := options(fs)
	opts.MustExist = false
	if name == "plain" {
		opts.Compression = db.CompressionNone
	}
	store, err := db.Open(dir, opts)
	must(t, err)
	side, err := store.Keyspace(sideName, &db.KeyspaceOptions{Compression: db.CompressionNone})
	must(t, err)
	w := &writer{store: store, side: side, now: make(map[string]string)}
	if name == "small" {
		w.put("a", "1")
		w.put("l", large("x", 1))
		w.do(store.Flush(context.Background()))
	} else {
		if name == "plain" {
			w.expiring()
		}
		w.tables()
	}
	before := maps.Clone(w.now)
	from := dir
	switch name {
	case "killed", "plain":
		w.log()
	case "small":
		w.put("w", "logged")
	case "checkpoint":
		from = "/checkpoint"
		w.do(store.Checkpoint(context.Background(), from))
	}
	killed := fs.KillClone()
	must(t, w.err, store.Close())
	im := &image{files: make(map[string][]byte), values: make(map[string][]string)}
	infos, err := killed.List(from)
	must(t, err)
	for _, info := range infos {
		if kind, _ := base.ParseFileName(info.Name); kind == base.FileLock {
			continue
		}
		b, err := vfs.ReadFile(killed, path.Join(from, info.Name), 1<<30)
		must(t, err)
		im.files[info.Name] = shorten(info.Name, b)
	}
	for _, state := range []map[string]string{before, w.now} {
		for key := range union(before, w.now) {
			if v := state[key]; !slices.Contains(im.values[key], v) {
				im.values[key] = append(im.values[key], v)
			}
		}
	}
	return im
}

// shorten cuts preallocated space off a segment.
func shorten(name string, b []byte) []byte {
	if kind, _ := base.ParseFileName(name); kind != base.FileWAL {
		return b
	}
	return append([]byte(strings.TrimRight(string(b), "\x00")), make([]byte, 64)...)
}

func union(a, b map[string]string) map[string]bool {
	keys := make(map[string]bool)
	for k := range a {
		keys[k] = true
	}
	for k := range b {
		keys[k] = true
	}
	return keys
}
