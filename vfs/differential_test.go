package vfs

import (
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/cordwood-db/cordwood/internal/testkit"
)

// errorClass reduces an error to what must be the same on every file system.
func errorClass(err error) string {
	if err == nil {
		return "ok"
	}
	for name, class := range map[string]error{
		"EOF": io.EOF, "closed": iofs.ErrClosed, "locked": ErrLocked, "not empty": errNotEmpty,
		"not a directory": errNotDir, "is a directory": errIsDir, "read only": errReadOnly,
	} {
		if errors.Is(err, class) {
			return name
		}
	}
	switch {
	case errors.Is(err, iofs.ErrNotExist):
		return "not exist"
	case errors.Is(err, iofs.ErrExist):
		return "exist"
	}
	return "other"
}

// twin is the same open file on two file systems.
type twin struct{ a, b File }

// differ runs the same random operations on two file systems.
type differ struct {
	rng        *rand.Rand
	a, b       FS
	dirA, dirB string
	open       []twin
	prealloc   bool
}

// step does one operation on both and returns what it was and both outcomes.
func (d *differ) step() (what, a, b string) {
	names := []string{"f", "g", "h", "d/f", "d/g", "e/f", "d", "e", "d/e", "f/x", "."}
	name := func() string { return names[d.rng.IntN(len(names))] }
	if len(d.open) > 0 && d.rng.IntN(2) == 0 {
		return d.fileStep(d.rng.IntN(len(d.open)))
	}
	p, q := name(), name()
	pa, pb := filepath.Join(d.dirA, p), filepath.Join(d.dirB, p)
	qa, qb := filepath.Join(d.dirA, q), filepath.Join(d.dirB, q)
	both := func(op string, fn func(fs FS, p, q string) string) (string, string, string) {
		return op + " " + p + " " + q, fn(d.a, pa, qa), fn(d.b, pb, qb)
	}
	opening := func(op string, fn func(fs FS, p string) (File, error)) (string, string, string) {
		fa, errA := fn(d.a, pa)
		fb, errB := fn(d.b, pb)
		if errA == nil && errB == nil {
			d.open = append(d.open, twin{fa, fb})
		}
		return op + " " + p, errorClass(errA), errorClass(errB)
	}
	switch d.rng.IntN(11) {
	case 0, 1:
		return opening("create", FS.Create)
	case 2:
		return opening("open", FS.Open)
	case 3:
		return opening("openrw", FS.OpenReadWrite)
	case 4:
		if p == "." {
			p = "f"
		}
		return both("remove", func(fs FS, p, _ string) string { return errorClass(fs.Remove(p)) })
	case 5:
		return both("rename", func(fs FS, p, q string) string { return errorClass(fs.Rename(p, q)) })
	case 6:
		return both("link", func(fs FS, p, q string) string { return errorClass(fs.Link(p, q)) })
	case 7:
		return both("mkdir", func(fs FS, p, _ string) string { return errorClass(fs.MkdirAll(p)) })
	case 8:
		return both("list", func(fs FS, p, _ string) string {
			infos, err := fs.List(p)
			return fmt.Sprint(infos, errorClass(err))
		})
	case 9:
		return both("stat", func(fs FS, p, _ string) string {
			info, err := fs.Stat(p)
			if p == d.dirA || p == d.dirB {
				info.Name = ""
			}
			return fmt.Sprint(info, errorClass(err))
		})
	default:
		return both("syncdir", func(fs FS, p, _ string) string { return errorClass(fs.SyncDir(p)) })
	}
}

// fileStep does one operation on an open file.
func (d *differ) fileStep(i int) (what, a, b string) {
	f := d.open[i]
	off, n := d.rng.Int64N(9000), 1+d.rng.Int64N(3000)
	if _, err := f.a.Size(); err == nil && d.rng.IntN(40) == 0 {
		off = -off // whether that or a closed handle is told of first may differ
	}
	data := make([]byte, n)
	for j := range data {
		data[j] = byte(d.rng.Uint32())
	}
	both := func(op string, fn func(f File) string) (string, string, string) {
		return fmt.Sprint(op, " file ", i, " ", off, "+", n), fn(f.a), fn(f.b)
	}
	switch d.rng.IntN(9) {
	case 0, 1, 2:
		return both("write", func(f File) string {
			n, err := f.WriteAt(data, off)
			return fmt.Sprint(n, errorClass(err))
		})
	case 3, 4:
		return both("read", func(f File) string {
			buf := make([]byte, n)
			got, err := f.ReadAt(buf, off)
			return fmt.Sprint(got, errorClass(err), buf[:got])
		})
	case 5:
		return both("truncate", func(f File) string { return errorClass(f.Truncate(off)) })
	case 6:
		if !d.prealloc {
			return
		}
		return both("preallocate", func(f File) string { return errorClass(f.Preallocate(off, n)) })
	case 7:
		return both("size, sync, flush", func(f File) string {
			size, err := f.Size()
			return fmt.Sprint(size, errorClass(err), errorClass(f.Sync()), errorClass(f.Flush(off, n)))
		})
	default:
		if d.rng.IntN(10) > 0 {
			d.open = append(d.open[:i:i], d.open[i+1:]...)
		}
		return both("close", func(f File) string { return errorClass(f.Close()) })
	}
}

// canPreallocate says whether the directory's file system does more than
// nothing for Preallocate.
func canPreallocate(t *testing.T, dir string) bool {
	t.Helper()
	path := filepath.Join(dir, "probe")
	f, err := OS().Create(path)
	must(t, err)
	must(t, f.Preallocate(0, 100))
	size, err := f.Size()
	must(t, errors.Join(err, f.Close(), OS().Remove(path)))
	return size == 100
}

func TestMemBehavesLikeTheMachinesFileSystem(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has errors of its own")
	}
	rng := rand.New(rand.NewPCG(testkit.Seed(t), 0))
	rounds := 20
	if testing.Short() {
		rounds = 5
	}
	for range rounds {
		dir := t.TempDir()
		m := NewMem()
		must(t, m.MkdirAll("/db"))
		d := &differ{rng: rng, a: OS(), b: m, dirA: dir, dirB: "/db", prealloc: canPreallocate(t, dir)}
		var history []string
		for i := range 300 {
			what, a, b := d.step()
			if history = append(history, what); a != b {
				t.Fatalf("step %d, %s:\n OS  %.300s\n Mem %.300s\nafter %q", i, what, a, b, history)
			}
			if i%100 == 99 { // go on with what a killed process leaves
				for _, f := range d.open {
					errA, errB := f.a.Close(), f.b.Close()
					if errorClass(errA) != errorClass(errB) {
						t.Fatalf("close: OS %v, Mem %v", errA, errB)
					}
				}
				d.open = nil
				d.b = d.b.(*Mem).KillClone()
			}
		}
	}
}
