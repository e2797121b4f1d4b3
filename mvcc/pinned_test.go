package mvcc

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cordwood-db/cordwood/db"
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
	end := time.Now().Add(500 * time.Millisecond)
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
	during := func(fn func() error) {
		wg.Go(func() {
			for time.Now().Before(end) {
				if err := fn(); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	during(func() error {
		snap, err := store.Snapshot()
		if err != nil {
			return err
		}
		defer snap.Close()
		return readHeld(s, snap.In(s.ks))
	})
	during(func() error {
		return store.View(func(tx *db.Tx) error { return readHeld(s, tx.In(s.ks)) })
	})
	during(func() error { return s.ks.Compact(ctx, db.All()) })
	during(func() error { return s.SetDiscard(Timestamp(last.Load())) })
	for time.Now().Before(end) {
		write()
	}
	wg.Wait()
}
