package mvcc

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cordwood-db/cordwood/db"
	"github.com/cordwood-db/cordwood/internal/testkit"
)

const pinnedKeys = 40

// readHeld reads all of src at the lowest timestamp that it allows, after a
// pause. Each key was written at each timestamp, with that as its value.
func readHeld(s *Space, src db.Reader) error {
	header, err := src.Get(headerKey)
	if err != nil {
		return err
	}
	ts, err := decodeHeader(s.Name(), header)
	if err != nil {
		return err
	}
	v, err := s.over(src, max(ts, 1))
	if err != nil {
		return err
	}
	time.Sleep(rand.N(3 * time.Millisecond))
	n := 0
	for item, err := range v.Scan(db.All()) {
		if err != nil {
			return err
		}
		if value, err := item.Value(); err != nil || item.Version() != v.ts || string(value) != fmt.Sprint(v.ts) {
			return fmt.Errorf("%s: %q of %d at %d, %v", item.Key(), value, item.Version(), v.ts, err)
		}
		n++
	}
	if n != pinnedKeys {
		return fmt.Errorf("%d keys at %d", n, v.ts)
	}
	return nil
}

// The filter may drop what snapshots and transactions see, whenever they were
// opened: the store keeps it for them.
func TestViewsOfSnapshotsMissNothingBesideDiscards(t *testing.T) {
	store, s := newSpace(t)
	start := time.Now()
	var rounds [4]atomic.Int64 // of each loop below
	running := func() bool {   // on a slow machine until all have done something
		past := time.Since(start)
		few := false
		for i := range rounds {
			few = few || rounds[i].Load() < 20
		}
		return past < 500*time.Millisecond || few && past < testkit.HangsAfter && !t.Failed()
	}
	var last atomic.Uint64
	write := func() {
		ts := Timestamp(last.Load() + 1)
		b := s.NewBatch()
		for i := range pinnedKeys {
			must(t, b.Put(fmt.Appendf(nil, "%02d", i), fmt.Append(nil, ts)))
		}
		must(t, b.Commit(ts, db.NoSync))
		last.Store(uint64(ts))
	}
	write()
	var wg sync.WaitGroup
	during := func(loop int, fn func() error) {
		wg.Go(func() {
			for running() {
				if err := fn(); err != nil {
					t.Error(err)
					return
				}
				rounds[loop].Add(1)
			}
		})
	}
	during(0, func() error {
		snap, err := store.Snapshot()
		if err != nil {
			return err
		}
		defer snap.Close()
		return readHeld(s, snap.In(s.ks))
	})
	during(1, func() error {
		return store.View(func(tx *db.Tx) error { return readHeld(s, tx.In(s.ks)) })
	})
	during(2, func() error { return s.ks.Compact(ctx, db.All()) })
	during(3, func() error { return s.SetDiscard(Timestamp(last.Load())) })
	for running() {
		write()
	}
	wg.Wait()
	for i := range rounds {
		if n := rounds[i].Load(); n < 20 {
			t.Errorf("loop %d ran %d times: the test shows nothing", i, n)
		}
	}
}
