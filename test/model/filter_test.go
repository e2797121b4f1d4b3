package model

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cordwood-db/cordwood/db"
	"github.com/cordwood-db/cordwood/internal/testkit"
	"github.com/cordwood-db/cordwood/vfs"
)

// marks is a compaction filter that goes by the first byte of a value: it drops
// those with a D and makes a c of a C.
type marks struct{}

func (marks) Begin(db.FilterRun) db.FilterFunc {
	return func(e *db.FilterEntry) (db.FilterDecision, error) {
		v, err := e.Value()
		if err != nil || len(v) == 0 {
			return db.FilterKeep, err
		}
		switch v[0] {
		case 'D':
			return db.FilterDrop, nil
		case 'C':
			e.Replace = append([]byte{'c'}, v[1:]...)
			return db.FilterChange, nil
		}
		return db.FilterKeep, nil
	}
}

// filtered is what the filter makes of a value; nil is none.
func filtered(v []byte) []byte {
	switch {
	case len(v) > 0 && v[0] == 'D':
		return nil
	case len(v) > 0 && v[0] == 'C':
		return append([]byte{'c'}, v[1:]...)
	}
	return v
}

// fate is a key's newest write and whether the filter was seen to have been
// there. It is shared by all who look at that write.
type fate struct {
	value    []byte // nil: deleted
	filtered bool   // seen by a read of the newest state
}

// filterView is a snapshot: what it has shown once, it goes on showing.
type filterView struct {
	snap *db.Snapshot
	keys []*fate
	must []int // 0: not known; 1: as it was written; 2: filtered
}

// filterRun is a history of a store with the filter.
type filterRun struct {
	rand  *rand.Rand
	fs    *vfs.Mem
	store *db.DB
	ks    *db.Keyspace
	keys  []*fate
	views []*filterView
	seen  int // values that the filter was seen to have changed
}

const filterKeys = 40

func filterKey(i int) []byte { return fmt.Appendf(nil, "k%02d", i) }

// TestWhatAFilterLeavesIsConsistent runs a store whose values a filter drops or
// changes at any time. What it did stays done, nothing older comes up, snapshots
// do not change, and a whole compaction leaves nothing undone.
func TestWhatAFilterLeavesIsConsistent(t *testing.T) {
	seed := testkit.Seed(t)
	budget := testkit.Amount{Short: 4, Normal: 6, CI: 60, Full: 3000}.Budget(t)
	seen, runs := 0, 0
	for ; budget.More(runs); runs++ {
		own := seed + uint64(runs)
		r := &filterRun{rand: rand.New(rand.NewPCG(own, 9)), fs: vfs.NewMem(), keys: make([]*fate, filterKeys)}
		var err error
		synctest.Test(t, func(*testing.T) { err = r.play() })
		if err != nil {
			t.Fatalf("%s=%d: %v", testkit.SeedEnv, own, err)
		}
		seen += r.seen
	}
	t.Logf("the filter was seen to have done something %d times in %d histories", seen, runs)
	if seen < 20*runs {
		t.Errorf("the filter was seen to have done something %d times in %d histories", seen, runs)
	}
}

// play is one history.
func (r *filterRun) play() error {
	for k := range r.keys {
		r.keys[k] = &fate{}
	}
	err := r.open()
	for n := 0; err == nil && n < 1500; n++ {
		err = r.step()
		if n%40 == 0 {
			time.Sleep(time.Millisecond) // so that readers grow old, and the background gets its turn
		}
	}
	if r.store != nil {
		err = errors.Join(err, r.close())
	}
	return err
}

func (r *filterRun) open() (err error) {
	r.store, err = db.Open(dir, &db.Options{FS: r.fs, MemoryMax: 16 << 20, MemtableBytes: 4 << 10, TableBytes: 4 << 10,
		BlockBytes: 300, ValueThreshold: 150, SyncInterval: -1, SpaceAmpMax: 1.25})
	if err != nil {
		return err
	}
	r.ks, err = r.store.Keyspace("filtered", &db.KeyspaceOptions{CompactionFilter: marks{}})
	return err
}

func (r *filterRun) close() error {
	var errs []error
	for _, v := range r.views {
		errs = append(errs, v.snap.Close())
	}
	r.views = nil
	return errors.Join(append(errs, r.store.Close())...)
}

