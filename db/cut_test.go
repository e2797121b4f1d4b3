package db

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cordwood-db/cordwood/vfs"
)

// Whoever opens a store only to read must hear of a torn end, too.
func TestReadOnlyOpenReportsATornLogAndLeavesIt(t *testing.T) {
	mem := vfs.NewMem()
	store := openMem(t, mem, Options{SyncInterval: -1})
	must(t, store.Put([]byte("k"), []byte("v")), store.Put([]byte("l"), []byte("v")))
	killed := mem.KillClone()
	closeDB(t, store)
	files, err := killed.List("/db")
	must(t, err)
	var name string
	for _, f := range files {
		if strings.HasSuffix(f.Name, ".wal") {
			name = f.Name
		}
	}
	data, err := vfs.ReadFile(killed, filepath.Join("/db", name), 1<<24)
	must(t, err)
	size := int64(len(bytes.TrimRight(data, "\x00"))) // it may be preallocated
	f, err := killed.OpenReadWrite(filepath.Join("/db", name))
	must(t, err, f.Truncate(size-1))
	for _, readOnly := range []bool{true, true, false} {
		var cuts []LogCut
		store := openMem(t, killed, Options{ReadOnly: readOnly, Events: func(e Event) {
			if cut, ok := e.(LogCut); ok {
				cuts = append(cuts, cut)
			}
		}})
		holds(t, store, "k", "v")
		closeDB(t, store) // waits for the events
		if len(cuts) != 1 || cuts[0].File != name {
			t.Errorf("read-only %v: %+v", readOnly, cuts)
		}
		if now, err := f.Size(); err != nil || readOnly && now != size-1 {
			t.Errorf("read-only %v: %d bytes, then %d: %v", readOnly, size-1, now, err)
		}
	}
	must(t, f.Close())
}
