package damage

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"path/filepath"
	"slices"
	"testing"

	"github.com/cespare/xxhash/v2"

	"github.com/cordwood-db/cordwood/db"
	"github.com/cordwood-db/cordwood/vfs"
)

// snapshot is the contents of a directory.
func snapshot(t *testing.T, fsys vfs.FS) map[string][]byte {
	t.Helper()
	s := &Store{FS: fsys.(*vfs.Mem)}
	if err := s.list(); err != nil {
		t.Fatal(err)
	}
	files, err := s.contents()
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func sameFiles(a, b map[string][]byte) bool { return maps.EqualFunc(a, b, bytes.Equal) }

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// newer is a file as a later version of its format would begin, with checksums
// that hold.
func newer(name string, data []byte) []byte {
	data = bytes.Clone(data)
	crc := func(at, versionAt int) []byte {
		binary.LittleEndian.PutUint32(data[versionAt:], 99)
		binary.LittleEndian.PutUint32(data[at:], crc32.Checksum(data[:at], castagnoli))
		return data
	}
	switch kind(name) {
	case "CURR":
		body, _, _ := bytes.Cut(bytes.Replace(data, []byte("format 1\n"), []byte("format 99\n"), 1), []byte("crc32c "))
		return fmt.Appendf(body, "crc32c %08x\n", crc32.Checksum(body, castagnoli))
	case "MANI", ".wal":
		return crc(60, 12)
	case ".vlog":
		return crc(60, 8)
	case ".sst":
		footer := data[len(data)-104:]
		binary.LittleEndian.PutUint32(footer[84:], 99)
		binary.LittleEndian.PutUint64(footer[88:], xxhash.Sum64(footer[:88]))
		return data
	}
	return nil
}

func TestNewerFormatsAreRefusedAndLeftAlone(t *testing.T) {
	each(t, func(t *testing.T, s *Store, files map[string][]byte) {
		refused := make(map[string]int)
		for name, data := range files {
			changed := newer(name, data)
			if changed == nil {
				continue
			}
			fsys := s.FS.KillClone()
			if err := writeFile(fsys, name, changed); err != nil {
				t.Fatal(err)
			}
			before := snapshot(t, fsys)
			opts := Options(fsys, checkTime)
			store, err := db.Open(dir, &opts)
			var format *db.FormatError
			if err != nil {
				if !errors.As(err, &format) || format.Found != 99 {
					t.Errorf("%s: Open: %v", name, err)
				}
				if !sameFiles(before, snapshot(t, fsys)) {
					t.Errorf("%s: a refused store was changed", name)
				}
				refused[kind(name)]++
				continue
			}
			if k := kind(name); k == "CURR" || k == "MANI" || k == ".wal" && s.Log != "" {
				t.Errorf("%s: opened", name)
			}
			lost, err := compare(store, s.Want(), nil)
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if err := errors.Join(churn(store, s.Want(), lost), store.Close()); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			// A file that no read needs may be dropped whole.
			if len(lost) > 0 && !bytes.Equal(snapshot(t, fsys)[name], changed) {
				t.Errorf("%s of a newer version was changed or removed", name)
			}
		}
		t.Logf("%s: refused to open for %v", s.Name, refused)
	})
}

func TestUnknownFilesStayAndLeftoversGo(t *testing.T) {
	each(t, func(t *testing.T, s *Store, files map[string][]byte) {
		fsys := s.FS.KillClone()
		stay := []string{"notes.txt", "000001.sst.bak", "1.sst", "xyz.vlog", "CURRENT~", "MANIFEST", ".hidden", "99.wal"}
		leave := []string{"900001.sst", "900002.vlog", "MANIFEST-900003", "CURRENT.tmp"}
		for _, name := range slices.Concat(stay, leave) {
			if err := writeFile(fsys, name, []byte("contents of "+name)); err != nil {
				t.Fatal(err)
			}
		}
		if err := fsys.MkdirAll(filepath.Join(dir, "900004.sst")); err != nil {
			t.Fatal(err)
		}
		out, err := s.Check(fsys, len(s.States)-1, true)
		if err != nil || out.OpenErr != nil || out.Lost > 0 {
			t.Fatal(out, err)
		}
		names, err := list(fsys)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range append(stay, "900004.sst") {
			if !slices.Contains(names, name) {
				t.Errorf("%s is gone", name)
			}
		}
		for _, name := range leave {
			if slices.Contains(names, name) {
				t.Errorf("%s is still there", name)
			}
		}
	})
}

func TestDirectoryWithOnlyALockFileIsANewStore(t *testing.T) {
	fsys := vfs.NewMem()
	if err := fsys.MkdirAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := writeFile(fsys, "LOCK", nil); err != nil {
		t.Fatal(err)
	}
	opts := Options(fsys, checkTime)
	store, err := db.Open(dir, &opts)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(store.Put([]byte("k"), []byte("v")), store.Close()); err != nil {
		t.Fatal(err)
	}
}

// A store without its CURRENT file, or without any but one kind of its files,
// is never taken for a new one.
func TestRestsOfAStoreAreNeverTakenForANewOne(t *testing.T) {
	each(t, func(t *testing.T, s *Store, files map[string][]byte) {
		kinds := make(map[string]bool)
		for name := range files {
			kinds[kind(name)] = true
		}
		for k := range kinds {
			if k == "LOCK" {
				continue
			}
			fsys := s.FS.KillClone()
			for name := range files {
				if kind(name) != k {
					if err := fsys.Remove(filepath.Join(dir, name)); err != nil {
						t.Fatal(err)
					}
				}
			}
			before := snapshot(t, fsys)
			opts := Options(fsys, checkTime)
			store, err := db.Open(dir, &opts)
			if err == nil {
				t.Errorf("only %s files: opened", k)
				_ = store.Close()
				continue
			}
			if !Typed(err) {
				t.Errorf("only %s files: %v", k, err)
			}
			delete(before, "LOCK")
			after := snapshot(t, fsys)
			delete(after, "LOCK")
			if !sameFiles(before, after) {
				t.Errorf("only %s files: changed", k)
			}
		}
	})
}

// Damage that is only read at a time when it can do no harm, because nothing
// points at it, must not keep a store from opening.
func TestDamagedFilterIsIgnored(t *testing.T) {
	closed := mustBuild(t)[0]
	files, err := closed.contents()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for name, data := range files {
		if kind(name) != ".sst" {
			continue
		}
		footer := data[len(data)-104:]
		at, length := binary.LittleEndian.Uint64(footer[16:]), binary.LittleEndian.Uint64(footer[24:])
		if length == 0 {
			continue
		}
		for i := at; i < at+length; i += 1 + length/5 {
			n++
			data := bytes.Clone(data)
			data[i] ^= 0xff
			c := one(data, name, "filter byte %d", i)
			out, err := c.Run(closed, true)
			if err != nil || out.OpenErr != nil || out.Lost > 0 {
				t.Error(c.Name, out, err)
			}
		}
	}
	if n == 0 {
		t.Fatal("no table has a filter")
	}
}

// A read-only open of a damaged store changes nothing either.
func TestReadOnlyOpenOfDamagedStoreWritesNothing(t *testing.T) {
	each(t, func(t *testing.T, s *Store, files map[string][]byte) {
		for c := range Flips(files, 997, 3) {
			fsys := s.FS.KillClone()
			if err := c.apply(fsys); err != nil {
				t.Fatal(err)
			}
			before := snapshot(t, fsys)
			opts := Options(fsys, checkTime)
			opts.ReadOnly = true
			store, err := db.Open(dir, &opts)
			if err == nil {
				if _, err := compare(store, s.Want(), nil); err != nil {
					t.Errorf("%s: %v", c.Name, err)
				}
				err = store.Close()
			}
			if err != nil && !Typed(err) {
				t.Errorf("%s: %v", c.Name, err)
			}
			if !sameFiles(before, snapshot(t, fsys)) {
				t.Errorf("%s: changed", c.Name)
			}
		}
	})
}
