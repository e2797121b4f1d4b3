package commit

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cordwood-db/cordwood/internal/invariants"
)

var errDisk = errors.New("disk fails")

func TestFollowersShareOneWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, w := newFake(t), newGate()
		f.onWrite = w.hook
		p := New(f.config())
		a := start(p, "a", false)
		b, c, d := start(p, "b", false), start(p, "c", false), start(p, "d", false)
		w.expect(t, "a")
		checkWaiting(t, a, b, c, d)
		w.release(nil)
		check(t, a, nil)
		checkWaiting(t, b, c, d)
		w.expect(t, "b", "c", "d")
		w.release(nil)
		for _, o := range []*outcome{b, c, d} {
			check(t, o, nil)
		}
		if len(f.syncs) != 0 {
			t.Error("synced although nobody asked")
		}
	})
}

func TestNextWriteRunsBesideTheSyncAndOneSyncCoversAllThatWaited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s := newFake(t), newGate()
		f.onSync = s.hook
		p := New(f.config())
		a := start(p, "a", true)
		s.expect(t, "a")
		b, c, d := start(p, "b", true), start(p, "c", false), start(p, "d", true)
		if len(f.written) != 4 {
			t.Fatalf("%d written beside the sync, want 4", len(f.written))
		}
		s.expectNothing(t)
		checkWaiting(t, a, b, c, d)
		s.release(nil)
		check(t, a, nil)
		checkWaiting(t, b, c, d)
		s.expect(t, "b", "c", "d")
		e := start(p, "e", false)
		checkWaiting(t, e)
		s.release(nil)
		for _, o := range []*outcome{b, c, d, e} {
			check(t, o, nil)
		}
		s.expectNothing(t) // e asked for none
	})
}

func TestCommitWithoutSyncIsPublishedAfterTheSyncedOneBeforeIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s := newFake(t), newGate()
		f.onSync = s.hook
		p := New(f.config())
		a := start(p, "a", true)
		b := start(p, "b", false)
		checkWaiting(t, a, b)
		s.release(nil)
		check(t, a, nil)
		check(t, b, nil)
	})
}

func TestGroupsAreBounded(t *testing.T) {
	for name, c := range map[string]struct {
		bytesMax, countMax int
		weights            []int
		want               [][]string
	}{
		"count":          {0, 2, []int{1, 1, 1, 1, 1}, [][]string{{"0", "1"}, {"2", "3"}, {"4"}}},
		"bytes":          {100, 0, []int{50, 50, 1, 99, 1}, [][]string{{"0", "1"}, {"2", "3"}, {"4"}}},
		"one too large":  {100, 0, []int{1, 500, 1, 1}, [][]string{{"0"}, {"1"}, {"2", "3"}}},
		"absurd weights": {100, 0, []int{1, math.MaxInt, -7, math.MinInt, 3}, [][]string{{"0"}, {"1"}, {"2", "3", "4"}}},
		"defaults":       {-1, -1, []int{1, 1 << 20, 1 << 19, 1 << 19}, [][]string{{"0"}, {"1"}, {"2", "3"}}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, w := newFake(t), newGate()
				f.onWrite = w.hook
				cfg := f.config()
				cfg.GroupBytesMax, cfg.GroupCountMax = c.bytesMax, c.countMax
				p := New(cfg)
				first := start(p, "first", false)
				w.expect(t, "first")
				for i, weight := range c.weights {
					go func() {
						e := &entry{name: fmt.Sprint(i), pos: -1}
						if err := p.Commit(&Request{Bytes: weight, Batch: e}); err != nil {
							t.Error(err)
						}
					}()
					synctest.Wait()
				}
				w.release(nil)
				check(t, first, nil)
				for _, want := range c.want {
					w.expect(t, want...)
					w.release(nil)
				}
				w.expectNothing(t)
			})
		})
	}
}

