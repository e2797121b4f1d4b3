package commit

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestFailedWriteFailsItsGroupAndAllBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, w, s := newFake(t), newGate(), newGate()
		f.onWrite, f.onSync = w.hook, s.hook
		p := New(f.config())
		a := start(p, "a", true)
		w.release(nil)
		s.expect(t, "a")
		b := start(p, "b", true) // its write will fail, beside the sync of a
		c := start(p, "c", false)
		w.release(errDisk)
		check(t, b, errDisk)
		check(t, c, errDisk)
		checkWaiting(t, a)
		s.release(nil)
		check(t, a, nil) // it was written before
		check(t, start(p, "d", false), errDisk)
		if p.Failed() != errDisk {
			t.Error(p.Failed())
		}
		if err := p.Exclusive(func() error { t.Error("runs"); return nil }); err != errDisk {
			t.Error(err)
		}
	})
}

func TestFailedSyncFailsAllThatIsWrittenOrWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, w, s := newFake(t), newGate(), newGate()
		f.onWrite, f.onSync = w.hook, s.hook
		p := New(f.config())
		a := start(p, "a", true)
		w.release(nil)
		s.expect(t, "a")
		pending := start(p, "pending", false)
		w.release(nil)
		writing := start(p, "writing", true)
		queued := start(p, "queued", false)
		excl := make(chan error, 1)
		go func() { excl <- p.Exclusive(func() error { t.Error("runs"); return nil }) }()
		synctest.Wait()
		s.release(errDisk)
		check(t, a, errDisk)
		check(t, pending, errDisk)
		checkWaiting(t, writing, queued)
		w.release(nil)
		check(t, writing, errDisk)
		check(t, queued, errDisk)
		if err := <-excl; err != errDisk {
			t.Error(err)
		}
		s.entered = make(chan []string, 1)
		check(t, start(p, "later", true), errDisk)
		s.expectNothing(t) // a failed sync is never retried
		if f.pubs != 0 {
			t.Errorf("%d published", f.pubs)
		}
		p.Close(nil)
	})
}

func TestRetryableErrorFailsOneGroupAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, w := newFake(t), newGate()
		f.onWrite = w.hook
		p := New(f.config())
		a, b, c := start(p, "a", false), start(p, "b", false), start(p, "c", true)
		w.release(nil)
		check(t, a, nil)
		w.release(fmt.Errorf("no space: %w", &RetryableError{errDisk}))
		check(t, b, errDisk)
		check(t, c, errDisk)
		d := start(p, "d", true)
		w.release(nil)
		check(t, d, nil)
		if p.Failed() != nil {
			t.Error(p.Failed())
		}
		if (&RetryableError{errDisk}).Error() != errDisk.Error() {
			t.Error("the message is lost")
		}
	})
}

func TestFailFromOutside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, w, s := newFake(t), newGate(), newGate()
		f.onWrite, f.onSync = w.hook, s.hook
		p := New(f.config())
		p.Fail(nil)
		a := start(p, "a", true)
		w.release(nil)
		s.expect(t, "a")
		b, c := start(p, "b", false), start(p, "c", false)
		p.Fail(errDisk)
		p.Fail(errors.New("another"))
		w.release(nil)
		check(t, b, errDisk)
		check(t, c, errDisk)
		checkWaiting(t, a)
		s.release(nil)
		check(t, a, nil)
	})
	// Between a write and its publication, with nothing pending.
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		p := New(f.config())
		f.onWrite = func([]*Request) error { p.Fail(errDisk); return nil }
		check(t, start(p, "a", false), errDisk)
	})
	// Between the handover of the writer's role and the heir's turn.
	synctest.Test(t, func(t *testing.T) {
		f, w := newFake(t), newGate()
		f.onWrite = w.hook
		p := New(f.config())
		a, b := start(p, "a", false), start(p, "b", false)
		p.mu.Lock() // the heir cannot take its turn
		w.leave <- nil
		p.Fail(errDisk)
		p.mu.Unlock()
		synctest.Wait()
		if !a.finished() {
			t.Fatal("a hangs")
		}
		check(t, b, errDisk)
	})
}

