package mvcc

import (
	"errors"
	"fmt"
	"path/filepath"
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

// entries counts what the keyspace holds besides the header.
func entries(t testing.TB, s *Space) int {
	t.Helper()
	n := 0
	for _, err := range s.ks.Scan(db.From([]byte{keyEnd}).KeysOnly()) {
		must(t, err)
		n++
	}
	return n
}

func TestTheDiscardTimestampOnlyAscends(t *testing.T) {
	_, s := newSpace(t)
	must(t, s.SetDiscard(0), s.SetDiscard(5), s.SetDiscard(3), s.SetDiscard(5))
	if s.Discard() != 5 {
		t.Error(s.Discard())
	}
	wantsErr(t, s.SetDiscard(TimestampMax), ErrTimestamp)
	_, err := s.At(4)
	wantsErr(t, err, ErrDiscarded)
	must(t, at(t, s, 5).Close())
	wantsErr(t, batchOf(s, "a=1").Commit(5, db.NoSync), ErrDiscarded)
	wantsErr(t, batchOf(s, "a=1").Commit(0, db.NoSync), ErrTimestamp)
	commit(t, s, 6, "a=1")
	commit(t, s, TimestampMax, "a=2")
	wants(t, versions(t, s, "a"), fmt.Sprintf("2@%d 1@6", TimestampMax))
}

func TestWhatNobodyCanSeeIsDropped(t *testing.T) {
	_, s := newSpace(t)
	for ts := Timestamp(1); ts <= 10; ts++ {
		commit(t, s, ts, fmt.Sprintf("a=%d", ts), fmt.Sprintf("b=%d", ts))
	}
	commit(t, s, 6, "-b")
	commit(t, s, 4, "-c")
	v := at(t, s, 3)
	must(t, s.SetDiscard(7), s.Compact(ctx, db.All()))
	wants(t, versions(t, s, "a"), "10@10 9@9 8@8 7@7 6@6 5@5 4@4 3@3")
	wants(t, read(t, v, db.All()), "a=3@3 b=3@3")
	must(t, v.Close(), s.Compact(ctx, db.All()))
	wants(t, versions(t, s, "a"), "10@10 9@9 8@8 7@7")
	wants(t, versions(t, s, "b"), "10@10 9@9 8@8 7@7")
	wants(t, versions(t, s, "c"), "")
	commit(t, s, 11, "-a", "-b")
	must(t, s.SetDiscard(11), s.Compact(ctx, db.All()))
	if n := entries(t, s); n != 0 {
		t.Errorf("%d entries are left of keys that are deleted", n)
	}
}

// The version that a deletion hides may be newer in the store, and above it.
func TestADeletionGoesOnlyWithAllThatItHides(t *testing.T) {
	store, s := newSpace(t)
	commit(t, s, 20, "-a")
	must(t, s.Compact(ctx, db.All())) // at the bottom
	commit(t, s, 10, "a=late")
	must(t, s.SetDiscard(30))
	must(t, store.Flush(ctx))
	for range 2 {
		wants(t, readAt(t, s, 30, db.All()), "")
		must(t, s.ks.Compact(ctx, db.All()))
	}
	wants(t, versions(t, s, "a"), "-@20") // the filter found it, and notes
	must(t, s.SetDiscard(31))
	wants(t, versions(t, s, "a"), "")
}

// What a snapshot of the store keeps must not show again for others.
func TestADeletionStaysWhileASnapshotKeepsWhatItHides(t *testing.T) {
	store, s := newSpace(t)
	commit(t, s, 10, "a=1")
	snap, err := store.Snapshot()
	must(t, err)
	commit(t, s, 20, "-a")
	must(t, s.SetDiscard(30), s.ks.Compact(ctx, db.All()), s.ks.Compact(ctx, db.All()))
	wants(t, readAt(t, s, 30, db.All()), "")
	old, err := s.AtSnapshot(snap, 15)
	must(t, err)
	wants(t, read(t, old, db.All()), "a=1@10")
	must(t, s.SetDiscard(31), s.Compact(ctx, db.All()))
	wants(t, readAt(t, s, 31, db.All()), "")
	wants(t, read(t, old, db.All()), "a=1@10")
	must(t, old.Close(), snap.Close(), s.Compact(ctx, db.All()))
	if n := entries(t, s); n != 0 {
		t.Errorf("%d entries are left", n)
	}
}

// diskBytes is the size of all tables and value-log files.
func diskBytes(t testing.TB, fs *vfs.Mem) (n int64) {
	t.Helper()
	files, err := fs.List("/db")
	must(t, err)
	for _, f := range files {
		if ext := filepath.Ext(f.Name); ext == ".sst" || ext == ".vlog" {
			n += f.Size
		}
	}
	return n
}

func TestSpaceComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := vfs.NewMem()
		store := openStore(t, fs)
		defer store.Close()
		s := openSpace(t, store)
		const keys, rounds = 200, 25
		fill := func(ts Timestamp) {
			b := s.NewBatch()
			for i := range keys {
				value := strings.Repeat(fmt.Sprintf("%d.%d ", ts, i), 2+i%20)
				must(t, b.Put(fmt.Appendf(nil, "key%04d", i), []byte(value)))
			}
			must(t, b.Commit(ts, db.NoSync))
		}
		settle := func() int64 {
			must(t, s.Compact(ctx, db.All()), store.CollectGarbage(ctx, 0.1), store.Flush(ctx))
			time.Sleep(time.Minute) // of the bubble, in which all comes to rest
			synctest.Wait()
			return diskBytes(t, fs)
		}
		fill(1)
		one := settle()
		for ts := Timestamp(2); ts <= rounds; ts++ {
			fill(ts)
		}
		all := settle()
		must(t, s.SetDiscard(rounds))
		kept := settle()
		b := s.NewBatch()
		for i := range keys {
			must(t, b.Delete(fmt.Appendf(nil, "key%04d", i)))
		}
		must(t, b.Commit(rounds+1, db.NoSync), s.SetDiscard(rounds+1))
		none := settle()
		t.Logf("one version %d bytes, %d versions %d, after discarding %d, after deleting %d", one, rounds, all, kept, none)
		if all < one*rounds/2 || kept > one*3 || none > one/10 {
			t.Error("space does not come back")
		}
	})
}

