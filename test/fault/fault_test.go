package fault

import (
	"os"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// runs is how many runs with a fault there are.
func runs() int64 {
	switch {
	case os.Getenv("CORDWOOD_CI") != "":
		return 9_000
	case testing.Short():
		return 150
	}
	return 500
}

func firstSeed(t *testing.T) uint64 {
	seed := uint64(time.Now().UnixNano())
	if n, err := strconv.ParseUint(os.Getenv("CORDWOOD_SEED"), 10, 64); err == nil {
		seed = n
	}
	t.Logf("CORDWOOD_SEED=%d", seed)
	return seed
}

// TestEveryOperationMayFail makes operation N of a workload fail, for N = 1, 2,
// 3... until N is more than there are, in every way, with a new workload for
// each way; and so on until there were enough runs.
func TestEveryOperationMayFail(t *testing.T) {
	want, seed := runs(), firstSeed(t)
	var done atomic.Int64
	type job struct {
		kind kind
		seed uint64
	}
	jobs := make(chan job)
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for j := range jobs {
				// When few runs are wanted, they are spread over all operations.
				stride := max(int64(36*60)/want, 1)
				for n := int64(1); !t.Failed(); n += stride {
					if !one(t, j.kind, n, j.seed) {
						break
					}
					done.Add(1)
				}
			}
		})
	}
	for !t.Failed() && done.Load() < want {
		for _, k := range kinds() {
			jobs <- job{k, seed}
			seed++
		}
	}
	close(jobs)
	wg.Wait()
	t.Logf("%d runs with a fault", done.Load())
}

// busyMax is how long a run may take in real time, which is milliseconds.
const busyMax = 2 * time.Minute

// one makes a run; false: there was no fault.
func one(t *testing.T, k kind, n int64, seed uint64) bool {
	r := newRun(k, n, seed)
	// The bubble sees who waits for ever, but not who is busy for ever.
	watchdog := time.AfterFunc(busyMax, func() {
		debug.SetTraceback("all")
		panic("a run does not end: " + r.kind.name)
	})
	defer watchdog.Stop()
	var err error
	synctest.Test(t, func(*testing.T) { err = r.work(30) })
	if err == nil {
		err = r.after()
	}
	if err != nil {
		t.Errorf("%v\n%v", err, r)
	}
	return r.fired.Load() > 0
}