func TestPanicsHoldNobodyUp(t *testing.T) {
	for _, how := range []string{"panic", "goexit"} {
		die := func() {
			if how == "goexit" {
				runtime.Goexit()
			}
			panic("boom")
		}
		t.Run(how, func(t *testing.T) { testPanics(t, die) })
	}
}

func testPanics(t *testing.T, die func()) {
	for name, plant := range map[string]func(f *fake, cfg *Config, w *gate){
		"write": func(f *fake, cfg *Config, w *gate) {
			f.onWrite = func(group []*Request) error { _ = w.hook(group); die(); return nil }
		},
		"publish at once": func(f *fake, cfg *Config, w *gate) { f.onPub = func([]*Request) { die() } },
		"sync":            func(f *fake, cfg *Config, w *gate) { f.onSync = func([]*Request) error { die(); return nil } },
		"publish a batch": func(f *fake, cfg *Config, w *gate) { f.onPub = func([]*Request) { die() } },
		"sleep": func(f *fake, cfg *Config, w *gate) {
			cfg.DelayMax, cfg.Sleep = time.Second, func(time.Duration) { die() }
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, w := newFake(t), newGate()
				f.onWrite = w.hook
				cfg := f.config()
				plant(f, &cfg, w)
				p := New(cfg)
				p.together = 5 // makes a sync wait for company
				sync := name == "sync" || name == "publish a batch" || name == "sleep"
				a := start(p, "a", sync)
				b, c := start(p, "b", sync), start(p, "c", false)
				close(w.leave)
				synctest.Wait()
				if !a.finished() || !b.finished() || !c.finished() {
					t.Fatal("somebody hangs")
				}
				if !errors.Is(b.err, ErrPanicked) || !errors.Is(c.err, ErrPanicked) {
					t.Errorf("b: %v, c: %v", b.err, c.err)
				}
				check(t, start(p, "late", false), ErrPanicked)
				p.Close(nil)
			})
		})
	}
	t.Run("exclusive", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			p := New(newFake(t).config())
			done := make(chan any)
			go func() {
				defer func() { done <- recover() }()
				_ = p.Exclusive(func() error { die(); return nil })
			}()
			<-done
			check(t, start(p, "late", false), ErrPanicked)
			p.Close(nil)
		})
	})
}

// TestRandomFailures lets a random call fail, with many writers, and checks
// that everybody returns, that what succeeded is published and that nothing
// else is.
func TestRandomFailures(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	for round := range uint64(150) {
		rng := rand.New(rand.NewPCG(seed, round))
		f := newFake(t)
		cfg := f.config()
		p := New(cfg)
		kind, at := rng.IntN(4), 1+rng.IntN(40)
		var writes, syncs int
		f.onWrite = func([]*Request) error {
			if writes++; writes == at && kind == 0 {
				return errDisk
			} else if writes == at && kind == 2 {
				p.Fail(errDisk)
			}
			return nil
		}
		f.onSync = func([]*Request) error {
			runtime.Gosched()
			if syncs++; syncs == at/2+1 && kind == 1 {
				return errDisk
			}
			return nil
		}
		var wg sync.WaitGroup
		for g := range 6 {
			sync := rng.IntN(2) == 0
			wg.Go(func() {
				for i := range 20 {
					e := &entry{name: fmt.Sprintf("%d/%d", g, i), pos: -1}
					err := p.Commit(&Request{Sync: sync, Batch: e})
					f.mu.Lock()
					if (err == nil) != e.published {
						t.Errorf("round %d, %s: error %v, published %v", round, e.name, err, e.published)
					}
					f.mu.Unlock()
					if err != nil && !errors.Is(err, errDisk) && !errors.Is(err, ErrClosed) {
						t.Error(err)
					}
				}
			})
		}
		if kind == 3 {
			for range at {
				runtime.Gosched()
			}
			p.Close(nil)
		}
		wg.Wait()
		p.Close(nil)
		if p.writing || p.syncing || p.pending != nil || p.head != nil || p.queued != 0 {
			t.Fatalf("round %d: not idle at the end", round)
		}
	}
}