func (r *filterRun) step() error {
	ctx := context.Background()
	switch n := r.rand.IntN(1000); {
	case n < 500:
		return r.write()
	case n < 800:
		return r.look(r.rand.IntN(filterKeys))
	case n < 900 && len(r.views) > 0:
		return r.lookBack(r.views[r.rand.IntN(len(r.views))])
	case n < 930:
		return r.toggle()
	case n < 960:
		return r.store.Flush(ctx)
	case n < 975:
		k := r.rand.IntN(filterKeys)
		return r.ks.Compact(ctx, db.Between(filterKey(k), filterKey(k+9)))
	case n < 985:
		return r.store.CollectGarbage(ctx, 0.1)
	case n < 990:
		return r.compactAll(ctx)
	case n < 993:
		if err := r.close(); err != nil {
			return err
		}
		return r.open()
	case n < 996:
		time.Sleep(11 * time.Second) // readers that are as old are spared, not pinned
	}
	return nil
}

func (r *filterRun) write() error {
	k := r.rand.IntN(filterKeys)
	switch r.rand.IntN(12) {
	case 0:
		r.keys[k] = &fate{}
		return r.ks.Delete(filterKey(k))
	case 1:
		end := min(k+r.rand.IntN(4), filterKeys)
		for i := k; i < end; i++ {
			r.keys[i] = &fate{}
		}
		return r.ks.DeleteRange(db.Between(filterKey(k), filterKey(end)))
	}
	v := bytes.Repeat([]byte{byte(r.rand.IntN(8))}, 1+r.rand.IntN(300))
	v[0] = "DDCk"[r.rand.IntN(4)]
	r.keys[k] = &fate{value: v}
	return r.ks.Put(filterKey(k), v)
}

// judge says whether a read saw the value as written (1) or filtered (2); 0 is
// both.
func (f *fate) judge(got []byte, err error) (int, error) {
	if errors.Is(err, db.ErrNotFound) {
		got, err = nil, nil
	}
	asWritten, asFiltered := bytes.Equal(got, f.value), bytes.Equal(got, filtered(f.value))
	switch {
	case err != nil:
		return 0, err
	case asWritten && asFiltered:
		return 0, nil
	case asWritten:
		return 1, nil
	case asFiltered:
		return 2, nil
	}
	return 0, fmt.Errorf("have %s of %s", brief(got), brief(f.value))
}

// look reads a key of the newest state.
func (r *filterRun) look(k int) error {
	f := r.keys[k]
	how, err := f.judge(r.ks.Get(filterKey(k)))
	switch {
	case err != nil:
		return fmt.Errorf("key %d: %w", k, err)
	case how == 1 && f.filtered:
		return fmt.Errorf("key %d: %s was filtered and is there again", k, brief(f.value))
	case how == 2 && !f.filtered:
		f.filtered = true
		r.seen++
	}
	if how == 1 { // no snapshot that has this write can be without it
		for _, v := range r.views {
			if v.keys[k] == f {
				if v.must[k] == 2 {
					return fmt.Errorf("key %d: a snapshot has lost %s, which is there", k, brief(f.value))
				}
				v.must[k] = 1
			}
		}
	}
	return nil
}

// lookBack reads some keys of a snapshot.
func (r *filterRun) lookBack(v *filterView) error {
	from := v.snap.In(r.ks)
	for range 5 {
		k := r.rand.IntN(filterKeys)
		how, err := v.keys[k].judge(from.Get(filterKey(k)))
		switch {
		case err != nil:
			return fmt.Errorf("key %d of a snapshot: %w", k, err)
		case how == 0:
		case v.must[k] == 0:
			v.must[k] = how
		case how != v.must[k]:
			return fmt.Errorf("key %d of a snapshot changed: %s, filtered %v", k, brief(v.keys[k].value), how == 2)
		}
	}
	return nil
}

// toggle opens or closes a snapshot.
func (r *filterRun) toggle() error {
	if n := len(r.views); n > 0 && (n > 2 || r.rand.IntN(2) == 0) {
		v := r.views[0]
		r.views = r.views[1:]
		return v.snap.Close()
	}
	v := &filterView{keys: append([]*fate(nil), r.keys...), must: make([]int, filterKeys)}
	for k, f := range v.keys {
		if f.filtered {
			v.must[k] = 2
		}
	}
	var err error
	v.snap, err = r.store.Snapshot()
	r.views = append(r.views, v)
	return err
}

// compactAll compacts everything. Without snapshots the filter sees all of it.
func (r *filterRun) compactAll(ctx context.Context) error {
	if err := r.ks.Compact(ctx, db.All()); err != nil {
		return err
	}
	for k, f := range r.keys {
		if err := r.look(k); err != nil {
			return err
		}
		if len(r.views) == 0 && !f.filtered && !bytes.Equal(f.value, filtered(f.value)) {
			return fmt.Errorf("key %d: %s is left after a whole compaction", k, brief(f.value))
		}
	}
	return nil
}
