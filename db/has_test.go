package db

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/cordwood-db/cordwood/vfs"
)

// Has agrees with Get on what has expired, wherever it lies and whoever asks.
func TestHasDoesNotFindWhatHasExpired(t *testing.T) {
	var now atomic.Int64
	now.Store(int64(time.Hour))
	opts := smallOptions()
	opts.Clock = func() time.Time { return time.Unix(0, now.Load()) }
	store := openMem(t, vfs.NewMem(), opts)
	keys := map[string]int{"inline": 1, "separated": 1000}
	for key, n := range keys {
		must(t, store.PutTTL([]byte(key), make([]byte, n), time.Minute))
	}
	check := func(where string, want bool) {
		t.Helper()
		snapshot, err := store.Snapshot()
		must(t, err)
		defer snapshot.Close()
		tx, err := store.Begin(TxOptions{})
		must(t, err)
		defer tx.Discard()
		for key := range keys {
			for who, from := range map[string]Reader{"store": store, "snapshot": snapshot, "transaction": tx} {
				if has, err := from.Has([]byte(key)); err != nil || has != want {
					t.Errorf("%s, %s: Has(%s) = %v, %v; want %v", where, who, key, has, err, want)
				}
			}
		}
	}
	check("memtable, before", true)
	now.Add(int64(2 * time.Minute))
	check("memtable, after", false)
	now.Add(-int64(2 * time.Minute))
	must(t, store.Flush(t.Context()))
	check("table, before", true)
	now.Add(int64(2 * time.Minute))
	check("table, after", false)
	closeDB(t, store)
}
