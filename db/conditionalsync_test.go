package db

import (
	"bytes"
	"errors"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cordwood-db/cordwood/vfs"
)

// While a conditional write has the store to itself, others queue up behind it.
// If its sync fails, nobody may know whether it is there: they must fail as
// well, or what is published with them would show it.
func TestAFailedSyncOfAConditionalWriteThatIsAloneFailsAllBehindIt(t *testing.T) {
	for _, ext := range []string{".wal", ".vlog"} {
		t.Run(ext, func(t *testing.T) {
			fs := vfs.NewMem()
			store := openMem(t, fs, Options{SyncInterval: -1, Durability: Sync, ValueThreshold: 100})
			// Not synced, and with a value for the value log: there is one to sync, too.
			between, behind := store.NewBatch(), store.NewBatch()
			must(t, between.Put(bs("k"), CounterBytes(1)), between.Put(bs("long"), bytes.Repeat(bs("v"), 500)))
			must(t, behind.Put(bs("behind"), nil))
			var alone atomic.Bool
			fs.SetHook(func(op vfs.Op) error {
				if !alone.Load() || op.Kind != vfs.OpSync || filepath.Ext(op.Path) != ext {
					return nil
				}
				for start := time.Now(); store.pipeline.Queued() == 0 && time.Since(start) < time.Minute; {
					time.Sleep(time.Millisecond)
				}
				return syscall.EIO
			})
			late := make(chan error, 1)
			err := addAlone(store, "k", between, func() {
				alone.Store(true)
				go func() { late <- store.Apply(behind, NoSync) }()
			})
			if !errors.Is(err, syscall.EIO) {
				t.Errorf("the conditional write: %v", err)
			}
			if err := <-late; !errors.Is(err, syscall.EIO) {
				t.Errorf("a commit behind it: %v", err)
			}
			wantValue(t, store, bs("k"), CounterBytes(1))
			if ok, err := store.Has(bs("behind")); ok || err != nil {
				t.Errorf("what failed can be read: %v, %v", ok, err)
			}
			if err := store.Put(bs("k"), nil); !errors.Is(err, ErrReadOnly) {
				t.Errorf("a write later: %v", err)
			}
			fs.SetHook(nil)
			_ = store.Close() // it has failed
		})
	}
}

// addAlone adds 1 to a key that others write with between again and again, so
// that it has the store to itself in the end. It calls then when that is so.
func addAlone(store *DB, key string, between *Batch, then func()) error {
	c := store.main.newConditional(bs(key))
	defer c.free()
	c.delta = 1
	tries := 0
	return c.run(func(c *conditional) error {
		if tries++; tries > conditionalTriesMax {
			then()
			return c.add()
		}
		if err := store.Apply(between, NoSync); err != nil {
			return err
		}
		return c.add()
	})
}
