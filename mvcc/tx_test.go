package mvcc

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cordwood-db/cordwood/db"
)

func TestABatchIsCommittedWithWhatBelongsToIt(t *testing.T) {
	store, s := newSpace(t)
	locks, err := store.Keyspace("locks", nil)
	must(t, err, locks.Put([]byte("a"), []byte("tx1")))
	var with db.Batch
	must(t, with.In(locks).Delete([]byte("a")))
	b := batchOf(s, "a=1")
	must(t, s.SetDiscard(3))
	wantsErr(t, b.CommitWith(&with, 3, db.NoSync), ErrDiscarded)
	if with.Len() != 1 {
		t.Errorf("a refused commit left %d writes", with.Len())
	}
	must(t, b.CommitWith(&with, 5, db.NoSync))
	if ok, err := locks.Has([]byte("a")); ok || err != nil {
		t.Errorf("the lock is there: %v, %v", ok, err)
	}
	wants(t, readAt(t, s, 5, db.All()), "a=1@5")
	if b.Len() != 1 || b.Bytes() != 2 {
		t.Errorf("the batch was changed: %d writes, %d bytes", b.Len(), b.Bytes())
	}
	b.Reset()
	must(t, b.Put([]byte("b"), []byte("2")), b.Commit(6, db.NoSync))
	wants(t, readAt(t, s, 6, db.All()), "a=1@5 b=2@6")
}

func TestATransactionCommitsVersionsAndReadsItsOwn(t *testing.T) {
	store, s := newSpace(t)
	commit(t, s, 5, "a=1")
	tx, err := store.Begin(db.TxOptions{})
	must(t, err)
	must(t, batchOf(s, "a=2", "-b").AddTo(tx, 7))
	v, err := s.AtTx(tx, 9)
	must(t, err)
	wants(t, read(t, v, db.All()), "a=2@7")
	wants(t, readAt(t, s, 9, db.All()), "a=1@5")
	latest, err := s.LatestIn(tx, []byte("b"))
	if err != nil || latest != 7 {
		t.Errorf("latest version %d, %v", latest, err)
	}
	must(t, tx.Commit())
	wants(t, readAt(t, s, 9, db.All()), "a=2@7")
	if _, err := v.Get([]byte("a")); !errors.Is(err, db.ErrTxDone) {
		t.Errorf("a view of a transaction that is done: %v", err)
	}
}

func TestATransactionConflictsWithTheDiscardTimestamp(t *testing.T) {
	store, s := newSpace(t)
	for _, isolation := range []db.Isolation{db.Serializable, db.SnapshotIsolation} {
		floor := s.Discard()
		tx, err := store.Begin(db.TxOptions{Isolation: isolation})
		must(t, err)
		must(t, batchOf(s, "a=1").AddTo(tx, floor+5))
		must(t, s.SetDiscard(floor+9))
		wantsErr(t, tx.Commit(), db.ErrConflict)
		err = store.Update(ctx, func(tx *db.Tx) error { return batchOf(s, "a=1").AddTo(tx, floor+5) })
		wantsErr(t, err, ErrDiscarded)
		err = store.View(func(tx *db.Tx) error {
			_, err := s.AtTx(tx, floor+5)
			return err
		})
		wantsErr(t, err, ErrDiscarded)
	}
}

func TestCommitIfFindsNewerVersions(t *testing.T) {
	_, s := newSpace(t)
	commit(t, s, 5, "a=1")
	commit(t, s, 8, "-b")
	wantsErr(t, batchOf(s, "c=1", "a=2").CommitIf(ctx, 4, 9, db.NoSync), db.ErrConflict)
	wantsErr(t, batchOf(s, "b=2").CommitIf(ctx, 7, 9, db.NoSync), db.ErrConflict)
	wantsErr(t, batchOf(s, "a=2").CommitIf(ctx, 5, 5, db.NoSync), ErrTimestamp)
	must(t, batchOf(s, "a=2", "b=2").CommitIf(ctx, 8, 9, db.Sync))
	wants(t, readAt(t, s, 9, db.All()), "a=2@9 b=2@9")
	must(t, s.SetDiscard(20))
	wantsErr(t, batchOf(s, "a=3").CommitIf(ctx, 15, 20, db.NoSync), ErrDiscarded)
}

// A deletion that is a conflict may have been removed.
func TestCommitIfRefusesWhatItCannotTell(t *testing.T) {
	_, s := newSpace(t)
	commit(t, s, 3, "a=1")
	v := at(t, s, 5)
	commit(t, s, 8, "-a")
	must(t, s.SetDiscard(10), s.Compact(ctx, db.All()))
	wantsErr(t, batchOf(s, "a=2").CommitIf(ctx, 5, 20, db.NoSync), db.ErrConflict)
	must(t, v.Close(), s.Compact(ctx, db.All()))
	if latest, err := s.LatestTimestamp([]byte("a")); latest != 0 || err != nil {
		t.Fatalf("latest version %d, %v", latest, err)
	}
	wantsErr(t, batchOf(s, "a=2").CommitIf(ctx, 5, 20, db.NoSync), ErrDiscarded)
	must(t, batchOf(s, "a=2").CommitIf(ctx, 10, 20, db.NoSync))
}

// oracle hands out timestamps, and knows below which all commits are decided.
type oracle struct {
	mu     sync.Mutex
	clock  Timestamp
	onTime map[Timestamp]bool // commits on their way
}

// stable is the newest timestamp at which nothing can change.
func (o *oracle) stable() Timestamp {
	o.mu.Lock()
	defer o.mu.Unlock()
	ts := o.clock
	for t := range o.onTime {
		ts = min(ts, t-1)
	}
	return ts
}

func (o *oracle) begin() Timestamp {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.clock++
	o.onTime[o.clock] = true
	return o.clock
}

func (o *oracle) end(ts Timestamp) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.onTime, ts)
}

// Counters that are read at a timestamp below which all is decided, and written
// at a later one, lose nothing, while the discard timestamp follows.
func TestCommitIfLosesNoUpdates(t *testing.T) {
	_, s := newSpace(t)
	o := oracle{clock: 1, onTime: map[Timestamp]bool{}}
	var won, lost atomic.Uint64
	commit(t, s, 1, "n=0")
	var work sync.WaitGroup
	for range 4 {
		work.Go(func() {
			for i := range 50 {
				err := increment(s, &o)
				switch {
				case err == nil:
					won.Add(1)
				case errors.Is(err, db.ErrConflict), errors.Is(err, ErrDiscarded):
					lost.Add(1)
				default:
					t.Error(err)
				}
				if i%8 == 0 {
					if err := s.SetDiscard(o.stable()); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	work.Wait()
	v := at(t, s, TimestampMax)
	defer v.Close()
	value, err := v.Get([]byte("n"))
	must(t, err)
	if string(value) != fmt.Sprint(won.Load()) || won.Load()+lost.Load() != 200 {
		t.Errorf("the counter is %s after %d commits, %d were refused", value, won.Load(), lost.Load())
	}
}

func increment(s *Space, o *oracle) error {
	since := o.stable()
	v, err := s.At(since)
	if err != nil {
		return err
	}
	defer v.Close()
	value, err := v.Get([]byte("n"))
	if err != nil {
		return err
	}
	var n int
	fmt.Sscan(string(value), &n)
	runtime.Gosched() // so that others come between
	ts := o.begin()
	defer o.end(ts)
	return batchOf(s, fmt.Sprintf("n=%d", n+1)).CommitIf(ctx, since, ts, db.NoSync)
}
