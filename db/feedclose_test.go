package db

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cordwood-db/cordwood/vfs"
)

// Whatever is being called when the store is closed returns, with ErrClosed if
// it came too late.
func TestCloseBesideCallsOnKeyspacesAndFeeds(t *testing.T) {
	for round := range 20 {
		opts := smallOptions()
		opts.FeedBytes = int64(round%2) << 20
		store := openMem(t, vfs.NewMem(), opts)
		shared := openSpace(t, store, "shared", nil)
		must(t, shared.Put([]byte("k"), nil))
		calls := []func(i int) error{
			func(i int) error { return shared.Put([]byte("k"), make([]byte, 300)) },
			func(i int) error {
				_, err := store.Keyspace(fmt.Sprint("s", i%3), nil)
				return err
			},
			func(i int) error { return store.DropKeyspace(fmt.Sprint("s", i%3)) },
			func(i int) error { return shared.Compact(context.Background(), All()) },
			func(i int) error {
				f, err := store.Subscribe(FeedOptions{Resume: i%2 == 0})
				if err != nil {
					return err
				}
				b, err := f.Next(context.Background())
				if err == nil && len(b.Changes) > 0 {
					_, err = b.Changes[0].Value()
				}
				return errors.Join(err, f.Close())
			},
			func(i int) error {
				snap, err := store.Snapshot()
				if err != nil {
					return err
				}
				_, err = snap.In(shared).Get([]byte("k"))
				return errors.Join(err, snap.Close())
			},
		}
		var wg sync.WaitGroup
		var made atomic.Int64
		for _, call := range calls {
			wg.Go(func() {
				for i := 0; ; i++ {
					err := call(i)
					made.Add(1)
					switch {
					case errors.Is(err, ErrClosed):
						return
					case err != nil && !errors.Is(err, ErrNoKeyspace) && !errors.Is(err, ErrFeedBehind):
						t.Error(err)
						return
					}
				}
			})
		}
		afterCalls(t, &made, int64(round*20))
		closeDB(t, store)
		wg.Wait()
	}
}

// A commit whose sync failed is never delivered; the feed then ends with the
// failure.
func TestFeedsOfAFailedStoreEndBehindWhatWasCommitted(t *testing.T) {
	for _, durable := range []bool{false, true} {
		fs := vfs.NewMem()
		var broken atomic.Bool
		fs.SetHook(func(op vfs.Op) error {
			if broken.Load() && op.Kind == vfs.OpSync && filepath.Ext(op.Path) == ".wal" {
				return syscall.EIO
			}
			return nil
		})
		opts := smallOptions()
		opts.SyncInterval = -1
		store := openMem(t, fs, opts)
		f := subscribe(t, store, FeedOptions{Durable: durable})
		must(t, store.Put([]byte("a"), nil), store.Sync())
		broken.Store(true)
		b := store.NewBatch()
		must(t, b.Put([]byte("b"), nil))
		if err := store.Apply(b, Sync); !errors.Is(err, ErrReadOnly) {
			t.Fatal(err)
		}
		if got := nextBatch(t, f); got != "put /a" {
			t.Error(got)
		}
		if _, err := f.Next(context.Background()); !errors.Is(err, ErrReadOnly) || !errors.Is(err, syscall.EIO) {
			t.Error(err)
		}
		must(t, f.Close())
		if err := store.Close(); !errors.Is(err, syscall.EIO) {
			t.Error(err)
		}
	}
}

// Retained segments are nobody's business in a read-only store, nor in a
// checkpoint.
func TestReadOnlyOpenBesideRetainedSegments(t *testing.T) {
	fs := vfs.NewMem()
	opts := smallOptions()
	opts.FeedBytes = 1 << 30
	store := openMem(t, fs, opts)
	for i := range 200 {
		must(t, store.Put(fmt.Append(nil, i), make([]byte, 300)))
		if i%20 == 0 {
			must(t, store.Flush(context.Background()))
		}
	}
	must(t, store.Checkpoint(context.Background(), "/copy"))
	fs = killed(t, fs, store)
	changes := 0
	fs.SetHook(func(op vfs.Op) error {
		if op.Kind.Mutates() && op.Kind != vfs.OpLock {
			changes++
		}
		return nil
	})
	opts.ReadOnly = true
	reader := openMem(t, fs, opts)
	if n := len(contentsOf(t, reader)); n != 200 {
		t.Errorf("%d keys", n)
	}
	if _, err := reader.Subscribe(FeedOptions{}); !errors.Is(err, ErrReadOnly) {
		t.Error(err)
	}
	closeDB(t, reader)
	if changes > 0 {
		t.Errorf("%d changes", changes)
	}
	fs.SetHook(nil)
	opts.ReadOnly, opts.FS = false, fs
	made, err := Open("/copy", &opts)
	must(t, err)
	if n := len(contentsOf(t, made)); n != 200 {
		t.Errorf("%d keys in the checkpoint", n)
	}
	closeDB(t, made)
}
