package damage

import (
	"fmt"
	"iter"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/cordwood-db/cordwood/db"
)

func mustBuild(t *testing.T) []*Store {
	t.Helper()
	closed, killed, err := Build()
	if err != nil {
		t.Fatal(err)
	}
	return []*Store{closed, killed}
}

func TestUndamagedStoresReadRight(t *testing.T) {
	for _, s := range mustBuild(t) {
		total := 0
		for _, name := range s.Files {
			data, err := readFile(s.FS, name)
			if err != nil {
				t.Fatal(err)
			}
			total += len(data)
			t.Logf("%s: %s %d bytes", s.Name, name, len(data))
		}
		fs := s.FS.KillClone()
		opts := Options(fs, checkTime)
		store, err := db.Open(dir, &opts)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %d bytes, %d keys, %+v", s.Name, total, len(s.Want().keys), store.Metrics().Levels)
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
		for _, thorough := range []bool{false, true} {
			start := time.Now()
			out, err := s.Check(s.FS.KillClone(), len(s.States)-1, thorough)
			if err != nil || out.OpenErr != nil || out.Lost > 0 {
				t.Fatal(fmt.Sprintf("%s: %+v", s.Name, out), err)
			}
			t.Log(s.Name, thorough, time.Since(start))
		}
	}
}

// ci says that every case is to run.
func ci() bool { return os.Getenv("CORDWOOD_CI") != "" }

// runAll runs cases on two goroutines; every thorough-th is churned.
func runAll(t *testing.T, s *Store, cases iter.Seq[Case], thorough int) {
	t.Helper()
	type numbered struct {
		Case
		n int
	}
	work := make(chan numbered)
	var wg sync.WaitGroup
	var mu sync.Mutex
	var refused, failing, older, failures int
	for range 2 {
		wg.Go(func() {
			for c := range work {
				out, err := c.Run(s, c.n%thorough == 0)
				mu.Lock()
				if err != nil {
					if failures++; failures <= 10 {
						t.Error(err)
					}
				}
				if out.OpenErr != nil {
					refused++
				}
				if out.Lost > 0 {
					failing++
				}
				if out.OpenErr == nil && out.State < len(s.States)-1 {
					older++
				}
				mu.Unlock()
			}
		})
	}
	n := 0
	start := time.Now()
	for c := range cases {
		mu.Lock()
		stop := failures > 200
		mu.Unlock()
		if stop {
			break
		}
		if n++; testing.Short() && n%10 != 1 {
			continue // the race detector makes it slow
		}
		work <- numbered{c, n}
	}
	close(work)
	wg.Wait()
	t.Logf("%s: %d cases in %v: %d refused to open, %d with reads that fail, %d with the log's end gone, %d violations",
		s.Name, n, time.Since(start).Round(time.Millisecond), refused, failing, older, failures)
}

// each runs fn as a subtest for both stores.
func each(t *testing.T, fn func(t *testing.T, s *Store, files map[string][]byte)) {
	for _, s := range mustBuild(t) {
		files, err := s.contents()
		if err != nil {
			t.Fatal(err)
		}
		t.Run(s.Name, func(t *testing.T) { fn(t, s, files) })
	}
}

func TestNoFlippedByteChangesOrHidesData(t *testing.T) {
	each(t, func(t *testing.T, s *Store, files map[string][]byte) {
		stride, thorough := 61, 4
		if ci() {
			stride, thorough = 1, 16
			if s.Log == "" {
				stride = 4 // most of its bytes are in the other one too
			}
		}
		runAll(t, s, Flips(files, stride, time.Now().Nanosecond()%stride), thorough)
	})
}

func TestCutFilesAreMissedOrReadRight(t *testing.T) {
	each(t, func(t *testing.T, s *Store, files map[string][]byte) {
		stride := 97
		if ci() {
			stride = 17
		}
		runAll(t, s, Cuts(files, stride), 4)
	})
}

func TestZeroedSectorsNeverReadAsData(t *testing.T) {
	each(t, func(t *testing.T, s *Store, files map[string][]byte) { runAll(t, s, Zeroed(files), 6) })
}

func TestMisplacedSectorsNeverReadAsData(t *testing.T) {
	each(t, func(t *testing.T, s *Store, files map[string][]byte) {
		stride := 17
		if ci() {
			stride = 2
		}
		runAll(t, s, SwappedSectors(files, stride), 3)
	})
}

func TestMisplacedAndMissingFilesAreMissed(t *testing.T) {
	each(t, func(t *testing.T, s *Store, files map[string][]byte) { runAll(t, s, SwappedFiles(files), 3) })
}

func TestStaleFilesAndSectorsNeverReadAsData(t *testing.T) {
	each(t, func(t *testing.T, s *Store, files map[string][]byte) {
		older := *s
		older.FS = s.Older
		if err := older.list(); err != nil {
			t.Fatal(err)
		}
		old, err := older.contents()
		if err != nil {
			t.Fatal(err)
		}
		runAll(t, s, Stale(files, old), 1)
	})
}

// A disk that puts a block in the wrong place may take it from another store,
// whose files have the same names and much the same contents.
func TestFilesAndSectorsOfAnotherStoreNeverReadAsData(t *testing.T) {
	others := map[string]map[string][]byte{}
	for _, s := range mustBuild(t) {
		files, err := s.contents()
		if err != nil {
			t.Fatal(err)
		}
		others[s.Name] = files
	}
	each(t, func(t *testing.T, s *Store, files map[string][]byte) {
		cases := func(yield func(Case) bool) {
			for c := range Stale(files, others[s.Name]) {
				c.Name += ", in another store"
				if !yield(c) {
					return
				}
			}
		}
		runAll(t, s, cases, 5)
	})
}
