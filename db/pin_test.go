package db

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cordwood-db/cordwood/internal/testkit"
	"github.com/cordwood-db/cordwood/vfs"
)

// pinned is a store with a snapshot and a transaction that a run with a filter
// has pinned.
func pinned(t *testing.T) (*DB, *Snapshot, *Tx) {
	t.Helper()
	opts := smallOptions()
	opts.CompactionFilter = filterFunc(dropMarked)
	store := openMem(t, vfs.NewMem(), opts)
	for i := range 10 {
		must(t, store.Put(fmt.Appendf(nil, "%03d", i), []byte("drop")))
	}
	snap, err := store.Snapshot()
	must(t, err)
	tx, err := store.Begin(TxOptions{})
	must(t, err)
	must(t, store.Compact(context.Background(), All()))
	if snap.pin.state.Load() == nil || tx.root.core.pin.state.Load() == nil {
		t.Fatal("nobody is pinned")
	}
	return store, snap, tx
}

// Whoever stays with a read state that has not a keyspace sees that it is there.
func TestAPinnedReaderMeetsAKeyspaceThatIsMadeLater(t *testing.T) {
	store, snap, tx := pinned(t)
	ks := openSpace(t, store, "later", nil)
	must(t, ks.Put([]byte("k"), []byte("v")))
	if _, err := snap.In(ks).Get([]byte("k")); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	if _, err := tx.In(ks).Get([]byte("k")); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	must(t, tx.In(ks).Put([]byte("own"), []byte("v")))
	if got := scanned(t, tx.In(ks), All()); got != "own=v" {
		t.Error(got)
	}
	tx.Discard()
	must(t, snap.Close())
	closeDB(t, store)
}

func TestAPinnedReaderMeetsADroppedKeyspace(t *testing.T) {
	opts := smallOptions()
	opts.CompactionFilter = filterFunc(dropMarked)
	store := openMem(t, vfs.NewMem(), opts)
	ks := openSpace(t, store, "gone", nil)
	must(t, ks.Put([]byte("k"), []byte("v")), store.Put([]byte("k"), []byte("drop")))
	snap, err := store.Snapshot()
	must(t, err)
	tx, err := store.Begin(TxOptions{})
	must(t, err)
	must(t, store.Compact(context.Background(), All()), store.DropKeyspace("gone"))
	if snap.pin.state.Load() == nil || tx.root.core.pin.state.Load() == nil {
		t.Fatal("nobody is pinned")
	}
	for _, r := range []Reader{snap.In(ks), tx.In(ks)} {
		if _, err := r.Get([]byte("k")); !errors.Is(err, ErrKeyspaceDropped) {
			t.Error(err)
		}
	}
	tx.Discard()
	must(t, snap.Close())
	closeDB(t, store)
}

// What closes snapshots while one is being opened leaves it no read state.
func TestASnapshotThatIsClosedWhileItOpensHoldsNothing(t *testing.T) {
	store := openMem(t, vfs.NewMem(), smallOptions())
	store.beginFilter()
	defer store.opened.endFilter()
	var over atomic.Bool
	var met atomic.Int64 // snapshots that were open
	var wg sync.WaitGroup
	wg.Go(func() {
		for !over.Load() {
			_, snapshots, _ := store.opened.closeAll()
			met.Add(int64(len(snapshots)))
		}
	})
	for i := 0; i < 20000 || met.Load() < 10; i++ {
		if s, err := store.Snapshot(); err == nil {
			if i%100 == 0 {
				runtime.Gosched() // so that they meet on one processor, too
			}
			must(t, s.Close())
		} else if !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
	}
	over.Store(true)
	wg.Wait()
	closed := make(chan error, 1)
	go func() { closed <- store.Close() }()
	select {
	case err := <-closed:
		must(t, err)
	case <-time.After(testkit.HangsAfter):
		t.Fatal("Close waits for a read state that nobody gives back")
	}
}
