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

// resumeMax is how long a store may take until it writes again. What it promises
// is five seconds, which package fault checks on a simulated disk and clock; here
// the machine may have other things to do.
const resumeMax = 2 * time.Minute

// disk is a store on a disk that fills up.
type disk struct {
	t     *testing.T
	dir   string
	store *db.DB
	n     int // values that were committed
}

func (d *disk) open() {
	d.t.Helper()
	store, err := db.Open(d.dir, options())
	if err != nil {
		d.t.Fatalf("open: %v", err)
	}
	d.store = store
}

func (d *disk) put() error {
	err := d.store.Put(fmt.Appendf(nil, "key/%06d", d.n), batchValue(1, d.n, d.n%3))
	if err == nil {
		d.n++
	}
	return err
}

// check sees that every value is there, one by one and in a scan.
func (d *disk) check() {
	d.t.Helper()
	for i := range d.n {
		got, err := d.store.Get(fmt.Appendf(nil, "key/%06d", i))
		if err != nil || string(got) != string(batchValue(1, i, i%3)) {
			d.t.Fatalf("key %d of %d: %d bytes, %v", i, d.n, len(got), err)
		}
	}
	i := 0
	for it, err := range d.store.Scan(db.All()) {
		if err != nil {
			d.t.Fatal(err)
		}
		if want := fmt.Sprintf("key/%06d", i); string(it.Key()) != want {
			d.t.Fatalf("scan: %q, want %q", it.Key(), want)
		}
		i++
	}
	if i != d.n {
		d.t.Fatalf("scan: %d keys, want %d", i, d.n)
	}
}

// fill writes until there is no room.
func (d *disk) fill() {
	d.t.Helper()
	for range 1_000_000 {
		if err := d.put(); err != nil {
			d.full(err)
			return
		}
	}
	d.t.Fatal("the disk does not fill up")
}

// full sees that an error says that the disk is full.
func (d *disk) full(err error) {
	d.t.Helper()
	if !errors.Is(err, db.ErrDiskFull) || !errors.Is(err, syscall.ENOSPC) {
		d.t.Fatalf("after %d values: %v", d.n, err)
	}
}

// resume sees that the store takes writes again now that there is room.
func (d *disk) resume() {
	d.t.Helper()
	start := time.Now()
	for err := d.put(); err != nil; err = d.put() {
		d.full(err)
		if time.Since(start) > resumeMax {
			d.t.Fatalf("%v after space returned: %v", time.Since(start), err)
		}
		time.Sleep(10 * time.Millisecond)
	}
	d.t.Logf("writes go on %v after space returned", time.Since(start))
	// A memtable may be too full for more until a flush that failed is tried
	// again.
	for range 100 {
		for err := d.put(); err != nil; err = d.put() {
			d.full(err)
			if time.Since(start) > resumeMax {
				d.t.Fatalf("%v after space returned: %v", time.Since(start), err)
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	d.check()
}

func (d *disk) remove(files ...string) {
	d.t.Helper()
	for _, f := range files {
		if err := os.Remove(f); err != nil {
			d.t.Fatal(err)
		}
	}
}

func (d *disk) close() {
	d.t.Helper()
	if err := d.store.Close(); err != nil {
		d.full(err)
	}
}

func TestFullDiskIsReportedAndPasses(t *testing.T) {
	for _, small := range smallDisks {
		t.Run(small.name, func(t *testing.T) {
			root := small.mount(t)
			heavy, more := filepath.Join(root, "ballast"), filepath.Join(root, "ballast2")
			d := &disk{t: t, dir: filepath.Join(root, "store")}
			d.open()
			for range 200 {
				if err := d.put(); err != nil {
					t.Fatal(err)
				}
			}
			for _, leave := range []int64{0, 100 << 10, 1 << 20} {
				ballast(t, heavy, leave)
				d.fill()
				d.check()
				if err := d.put(); err != nil {
					d.full(err)
				}
				d.remove(heavy)
				d.resume()
			}
			ballast(t, heavy, 0)
			d.fill()
			d.close()
			ballast(t, more, 0) // what closing has freed
			d.open()
			d.check()
			if err := d.put(); err != nil {
				d.full(err)
			}
			d.close()
			d.open()
			d.check()
			d.remove(heavy, more)
			d.resume()
			if err := d.store.Close(); err != nil {
				t.Fatal(err)
			}
			d.open()
			d.check()
			if err := d.store.Close(); err != nil {
				t.Fatal(err)
			}
			t.Logf("%d values", d.n)
		})
	}
}

// TestNoRoomForFilesIsReportedAndPasses lets a file system run out of inodes
// while it has bytes to give.
func TestNoRoomForFilesIsReportedAndPasses(t *testing.T) {
	root := mountLoop(t, 32<<20, "ext4", "-m", "0", "-N", "128")
	d := &disk{t: t, dir: filepath.Join(root, "store")}
	d.open()
	for range 200 {
		if err := d.put(); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		files := noInodes(t, root)
		d.fill()
		d.check()
		d.remove(files...)
		d.resume()
	}
	files := noInodes(t, root)
	d.fill()
	d.close()
	d.open()
	d.check()
	d.remove(files...)
	d.resume()
	if err := d.store.Close(); err != nil {
		t.Fatal(err)
	}
}

// noInodes makes files until there can be no more.
func noInodes(t *testing.T, dir string) (files []string) {
	t.Helper()
	for i := range 100_000 {
		name := filepath.Join(dir, fmt.Sprintf("file%d", i))
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			if !errors.Is(err, syscall.ENOSPC) {
				t.Fatal(err)
			}
			return files
		}
		files = append(files, name)
	}
	t.Fatal("inodes without end")
	return nil
}
