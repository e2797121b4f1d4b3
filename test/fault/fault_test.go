package fault

import (
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cordwood-db/cordwood/internal/testkit"
)

// amount is how many runs with a fault there are.
var amount = testkit.Amount{Short: 150, Normal: 500, CI: 9_000, Full: 200_000}

// TestEveryOperationMayFail makes an operation on the file system fail, in every
// way, on every kind of file, at any time, for one writer (package crash) and
// for several beside each other (crew). What a run does follows from its seed;
// neighbouring seeds take turns in what fails.
func TestEveryOperationMayFail(t *testing.T) {
	testkit.CollectRarely(t)
	budget, first := amount.Budget(t), testkit.Seed(t)
	var next, done atomic.Int64
	var seen tally
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for !t.Failed() && budget.More(int(done.Load())) {
				if one(t, first+uint64(next.Add(1)-1), &seen) {
					done.Add(1)
				}
			}
		})
	}
	wg.Wait()
	whole := budget.Want() >= amount.CI && !budget.Timed()
	for range 200_000 { // what chance has left out
		if t.Failed() || !whole || seen.whole() {
			break
		}
		seed := first + uint64(next.Add(1)-1)
		if seed%2 == 0 {
			continue
		}
		if c := newCrew(seed / 2); seen.lacks(&c.target, c.only) && one(t, seed, &seen) {
			done.Add(1)
		}
	}
	testkit.Count(t, "faults", int(done.Load()))
	if !t.Failed() {
		seen.report(t, whole)
	}
}

// busyMax is how long a run may take in real time. That is milliseconds, but the
// machine may be stopped for minutes.
const busyMax = 9 * time.Minute

// one makes a run; false: there was no fault.
func one(t *testing.T, seed uint64, seen *tally) bool {
	var r interface {
		fmt.Stringer
		work() error
	}
	single, many := (*run)(nil), (*crew)(nil)
	if seed%2 == 0 {
		single = newRun(seed / 2)
		r = single
	} else {
		many = newCrew(seed / 2)
		r = many
	}
	// The bubble sees who waits for ever, but not who is busy for ever.
	watchdog := time.AfterFunc(busyMax, func() {
		debug.SetTraceback("all")
		panic(fmt.Sprintf("a run does not end: CORDWOOD_SEED=%d", seed))
	})
	defer watchdog.Stop()
	var err error
	synctest.Test(t, func(*testing.T) { err = r.work() })
	if err == nil && single != nil {
		err = single.after()
	}
	if err != nil {
		t.Errorf("%v\nCORDWOOD_SEED=%d: %v", err, seed, r)
	}
	if many == nil {
		return single.fired.Load() > 0
	}
	if op := many.first.Load(); op != nil {
		seen.add(&many.target, *op)
		return true
	}
	return false
}
