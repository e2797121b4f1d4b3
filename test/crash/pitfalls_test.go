package crash

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/cordwood-db/cordwood/db"
	"github.com/cordwood-db/cordwood/vfs"
)

// Cases in which other engines lost data or brought it back, each with a test
// of its own: a script whose every crash image is checked.

// script is a workload whose commits are written down.
type script struct {
	*Workload
	t      *testing.T
	camera *Camera
}

// play runs a script in a store without background syncs and checks the images.
func play(t *testing.T, run func(s *script)) {
	mem, clock := vfs.NewMem(), NewClock()
	w := NewWorkload(mem, Empty(), 1, clock)
	w.Opts.SyncInterval, w.Opts.ValueThreshold, w.Opts.MemtableBytes = -1, 64, 16<<10
	s := &script{Workload: w, t: t}
	s.camera = &Camera{FS: mem, Witness: w.History, Clock: clock, SubsetsMax: 4, Random: 4, ImagesMax: 2_000}
	synctest.Test(t, func(t *testing.T) {
		s.must(w.Open())
		s.camera.Start(1)
		run(s)
		s.must(w.Close())
	})
	images := s.camera.Stop()
	if len(images) < 50 {
		t.Fatalf("%d images", len(images))
	}
	for n, img := range images {
		if testing.Short() && n%3 > 0 {
			continue
		}
		if _, err := (Check{Use: n%4 == 0, Seed: uint64(n)}).Run(w.History, img, w.Opts); err != nil {
			t.Fatalf("%v\n%s", err, img.Explain(w.Opts))
		}
	}
}

func (s *script) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// apply commits writes, and must succeed.
func (s *script) apply(d db.Durability, writes ...Write) {
	s.t.Helper()
	s.must(s.Apply(writes, d))
}

// large is a put of a value that goes to the value log.
func large(key, version int) Write {
	v := fmt.Appendf(nil, "%d of %d.", version, key)
	for len(v) < 300 {
		v = append(v, byte('a'+len(v)%7))
	}
	return Write{Op: 'p', Key: fmt.Sprintf("key/%03d", key), Value: v}
}

// tidy merges everything down and collects all garbage.
func (s *script) tidy() {
	s.t.Helper()
	acked := s.History.Acked()
	s.must(s.Store.Compact(context.Background(), db.All()))
	s.History.Durable(acked)
	s.must(s.Store.CollectGarbage(context.Background(), 0))
}

func TestDeletedKeyStaysDeletedAcrossGarbageCollection(t *testing.T) {
	play(t, func(s *script) {
		for round := range 3 {
			for k := range 20 {
				s.apply(db.NoSync, large(k, round))
			}
			s.must(s.durable(s.History.Acked(), s.Store.Flush(context.Background())))
			for k := 0; k < 20; k += 2 {
				s.apply(db.NoSync, Write{Op: 'd', Key: fmt.Sprintf("key/%03d", k)})
			}
			s.apply(db.Sync, Write{Op: 'r', Key: "key/015", End: "key/019"})
			s.tidy()
		}
		if m := s.Store.Metrics(); m.Collections == 0 {
			s.t.Error("nothing was collected")
		}
	})
}

func TestNothingIsUnlinkedBeforeWhatReplacesItIsDurable(t *testing.T) {
	play(t, func(s *script) {
		for k := range 20 {
			s.apply(db.NoSync, large(k, 0))
		}
		s.must(s.durable(s.History.Acked(), s.Store.Flush(context.Background())))
		for round := 1; round < 6; round++ {
			// Not one sync is asked for, and none comes by itself.
			for k := range 10 {
				s.apply(db.NoSync, large(k*2, round))
			}
			s.must(s.Store.Flush(context.Background()))
			s.must(s.Store.Compact(context.Background(), db.All()))
			s.must(s.Store.CollectGarbage(context.Background(), 0))
		}
		if m := s.Store.Metrics(); m.Collections == 0 || m.CollectedBytes == 0 {
			s.t.Error("nothing was collected")
		}
	})
}

func TestPointerIsNeverDurableBeforeItsValue(t *testing.T) {
	play(t, func(s *script) {
		for round := range 8 {
			for k := range 6 {
				// A part of the values goes to the value log at the flush.
				s.apply([]db.Durability{db.NoSync, db.Sync}[k/5], large(k, round))
			}
			s.must(s.Store.Flush(context.Background()))
		}
	})
}
