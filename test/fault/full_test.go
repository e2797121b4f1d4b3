package fault

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cordwood-db/cordwood/db"
	"github.com/cordwood-db/cordwood/internal/testkit"
	"github.com/cordwood-db/cordwood/test/crash"
	"github.com/cordwood-db/cordwood/vfs"
)

// fillings is how many histories on a disk that fills up there are.
var fillings = testkit.Amount{Short: 10, Normal: 20, CI: 400, Full: 20_000}

// TestFullDiskPassesByItself lets a disk fill up at any moment. Writes are then
// refused as they should be, reads go on, the store opens, and when there is
// room the same handle takes writes again. Half of the time the log is kept for
// change feeds, one of which follows and misses nothing.
func TestFullDiskPassesByItself(t *testing.T) {
	first, budget := testkit.Seed(t), fillings.Budget(t)
	var next atomic.Int64
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for !t.Failed() {
				n := next.Add(1) - 1
				if !budget.More(int(n)) {
					break
				}
				fillDisk(t, first+uint64(n))
			}
		})
	}
	wg.Wait()
}

// fillDisk runs one history.
func fillDisk(t *testing.T, seed uint64) {
	mem, clock := vfs.NewMem(), crash.NewClock()
	r := &filling{mem: mem, clock: clock, w: crash.NewWorkload(mem, crash.Empty(), seed, clock),
		rand: rand.New(rand.NewPCG(seed, 6))}
	if r.rand.IntN(2) == 0 { // the log takes room that recovery does not need
		r.w.Opts.FeedBytes = 16 << 20
		r.mirror = &mirror{clock: clock, state: crash.Empty()}
	}
	var err error
	synctest.Test(t, func(*testing.T) { err = r.work() })
	if err != nil {
		t.Errorf("CORDWOOD_SEED=%d: %v\noptions: %+v\n%s", seed, err, r.w.Opts, strings.Join(r.w.Trace, "\n"))
	}
}

// filling is one history.
type filling struct {
	mem   *vfs.Mem
	clock *crash.Clock
	w     *crash.Workload
	rand  *rand.Rand
	full  bool

	mirror *mirror // nil: nothing is kept for feeds
}

func (r *filling) work() (err error) {
	watchdog := time.AfterFunc(hangAfter, func() { panic("a full disk makes the store hang:\n" + strings.Join(r.w.Trace, "\n")) })
	defer watchdog.Stop()
	defer func() {
		if r.w.Store != nil {
			err = errors.Join(err, r.judge(r.w.Close()))
		}
	}()
	for range 4 {
		r.mem.SetCapacity(-1)
		r.full = false
		if err := r.resume(); err != nil {
			return err
		}
		for range 10 {
			if err := r.step(); err != nil {
				return err
			}
		}
		r.full = true
		r.mem.SetCapacity(r.mem.Used() + int64(r.rand.IntN(4)*r.rand.IntN(10<<10)))
		for range 20 {
			if err := r.step(); err != nil {
				return fmt.Errorf("on a full disk: %w", err)
			}
		}
		if err := r.images(); err != nil {
			return err
		}
	}
	return nil
}

// resume sees that the store takes writes.
func (r *filling) resume() error {
	if r.w.Store == nil {
		if err := r.w.Open(); err != nil {
			return err
		}
	}
	start := time.Now()
	if err := crash.Eventually(func() error { return r.w.Commit(1, true) }); err != nil {
		return fmt.Errorf("with room again for %v: %w", time.Since(start), err)
	}
	// From then on nothing is refused any more. Until the next try of a flush
	// that failed, a memtable may have been too full for a second commit.
	time.Sleep(5*time.Second - time.Since(start))
	return r.compare()
}

func (r *filling) step() error {
	if r.w.Store == nil {
		if err := r.w.Open(); err != nil {
			return fmt.Errorf("open: %w", err)
		}
		return r.compare()
	}
	if err := r.judge(r.w.Step()); err != nil {
		return err
	}
	if r.w.Store != nil && r.rand.IntN(4) == 0 {
		return r.compare()
	}
	return nil
}

func (r *filling) judge(err error) error {
	switch {
	case err == nil, r.full && errors.Is(err, db.ErrDiskFull):
		return nil
	case errors.Is(err, fs.ErrExist) && strings.Contains(err.Error(), "checkpoint"):
		return nil // what a full disk has left of an earlier one
	}
	return err
}

func (r *filling) compare() error {
	items, err := crash.ReadAll(r.w.Store)
	if err != nil {
		return fmt.Errorf("read: %w", err)
	}
	h := r.w.History
	if err := crash.Same(items, h.Items(r.clock.Nanos())); err != nil || r.mirror == nil {
		return err
	}
	// Until there is a log to read, a feed makes one.
	if err := r.judge(r.mirror.catchUp(r.w.Store)); err != nil {
		return fmt.Errorf("with %d bytes kept for feeds: %w", r.w.Opts.FeedBytes, err)
	}
	return nil
}

// images opens what a crash leaves now, with the disk full and with room.
func (r *filling) images() error {
	h, now := r.w.History, r.clock.Nanos()
	for _, img := range []*crash.Image{
		{FS: r.mem.KillClone(), Lo: h.Acked(), Hi: h.Acked(), Now: now, Failed: h.Failed(), Spaces: h.MaySpaces(), Kind: "kill"},
		{FS: r.mem.CrashClone(nil), Lo: h.Synced(), Hi: h.Acked(), Now: now, Failed: h.Failed(), Spaces: h.MaySpaces(), Kind: "none"},
	} {
		if _, err := (crash.Check{Full: true, Use: true, Bubble: true}).Run(h, img, r.w.Opts); err != nil {
			return fmt.Errorf("%w\n%s", err, img.Explain(r.w.Opts))
		}
	}
	return nil
}
