package workload

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cordwood-db/cordwood/bench/engine"
	"github.com/cordwood-db/cordwood/bench/engine/enginetest"
)

// newMemory opens an honest engine with all abilities.
func newMemory(t testing.TB) engine.Store {
	t.Helper()
	options := engine.DefaultOptions()
	options.Dir = t.TempDir()
	store, err := enginetest.Memory().Open(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return store
}

func testData(t testing.TB, keys int, sizes string) *Data {
	t.Helper()
	s, err := ParseSizes(sizes)
	if err != nil {
		t.Fatal(err)
	}
	d := &Data{Keys: keys, Capacity: keys + keys/2, KeyBytes: 16, Sizes: s, Compressibility: 0.5, Seed: 7}
	if err := d.Check(); err != nil {
		t.Fatal(err)
	}
	return d
}

// runWorkload does all operations of a workload and returns what they did.
func runWorkload(w *Workload, c Config) (out Outcome, counts map[string]int, err error) {
	c.Verify = true
	c.Seed = 42
	source, err := w.New(c)
	if err != nil {
		return out, nil, err
	}
	beside := 0
	if b, ok := source.(BesideSource); ok {
		beside = b.Beside()
	}
	var (
		mu            sync.Mutex
		firsts, lasts sync.WaitGroup
		ended         atomic.Bool
		errs          []error
	)
	counts = map[string]int{}
	clients := make([]Client, c.Threads+beside)
	for i := range clients {
		if clients[i], err = source.Client(i); err != nil {
			return out, nil, err
		}
	}
	work := func(client Client, beside bool) {
		sum, mine, err := drive(client, source.Kinds(), func() bool { return beside && ended.Load() })
		mu.Lock()
		defer mu.Unlock()
		for kind, n := range mine {
			counts[kind] += n
		}
		if !beside {
			out.Items += sum.Items
			out.Checked += sum.Checked
			out.Written += sum.Written
		}
		if err = errors.Join(err, client.Close()); err != nil {
			ended.Store(true)
			errs = append(errs, err)
		}
	}
	for i, client := range clients {
		group := &firsts
		if i >= c.Threads {
			group = &lasts
		}
		group.Go(func() { work(client, i >= c.Threads) })
	}
	firsts.Wait()
	ended.Store(true)
	lasts.Wait()
	err = errors.Join(errs...)
	return out, counts, errors.Join(err, source.Finish(err != nil))
}

func drive(c Client, kinds []Kind, ended func() bool) (sum Outcome, counts map[string]int, err error) {
	counts = map[string]int{}
	for !ended() {
		kind, _, more := c.Prepare()
		if !more {
			break
		}
		out, err := c.Execute()
		if err != nil {
			return sum, counts, err
		}
		if err := c.Verify(); err != nil {
			return sum, counts, err
		}
		counts[kinds[kind].Name]++
		sum.Items += out.Items
		sum.Checked += out.Checked
		sum.Written += out.Written
	}
	return sum, counts, nil
}

// load fills an empty store as w needs it.
func load(store engine.Store, m *Model, w *Workload, threads int) error {
	if !w.Loaded {
		return nil
	}
	filler, ok := Find(w.Load)
	if !ok {
		return fmt.Errorf("%s is loaded by %q, which is no workload", w.Name, w.Load)
	}
	_, _, err := runWorkload(filler, Config{Store: store, Model: m, Threads: threads})
	return err
}

func TestAnHonestEnginePassesEveryWorkload(t *testing.T) {
	for _, w := range All() {
		if w.Special != "" {
			continue
		}
		for _, threads := range []int{1, 3} {
			t.Run(fmt.Sprintf("%s/%d", w.Name, threads), func(t *testing.T) {
				t.Parallel()
				d, err := w.DataFor(testData(t, 500, "20..300"))
				if err != nil {
					t.Fatal(err)
				}
				store, m := newMemory(t), NewModel(d)
				if err := load(store, m, w, threads); err != nil {
					t.Fatal(err)
				}
				if !w.Ready(m) {
					t.Fatalf("not ready after %s", w.Load)
				}
				operations := uint64(1000)
				if d.Sizes.Mean() > 1000 {
					operations = 50
				}
				out, counts, err := runWorkload(w, Config{Store: store, Model: m, Threads: threads, Operations: operations})
				if err != nil {
					t.Fatal(err)
				}
				if out.Items == 0 && w.Name != "readmissing" || len(counts) == 0 {
					t.Fatalf("it did nothing: %+v, %v", out, counts)
				}
			})
		}
	}
}
