package damage

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cordwood-db/cordwood/db"
	"github.com/cordwood-db/cordwood/internal/testkit"
	"github.com/cordwood-db/cordwood/vfs"
)

// oldOptions open the stores of db/testdata.
func oldOptions(fsys vfs.FS) db.Options {
	now := time.Unix(1_700_000_001, 0)
	return db.Options{FS: fsys, Clock: func() time.Time { return now }, Merge: db.Append(),
		MemtableBytes: 64 << 10, MemoryMax: 4 << 20, TableBytes: 64 << 10, CompactionsMax: 1, SyncInterval: -1}
}

// oldStores are stores that older versions wrote.
func oldStores(t *testing.T) (stores []*Store) {
	t.Helper()
	state := State{"merged": "ab", "ttl": "gone", "batch1": "x",
		"batch2": strings.Repeat("y", 3000), "late": strings.Repeat("z", 2000)}
	for i := range 300 {
		if i%7 != 0 && (i < 100 || i >= 120) {
			state[key("key", i)] = ""
		}
	}
	for k := range state {
		if n, ok := strings.CutPrefix(k, "key/"); ok {
			delete(state, k)
			k = "key" + n
			state[k] = strings.Repeat(k, 1+number(n)%3*120)
		}
	}
	view := newView(state, []string{"key000", "key110"})
	view.main, view.side = view, &View{}
	for _, name := range []string{"v1-closed", "v1-killed"} {
		folder := filepath.Join("..", "..", "db", "testdata", name)
		infos, err := os.ReadDir(folder)
		if err != nil {
			t.Fatal(err)
		}
		files := make(map[string][]byte)
		for _, info := range infos {
			if files[info.Name()], err = os.ReadFile(filepath.Join(folder, info.Name())); err != nil {
				t.Fatal(err)
			}
		}
		s := &Store{Name: name, old: true, States: []*View{view}}
		if s.FS, err = newFS(files); err == nil {
			err = s.learn()
		}
		if err != nil {
			t.Fatal(err)
		}
		stores = append(stores, s)
	}
	return stores
}

func number(digits string) (n int) {
	for _, d := range digits {
		n = n*10 + int(d-'0')
	}
	return n
}

// What older versions wrote is checked like what this one writes. Of the end of
// a log that they left, nothing is known here: cases that change it are passed
// over.
func TestDamageToStoresOfOlderVersions(t *testing.T) {
	seed := testkit.Seed(t)
	budget := testkit.Amount{Short: 50, Normal: 200, CI: 2000, Full: 100_000}.Budget(t)
	stores := oldStores(t)
	cases, err := newSet(stores, nil, extent{shift: int(seed % 8)})
	if err != nil {
		t.Fatal(err)
	}
	k, p := checker{clones: map[*Store]*vfs.Mem{}}, newPermutation(cases.len(), seed)
	done := 0
	for i := 0; budget.More(done); i++ {
		n := p.at(i % cases.len())
		s, c := cases.at(n)
		if !c.changes(s) || s.Name == "v1-killed" && c.touchesLog(s) {
			continue
		}
		if _, err := k.run(s, &c, depthOf(&c, n), mix(uint64(n))); err != nil {
			t.Fatalf("%s=%d: %v", testkit.SeedEnv, seed, err)
		}
		done++
	}
}

// touchesLog reports whether the case changes the log, or values that only the
// log points at.
func (c *Case) touchesLog(s *Store) bool {
	names := append(sortedNames(c.Files), c.Dir, c.Unreadable)
	return slices.ContainsFunc(names, func(name string) bool {
		f := s.byName[name]
		return kind(name) == ".wal" || f != nil && f.Role == roleGrowing
	})
}
