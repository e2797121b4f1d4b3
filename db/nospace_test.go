package db

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cordwood-db/cordwood/internal/testkit"
	"github.com/cordwood-db/cordwood/vfs"
)

// fullValueLog makes writes to value-log files fail for lack of space while it
// is set.
func fullValueLog(fs *vfs.Mem) *atomic.Bool {
	full := new(atomic.Bool)
	fs.SetHook(func(op vfs.Op) error {
		if full.Load() && op.Kind == vfs.OpWrite && filepath.Ext(op.Path) == ".vlog" {
			return syscall.ENOSPC
		}
		return nil
	})
	return full
}

func TestSyncWhileTheValueLogHasNoRoomIsNoFailure(t *testing.T) {
	fs := vfs.NewMem()
	full := fullValueLog(fs)
	store := openMem(t, fs, Options{SyncInterval: -1})
	defer closeDB(t, store)
	value := bytes.Repeat([]byte("v"), 2000)
	if err := store.Put([]byte("a"), value); err != nil {
		t.Fatal(err)
	}
	full.Store(true)
	if err := store.Put([]byte("b"), value); !errors.Is(err, ErrDiskFull) {
		t.Fatalf("put on a full disk: %v", err)
	}
	if err := store.Sync(); err != nil {
		t.Fatalf("sync of what was written before: %v", err)
	}
	full.Store(false)
	if err := store.Put([]byte("c"), value); err != nil {
		t.Fatalf("put after space came back: %v", err)
	}
}

func TestFlushThatSeparatesValuesIsTriedAgainWhenSpaceReturns(t *testing.T) {
	fs := vfs.NewMem()
	full := fullValueLog(fs)
	store := openMem(t, fs, Options{Durability: Sync})
	defer closeDB(t, store)
	value := bytes.Repeat([]byte("v"), 2000)
	// Two: the second file must be there before the disk is full.
	if err := store.Put([]byte("a"), value); err != nil {
		t.Fatal(err)
	}
	if err := store.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := store.Put([]byte("b"), value); err != nil {
		t.Fatal(err)
	}
	full.Store(true)
	if err := store.Flush(context.Background()); !errors.Is(err, ErrDiskFull) || errors.Is(err, ErrReadOnly) {
		t.Fatalf("flush on a full disk: %v", err)
	}
	full.Store(false)
	if err := store.Flush(context.Background()); err != nil {
		t.Fatalf("flush after space came back: %v", err)
	}
	for _, key := range []string{"a", "b"} {
		if got, err := store.Get([]byte(key)); err != nil || !bytes.Equal(got, value) {
			t.Fatalf("%s: %d bytes, %v", key, len(got), err)
		}
	}
}

// A transaction that has to be checked again does not wait for commits of its
// group that failed, and that nobody will ever see.
func TestATransactionDoesNotWaitForAGroupThatFailed(t *testing.T) {
	fs := vfs.NewMem()
	full := fullValueLog(fs)
	store := openMem(t, fs, Options{SyncInterval: -1})
	defer closeDB(t, store)
	must(t, store.Put(bs("v"), bytes.Repeat(bs("v"), 2000)))
	must(t, store.pipeline.Exclusive(func() error { store.w.recent.max = 1; return nil }))
	large := store.NewBatch()
	for i := range 10 {
		must(t, large.Put(fmt.Append(nil, i), bytes.Repeat(bs("v"), 2000)))
	}
	tx := mustTx(t, store, TxOptions{})
	get("k")(t, tx, nil)
	must(t, tx.Put(bs("j"), nil))
	full.Store(true)
	done := make(chan []error, 1)
	go func() {
		done <- heldUp(t, store,
			func() error { return store.Apply(large, NoSync) },
			tx.Commit,
		)
	}()
	select {
	case errs := <-done:
		if !errors.Is(errs[0], ErrDiskFull) {
			t.Error(errs[0])
		}
		if errs[1] != nil && !errors.Is(errs[1], ErrDiskFull) {
			t.Error(errs[1])
		}
	case <-time.After(testkit.HangsAfter):
		t.Fatal("the transaction still waits")
	}
	full.Store(false)
}