// Compactions that run by themselves discard too.
func TestOverwritingWithAMovingDiscardStaysSmall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := vfs.NewMem()
		store := openStore(t, fs)
		defer store.Close()
		s := openSpace(t, store)
		for ts := Timestamp(1); ts <= 400; ts++ {
			b := s.NewBatch()
			for i := range 20 {
				key := fmt.Appendf(nil, "key%04d", i)
				if (int(ts)+i)%7 == 0 {
					must(t, b.Delete(key))
				} else {
					must(t, b.Put(key, []byte(strings.Repeat("v", 50))))
				}
			}
			must(t, b.Commit(ts, db.NoSync))
			if ts > 10 {
				must(t, s.raise(ts-10))
			}
			if ts%10 == 0 {
				synctest.Wait() // compactions keep up, however slow the machine is
			}
		}
		must(t, store.Flush(ctx), s.SetDiscard(391))
		// 20 keys at the discard timestamp and 9 versions above it, and what no
		// compaction has met yet.
		if n := entries(t, s); n > 8000/4 {
			t.Errorf("%d of 8000 versions are left", n)
		}
	})
}

// slowFS holds up syncs of the log while it is shut.
type slowFS struct {
	*vfs.Mem
	shut atomic.Bool
	open chan struct{}
	held chan struct{}
}

func newSlowFS() *slowFS {
	fs := &slowFS{Mem: vfs.NewMem(), open: make(chan struct{}), held: make(chan struct{}, 100)}
	fs.SetHook(func(op vfs.Op) error {
		if op.Kind == vfs.OpSync && strings.HasSuffix(op.Path, ".wal") && fs.shut.Load() {
			fs.held <- struct{}{}
			<-fs.open
		}
		return nil
	})
	return fs
}

