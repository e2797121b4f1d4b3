package db

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cordwood-db/cordwood/vfs"
)

// flipLast damages the last byte of a file.
func flipLast(t *testing.T, fs vfs.FS, path string) {
	t.Helper()
	f, err := fs.OpenReadWrite(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		t.Fatal(err)
	}
	var b [1]byte
	if _, err := f.ReadAt(b[:], size-1); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 0xff
	if _, err := f.WriteAt(b[:], size-1); err != nil {
		t.Fatal(err)
	}
}

func TestDamagedTableWithRangeDeletesHidesOnlyItsOwnKeys(t *testing.T) {
	fs := vfs.NewMem()
	store := openMem(t, fs, Options{})
	for _, key := range []string{"a", "m", "x"} {
		if err := store.Put([]byte(key+"0"), []byte("kept")); err != nil {
			t.Fatal(err)
		}
		if err := store.Put([]byte(key+"1"), []byte("deleted")); err != nil {
			t.Fatal(err)
		}
	}
	var damaged string
	for _, key := range []string{"", "a1", "x1"} {
		if key != "" {
			if err := store.DeleteRange(Prefix([]byte(key))); err != nil {
				t.Fatal(err)
			}
		}
		if err := store.Flush(context.Background()); err != nil {
			t.Fatal(err)
		}
		if key == "a1" {
			files, err := fs.List("/db")
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range files {
				if strings.HasSuffix(f.Name, ".sst") {
					damaged = filepath.Join("/db", f.Name) // the newest
				}
			}
		}
	}
	closeDB(t, store)
	flipLast(t, fs, damaged)
	store = openMem(t, fs, Options{})
	defer closeDB(t, store)
	for key, want := range map[string]string{"a0": "kept", "m0": "kept", "m1": "deleted", "x0": "kept"} {
		if value, err := store.Get([]byte(key)); err != nil || string(value) != want {
			t.Errorf("Get(%s) = %q, %v; want %q", key, value, err, want)
		}
	}
	if _, err := store.Get([]byte("x1")); !errors.Is(err, ErrNotFound) {
		t.Errorf("Get of a deleted key: %v", err)
	}
	var corrupt *CorruptionError
	if value, err := store.Get([]byte("a1")); !errors.As(err, &corrupt) {
		t.Errorf("Get under the damaged table = %q, %v", value, err)
	}
	for item, err := range store.Scan(From([]byte("m"))) {
		if err != nil {
			t.Errorf("scan beside the damage: %v", err)
		} else if string(item.Key()) == "x1" {
			t.Error("a deleted key shows")
		}
	}
	sawError := false
	for _, err := range store.Scan(All()) {
		sawError = errors.As(err, &corrupt)
	}
	if !sawError {
		t.Error("a scan over the damage ends without an error")
	}
}
