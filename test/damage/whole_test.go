package damage

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/cordwood-db/cordwood/db"
	"github.com/cordwood-db/cordwood/vfs"
)

func TestUnknownFilesStayAndLeftoversGo(t *testing.T) {
	for _, s := range mustBuild(t, 1) {
		files, err := contents(s.FS, dir)
		if err != nil {
			t.Fatal(err)
		}
		stay := []string{"notes.txt", "000001.sst.bak", "1.sst", "xyz.vlog", "CURRENT~", "MANIFEST", ".hidden", "99.wal"}
		leave := []string{"900001.sst", "900002.vlog", "MANIFEST-900003", "CURRENT.tmp"}
		for _, name := range slices.Concat(stay, leave) {
			files[name] = []byte("contents of " + name)
		}
		fsys, err := newFS(files)
		if err != nil {
			t.Fatal(err)
		}
		if err := fsys.MkdirAll(filepath.Join(dir, "900004.sst")); err != nil {
			t.Fatal(err)
		}
		c := Case{Target: &File{Needs: map[string]bool{}}}
		tr := &trial{s: s, c: &c, fs: fsys, depth: churns, lowest: len(s.States) - 1}
		if err := tr.run(); err != nil || tr.out.Open != nil || len(tr.out.Lost) > 0 {
			t.Fatalf("%s: %+v %v", s.Name, tr.out, err)
		}
		names, err := list(fsys, dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range stay {
			if !slices.Contains(names, name) {
				t.Errorf("%s is gone", name)
			}
		}
		for _, name := range leave {
			if slices.Contains(names, name) {
				t.Errorf("%s is still there", name)
			}
		}
		if _, err := fsys.List(filepath.Join(dir, "900004.sst")); err != nil {
			t.Error(err)
		}
	}
}

func TestDirectoryWithOnlyALockFileIsANewStore(t *testing.T) {
	fsys, err := newFS(map[string][]byte{"LOCK": nil})
	if err != nil {
		t.Fatal(err)
	}
	opts := Options(fsys, 1)
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
	for _, s := range mustBuild(t, 1) {
		kinds := make(map[string]bool)
		for _, f := range s.Files {
			kinds[kind(f.Name)] = f.Role != roleLock
		}
		for k, counts := range kinds {
			if !counts {
				continue
			}
			files, err := contents(s.FS, dir)
			if err != nil {
				t.Fatal(err)
			}
			maps.DeleteFunc(files, func(name string, _ []byte) bool { return kind(name) != k })
			refuses(t, s.Name+", only "+k, files)
			if files, err = contents(s.FS, dir); err != nil {
				t.Fatal(err)
			}
			maps.DeleteFunc(files, func(name string, _ []byte) bool { return kind(name) == k || name == "CURRENT" })
			refuses(t, s.Name+", without CURRENT and "+k, files)
		}
	}
}

// refuses checks that Open refuses a directory with these files, and that the
// files stay.
func refuses(t *testing.T, what string, files map[string][]byte) {
	t.Helper()
	fsys, err := newFS(files)
	if err != nil {
		t.Fatal(err)
	}
	opts := Options(fsys, 1)
	store, err := db.Open(dir, &opts)
	if err == nil {
		t.Errorf("%s: opened", what)
		_ = store.Close()
		return
	}
	if class(err, false) == "" {
		t.Errorf("%s: %v", what, err)
	}
	after, err := contents(fsys, dir)
	if err != nil {
		t.Fatal(err)
	}
	delete(after, "LOCK")
	delete(files, "LOCK")
	if !maps.EqualFunc(files, after, func(a, b []byte) bool { return string(a) == string(b) }) {
		t.Errorf("%s: changed", what)
	}
}

func TestPermutationHasEveryNumberOnce(t *testing.T) {
	for _, n := range []int{1, 2, 3, 10, 1000, 4097} {
		for seed := range uint64(5) {
			p, seen := newPermutation(n, seed), make(map[int]bool)
			for i := range n {
				seen[p.at(i)] = true
			}
			if len(seen) != n {
				t.Errorf("%d of %d numbers with seed %d", len(seen), n, seed)
			}
		}
	}
}

func TestSavedStoresGiveTheSameCases(t *testing.T) {
	stores := mustBuild(t, 1)
	path, err := save(stores)
	if err != nil {
		t.Fatal(err)
	}
	again := mustBuild(t, 1)
	if err := errors.Join(load(path, again), os.Remove(path)); err != nil {
		t.Fatal(err)
	}
	a, err := newSet(stores, nil, extent{})
	if err != nil {
		t.Fatal(err)
	}
	b, err := newSet(again, nil, extent{})
	if err != nil || a.len() != b.len() {
		t.Fatal(a.len(), b.len(), err)
	}
	p := newPermutation(a.len(), 1)
	for i := range 500 {
		s, c := a.at(p.at(i))
		s2, c2 := b.at(p.at(i))
		same := func(x, y []byte) bool { return string(x) == string(y) }
		if s.Name != s2.Name || c.Name != c2.Name || !maps.EqualFunc(c.Files, c2.Files, same) {
			t.Fatalf("%s, then %s", c.Name, c2.Name)
		}
	}
	k := checker{clones: map[*Store]*vfs.Mem{}}
	for _, s := range again {
		c := Case{Name: "none", Target: &File{Needs: map[string]bool{}}}
		if words, err := k.run(s, &c, churns, 0); err != nil || words[0] != seesNothing {
			t.Error(words, err)
		}
	}
}
