package vfs

import (
	"errors"
	iofs "io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

func TestLockDiesWithItsProcess(t *testing.T) {
	if path := os.Getenv("CORDWOOD_TEST_LOCK"); path != "" { // the child
		_, err := OS().Lock(path)
		must(t, err)
		os.Stdout.WriteString("locked\n")
		select {}
	}
	path := filepath.Join(t.TempDir(), "LOCK")
	exe, err := os.Executable()
	must(t, err)
	child := exec.Command(exe, "-test.run=^TestLockDiesWithItsProcess$")
	child.Env = append(os.Environ(), "CORDWOOD_TEST_LOCK="+path)
	out, err := child.StdoutPipe()
	must(t, err)
	must(t, child.Start())
	buf := make([]byte, 7)
	_, readErr := out.Read(buf)
	_, lockErr := OS().Lock(path)
	must(t, child.Process.Kill())
	if err := child.Wait(); err == nil {
		t.Error("the child was to be killed")
	}
	must(t, readErr)
	if !errors.Is(lockErr, ErrLocked) || !strings.Contains(lockErr.Error(), path) {
		t.Errorf("while the child held it: %v", lockErr)
	}
	l, err := OS().Lock(path)
	must(t, err)
	must(t, l.Close())
}

func TestLockOnAReplacedFileIsNotTrusted(t *testing.T) {
	everyFS(t, func(t *testing.T, fs FS, dir string) {
		path := filepath.Join(dir, "LOCK")
		l, err := fs.Lock(path)
		must(t, err)
		must(t, fs.Remove(path))
		l2, err := fs.Lock(path) // another file: free
		must(t, err)
		if _, err := fs.Lock(path); !errors.Is(err, ErrLocked) {
			t.Errorf("third: %v", err)
		}
		must(t, l.Close())
		if _, err := fs.Lock(path); !errors.Is(err, ErrLocked) {
			t.Errorf("after closing the first: %v", err)
		}
		must(t, l2.Close())
	})
}

func TestReadingNeedsNoWritePermission(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("modes mean little there")
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	must(t, os.WriteFile(path, []byte("data"), 0o444))
	must(t, os.WriteFile(filepath.Join(dir, "LOCK"), nil, 0o444))
	must(t, os.Chmod(dir, 0o555))
	defer os.Chmod(dir, 0o755)
	data, err := ReadFile(OS(), path, 4)
	if err != nil || string(data) != "data" {
		t.Fatalf("%q, %v", data, err)
	}
	l, err := OS().Lock(filepath.Join(dir, "LOCK")) // an existing file can be locked
	must(t, err)
	must(t, l.Close())
	f, err := OS().Open(path)
	must(t, err)
	defer f.Close()
	if _, err := f.WriteAt([]byte("x"), 0); err == nil {
		t.Error("wrote through a read-only handle")
	}
	if err := f.Truncate(0); err == nil {
		t.Error("truncated through a read-only handle")
	}
}

func TestOSErrorsKeepErrnoAndPath(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs /dev/full")
	}
	f, err := OS().OpenReadWrite("/dev/full")
	must(t, err)
	defer f.Close()
	n, err := f.WriteAt([]byte("x"), 0)
	if n != 0 || !errors.Is(err, syscall.ENOSPC) || !IsNoSpace(err) || !strings.Contains(err.Error(), "/dev/full") {
		t.Errorf("%d, %v", n, err)
	}
	if err := f.Preallocate(0, 10); err == nil || !strings.Contains(err.Error(), "/dev/full") {
		t.Errorf("preallocate on a device: %v", err)
	}
	if err := f.Flush(0, 10); err != nil {
		t.Errorf("flush on a device: %v", err)
	}
	missing := filepath.Join(t.TempDir(), "x", "y")
	_, errFree := OS().Free(missing)
	_, errLock := OS().Lock(missing)
	for i, err := range []error{OS().SyncDir(missing), errFree, errLock} {
		if !errors.Is(err, iofs.ErrNotExist) || !strings.Contains(err.Error(), missing) {
			t.Errorf("%d: %v", i, err)
		}
	}
}

func TestClosedFilesSaySo(t *testing.T) {
	everyFS(t, func(t *testing.T, fs FS, dir string) {
		f, err := fs.Create(filepath.Join(dir, "f"))
		must(t, err)
		must(t, f.Close())
		_, rerr := f.ReadAt(make([]byte, 1), 0)
		_, werr := f.WriteAt(make([]byte, 1), 0)
		_, serr := f.Size()
		for i, err := range []error{rerr, werr, serr, f.Sync(), f.Flush(0, 1), f.Preallocate(0, 1), f.Truncate(1), f.Close()} {
			if !errors.Is(err, iofs.ErrClosed) {
				t.Errorf("%d: %v", i, err)
			}
		}
	})
}

func TestRangesOutOfBoundsAreRefused(t *testing.T) {
	everyFS(t, func(t *testing.T, fs FS, dir string) {
		f, err := fs.Create(filepath.Join(dir, "f"))
		must(t, err)
		defer func() { must(t, f.Close()) }()
		const big = int64(^uint64(0) >> 1)
		for i, err := range []error{f.Preallocate(-1, 1), f.Preallocate(1, -1), f.Preallocate(big, 2), f.Flush(-1, 1), f.Flush(big, 2), f.Truncate(-1)} {
			if err == nil {
				t.Errorf("%d: no error", i)
			}
		}
		if _, err := f.WriteAt([]byte("x"), -1); err == nil {
			t.Error("wrote at a negative offset")
		}
		if size, err := f.Size(); size != 0 || err != nil {
			t.Errorf("size %d, %v", size, err)
		}
	})
}

func TestFreeIsPlausible(t *testing.T) {
	n, err := OS().Free(t.TempDir())
	if err != nil || n == 0 {
		t.Errorf("%d, %v", n, err)
	}
}

func TestReadFileRefusesMoreThanMax(t *testing.T) {
	everyFS(t, func(t *testing.T, fs FS, dir string) {
		path := filepath.Join(dir, "f")
		must(t, WriteFileAtomic(fs, path, []byte("12345")))
		if _, err := ReadFile(fs, path, 4); err == nil || !strings.Contains(err.Error(), "limit of 4") {
			t.Errorf("got %v", err)
		}
	})
}

func TestHandlesSurviveRenameAndRemove(t *testing.T) {
	everyFS(t, func(t *testing.T, fs FS, dir string) {
		f, err := fs.Create(filepath.Join(dir, "a"))
		must(t, err)
		must(t, fs.Rename(filepath.Join(dir, "a"), filepath.Join(dir, "b")))
		_, err = f.WriteAt([]byte("one"), 0)
		must(t, err)
		data, err := ReadFile(fs, filepath.Join(dir, "b"), 10)
		if err != nil || string(data) != "one" {
			t.Errorf("%q, %v", data, err)
		}
		must(t, fs.Remove(filepath.Join(dir, "b")))
		buf := make([]byte, 3)
		if _, err := f.ReadAt(buf, 0); err != nil || string(buf) != "one" {
			t.Errorf("%q, %v", buf, err)
		}
		must(t, f.Sync())
		must(t, f.Close())
	})
}
