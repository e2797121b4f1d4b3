package db

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cordwood-db/cordwood/vfs"
)

// The store made of a checkpoint goes on counting, also where no entry has the
// last number: positions of feeds stay what they were.
func TestACheckpointGoesOnCounting(t *testing.T) {
	mem := vfs.NewMem()
	store := openMem(t, mem, smallOptions())
	last := func(store *DB) uint64 {
		s, err := store.Snapshot()
		must(t, err)
		defer s.Close()
		return s.Seq()
	}
	must(t, store.Put([]byte("k"), nil), store.Delete([]byte("nothing")))
	must(t, store.Checkpoint(t.Context(), "/copy"))
	opts := smallOptions()
	opts.FS = mem
	made, err := Open("/copy", &opts)
	must(t, err)
	if got, want := last(made), last(store); got != want {
		t.Errorf("the checkpoint's store is at %d, not at %d", got, want)
	}
	closeDB(t, made)
	closeDB(t, store)
}

// A feed that waits hears of a commit from the commit, not from the next sync.
func TestACommitWakesTheFeedsThatWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opts := smallOptions()
		opts.SyncInterval = -1
		store := openMem(t, vfs.NewMem(), opts)
		f := subscribe(t, store, FeedOptions{})
		told := make(chan error, 1)
		ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
		defer cancel()
		go func() {
			_, err := f.Next(ctx)
			told <- err
		}()
		synctest.Wait() // until it waits
		must(t, store.Put([]byte("k"), nil))
		must(t, <-told)
		must(t, f.Close())
		closeDB(t, store)
	})
}

// Files that no version names are what a crash leaves: an open removes them.
func TestFilesThatNobodyNamesGoAtTheNextOpen(t *testing.T) {
	mem := vfs.NewMem()
	store := openMem(t, mem, smallOptions())
	must(t, store.Put([]byte("k"), make([]byte, 1000)), store.Flush(t.Context()))
	closeDB(t, store)
	orphans := []string{"000777.sst", "000778.vlog", "MANIFEST-000779", "CURRENT.tmp"}
	for _, name := range orphans {
		f, err := mem.Create(filepath.Join("/db", name))
		must(t, err)
		_, err = f.WriteAt([]byte("left by a crash"), 0)
		must(t, err, f.Close())
	}
	store = openMem(t, mem, smallOptions())
	for _, name := range orphans {
		if _, err := mem.Stat(filepath.Join("/db", name)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", name, err)
		}
	}
	holds(t, store, "k", string(make([]byte, 1000)))
	closeDB(t, store)
}