func TestSetDiscardWaitsForCommitsOnTheirWay(t *testing.T) {
	fs := newSlowFS()
	store := openStore(t, fs)
	defer store.Close()
	s := openSpace(t, store)
	fs.shut.Store(true)
	var steps sync.WaitGroup
	var done atomic.Bool
	steps.Go(func() {
		if err := batchOf(s, "a=1").Commit(5, db.Sync); err != nil {
			t.Error(err)
		}
	})
	<-fs.held
	steps.Go(func() {
		if err := s.SetDiscard(10); err != nil {
			t.Error(err)
		}
		done.Store(true)
	})
	testkit.Until(t, func() bool {
		return done.Load() || testkit.Blocked("mvcc.(*Space).SetDiscard(", "sync.(*RWMutex).Lock(")
	},
		func() string { return "SetDiscard neither waits nor returns" })
	if done.Load() || s.Discard() != 0 {
		t.Error("the discard timestamp has passed a commit that is on its way")
	}
	must(t, at(t, s, 4).Close()) // readers do not wait
	fs.shut.Store(false)
	close(fs.open)
	steps.Wait()
	wants(t, readAt(t, s, 10, db.All()), "a=1@5")
	wantsErr(t, batchOf(s, "a=2").Commit(9, db.NoSync), ErrDiscarded)
}

// The discard timestamp is not used before it is durable.
func TestADiscardThatFailsDropsNothing(t *testing.T) {
	fs := vfs.NewMem()
	store := openStore(t, fs)
	s := openSpace(t, store)
	commit(t, s, 5, "a=1")
	commit(t, s, 6, "a=2")
	broken := errors.New("broken")
	fs.SetHook(func(op vfs.Op) error {
		if op.Kind == vfs.OpSync {
			return broken
		}
		return nil
	})
	wantsErr(t, s.SetDiscard(9), broken)
	if s.Discard() != 0 || s.effective() != 0 {
		t.Errorf("discard timestamp %d, effective %d", s.Discard(), s.effective())
	}
	wants(t, readAt(t, s, 5, db.All()), "a=1@5")
	wantsErr(t, batchOf(s, "a=3").Commit(8, db.NoSync), ErrDiscarded)
	fs.SetHook(nil)
	_ = store.Close() // it tells of the failure again
}

func TestConcurrentCommitsReadsAndDiscards(t *testing.T) {
	store, s := newSpace(t)
	var clock, stable atomic.Uint64
	clock.Store(1)
	stable.Store(1)
	commit(t, s, 1, "sum=0", "a=0", "b=0")
	var work sync.WaitGroup
	stop := make(chan struct{})
	work.Go(func() { // one writer keeps a + b = sum at each timestamp
		defer close(stop)
		for i := 1; i <= 400; i++ {
			ts := clock.Add(1)
			must(t, batchOf(s, fmt.Sprintf("a=%d", i*2), fmt.Sprintf("b=%d", i), fmt.Sprintf("sum=%d", i*3), "-gone", fmt.Sprintf("-gone%d", i-1), fmt.Sprintf("gone%d=", i)).Commit(Timestamp(ts), db.NoSync))
			stable.Store(ts)
		}
	})
	running := func() bool {
		select {
		case <-stop:
			return false
		default:
			return true
		}
	}
	for range 2 {
		work.Go(func() {
			for running() {
				v, err := s.At(Timestamp(stable.Load()))
				if errors.Is(err, ErrDiscarded) {
					continue
				}
				var a, b, sum int
				for range 3 {
					values, err := v.MultiGet([]byte("a"), []byte("b"), []byte("sum"))
					if err != nil {
						t.Error(err)
						return
					}
					fmt.Sscan(fmt.Sprintf("%s %s %s", values[0], values[1], values[2]), &a, &b, &sum)
					if a+b != sum || a != 2*b {
						t.Errorf("at %d: %d + %d = %d", v.Timestamp(), a, b, sum)
						return
					}
				}
				v.Close()
			}
		})
	}
	work.Go(func() {
		for running() {
			if err := s.SetDiscard(Timestamp(stable.Load() - 1)); err != nil {
				t.Error(err)
			}
			if err := store.Flush(ctx); err != nil {
				t.Error(err)
			}
			time.Sleep(time.Millisecond)
		}
	})
	work.Wait()
	must(t, s.SetDiscard(Timestamp(stable.Load())), s.Compact(ctx, db.All()))
	keys := map[string]int{}
	for item, err := range s.ks.Scan(db.From([]byte{keyEnd})) {
		must(t, err)
		key, _, err := decodeKey(item.Key())
		must(t, err)
		keys[string(key)]++
		if item.ValueSize() == 0 {
			t.Errorf("the deletion of %q is left", key)
		}
	}
	if n := entries(t, s); len(keys) != 4 || n != 4 {
		t.Errorf("%d entries are left of %v, want a, b, gone400 and sum", n, keys)
	}
}
