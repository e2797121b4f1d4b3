package db

import (
	"testing"

	"github.com/cordwood-db/cordwood/vfs"
)

// Commits that a power loss takes may have left traces, in the value log for
// one: their sequence numbers are not given to others.
func TestNumbersOfLostCommitsAreNotGivenAgain(t *testing.T) {
	fs := vfs.NewMem()
	opts := smallOptions()
	opts.SyncInterval = -1
	store := openMem(t, fs, opts)
	last := func(store *DB) uint64 {
		s, err := store.Snapshot()
		must(t, err)
		defer s.Close()
		return s.Seq()
	}
	must(t, store.Put([]byte("kept"), make([]byte, 1000)), store.Sync())
	kept := last(store)
	for range 3 {
		must(t, store.Put([]byte("lost"), make([]byte, 1000)))
	}
	lost := last(store)
	after := openMem(t, fs.CrashClone(nil), opts)
	if n := last(after); n != kept {
		t.Fatalf("the store comes back at %d, not at %d", n, kept)
	}
	must(t, after.Put([]byte("new"), nil))
	if n := last(after); n <= lost {
		t.Errorf("a new commit has number %d, a lost one had %d", n, lost)
	}
	closeDB(t, after)
	closeDB(t, store)
}
