package db

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cordwood-db/cordwood/vfs"
)

// A collection that meets a damaged value says so and keeps the file: what is
// behind the damage is as good as before.
func TestACollectionStopsAtDamageAndKeepsItsFile(t *testing.T) {
	mem := vfs.NewMem()
	store := openMem(t, mem, Options{ValueThreshold: 100, SpaceAmpMax: 1000})
	const n, bad = 40, 11
	key := func(i int) []byte { return fmt.Appendf(nil, "key%02d", i) }
	value := func(i int) []byte { return bytes.Repeat([]byte{byte('A' + i)}, 1000) }
	for i := range n {
		must(t, store.Put(key(i), value(i)))
	}
	must(t, store.Flush(t.Context()), store.CollectGarbage(t.Context(), 1)) // seals the file
	for i := 0; i < n; i += 2 {
		must(t, store.Delete(key(i)))
	}
	must(t, store.Compact(t.Context(), All()))
	damageByte(t, mem, value(bad))
	var damage *CorruptionError
	if err := store.CollectGarbage(t.Context(), 0.1); !errors.As(err, &damage) {
		t.Errorf("collecting: %v", err)
	}
	for i := 1; i < n; i += 2 {
		got, err := store.Get(key(i))
		if i == bad {
			if !errors.As(err, &damage) {
				t.Errorf("the damaged value: %d bytes, %v", len(got), err)
			}
		} else if err != nil || !bytes.Equal(got, value(i)) {
			t.Errorf("%s, which is not damaged: %d bytes, %v", key(i), len(got), err)
		}
	}
	closeDB(t, store)
}

// damageByte changes a byte of a value where it lies in the value log.
func damageByte(t *testing.T, mem *vfs.Mem, value []byte) {
	t.Helper()
	files, err := mem.List("/db")
	must(t, err)
	for _, f := range files {
		if !strings.HasSuffix(f.Name, ".vlog") {
			continue
		}
		path := filepath.Join("/db", f.Name)
		data, err := vfs.ReadFile(mem, path, 1<<24)
		must(t, err)
		if at := bytes.Index(data, value); at >= 0 {
			file, err := mem.OpenReadWrite(path)
			must(t, err)
			_, err = file.WriteAt([]byte{value[0] ^ 1}, int64(at+len(value)/2))
			must(t, err, file.Close())
			return
		}
	}
	t.Fatal("the value is in no file")
}
