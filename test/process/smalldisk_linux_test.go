package process

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// smallDisk is a file system that is full soon.
type smallDisk struct {
	name  string
	mount func(t *testing.T) (dir string)
}

var smallDisks = []smallDisk{
	{"tmpfs", mountTmpfs},
	{"ext4", func(t *testing.T) string { return mountLoop(t, 32<<20, "ext4", "-m", "0") }},
	// Blocks of the smallest size, and so little of a journal that it must be
	// written back while the disk is full.
	{"ext4 with blocks of 1 KiB", func(t *testing.T) string {
		return mountLoop(t, 16<<20, "ext4", "-m", "0", "-b", "1024", "-J", "size=1")
	}},
}

// mountTmpfs mounts a file system of 8 MiB that lies in memory.
func mountTmpfs(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=8m"); err != nil {
		t.Skipf("cannot mount a tmpfs: %v", err)
	}
	t.Cleanup(func() { unmount(t, dir) })
	return dir
}

// mountLoop makes a file system in a file of so many bytes and mounts it. That
// takes root, loop devices and mkfs; without them the test is skipped.
func mountLoop(t *testing.T, bytes int64, kind string, mkfsArgs ...string) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("mounting a file takes root")
	}
	if _, err := os.Stat("/dev/loop-control"); err != nil {
		t.Skipf("there are no loop devices: %v", err)
	}
	mkfs, err := exec.LookPath("mkfs." + kind)
	if err != nil {
		t.Skipf("cannot make a file system: %v", err)
	}
	image, dir := filepath.Join(t.TempDir(), "image"), t.TempDir()
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(image, bytes); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(mkfs, append(mkfsArgs, "-q", "-F", image)...).CombinedOutput(); err != nil {
		t.Skipf("%s %v: %v\n%s", mkfs, mkfsArgs, err, out)
	}
	if out, err := exec.Command("mount", "-t", kind, "-o", "loop", image, dir).CombinedOutput(); err != nil {
		t.Skipf("cannot mount a file as %s: %v\n%s", kind, err, out)
	}
	t.Cleanup(func() { unmount(t, dir) })
	return dir
}

// unmount takes the file system away; a loop device goes with it.
func unmount(t *testing.T, dir string) {
	t.Helper()
	err := syscall.Unmount(dir, 0)
	for range 1200 { // others on the machine may be looking at it
		if err != syscall.EBUSY {
			break
		}
		time.Sleep(100 * time.Millisecond)
		err = syscall.Unmount(dir, 0)
	}
	if err != nil {
		t.Errorf("something is left open: unmount: %v", err)
		_ = syscall.Unmount(dir, syscall.MNT_DETACH)
	}
}

// ballast takes all the space that there is but for leave bytes.
func ballast(t *testing.T, path string, leave int64) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for size := 64 << 10; size > 0; size /= 2 {
		for {
			if _, err := f.Write(make([]byte, size)); err != nil {
				break
			}
		}
	}
	info, err := f.Stat()
	if err == nil {
		err = f.Truncate(max(info.Size()-leave, 0))
	}
	if err != nil {
		t.Fatal(err)
	}
}
