package isolation

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/cordwood-db/cordwood/db"
	"github.com/cordwood-db/cordwood/internal/testkit"
	"github.com/cordwood-db/cordwood/test/isolation/depgraph"
	"github.com/cordwood-db/cordwood/vfs"
)

// workload is a run of some hundred transactions whose outcome is checked.
type workload struct {
	name string
	run  func(s *store, seed uint64) error
}

var workloads = []workload{
	{"lists", func(s *store, seed uint64) error {
		return runLists(s, listsConfig{level: depgraph.Serializable, rounds: 2, txns: 400, seed: seed})
	}},
	{"lists under snapshot isolation", func(s *store, seed uint64) error {
		return runLists(s, listsConfig{level: depgraph.SnapshotIsolation, rounds: 2, txns: 400, seed: seed})
	}},
	{"map", func(s *store, seed uint64) error {
		return runTransactions(s, transactionsConfig{rounds: 3, txns: 200, seed: seed})
	}},
	{"map in a flood", func(s *store, seed uint64) error {
		return runTransactions(flooded{s}, transactionsConfig{rounds: 3, txns: 200, seed: seed})
	}},
	{"bank", func(s *store, seed uint64) error {
		return runBank(s, bankConfig{level: depgraph.Serializable, rounds: 2, txns: 400, seed: seed})
	}},
	{"bank under snapshot isolation", func(s *store, seed uint64) error {
		return runBank(s, bankConfig{level: depgraph.SnapshotIsolation, rounds: 2, txns: 400, seed: seed})
	}},
	{"registers", func(s *store, seed uint64) error {
		return runRegisters(registers{s}, registersConfig{rounds: 2, ops: 400, seed: seed})
	}},
}

// randomOptions are options under which background work hardly ever ends.
func randomOptions(r *rand.Rand) db.Options {
	pick := func(values ...int) int { return values[r.IntN(len(values))] }
	o := smallOptions()
	o.MemtableBytes = int64(pick(2, 8, 64, 1024)) << 10
	o.BlockBytes = pick(1, 200, 1<<10, 64<<10)
	o.TableBytes = int64(pick(4, 32, 1024)) << 10
	o.ValueThreshold = pick(-1, 1, 100, 512)
	o.CompactionsMax = pick(1, 2, 4)
	o.SyncInterval = time.Duration(pick(-1, 1, 20)) * time.Millisecond
	o.FeedBytes = int64(pick(0, 0, 1<<20))
	if r.IntN(8) == 0 {
		o.Durability = db.Sync
	}
	if r.IntN(4) == 0 {
		o.FilterBitsPerKey = -1
	}
	return o
}

// TestIsolationAtRandom runs workload after workload, each on a store with
// options of its own. The scheduler makes choices too: a seed repeats the
// options and what each client wants to do, not in which order they get to it.
func TestIsolationAtRandom(t *testing.T) {
	budget := testkit.Amount{Short: 5_000, Normal: 15_000, CI: 200_000, Full: 50_000_000}.Budget(t)
	first := testkit.Seed(t)
	var commits, conflicts, disturbances int64
	for n := first; budget.More(int(commits+conflicts)) && !t.Failed(); n++ {
		w := workloads[n%uint64(len(workloads))]
		r := rand.New(rand.NewPCG(n, 17))
		opts, dir := randomOptions(r), "/store"
		onDisk := r.IntN(4) == 0
		if !onDisk {
			opts.FS = vfs.NewMem()
		}
		t.Run(fmt.Sprint(w.name, " ", n), func(t *testing.T) {
			if onDisk {
				dir = t.TempDir()
			}
			s := openStore(t, dir, opts)
			if err := w.run(s, n); err != nil {
				t.Fatalf("%s=%d: %v\noptions: %+v", testkit.SeedEnv, n, err, opts)
			}
			commits += s.commits.Load()
			conflicts += s.conflicts.Load()
			disturbances += s.disturbances.Load()
		})
	}
	t.Logf("%d commits, %d conflicts, %d disturbances", commits, conflicts, disturbances)
	testkit.Count(t, "transactions", int(commits+conflicts))
	if enough := commits > 50_000; enough && (conflicts*500 < commits || disturbances*5000 < commits) {
		t.Error("too few conflicts or disturbances: nothing was tested")
	}
}
