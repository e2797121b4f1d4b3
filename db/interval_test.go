package db

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cordwood-db/cordwood/vfs"
)

// What is committed without a sync survives a power loss once SyncInterval is
// over, though nobody asks for anything.
func TestCommitsBecomeDurableByThemselves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := vfs.NewMem()
		opts := smallOptions()
		opts.SyncInterval = 50 * time.Millisecond
		store := openMem(t, fs, opts)
		for i := range 3 {
			key := fmt.Appendf(nil, "k%d", i)
			value := make([]byte, 1+i*4000) // the last ones go to the value log
			must(t, store.Put(key, value))
			time.Sleep(2 * opts.SyncInterval)
			synctest.Wait()
			after := openMem(t, fs.CrashClone(nil), opts)
			got, err := after.Get(key)
			if err != nil || len(got) != len(value) {
				t.Errorf("%s after a power loss: %d bytes, %v", key, len(got), err)
			}
			closeDB(t, after)
		}
		closeDB(t, store)
	})
}
