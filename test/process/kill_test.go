package process

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
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

// keyspaces opens those that the keys of a batch go to, in turn.
func keyspaces(store *db.DB) ([]*db.Keyspace, error) {
	one, err := store.Keyspace("one", &db.KeyspaceOptions{ValueThreshold: 1000})
	if err != nil {
		return nil, err
	}
	two, err := store.Keyspace("two", &db.KeyspaceOptions{ValueThreshold: -1, BlockBytes: 500})
	return []*db.Keyspace{store.Default(), one, two}, err
}

// writersChild commits batches from eight goroutines, and makes and drops
// keyspaces in another, until it is killed. Each commit that returned is
// acknowledged on standard output.
func writersChild(dir string) error {
	store, err := db.Open(dir, options())
	if err != nil {
		return err
	}
	spaces, err := keyspaces(store)
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	errs := make([]error, writers+1)
	for w := range writers {
		wg.Go(func() { errs[w] = writeBatches(store, spaces, w) })
	}
	wg.Go(func() { errs[writers] = changeKeyspaces(store) })
	wg.Wait()
	return errors.Join(errs...)
}

// changed is the keyspace that change number n makes if n is even, and drops if
// not.
func changed(n int) string { return fmt.Sprintf("changing/%d", n/2) }

// isChanged is the number of the last change that a store shows, at least from.
func isChanged(store *db.DB, from int) (int, error) {
	names := slices.DeleteFunc(store.Keyspaces(), func(name string) bool { return name == "one" || name == "two" })
	for n := from; n <= from+1; n++ {
		if n%2 == 0 && slices.Equal(names, []string{changed(n)}) || n%2 != 0 && len(names) == 0 {
			return n, nil
		}
	}
	return 0, fmt.Errorf("keyspaces %q, after change %d", names, from)
}

func changeKeyspaces(store *db.DB) error {
	n := -1
	for _, name := range store.Keyspaces() {
		if _, err := fmt.Sscanf(name, "changing/%d", &n); err == nil {
			n *= 2
			break
		}
	}
	if n < 0 { // the last one that was made is dropped
		last, err := counter(store, writers)
		if err != nil {
			return err
		}
		n = last | 1
	}
	for n++; ; n++ {
		if n%2 != 0 {
			if err := store.DropKeyspace(changed(n)); err != nil {
				return err
			}
		} else if err := makeKeyspace(store, n); err != nil {
			return err
		}
		if _, err := fmt.Fprintf(os.Stdout, "%d %d\n", writers, n); err != nil {
			return err
		}
	}
}

// makeKeyspace carries out an even change and lets the keyspace hold something.
// The number is noted when it is there, so that it is known after the drop.
func makeKeyspace(store *db.DB, n int) error {
	ks, err := store.Keyspace(changed(n), nil)
	if err != nil {
		return err
	}
	b := store.NewBatch()
	if err := b.Put(counterKey(writers), []byte(strconv.Itoa(n))); err != nil {
		return err
	}
	if err := b.In(ks).Put([]byte("some"), make([]byte, 100+n%1000)); err != nil {
		return err
	}
	return store.Apply(b, db.Sync)
}

func writeBatches(store *db.DB, spaces []*db.Keyspace, w int) error {
	last, err := counter(store, w)
	if err != nil {
		return err
	}
	for n := last + 1; ; n++ {
		durability := db.NoSync
		if w%4 == 0 {
			durability = db.Sync
		}
		if err := writeBatch(store, spaces, w, n, durability); err != nil {
			return err
		}
		// One write call: whole, or not there.
		if _, err := fmt.Fprintf(os.Stdout, "%d %d\n", w, n); err != nil {
			return err
		}
	}
}

// writeBatch makes commit n of a writer: as a batch, or as a transaction that
// counts on from what it reads.
func writeBatch(store *db.DB, spaces []*db.Keyspace, w, n int, d db.Durability) error {
	write := func(in func(*db.Keyspace) db.Writer) error {
		for i := range batchKeys {
			to := in(spaces[i%len(spaces)])
			if err := to.Put(batchKey(w, n, i), batchValue(w, n, i)); err != nil {
				return err
			}
			if err := to.Delete(batchKey(w, n-batchesKept, i)); err != nil {
				return err
			}
		}
		return in(spaces[0]).Put(counterKey(w), []byte(strconv.Itoa(n)))
	}
	if w%2 == 0 {
		b := store.NewBatch()
		if err := write(b.In); err != nil {
			return err
		}
		return store.Apply(b, d)
	}
	return store.UpdateWith(context.Background(), db.TxOptions{Durability: d}, func(tx *db.Tx) error {
		last, err := counter(tx, w)
		if err != nil || last != n-1 {
			return fmt.Errorf("batch %d comes after %d, %w", n, last, err)
		}
		return write(func(ks *db.Keyspace) db.Writer { return tx.In(ks) })
	})
}

// counter is the number of the writer's last batch, -1 before the first.
func counter(store db.Reader, w int) (int, error) {
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
	acked := make([]int, writers+1)
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
	n, err := isChanged(store, acked[writers])
	if err != nil {
		return err
	}
	acked[writers] = n
	keys, err := checkBatches(store, acked[:writers])
	if err != nil {
		return err
	}
	if err := countKeys(store, keys); err != nil {
		return err
	}
	return store.Close()
}

// checkBatches compares what the writers wrote with what was acknowledged, and
// says how many keys that is.
func checkBatches(store *db.DB, acked []int) (keys int, err error) {
	spaces, err := keyspaces(store)
	if err != nil {
		return 0, err
	}
	for w := range acked {
		n, err := counter(store, w)
		if err != nil {
			return 0, err
		}
		if n < acked[w] || n > acked[w]+1 {
			return 0, fmt.Errorf("writer %d: batch %d is the last, %d was acknowledged", w, n, acked[w])
		}
		acked[w] = n
		for at := max(0, n-batchesKept+1); at <= n; at++ {
			for i := range batchKeys {
				got, err := spaces[i%len(spaces)].Get(batchKey(w, at, i))
				if err != nil || string(got) != string(batchValue(w, at, i)) {
					return 0, fmt.Errorf("batch %d of writer %d, of %d: %d bytes, %w", at, w, n, len(got), err)
				}
				keys++
			}
		}
		if n >= 0 {
			keys++
		}
	}
	return keys, nil
}

// countKeys counts the keys that there should be, in all keyspaces but one.
func countKeys(store *db.DB, keys int) error {
	spaces, err := keyspaces(store)
	if err != nil {
		return err
	}
	if ok, err := store.Has(counterKey(writers)); err != nil {
		return err
	} else if ok {
		keys++
	}
	found := 0
	for _, ks := range spaces {
		for item, err := range ks.Scan(db.All()) {
			if err != nil {
				return err
			}
			if _, err := item.Value(); err != nil {
				return err
			}
			found++
		}
	}
	if found != keys {
		return fmt.Errorf("%d keys, want %d", found, keys)
	}
	return nil
}
