package crash

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cordwood-db/cordwood/db"
	"github.com/cordwood-db/cordwood/internal/testkit"
	"github.com/cordwood-db/cordwood/vfs"
)

// Commits a thousand times larger than a memtable, as one of several GiB is for
// a store with the usual settings. Here the memtables have 2 KiB.

// largeWrites are n writes to several keyspaces, with inline values, values for
// the value log, and what hides and merges.
func largeWrites(n, round int) []Write {
	writes := make([]Write, n)
	spaces := []string{"", "a", "b"}
	for i := range writes {
		w := Write{Op: 'p', Space: spaces[i%3], Key: fmt.Sprintf("big/%05d", (i*7919+round*13)%n)}
		w.Value = fmt.Appendf(nil, "%d of %d.", i, round)
		switch i % 16 {
		case 1, 4, 6, 9, 11, 14:
			w.Value = append(w.Value, strings.Repeat(string(rune('a'+i%23)), 700+i%3000)...)
		case 2:
			w.Op = 'm'
		case 5:
			w.Op, w.TTL = 't', 1<<40
		case 7:
			w.Op = 'd'
		case 8:
			w.Op, w.End = 'r', w.Key+"~"
		default:
			w.Value = append(w.Value, strings.Repeat("-", i%60)...)
		}
		writes[i] = w
	}
	return writes
}

// largePlan is how much of it is tested.
type largePlan struct {
	writes int // of the large commit
	random int // images for each operation
	every  int // of how many operations one is filmed
}

func makeLargePlan() largePlan {
	if testkit.Thorough() {
		return largePlan{writes: 1800, random: 1, every: 9}
	}
	return largePlan{writes: 1800, random: 0, every: 40}
}

func TestACommitAThousandTimesLargerThanAMemtableIsWholeOrNotThere(t *testing.T) {
	testkit.Sequential(t)
	for _, form := range []string{"batch", "batch, synced", "transaction", "transaction, synced", "batch, all inline"} {
		t.Run(form, func(t *testing.T) { filmLarge(t, form, makeLargePlan()) })
	}
}

func filmLarge(t *testing.T, form string, p largePlan) {
	seed := testkit.Seed(t)
	mem, clock := vfs.NewMem(), NewClock()
	w := NewWorkload(mem, Empty(), seed, clock)
	w.Opts.MemtableBytes, w.Opts.ValueThreshold = 2<<10, 500
	if strings.HasSuffix(form, "inline") {
		w.Opts.ValueThreshold, p.every = -1, max(2, p.every/40) // few and long writes
	}
	d := db.NoSync
	if strings.HasSuffix(form, "synced") {
		d = db.Sync
	}
	s := &script{Workload: w, t: t}
	s.camera = &Camera{FS: mem, Witness: w.History, Clock: clock, Random: p.random, Every: p.every, ImagesMax: 20_000}
	synctest.Test(t, func(t *testing.T) {
		s.must(w.Open())
		for _, name := range []string{"a", "b"} {
			s.must(w.makeSpace(name, &db.KeyspaceOptions{Merge: db.Append()}))
		}
		s.apply(db.Sync, largeWrites(20, 0)...)
		s.camera.Start(seed)
		writes := largeWrites(p.writes, 1)
		if strings.HasPrefix(form, "transaction") {
			s.must(w.ApplyTx(writes, d))
		} else {
			s.apply(d, writes...)
		}
		if b := w.batch.Bytes(); !strings.HasPrefix(form, "transaction") && b < 900*w.Opts.MemtableBytes/2 {
			t.Errorf("only %d bytes", b)
		}
		s.apply(db.NoSync, largeWrites(20, 2)...)
		acked := w.History.Acked()
		s.must(w.durable(acked, w.Store.Flush(context.Background())))
		s.must(w.Close())
	})
	images := s.camera.Stop()
	t.Logf("%d images of %d operations", len(images), s.camera.Operations())
	if len(images) < 20 {
		t.Errorf("only %d images", len(images))
	}
	held := checkLarge(t, w, images)
	if held[1].Load() == 0 || held[2].Load()+held[3].Load() == 0 {
		t.Error("no image is without the large commit, or none has it")
	}
}

// checkLarge checks images, and counts those that hold so many commits.
func checkLarge(t *testing.T, w *Workload, images []*Image) *[4]atomic.Int64 {
	held := new([4]atomic.Int64)
	var next atomic.Int64
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for !t.Failed() {
				n := int(next.Add(1)) - 1
				if n >= len(images) {
					return
				}
				c := Check{Use: n%8 == 1, Seed: uint64(n), Held: func(commits int) { held[commits].Add(1) }}
				if _, err := c.Run(w.History, images[n], w.Opts); err != nil {
					t.Errorf("%v\n%s", err, images[n].Explain(w.Opts))
				}
				images[n] = nil
			}
		})
	}
	wg.Wait()
	return held
}

// What a process has written of a large commit when it dies is garbage that is
// known as such: its space comes back.
func TestTheValuesOfACommitThatDidNotComeToBeAreCollected(t *testing.T) {
	mem, clock := vfs.NewMem(), NewClock()
	w := NewWorkload(mem, Empty(), 1, clock)
	w.Opts.MemtableBytes, w.Opts.ValueThreshold = 2<<10, 500
	s := &script{Workload: w, t: t}
	s.must(w.Open())
	for _, name := range []string{"a", "b"} {
		s.must(w.makeSpace(name, &db.KeyspaceOptions{Merge: db.Append()}))
	}
	s.apply(db.Sync, largeWrites(20, 0)...)
	s.must(w.Store.Flush(context.Background()))
	var image atomic.Pointer[vfs.Mem]
	var seen atomic.Int64
	mem.SetHook(func(op vfs.Op) error {
		if seen.Add(1) == 400 {
			image.Store(mem.KillClone())
		}
		return nil
	})
	s.apply(db.Sync, largeWrites(1800, 1)...)
	mem.SetHook(nil)
	s.must(w.Close())
	opts := w.Opts
	if image.Load() == nil {
		t.Fatalf("only %d operations", seen.Load())
	}
	opts.FS = image.Load()
	store, err := db.Open(Dir, &opts)
	s.must(err)
	if n := image.Load().Used(); n < 200<<10 {
		t.Errorf("only %d bytes on disk", n)
	}
	var left uint64
	for range 10_000 {
		s.must(store.CollectGarbage(context.Background(), 0))
		if left = store.Metrics().ValueLog.Bytes; left > 0 && left < 40<<10 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if left == 0 || left >= 40<<10 {
		t.Errorf("the value log still has %d bytes", left)
	}
	s.must(store.Close())
}
