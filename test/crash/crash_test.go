package crash

import (
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/cordwood-db/cordwood/internal/testkit"
	"github.com/cordwood-db/cordwood/vfs"
)

// amounts of images, and of images of recoveries.
var (
	imageAmount    = testkit.Amount{Short: 150, Normal: 1_500, CI: 20_000, Full: 2_000_000}
	recoveryAmount = testkit.Amount{Short: 15, Normal: 150, CI: 2_000, Full: 200_000}
)

// plan is how a history is made and how images of it are taken.
type plan struct {
	steps   int // of one writer
	rounds  int // of several
	commits int // of each of them in a round
	subsets int // Camera.SubsetsMax
	singles int // Camera.SinglesMax
	random  int // Camera.Random
	again   int // of how many images one is recovered with crashes
	settle  int // of how many unsettled images
}

// makePlan is the plan for a history. Each operation of it is a boundary at
// which images are taken. Two of eight histories are short, and whatever may
// become of what is not synced is then tried one by one.
func makePlan(seed uint64) plan {
	switch {
	case !testkit.Thorough():
		return plan{steps: 30, rounds: 2, commits: 3, subsets: 2, singles: 2, random: 1, again: 60, settle: 8}
	case seed%8 < 2:
		return plan{steps: 24, rounds: 2, commits: 3, subsets: 4, singles: 16, random: 4, again: 80, settle: 4}
	}
	return plan{steps: 80, rounds: 3, commits: 6, subsets: 2, singles: 4, random: 2, again: 80, settle: 4}
}

// tally is what was done, by all goroutines.
type tally struct {
	enough [2]testkit.Budget // of images, of recoveries

	images, again, operations         atomic.Int64
	crews, commits, writes, collected atomic.Int64
}

func (s *tally) more() bool {
	return s.enough[0].More(int(s.images.Load())) || s.enough[1].More(int(s.again.Load()))
}

func TestEveryCrashImageHoldsAPrefixOfTheCommits(t *testing.T) {
	testkit.CollectRarely(t)
	seed := testkit.Seed(t)
	sum := tally{enough: [2]testkit.Budget{imageAmount.Budget(t), recoveryAmount.Budget(t)}}
	var next atomic.Uint64
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for sum.more() && !t.Failed() {
				film(t, seed+next.Add(1)-1, &sum)
			}
		})
	}
	wg.Wait()
	t.Logf("%d operations, %d histories of several writers with %d commits in %d writes of the log, %d collections",
		sum.operations.Load(), sum.crews.Load(), sum.commits.Load(), sum.writes.Load(), sum.collected.Load())
	testkit.Count(t, "crash images", int(sum.images.Load()))
	testkit.Count(t, "recovery crash images", int(sum.again.Load()))
}

// film runs one history and checks its images.
func film(t *testing.T, seed uint64, sum *tally) {
	p := makePlan(seed)
	mem, clock := vfs.NewMem(), NewClock()
	camera := &Camera{FS: mem, Clock: clock, SubsetsMax: p.subsets, SinglesMax: p.singles, Random: p.random, ImagesMax: 50_000}
	var w *Workload
	var err error
	resolve := func(*Image) {}
	if seed%2 == 0 {
		w = NewWorkload(mem, Empty(), seed, clock)
		camera.Witness = w.History
		camera.Start(seed)
		synctest.Test(t, func(*testing.T) { err = w.play(p.steps) })
	} else {
		// In no bubble: one writer may wait, with a lock held, for time to pass.
		crew := NewCrew(mem, seed, clock)
		w, camera.Witness, camera.Yield = crew.Workload, crew.Order, 60
		resolve = crew.Order.Resolve
		camera.Start(seed)
		err = crew.Play(p.rounds, p.commits)
	}
	shots := camera.Stop()
	if err != nil {
		t.Errorf("CORDWOOD_SEED=%d: %v\noptions %+v\n%s", seed, err, w.Opts, strings.Join(w.Trace, "\n"))
		return
	}
	if seed%2 == 1 {
		sum.crews.Add(1)
		sum.commits.Add(int64(w.History.Begun()))
		sum.collected.Add(int64(w.collections))
		sum.writes.Add(int64(camera.writes))
	}
	sum.operations.Add(int64(camera.Operations()))
	for _, i := range shots {
		resolve(i)
	}
	develop(t, p, seed, w, shots, sum)
}

// play is the work of one writer.
func (w *Workload) play(steps int) error {
	err := w.Open()
	for i := 0; err == nil && i < steps; i++ {
		err = w.Step()
	}
	if w.Store != nil {
		err = errors.Join(err, w.Close())
	}
	return err
}

// develop checks images.
func develop(t *testing.T, p plan, seed uint64, w *Workload, shots []*Image, sum *tally) {
	for n, img := range shots {
		if t.Failed() || !sum.more() {
			return
		}
		c := Check{Use: n%4 == 1, ReadOnly: n%8 == 3, Full: n%8 == 2, Seed: seed + uint64(n)}
		if n%p.again == 0 || img.unsettled() && n%p.settle == 0 {
			c.Again = 10
		}
		a, err := c.Run(w.History, img, w.Opts)
		sum.images.Add(1)
		sum.again.Add(int64(a))
		if err != nil {
			t.Errorf("CORDWOOD_SEED=%d: %v\nimage %d, check %+v\n%s\nhistory ends with:\n%s", seed, err, n, c,
				img.Explain(w.Opts), strings.Join(w.Trace, "\n"))
		}
		shots[n] = nil
	}
}
