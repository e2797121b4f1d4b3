package process

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cordwood-db/cordwood/db"
)

const (
	writers     = 8
	batchKeys   = 3
	batchesKept = 60 // each writer deletes its older ones
)

func counterKey(w int) []byte { return fmt.Appendf(nil, "counter/%d", w) }

func batchKey(w, n, i int) []byte { return fmt.Appendf(nil, "batch/%d/%08d/%d", w, n, i) }

// batchValue is a value that says where it belongs; every third is large.
func batchValue(w, n, i int) []byte {
	v := fmt.Appendf(nil, "%d/%d/%d:", w, n, i)
	if (n+i)%3 == 0 {
		v = append(v, strings.Repeat(strconv.Itoa(n%10), 600+n%1500)...)
	}
	return v
}

// writersChild commits batches from eight goroutines until it is killed. Each
// commit that returned is acknowledged on standard output.
func writersChild(dir string) error {
	store, err := db.Open(dir, options())
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	errs := make([]error, writers)
	for w := range writers {
		wg.Go(func() { errs[w] = writeBatches(store, w) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

func writeBatches(store *db.DB, w int) error {
	last, err := counter(store, w)
	if err != nil {
		return err
	}
	for n := last + 1; ; n++ {
		b := store.NewBatch()
		for i := range batchKeys {
			if err := b.Put(batchKey(w, n, i), batchValue(w, n, i)); err != nil {
				return err
			}
			if err := b.Delete(batchKey(w, n-batchesKept, i)); err != nil {
				return err
			}
		}
		if err := b.Put(counterKey(w), []byte(strconv.Itoa(n))); err != nil {
			return err
		}
		durability := db.NoSync
		if w%4 == 0 {
			durability = db.Sync
		}
		if err := store.Apply(b, durability); err != nil {
			return err
		}
		// One write call: whole, or not there.
		if _, err := fmt.Fprintf(os.Stdout, "%d %d\n", w, n); err != nil {
			return err
		}
	}
}

// counter is the number of the writer's last batch, -1 before the first.
func counter(store *db.DB, w int) (int, error) {
	v, err := store.Get(counterKey(w))
	if errors.Is(err, db.ErrNotFound) {
		return -1, nil
	}
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(string(v))
}

func TestKilledProcessLosesNothingItAcknowledged(t *testing.T) {
	kills := 20
	if testing.Short() {
		kills = 4
	}
	if os.Getenv("CORDWOOD_CI") != "" {
		kills = 200
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	dir := t.TempDir()
	acked := make([]int, writers)
	for w := range acked {
		acked[w] = -1
	}
	total := 0
	for kill := range kills {
		c := startChild(t, "writers", dir, nil)
		if kill%7 == 3 { // while it recovers, or just after
			time.Sleep(time.Duration(r.IntN(30)) * time.Millisecond)
		} else {
			acknowledge(t, c.line(), acked)
			time.Sleep(time.Duration(r.IntN(400)) * time.Millisecond)
		}
		if err := c.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for c.out.Scan() {
			acknowledge(t, c.out.Text(), acked)
			total++
		}
		_ = c.cmd.Wait() // it was killed
		if c.err.Len() > 0 {
			t.Fatalf("kill %d: the child says %s", kill, c.err.String())
		}
		if err := checkKilled(dir, acked); err != nil {
			t.Fatalf("after kill %d: %v", kill, err)
		}
	}
	t.Logf("%d kills, %d acknowledged batches", kills, total)
}

// acknowledge notes what a line of a child's output says.
func acknowledge(t *testing.T, line string, acked []int) {
	t.Helper()
	var w, n int
	if _, err := fmt.Sscanf(line, "%d %d", &w, &n); err != nil {
		t.Fatalf("acknowledgement %q: %v", line, err)
	}
	acked[w] = max(acked[w], n)
}

// checkKilled opens the store and compares it with what was acknowledged, which
// it brings up to date: a commit may have been made and not acknowledged.
func checkKilled(dir string, acked []int) error {
	store, err := db.Open(dir, options())
	if err != nil {
		return err
	}
	defer store.Close()
	keys := 0
	for w := range acked {
		n, err := counter(store, w)
		if err != nil {
			return err
		}
		if n < acked[w] || n > acked[w]+1 {
			return fmt.Errorf("writer %d: batch %d is the last, %d was acknowledged", w, n, acked[w])
		}
		acked[w] = n
		for at := max(0, n-batchesKept+1); at <= n; at++ {
			for i := range batchKeys {
				got, err := store.Get(batchKey(w, at, i))
				if err != nil || string(got) != string(batchValue(w, at, i)) {
					return fmt.Errorf("batch %d of writer %d, of %d: %d bytes, %w", at, w, n, len(got), err)
				}
				keys++
			}
		}
		if n >= 0 {
			keys++
		}
	}
	found := 0
	for item, err := range store.Scan(db.All()) {
		if err != nil {
			return err
		}
		if _, err := item.Value(); err != nil {
			return err
		}
		found++
	}
	if found != keys {
		return fmt.Errorf("%d keys, want %d", found, keys)
	}
	return store.Close()
}
