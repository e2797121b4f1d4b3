package db

import (
	"bytes"
	"context"
	"errors"
	"syscall"
	"testing"
	"time"

	"github.com/cordwood-db/cordwood/vfs"
)

// A flush may pin one value-log file for long. Were the others to wait for it,
// the worker that seals them would look again and again.
func TestValueLogFilesDoNotWaitForAPinnedOneToBeSealed(t *testing.T) {
	store := openMem(t, vfs.NewMem(), Options{})
	defer closeDB(t, store)
	a := &store.active
	retire := func() *valueFile {
		t.Helper()
		if err := store.Put([]byte("k"), bytes.Repeat([]byte("v"), 2000)); err != nil {
			t.Fatal(err)
		}
		a.mu.Lock()
		f := a.values
		a.mu.Unlock()
		return f
	}
	store.gcMu.Lock() // the worker waits
	first := retire()
	a.mu.Lock()
	a.pinLocked(first.num)
	a.mu.Unlock()
	a.retire(0, store.w.applied)
	second := retire()
	a.retire(0, store.w.applied)
	if err := store.sealReplaced(); err != nil {
		t.Fatal(err)
	}
	store.gcMu.Unlock()
	if first.sealed != nil || second.sealed == nil {
		t.Fatalf("sealed: pinned %v, other %v", first.sealed != nil, second.sealed != nil)
	}
	if f := store.sealable(); f != nil {
		t.Fatal("more to seal")
	}
	a.unpin(first.num)
}

func TestCollectionSealsAfterACommitThatFailed(t *testing.T) {
	fs := vfs.NewMem()
	store := openMem(t, fs, Options{Clock: func() time.Time { return time.Unix(1, 0) }})
	defer closeDB(t, store)
	value := bytes.Repeat([]byte("v"), 2000)
	if err := store.Put([]byte("k"), value); err != nil {
		t.Fatal(err)
	}
	fs.SetHook(func(op vfs.Op) error {
		if op.Kind == vfs.OpWrite {
			return syscall.ENOSPC
		}
		return nil
	})
	if err := store.Put([]byte("k"), value); !errors.Is(err, ErrDiskFull) {
		t.Fatal(err)
	}
	fs.SetHook(nil)
	if err := store.CollectGarbage(context.Background(), 0.5); err != nil {
		t.Fatal(err)
	}
	version := store.set.Current()
	defer version.Unref()
	sealed := 0
	for _, m := range version.Vlogs {
		if m.Sealed {
			sealed++
		}
	}
	if sealed == 0 {
		t.Fatal("the file of the value was not sealed")
	}
}
