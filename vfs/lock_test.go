package vfs

import (
	"errors"
	iofs "io/fs"
	"path/filepath"
	"testing"
)

func TestSharedLocksExcludeOnlyTheExclusiveOne(t *testing.T) {
	for name, fsys := range map[string]FS{"os": OS(), "mem": NewMem(), "faulty": NewFaulty(NewMem(), nil)} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := fsys.MkdirAll(dir); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, "LOCK")
			if _, err := fsys.LockShared(path); !errors.Is(err, iofs.ErrNotExist) {
				t.Fatalf("shared lock of a missing file: %v", err)
			}
			own, err := fsys.Lock(path)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := fsys.LockShared(path); !errors.Is(err, ErrLocked) {
				t.Fatalf("shared beside exclusive: %v", err)
			}
			if err := own.Close(); err != nil {
				t.Fatal(err)
			}
			a, errA := fsys.LockShared(path)
			b, errB := fsys.LockShared(path)
			if err := errors.Join(errA, errB); err != nil {
				t.Fatal(err)
			}
			if err := a.Close(); err != nil {
				t.Fatal(err)
			}
			if _, err := fsys.Lock(path); !errors.Is(err, ErrLocked) {
				t.Fatalf("exclusive beside shared: %v", err)
			}
			if err := b.Close(); err != nil {
				t.Fatal(err)
			}
			own, err = fsys.Lock(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := own.Close(); err != nil {
				t.Fatal(err)
			}
		})
	}
}
