package db

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cordwood-db/cordwood/vfs"
)

// What a compaction has dropped as expired does not leave its contemporaries
// behind, alive, when the clock goes back: all that expired together is gone.
func TestNothingIsHalfExpiredWhenTheClockGoesBack(t *testing.T) {
	var now atomic.Int64
	now.Store(int64(time.Hour))
	opts := smallOptions()
	opts.Clock = func() time.Time { return time.Unix(0, now.Load()) }
	mem := vfs.NewMem()
	store := openMem(t, mem, opts)
	other, err := store.Keyspace("other", nil)
	must(t, err)
	key := []byte("k")
	must(t, store.PutTTL(key, nil, time.Minute), other.PutTTL(key, nil, time.Minute))
	must(t, store.Flush(t.Context()))
	now.Add(int64(time.Hour))
	must(t, store.Compact(t.Context(), All())) // of the default keyspace alone
	now.Add(-int64(time.Hour))
	check := func() {
		t.Helper()
		_, first := store.Get(key)
		_, second := other.Get(key)
		if !errors.Is(first, ErrNotFound) || !errors.Is(second, ErrNotFound) {
			t.Errorf("of two that expired together: %v, %v", first, second)
		}
	}
	check()
	closeDB(t, store)
	store = openMem(t, mem, opts)
	other, err = store.Keyspace("other", nil)
	must(t, err)
	check()
	closeDB(t, store)
}
