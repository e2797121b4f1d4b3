package mvcc

import (
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"github.com/cordwood-db/cordwood/db"
	"github.com/cordwood-db/cordwood/internal/testkit"
	"github.com/cordwood-db/cordwood/vfs"
)

// crashImage is what a power loss may leave, and what is promised of it.
type crashImage struct {
	fs       *vfs.Mem
	synced   uint64 // the last batch that was acknowledged with Sync
	tried    uint64 // the last one that was begun
	kept     Timestamp
	raisedTo Timestamp // the last discard timestamp that was begun
}

// TestABatchIsWholeAndTheDiscardDurableAfterACrash: batch n, at timestamp n,
// writes three keys of its own, a key that all write, and a record in another
// keyspace.
func TestABatchIsWholeAndTheDiscardDurableAfterACrash(t *testing.T) {
	testkit.Sequential(t)
	seed := rand.Uint64()
	defer func() {
		if t.Failed() {
			t.Logf("seed %d", seed)
		}
	}()
	rng := rand.New(rand.NewPCG(seed, 1))
	fs := vfs.NewMem()
	store := openStore(t, fs)
	s := openSpace(t, store)
	log, err := store.Keyspace("log", nil)
	must(t, err)

	var now struct{ synced, tried, kept, raised atomic.Uint64 }
	images := make(chan crashImage, 60)
	var ops atomic.Uint64
	fs.SetHook(func(op vfs.Op) error {
		if op.Kind == vfs.OpRead || ops.Add(1)%23 != 0 || len(images) == cap(images) {
			return nil
		}
		// What was acknowledged before the image was taken, what was begun after.
		img := crashImage{synced: now.synced.Load(), kept: Timestamp(now.kept.Load())}
		pick := rand.New(rand.NewPCG(seed, uint64(op.Index)))
		img.fs = fs.CrashClone(func(vfs.CrashItem) vfs.CrashChoice { return vfs.CrashChoice(pick.IntN(3)) })
		img.tried, img.raisedTo = now.tried.Load(), Timestamp(now.raised.Load())
		select {
		case images <- img:
		default:
		}
		return nil
	})
	for n := uint64(1); n <= 300; n++ {
		now.tried.Store(n)
		durability := db.NoSync
		if rng.IntN(4) == 0 {
			durability = db.Sync
		}
		b := batchOf(s, fmt.Sprintf("x%d=%d", n, n), fmt.Sprintf("y%d=%d", n, n), fmt.Sprintf("z%d=%d", n, n), fmt.Sprintf("all=%d", n))
		if n%5 == 0 {
			must(t, b.Delete([]byte("all")))
		}
		var with db.Batch
		must(t, with.In(log).Put(fmt.Appendf(nil, "%d", n), nil))
		must(t, b.CommitWith(&with, Timestamp(n), durability))
		if durability == db.Sync {
			now.synced.Store(n)
		}
		switch {
		case n > 20 && rng.IntN(12) == 0:
			now.raised.Store(n - 10)
			must(t, s.SetDiscard(Timestamp(n-10)))
			now.synced.Store(n)
			now.kept.Store(n - 10)
		case rng.IntN(30) == 0:
			must(t, store.Flush(ctx))
		case rng.IntN(60) == 0:
			must(t, s.Compact(ctx, db.All()))
		}
	}
	fs.SetHook(nil)
	must(t, store.Close())
	close(images)
	taken := 0
	for img := range images {
		taken++
		img.check(t)
	}
	if taken < 20 {
		t.Errorf("only %d images", taken)
	}
}

func (img *crashImage) check(t *testing.T) {
	t.Helper()
	store := openStore(t, img.fs)
	defer store.Close()
	s := openSpace(t, store)
	log, err := store.Keyspace("log", nil)
	must(t, err)
	discard := s.Discard()
	if discard < img.kept || discard > img.raisedTo {
		t.Errorf("discard timestamp %d, %d was durable, %d was begun", discard, img.kept, img.raisedTo)
	}
	v := at(t, s, TimestampMax)
	defer v.Close()
	last := uint64(0)
	for n := uint64(1); n <= img.tried+1; n++ {
		there, err := log.Has(fmt.Appendf(nil, "%d", n))
		must(t, err)
		if there && last != n-1 {
			t.Fatalf("batch %d is there, batch %d is not", n, n-1)
		}
		if there {
			last = n
		}
		for _, name := range []string{"x", "y", "z"} {
			has, err := v.Has(fmt.Appendf(nil, "%s%d", name, n))
			must(t, err)
			if has != there {
				t.Fatalf("of batch %d, %s is there: %v, its record: %v", n, name, has, there)
			}
		}
	}
	if last < img.synced || last > img.tried {
		t.Errorf("the last batch is %d, %d was synced, %d was begun", last, img.synced, img.tried)
	}
	for ts := max(discard, 1); ts <= Timestamp(last); ts++ {
		want := fmt.Sprintf("all=%d@%d", ts, ts)
		if ts%5 == 0 {
			want = ""
		}
		wants(t, readAt(t, s, ts, db.Prefix([]byte("all"))), want)
	}
}
