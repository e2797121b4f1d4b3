package db

import (
	"bytes"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cordwood-db/cordwood/internal/testkit"
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

// A commit points only at files that the MANIFEST knows of. Where a proven one does
// not, the log was changed, whether anybody would read the value or not: counting it
// as garbage later would name a file in the MANIFEST that never was. (File 127 is
// among the numbers that the MANIFEST has set aside, and passes for one.)
func TestPointerOfTheLogIntoNoFile(t *testing.T) {
	for _, dropped := range []bool{false, true} {
		for _, proven := range []bool{false, true} {
			mem := vfs.NewMem()
			store := openMem(t, mem, Options{SyncInterval: -1, ValueThreshold: 100})
			space := openSpace(t, store, "space", nil)
			must(t, space.Put([]byte("the-key"), make([]byte, 200)))
			if proven {
				must(t, store.Sync(), store.Put([]byte("after"), []byte("v")))
			}
			if dropped {
				must(t, store.DropKeyspace("space"))
			}
			killed := mem.KillClone()
			closeDB(t, store)
			for _, file := range []byte{0, 127} {
				fs := killed.KillClone()
				name := forgeLog(t, fs, func(log []byte) {
					at := bytes.Index(log, []byte("the-key")) + len("the-key")
					log[at+1] = file // behind the pointer's length
				})
				opts := Options{FS: fs}
				store, err := Open("/db", &opts)
				damage, ok := errors.AsType[*CorruptionError](err)
				if ok != (proven && file == 0) || ok && (damage.File != name || !errors.Is(err, errNoFile)) {
					t.Errorf("dropped %v, proven %v, file %d: %v", dropped, proven, file, err)
				}
				if err == nil {
					must(t, store.Put([]byte("k"), []byte("v")), store.Flush(t.Context()))
					closeDB(t, store)
					closeDB(t, openMem(t, fs, Options{}))
				}
			}
		}
	}
}

// forgeLog changes the one segment of a store's log, with checksums that are right.
func forgeLog(t *testing.T, fs *vfs.Mem, change func(log []byte)) (name string) {
	t.Helper()
	files, err := fs.List("/db")
	must(t, err)
	for _, file := range files {
		if strings.HasSuffix(file.Name, ".wal") {
			name = file.Name
		}
	}
	path := filepath.Join("/db", name)
	log, err := vfs.ReadFile(fs, path, 1<<24)
	must(t, err)
	change(log)
	testkit.ResealRecords(log)
	f, err := fs.OpenReadWrite(path)
	must(t, err)
	_, err = f.WriteAt(log, 0)
	must(t, err, f.Close())
	return name
}
