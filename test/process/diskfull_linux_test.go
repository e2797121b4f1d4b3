package process

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/cordwood-db/cordwood/db"
)

// smallDisk mounts a file system of 8 MiB.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=8m"); err != nil {
		t.Skipf("cannot mount a small file system: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	return dir
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

// disk is a store on a disk that fills up.
type disk struct {
	t     *testing.T
	store *db.DB
	n     int // values that were committed
}

func (d *disk) put() error {
	err := d.store.Put(fmt.Appendf(nil, "key/%06d", d.n), batchValue(1, d.n, d.n%3))
	if err == nil {
		d.n++
	}
	return err
}

func (d *disk) check() {
	d.t.Helper()
	for i := range d.n {
		got, err := d.store.Get(fmt.Appendf(nil, "key/%06d", i))
		if err != nil || string(got) != string(batchValue(1, i, i%3)) {
			d.t.Fatalf("key %d of %d: %d bytes, %v", i, d.n, len(got), err)
		}
	}
}

func (d *disk) fill() {
	d.t.Helper()
	for range 1_000_000 {
		if err := d.put(); err != nil {
			if !errors.Is(err, db.ErrDiskFull) {
				d.t.Fatalf("after %d values: %v", d.n, err)
			}
			return
		}
	}
	d.t.Fatal("the disk does not fill up")
}

func TestFullDiskIsReportedAndPasses(t *testing.T) {
	root := smallDisk(t)
	dir, heavy := filepath.Join(root, "store"), filepath.Join(root, "ballast")
	store, err := db.Open(dir, options())
	if err != nil {
		t.Fatal(err)
	}
	d := &disk{t: t, store: store}
	for range 200 {
		if err := d.put(); err != nil {
			t.Fatal(err)
		}
	}
	for _, leave := range []int64{0, 100 << 10, 1 << 20} {
		ballast(t, heavy, leave)
		d.fill()
		d.check()
		if err := d.put(); !errors.Is(err, db.ErrDiskFull) && err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(heavy); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		for err := d.put(); err != nil; err = d.put() {
			if !errors.Is(err, db.ErrDiskFull) || time.Since(start) > 5*time.Second {
				t.Fatalf("%v after space returned: %v", time.Since(start), err)
			}
			time.Sleep(10 * time.Millisecond)
		}
		for range 100 {
			if err := d.put(); err != nil {
				t.Fatalf("after space returned: %v", err)
			}
		}
		d.check()
	}
	ballast(t, heavy, 0)
	d.fill()
	if err := d.store.Close(); err != nil && !errors.Is(err, db.ErrDiskFull) {
		t.Fatal(err)
	}
	ballast(t, filepath.Join(root, "ballast2"), 0) // what closing has freed
	if d.store, err = db.Open(dir, options()); err != nil {
		t.Fatalf("open on a full disk: %v", err)
	}
	d.check()
	if err := errors.Join(os.Remove(heavy), os.Remove(filepath.Join(root, "ballast2"))); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	for err := d.put(); err != nil && time.Since(start) < 5*time.Second; err = d.put() {
		time.Sleep(10 * time.Millisecond)
	}
	if err := d.put(); err != nil {
		t.Fatal(err)
	}
	d.check()
	if err := d.store.Close(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d values", d.n)
}
