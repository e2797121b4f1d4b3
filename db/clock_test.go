package db

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cordwood-db/cordwood/vfs"
)

// TestTimeToLiveCountsFromTheExpiryHorizon: when a clock that ran ahead is set
// right, new values must not count as expired with those that were dropped.
func TestTimeToLiveCountsFromTheExpiryHorizon(t *testing.T) {
	var now atomic.Int64
	now.Store(time.Hour.Nanoseconds())
	store := openMem(t, vfs.NewMem(), Options{Clock: func() time.Time { return time.Unix(0, now.Load()) }})
	defer closeDB(t, store)
	now.Add(24 * time.Hour.Nanoseconds()) // wrong
	if err := store.PutTTL([]byte("a"), []byte("v"), time.Second); err != nil {
		t.Fatal(err)
	}
	now.Add(2 * time.Second.Nanoseconds())
	if err := store.Compact(context.Background(), All()); err != nil {
		t.Fatal(err)
	}
	now.Store(time.Hour.Nanoseconds())
	if err := store.PutTTL([]byte("b"), []byte("v"), time.Minute); err != nil {
		t.Fatal(err)
	}
	batch := store.NewBatch()
	if err := errors.Join(batch.PutTTL([]byte("c"), []byte("v"), time.Minute), store.Apply(batch, NoSync)); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"b", "c"} {
		if _, err := store.Get([]byte(key)); err != nil {
			t.Errorf("%s: %v", key, err)
		}
	}
}
