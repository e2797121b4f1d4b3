package crash

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cordwood-db/cordwood/vfs"
)

// plan is how much is tested.
type plan struct {
	images  int // of crashes, to reach
	again   int // of crashes while recovering, to reach
	steps   int // of each history
	subsets int // Camera.SubsetsMax
	random  int // Camera.Random
	settle  int // of how many unsettled images one is crashed again
}

func makePlan() plan {
	switch {
	case os.Getenv("CORDWOOD_CI") != "":
		return plan{images: 20_000, again: 2_000, steps: 200, subsets: 4, random: 3, settle: 1}
	case testing.Short():
		return plan{images: 400, again: 50, steps: 60, subsets: 2, random: 1, settle: 8}
	}
	return plan{images: 1_500, again: 150, steps: 120, subsets: 2, random: 1, settle: 8}
}

func firstSeed(t *testing.T) uint64 {
	seed := uint64(time.Now().UnixNano())
	if n, err := strconv.ParseUint(os.Getenv("CORDWOOD_SEED"), 10, 64); err == nil {
		seed = n
	}
	t.Logf("CORDWOOD_SEED=%d", seed)
	return seed
}

func TestEveryCrashImageHoldsAPrefixOfTheCommits(t *testing.T) {
	p, seed := makePlan(), firstSeed(t)
	images, again, operations := 0, 0, 0
	for images < p.images && !t.Failed() {
		i, a, o := film(t, p, seed)
		images, again, operations, seed = images+i, again+a, operations+o, seed+1
	}
	t.Logf("%d images before %d operations, %d images of recoveries", images, operations, again)
	if again < p.again && !t.Failed() {
		t.Errorf("%d images of recoveries, want %d", again, p.again)
	}
}

// film runs one history and checks its images.
func film(t *testing.T, p plan, seed uint64) (images, again, operations int) {
	mem, clock := vfs.NewMem(), NewClock()
	w := NewWorkload(mem, Empty(), seed, clock)
	camera := &Camera{FS: mem, History: w.History, Clock: clock,
		SubsetsMax: p.subsets, Random: p.random, ImagesMax: 5_000}
	camera.Start(seed)
	var err error
	synctest.Test(t, func(*testing.T) {
		err = w.Open()
		for i := 0; err == nil && i < p.steps; i++ {
			err = w.Step()
		}
		if w.Store != nil {
			err = errors.Join(err, w.Close())
		}
	})
	shots := camera.Stop()
	if err != nil {
		t.Errorf("CORDWOOD_SEED=%d: %v\n%s", seed, err, strings.Join(w.Trace, "\n"))
	}
	return len(shots), develop(t, p, seed, w, shots), camera.Operations()
}

// develop checks images in two goroutines.
func develop(t *testing.T, p plan, seed uint64, w *Workload, shots []*Image) int {
	var wg sync.WaitGroup
	var next, again atomic.Int64
	each := 10
	every := max(len(shots)*each/max(p.again*len(shots)/p.images, 1), 1) * 2 / 3
	for range 2 {
		wg.Go(func() {
			for !t.Failed() {
				n := int(next.Add(1)) - 1
				if n >= len(shots) {
					return
				}
				c := Check{Use: n%4 == 1, ReadOnly: n%8 == 3, Full: n%8 == 2, Seed: seed + uint64(n)}
				if n%max(every, 1) == 0 || shots[n].unsettled() && n%p.settle == 0 {
					c.Again = each
				}
				a, err := c.Run(w.History, shots[n], w.Opts)
				again.Add(int64(a))
				if err != nil {
					t.Errorf("CORDWOOD_SEED=%d: %v\nimage %d, check %+v\n%s\nhistory ends with:\n%s", seed, err, n, c,
						shots[n].Explain(w.Opts), strings.Join(w.Trace, "\n"))
				}
				shots[n] = nil
			}
		})
	}
	wg.Wait()
	return int(again.Load())
}
