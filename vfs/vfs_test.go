package vfs

import (
	"bytes"
	"errors"
	iofs "io/fs"
	"path/filepath"
	"testing"
)

// everyFS runs a test on the machine's file system and on the simulated one.
func everyFS(t *testing.T, fn func(t *testing.T, fs FS, dir string)) {
	t.Run("OS", func(t *testing.T) { fn(t, OS(), t.TempDir()) })
	t.Run("Mem", func(t *testing.T) {
		m := NewMem()
		must(t, m.MkdirAll("/db"))
		fn(t, m, "/db")
		if n := m.OpenHandles(); n != 0 {
			t.Errorf("%d handles left open", n)
		}
	})
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestWriteFileAtomicReplacesAndLeavesNothingBehind(t *testing.T) {
	everyFS(t, func(t *testing.T, fs FS, dir string) {
		path := filepath.Join(dir, "CURRENT")
		for _, data := range []string{"one", "a longer two", ""} {
			must(t, WriteFileAtomic(fs, path, []byte(data)))
			got, err := ReadFile(fs, path, 100)
			must(t, err)
			if !bytes.Equal(got, []byte(data)) {
				t.Fatalf("got %q, want %q", got, data)
			}
		}
		infos, err := fs.List(dir)
		must(t, err)
		if len(infos) != 1 || infos[0].Name != "CURRENT" {
			t.Fatalf("left behind: %v", infos)
		}
		if _, err := ReadFile(fs, filepath.Join(dir, "nothing"), 100); !errors.Is(err, iofs.ErrNotExist) {
			t.Fatalf("missing file: %v", err)
		}
	})
}

func TestLockRefusesASecondHandle(t *testing.T) {
	everyFS(t, func(t *testing.T, fs FS, dir string) {
		path := filepath.Join(dir, "LOCK")
		l, err := fs.Lock(path)
		must(t, err)
		if _, err := fs.Lock(path); !errors.Is(err, ErrLocked) {
			t.Fatalf("second lock: %v", err)
		}
		must(t, l.Close())
		l, err = fs.Lock(path)
		must(t, err)
		must(t, l.Close())
	})
}