func TestRandomCommitsKeepTheOrder(t *testing.T) {
	rounds, writers := 300, 12
	if invariants.Enabled {
		rounds = 100
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	f := newFake(t)
	f.onSync = func([]*Request) error { time.Sleep(50 * time.Microsecond); return nil }
	f.onWrite = func(group []*Request) error {
		if group[0].Batch.(*entry).name == "retry" {
			return fmt.Errorf("write: %w", &RetryableError{errDisk})
		}
		return nil
	}
	cfg := f.config()
	cfg.GroupCountMax, cfg.GroupBytesMax = 5, 60
	cfg.DelayMax, cfg.Sleep = 20*time.Microsecond, time.Sleep
	p := New(cfg)
	var wg sync.WaitGroup
	var inside atomic.Int32
	for g := range writers {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(seed, uint64(g)))
			last := -1
			var r Request
			for i := range rounds {
				e := &entry{name: fmt.Sprintf("%d/%d", g, i), pos: -1}
				if rng.IntN(30) == 0 {
					e.name = "retry"
				}
				if rng.IntN(50) == 0 {
					if err := p.Exclusive(func() error {
						f.mu.Lock()
						defer f.mu.Unlock()
						if inside.Add(1) != 1 || f.writers.Load() != 0 || f.pubs != len(f.written) {
							t.Error("Exclusive runs beside others")
						}
						inside.Add(-1)
						return nil
					}); err != nil {
						t.Error(err)
					}
				}
				r.Sync, r.Bytes, r.Batch = rng.IntN(3) == 0, rng.IntN(30), e
				if err := p.Commit(&r); err != nil {
					if !errors.Is(err, errDisk) || e.published {
						t.Error(err, e.published)
					}
					continue
				}
				if !e.published || e.pos <= last {
					t.Errorf("%s: published %v, position %d after %d", e.name, e.published, e.pos, last)
				}
				last = e.pos
			}
		})
	}
	wg.Wait()
	if f.pubs != len(f.written) || p.Failed() != nil {
		t.Errorf("%d of %d published, %v", f.pubs, len(f.written), p.Failed())
	}
	for _, g := range f.groups {
		if len(g) > 5 {
			t.Errorf("a group of %d", len(g))
		}
	}
	t.Logf("%d written in %d groups, %d syncs", len(f.written), len(f.groups), len(f.syncs))
	p.Close(nil)
}

func TestDelayIsForThoseWhoHadCompany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		f.onSync = func([]*Request) error { time.Sleep(10 * time.Millisecond); return nil }
		cfg := f.config()
		var slept time.Duration
		cfg.DelayMax = 4 * time.Millisecond
		cfg.Sleep = func(d time.Duration) { slept += d; time.Sleep(d) }
		p := New(cfg)
		lone := func() {
			if err := p.Commit(&Request{Sync: true, Batch: &entry{pos: -1}}); err != nil {
				t.Error(err)
			}
		}
		for range 5 {
			lone()
		}
		if slept != 0 {
			t.Fatalf("a lone writer waited %v", slept)
		}
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				for range 10 {
					lone()
				}
			})
		}
		wg.Wait()
		// After the first round both meet in one sync: 1 alone, then pairs.
		if n := len(f.syncs) - 5; n > 12 {
			t.Errorf("%d syncs for 2 x 10 commits", n)
		}
		// A writer whose companion left waits once, not more than DelayMax.
		slept = 0
		lone()
		if slept > cfg.DelayMax {
			t.Errorf("waited %v", slept)
		}
		lone()
		if slept > cfg.DelayMax {
			t.Errorf("waited again")
		}
		// Nobody waits for a sync that nobody wants.
		before := slept
		if err := p.Commit(&Request{Batch: &entry{pos: -1}}); err != nil || slept != before {
			t.Error(err, slept)
		}
	})
}

