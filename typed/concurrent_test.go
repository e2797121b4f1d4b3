package typed

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cordwood-db/cordwood/db"
)

// Writers fight over a few items, e-mail addresses and tags, while readers
// compare the indexes with the items and one goroutine rebuilds an index again
// and again. No snapshot may show a difference.
func TestIndexesNeverDisagreeWithTheItems(t *testing.T) {
	ctx := context.Background()
	store := openStore(t, db.Options{MemtableBytes: 256 << 10}) // so that some of it is flushed
	p := openPeople(t, store)
	const writers, items = 4, 12
	writes := 1500
	if testing.Short() {
		writes = 300
	}
	var done atomic.Bool
	var writing, watching sync.WaitGroup
	var refused, refusals atomic.Int64
	for w := range uint64(writers) {
		writing.Go(func() {
			r := rand.New(rand.NewPCG(w, rand.Uint64()))
			for range writes {
				err := randomWrite(r, store, p, items)
				switch _, unique := errors.AsType[*UniqueError](err); {
				case unique:
					refused.Add(1)
				case errors.Is(err, db.ErrConflict):
					refusals.Add(1) // after many tries: allowed, if rare
				case err != nil:
					t.Error(err)
					return
				}
			}
		})
	}
	watching.Go(func() {
		for !done.Load() {
			if err := p.byTag.Rebuild(ctx); err != nil && !errors.Is(err, db.ErrConflict) {
				t.Error(err)
				return
			}
		}
	})
	watching.Go(func() {
		for n := 0; !done.Load(); n++ {
			if err := compareAll(ctx, store, p); err != nil {
				t.Errorf("round %d: %v", n, err)
				return
			}
		}
	})
	writing.Wait()
	done.Store(true)
	watching.Wait()
	check(t, p.byTag.Rebuild(ctx))
	p.verify(t)
	if refused.Load() == 0 {
		t.Error("no write was ever refused: the test shows nothing about unique indexes")
	}
	if n := refusals.Load(); n > int64(writes/10) {
		t.Errorf("%d of %d writes were given up for conflicts", n, writers*writes)
	}
}

// randomWrite writes one item alone, or swaps the values of two in a
// transaction.
func randomWrite(r *rand.Rand, store *db.DB, p people, items int) error {
	id := uint64(r.IntN(items))
	switch r.IntN(4) {
	case 0:
		return p.Delete(id)
	case 1:
		other := uint64(r.IntN(items))
		o := db.TxOptions{Isolation: db.Serializable}
		if r.IntN(2) == 0 {
			o.Isolation = db.SnapshotIsolation // enough for indexes: whoever writes an entry writes its item
		}
		return store.UpdateWith(context.Background(), o, func(tx *db.Tx) error {
			in := p.In(tx)
			a, err := in.Get(id)
			if errors.Is(err, db.ErrNotFound) {
				return nil
			}
			if err != nil {
				return err
			}
			b, err := in.Get(other)
			if err != nil && !errors.Is(err, db.ErrNotFound) {
				return err
			}
			if err := in.Delete(id); err != nil {
				return err
			}
			if err := in.Put(other, a); err != nil || other == id {
				return err
			}
			return in.Put(id, b)
		})
	}
	who := person{Email: fmt.Sprint(r.IntN(items)), City: fmt.Sprint(r.IntN(3))}
	for range r.IntN(3) {
		who.Tags = append(who.Tags, fmt.Sprint(r.IntN(5)))
	}
	return p.Put(id, who)
}

// compareAll looks at the items through their indexes, in a snapshot and live.
func compareAll(ctx context.Context, store *db.DB, p people) error {
	snap, err := store.Snapshot()
	if err != nil {
		return err
	}
	defer snap.Close()
	for _, verify := range []func(context.Context) (*Verification, error){p.byEmail.At(snap).Verify, p.byCity.At(snap).Verify} {
		v, err := verify(ctx)
		if err != nil {
			return err
		}
		if !v.OK() {
			return fmt.Errorf("%+v", v)
		}
	}
	emails := 0
	for item, err := range p.byEmail.At(snap).Scan(All[string]()) {
		if err != nil {
			return err
		}
		if emails++; item.Value.Email != item.Index {
			return fmt.Errorf("found %v by %q", item, item.Index)
		}
	}
	with := 0
	for item, err := range p.View.At(snap).Scan(All[uint64]()) {
		if err != nil {
			return err
		}
		if item.Value.Email != "" {
			with++
		}
	}
	if with != emails {
		return fmt.Errorf("%d items, %d by the index", with, emails)
	}
	for item, err := range p.byTag.Scan(All[string]()) {
		if errors.Is(err, ErrIndexIncomplete) {
			break
		}
		if err != nil {
			return err
		}
		if !slices.Contains(item.Value.Tags, item.Index) {
			return fmt.Errorf("found %v by the tag %q", item, item.Index)
		}
	}
	return nil
}

// A rebuild ends although others never stop appending.
func TestRebuildIsNotOutrunByAppends(t *testing.T) {
	store := openStore(t, db.Options{})
	const n = 2 * rebuildItemsMax
	before := New(store, keyspace(t, store, "people"), Uint64{}, JSON[person]{})
	for id := range uint64(n) {
		check(t, before.Put(id, person{Tags: []string{"t"}}))
	}
	p := openPeople(t, store)
	var done atomic.Bool
	var appends atomic.Uint64
	var wg sync.WaitGroup
	for w := range uint64(2) {
		wg.Go(func() {
			for id := n + w; !done.Load(); id += 2 {
				if err := p.Put(id, person{Tags: []string{"t"}}); err != nil {
					t.Error(err)
					return
				}
				appends.Add(1)
			}
		})
	}
	for appends.Load() == 0 && !t.Failed() {
		time.Sleep(time.Millisecond)
	}
	err := p.byTag.Rebuild(context.Background())
	done.Store(true)
	wg.Wait()
	check(t, err)
	if got := found(t, p.byTag, Only("t")); uint64(len(got)) != n+appends.Load() {
		t.Errorf("%d items, want %d", len(got), n+appends.Load())
	}
	v, err := p.byTag.Verify(context.Background())
	if err != nil || !v.OK() {
		t.Errorf("%+v, %v", v, err)
	}
}
