//go:build linux || darwin

package vfs

import (
	"io"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// A child has copies of all descriptors until it has loaded its program: that a
// process starts one while it closes a store must not lock the next owner out.
func TestLockIsFreeThoughAChildHasACopyOfItsDescriptor(t *testing.T) {
	path := filepath.Join(t.TempDir(), "LOCK")
	for i, lock := range []func(FS, string) (io.Closer, error){FS.Lock, FS.LockShared} {
		l, err := lock(OS(), path)
		must(t, err)
		held, ok := l.(*heldLock)
		if !ok {
			t.Fatalf("%T", l)
		}
		inherited, err := unix.Dup(int(held.f.Fd()))
		must(t, err)
		must(t, l.Close())
		next, err := OS().Lock(path)
		if err != nil {
			t.Fatalf("lock %d was given up: %v", i, err)
		}
		must(t, next.Close())
		must(t, unix.Close(inherited))
	}
}