func TestExclusiveWaitsForWhatIsBeforeItAndHoldsUpWhatIsBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, w, s := newFake(t), newGate(), newGate()
		f.onWrite, f.onSync = w.hook, s.hook
		p := New(f.config())
		a := start(p, "a", true)
		w.expect(t, "a")
		inside, leave, result := make(chan bool, 1), make(chan error), make(chan error, 1)
		go func() {
			result <- p.Exclusive(func() error { inside <- true; return <-leave })
		}()
		synctest.Wait()
		b, c := start(p, "b", false), start(p, "c", false)
		w.release(nil) // a is written and syncs: nobody else may write
		s.expect(t, "a")
		w.expectNothing(t)
		if len(inside) != 0 {
			t.Fatal("runs beside a sync")
		}
		s.release(nil)
		check(t, a, nil)
		if len(inside) != 1 {
			t.Fatal("does not run")
		}
		checkWaiting(t, b, c)
		leave <- errDisk
		if err := <-result; err != errDisk {
			t.Fatal(err)
		}
		w.expect(t, "b", "c")
		w.release(nil)
		check(t, b, nil)
		check(t, c, nil)
		if err := p.Exclusive(func() error { return nil }); err != nil || p.Failed() != nil {
			t.Fatal(err, p.Failed())
		}
	})
}

func TestCloseWaitsForCallbacksAndRefusesTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, w, s := newFake(t), newGate(), newGate()
		f.onWrite, f.onSync = w.hook, s.hook
		p := New(f.config())
		a := start(p, "a", true)
		w.expect(t, "a")
		b := start(p, "b", true)
		excl := make(chan error, 1)
		go func() { excl <- p.Exclusive(func() error { return nil }) }()
		synctest.Wait()
		errBye := errors.New("bye")
		var closed atomic.Int32
		for range 2 {
			go func() { p.Close(errBye); closed.Add(1) }()
		}
		synctest.Wait()
		check(t, start(p, "late", true), errBye)
		w.release(nil)
		check(t, b, errBye)
		if err := <-excl; err != errBye {
			t.Fatal(err)
		}
		s.expect(t, "a")
		if closed.Load() != 0 {
			t.Fatal("Close did not wait for the sync")
		}
		s.release(nil)
		check(t, a, nil)
		if closed.Load() != 2 {
			t.Fatal("Close does not return")
		}
		p.Close(nil)
		if err := p.Exclusive(func() error { return nil }); err != errBye {
			t.Fatal(err)
		}
		empty := New(f.config())
		empty.Close(nil)
		check(t, start(empty, "x", false), ErrClosed)
	})
}

func TestRequestMayBeUsedAgain(t *testing.T) {
	f := newFake(t)
	p := New(f.config())
	var r Request
	for i := range 100 {
		r.Sync, r.Batch = i%2 == 0, &entry{name: fmt.Sprint(i), pos: -1}
		if err := p.Commit(&r); err != nil {
			t.Fatal(err)
		}
	}
	if f.pubs != 100 || len(f.syncs) != 50 {
		t.Fatal(f.pubs, len(f.syncs))
	}
}

func TestLoneCommitDoesNotAllocate(t *testing.T) {
	if invariants.Enabled {
		t.Skip("the race detector allocates")
	}
	p := New(Config{Write: noError, Sync: noError, Publish: nothing})
	for _, sync := range []bool{false, true} {
		r := &Request{Sync: sync}
		if n := testing.AllocsPerRun(1000, func() { _ = p.Commit(r) }); n != 0 {
			t.Errorf("sync %v: %v allocations", sync, n)
		}
	}
}

func TestBuffersHoldOnToNothing(t *testing.T) {
	p := New(Config{Write: noError, Sync: noError, Publish: nothing})
	buf := &groupBuf{reqs: []*Request{{}, {}}}
	p.recycle(buf)
	if all := buf.reqs[:2]; !slices.Equal(all, []*Request{nil, nil}) {
		t.Error("requests stay reachable")
	}
}
