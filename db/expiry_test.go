package db

import (
	"bytes"
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cordwood-db/cordwood/vfs"
)

// TestReplayGoesOnPastAValueThatExpiredWithItsFile: a commit in the log may
// point into a file that was dropped since, because all in it had expired. That
// is no torn write.
func TestReplayGoesOnPastAValueThatExpiredWithItsFile(t *testing.T) {
	fs := vfs.NewMem()
	var now atomic.Int64
	now.Store(time.Hour.Nanoseconds())
	opts := Options{SyncInterval: -1, Clock: func() time.Time { return time.Unix(0, now.Load()) }}
	store := openMem(t, fs, opts)
	if err := store.Put([]byte("a"), []byte("older")); err != nil {
		t.Fatal(err)
	}
	if err := store.PutTTL([]byte("a"), bytes.Repeat([]byte("v"), 2000), time.Second); err != nil {
		t.Fatal(err)
	}
	if err := store.Put([]byte("b"), []byte("later")); err != nil {
		t.Fatal(err)
	}
	now.Add(2 * time.Second.Nanoseconds())
	if err := store.CollectGarbage(context.Background(), 0.5); err != nil {
		t.Fatal(err)
	}
	if n := store.Metrics().Collections; n == 0 {
		t.Fatal("nothing was collected")
	}
	killed := fs.KillClone()
	closeDB(t, store)
	now.Store(time.Hour.Nanoseconds()) // the clock may well be behind
	store = openMem(t, killed, opts)
	defer closeDB(t, store)
	if got, err := store.Get([]byte("b")); err != nil || string(got) != "later" {
		t.Fatalf("b: %q, %v", got, err)
	}
	if got, err := store.Get([]byte("a")); !errors.Is(err, ErrNotFound) {
		t.Fatalf("a: %q, %v", got, err)
	}
}
