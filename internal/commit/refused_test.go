package commit

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
)

var errConflict = errors.New("conflict")

// refuse is a hook of Write: it refuses the requests whose name starts with "no".
func refuse(group []*Request) error {
	for _, r := range group {
		if strings.HasPrefix(r.Batch.(*entry).name, "no") {
			r.Refused = errConflict
		}
	}
	return nil
}

// startGroup makes one group of the names: it is written once the returned gate
// lets it go, and after a commit of its own that holds the writer's role.
func startGroup(t *testing.T, f *fake, p *Pipeline, w *gate, sync bool, names ...string) []*outcome {
	t.Helper()
	f.onWrite = func(group []*Request) error {
		err := w.hook(group)
		return errors.Join(err, refuse(group))
	}
	first := start(p, "first", false)
	w.expect(t, "first")
	var os []*outcome
	for _, name := range names {
		os = append(os, start(p, name, sync))
	}
	w.release(nil)
	check(t, first, nil)
	w.expect(t, names...)
	return os
}

func TestARefusedFollowerLeavesTheOthersOfItsGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, w := newFake(t), newGate()
		p := New(f.config())
		os := startGroup(t, f, p, w, false, "a", "no", "b")
		w.release(nil)
		check(t, os[0], nil)
		check(t, os[1], errConflict)
		check(t, os[2], nil)
		if f.pubs != 3 || p.Failed() != nil {
			t.Errorf("%d published, failure %v", f.pubs, p.Failed())
		}
	})
}

func TestARefusedLeaderWaitsForNoSyncAndLeavesItToItsGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, w, s := newFake(t), newGate(), newGate()
		f.onSync = s.hook
		p := New(f.config())
		os := startGroup(t, f, p, w, true, "no", "no too", "a", "b")
		w.release(nil)
		check(t, os[0], errConflict)
		check(t, os[1], errConflict)
		checkWaiting(t, os[2], os[3])
		s.expect(t, "a", "b")
		s.release(nil)
		check(t, os[2], nil)
		check(t, os[3], nil)
	})
}

func TestARefusedLeaderBesideASyncIsDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, w, s := newFake(t), newGate(), newGate()
		f.onSync = s.hook
		p := New(f.config())
		f.onWrite = w.hook
		syncing := start(p, "syncing", true)
		w.release(nil)
		s.expect(t, "syncing")
		f.onWrite = func(group []*Request) error { return errors.Join(w.hook(group), refuse(group)) }
		filler := start(p, "filler", false)
		no, a := start(p, "no", true), start(p, "a", true)
		w.release(nil) // filler, pending behind the sync
		w.release(nil) // no and a
		check(t, no, errConflict)
		checkWaiting(t, syncing, filler, a)
		s.release(nil)
		check(t, syncing, nil)
		s.expect(t, "filler", "a")
		s.release(nil)
		check(t, filler, nil)
		check(t, a, nil)
	})
}

func TestAGroupRefusedWholeIsNeitherSyncedNorPublished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, w, s := newFake(t), newGate(), newGate()
		f.onSync = s.hook
		p := New(f.config())
		os := startGroup(t, f, p, w, true, "no", "no too")
		w.release(nil)
		check(t, os[0], errConflict)
		check(t, os[1], errConflict)
		s.expectNothing(t)
		if f.pubs != 1 {
			t.Errorf("%d published", f.pubs)
		}
		a := start(p, "alone", true)
		w.release(nil)
		s.expect(t, "alone")
		s.release(nil)
		check(t, a, nil)
		no := start(p, "no, alone", true)
		w.release(nil)
		check(t, no, errConflict)
		p.Close(nil)
	})
}

func TestASyncThatOnlyARefusedRequestWantedIsNotDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, w := newFake(t), newGate()
		p := New(f.config())
		f.onWrite = w.hook
		first := start(p, "first", false)
		no, a := start(p, "no", true), start(p, "a", false)
		f.onWrite = func(group []*Request) error { return errors.Join(w.hook(group), refuse(group)) }
		w.release(nil)
		w.release(nil)
		check(t, first, nil)
		check(t, no, errConflict)
		check(t, a, nil)
		if len(f.syncs) != 0 {
			t.Errorf("synced: %v", f.syncs)
		}
	})
}

func TestARefusalStandsWhateverBecomesOfTheGroup(t *testing.T) {
	for _, failure := range []error{errDisk, &RetryableError{errDisk}} {
		synctest.Test(t, func(t *testing.T) {
			f, w := newFake(t), newGate()
			p := New(f.config())
			os := startGroup(t, f, p, w, false, "a", "no", "b")
			w.release(failure)
			check(t, os[0], errDisk)
			check(t, os[1], errConflict)
			check(t, os[2], errDisk)
		})
	}
}

func TestAPanicOfPublishLeavesRefusalsAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, w := newFake(t), newGate()
		p := New(f.config())
		os := startGroup(t, f, p, w, false, "a", "no", "b")
		f.onPub = func([]*Request) { panic("publish") }
		w.release(nil)
		synctest.Wait()
		check(t, os[1], errConflict)
		check(t, os[2], ErrPanicked)
		if !os[0].finished() || os[0].err == nil {
			t.Errorf("leader: %v", os[0].err)
		}
	})
}

func TestARequestIsUsedAgainAfterARefusal(t *testing.T) {
	f := newFake(t)
	p := New(f.config())
	r := &Request{Batch: &entry{name: "x", pos: -1}}
	f.onWrite = func(group []*Request) error { group[0].Refused = errConflict; return nil }
	if err := p.Commit(r); err != errConflict {
		t.Fatal(err)
	}
	f.onWrite, r.Batch = nil, &entry{name: "again", pos: -1}
	if err := p.Commit(r); err != nil || f.pubs != 1 {
		t.Fatal(err, f.pubs)
	}
}

func TestRandomRefusalsKeepTheOrder(t *testing.T) {
	f := newFake(t)
	f.onWrite = refuse
	p := New(f.config())
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(g), 7))
			for i := range 2000 {
				name, want := fmt.Sprintf("%d/%d", g, i), error(nil)
				if rng.IntN(3) == 0 {
					name, want = "no"+name, errConflict
				}
				e := &entry{name: name, pos: -1}
				if err := p.Commit(&Request{Sync: rng.IntN(2) == 0, Batch: e}); err != want {
					t.Errorf("%s: %v, want %v", name, err, want)
				}
				if e.published != (want == nil) {
					t.Errorf("%s: published %v", name, e.published)
				}
			}
		})
	}
	wg.Wait()
	p.Close(nil)
	if f.pubs != len(f.written) {
		t.Errorf("%d published of %d", f.pubs, len(f.written))
	}
}
