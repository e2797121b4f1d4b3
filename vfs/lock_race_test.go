package vfs

import (
	"errors"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
)

// Owners that remove the lock's file come and go: whoever opened the file
// before it was removed, and locks it afterwards, is no owner.
func TestNobodyOwnsALockWhoseFileIsGone(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("an open file cannot be removed")
	}
	fs, path := OS(), filepath.Join(t.TempDir(), "LOCK")
	var owners, taken atomic.Int32
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for taken.Load() < 3000 && !t.Failed() {
				l, err := fs.Lock(path)
				if errors.Is(err, ErrLocked) {
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
				taken.Add(1)
				if n := owners.Add(1); n != 1 {
					t.Errorf("%d owners", n)
				}
				runtime.Gosched()
				owners.Add(-1)
				if err := errors.Join(fs.Remove(path), l.Close()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}
