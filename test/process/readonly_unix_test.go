//go:build unix

package process

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/cordwood-db/cordwood/db"
)

// nobody is a user that owns nothing.
const nobody = 65534

// listing describes every file of a directory, and itself.
func listing(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err == nil {
			fmt.Fprintln(&b, path, info.Size(), info.ModTime(), info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// copySelf puts the test binary where everybody may run it.
func copySelf(t *testing.T, to string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	src, err := os.Open(self)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	dst, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(dst, src); err != nil {
		t.Fatal(err)
	}
	if err := dst.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestReadOnlyOpenNeedsNoRightToWriteAndWritesNothing(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root, to become another user")
	}
	root, err := os.MkdirTemp("", "cordwood-readonly")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(root) })
	dir := filepath.Join(root, "store")
	store, err := db.Open(dir, options())
	if err != nil {
		t.Fatal(err)
	}
	const n = 2000
	for i := range n {
		if err := store.Put(batchKey(0, i, 0), batchValue(0, i, 0)); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	exe := filepath.Join(root, "child")
	copySelf(t, exe)
	for path, mode := range map[string]os.FileMode{root: 0o755, dir: 0o555} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if err := os.Chmod(filepath.Join(dir, f.Name()), 0o444); err != nil {
			t.Fatal(err)
		}
	}
	before := listing(t, dir)
	c := startChild(t, "reader", dir, func(cmd *exec.Cmd) {
		cmd.Path = exe
		cmd.Dir = root
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	})
	line := c.line()
	if err := c.cmd.Wait(); err != nil || !strings.HasPrefix(line, fmt.Sprintf("read %d ", n)) {
		t.Fatalf("%q, %v: %s", line, err, c.err.String())
	}
	if after := listing(t, dir); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
}
