package measure

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
)

// write makes a file and the folders above it.
func write(t *testing.T, data []byte, parts ...string) string {
	t.Helper()
	name := filepath.Join(parts...)
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestDiskBytesCountsEachFileOnce(t *testing.T) {
	dir := t.TempDir()
	if n, err := DiskBytes(dir); n != 0 || err != nil {
		t.Errorf("empty: %d, %v", n, err)
	}
	name := write(t, make([]byte, 100_000), dir, "a")
	write(t, make([]byte, 50_000), dir, "sub", "sub", "b")
	syncFile(t, dir, "a")
	syncFile(t, dir, "sub", "sub", "b")
	n, err := DiskBytes(dir)
	if err != nil || n < 150_000 || n > 400_000 {
		t.Errorf("%d, %v", n, err)
	}
	if runtime.GOOS == "windows" {
		return
	}
	for link, make := range map[string]func(string, string) error{"hard": os.Link, "soft": os.Symlink} {
		if err := make(name, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
		if again, err := DiskBytes(dir); again != n || err != nil {
			t.Errorf("with a %s link: %d, before %d, %v", link, again, n, err)
		}
	}
	// A hole of 1 GiB.
	if err := os.Truncate(name, 1<<30); err != nil {
		t.Fatal(err)
	}
	if again, err := DiskBytes(dir); again > n+1<<20 || err != nil {
		t.Errorf("with a hole: %d, before %d, %v", again, n, err)
	}
}

// syncFile makes the file system decide where a file goes, and so how much it takes.
func syncFile(t *testing.T, parts ...string) {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(parts...), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestFilesThatVanishAreSkipped(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a", "b", "c/d", "e", "f"} {
		write(t, nil, dir, name)
	}
	var seen []string
	err := eachFile(dir, func(path string, _ fs.FileInfo) error {
		seen = append(seen, filepath.Base(path))
		switch filepath.Base(path) {
		case "a": // its folder has been listed already
			return errors.Join(os.Remove(filepath.Join(dir, "b")), os.RemoveAll(filepath.Join(dir, "c")))
		case "e":
			return &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
		}
		return nil
	})
	if err != nil || !slices.Equal(seen, []string{"a", "e", "f"}) {
		t.Errorf("%v, %v", seen, err)
	}
}

func TestWhatCannotBeReadIsAnError(t *testing.T) {
	dir := t.TempDir()
	missing := filepath.Join(dir, "missing")
	if _, err := DiskBytes(missing); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("DiskBytes of nothing: %v", err)
	}
	if _, ok, err := DropCache(missing); runtime.GOOS == "linux" && (ok || !errors.Is(err, fs.ErrNotExist)) {
		t.Errorf("DropCache of nothing: %t, %v", ok, err)
	}
	write(t, nil, dir, "closed", "file")
	failure := errors.New("failure")
	if err := eachFile(dir, func(string, fs.FileInfo) error { return failure }); err != failure {
		t.Errorf("%v", err)
	}
	if runtime.GOOS == "windows" || os.Getuid() == 0 {
		return // who may read anything
	}
	if err := os.Chmod(filepath.Join(dir, "closed"), 0); err != nil {
		t.Fatal(err)
	}
	defer os.Chmod(filepath.Join(dir, "closed"), 0o700)
	if _, err := DiskBytes(dir); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("DiskBytes of a closed folder: %v", err)
	}
}
