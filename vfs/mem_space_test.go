package vfs

import (
	"errors"
	"fmt"
	"math"
	"sync"
	"syscall"
	"testing"
)

func wantNoSpace(t *testing.T, what string, err error) {
	t.Helper()
	if !errors.Is(err, syscall.ENOSPC) || !IsNoSpace(fmt.Errorf("wrapped: %w", err)) {
		t.Errorf("%s: %v", what, err)
	}
}

func TestFullMemRefusesAndRemovalMakesRoom(t *testing.T) {
	m := newDB(t)
	if n, err := m.Free("/db"); n != math.MaxUint64 || err != nil {
		t.Errorf("without a limit: %d, %v", n, err)
	}
	empty := m.Used()
	m.SetCapacity(empty + 2*inodeBytes + 4*pageBytes)
	f := put(t, m, "/db/f", rep("a", 3*pageBytes))
	g := put(t, m, "/db/g", "")
	if n, err := m.Free("/db"); n != pageBytes || err != nil {
		t.Errorf("free: %d, %v", n, err)
	}
	wantNoSpace(t, "preallocate", g.Preallocate(0, pageBytes+1))
	if size, err := g.Size(); size != 0 || err != nil {
		t.Errorf("a failed preallocation left %d bytes, %v", size, err)
	}
	n, err := g.WriteAt(make([]byte, 3*pageBytes), 100)
	wantNoSpace(t, "write", err)
	if n != pageBytes-100 {
		t.Errorf("wrote %d", n)
	}
	_, err = m.Create("/db/h")
	wantNoSpace(t, "create", err)
	wantNoSpace(t, "mkdir", m.MkdirAll("/db/d"))
	_, err = m.Lock("/db/LOCK")
	wantNoSpace(t, "lock", err)
	write(t, f, "overwriting needs no room", 0)
	must(t, f.Truncate(100*pageBytes)) // a hole needs none either

	must(t, m.Remove("/db/f"))
	_, err = m.Create("/db/h")
	wantNoSpace(t, "create while the removed file is open", err)
	must(t, f.Close())
	put(t, m, "/db/h", rep("b", 2*pageBytes))
	must(t, g.Truncate(0))
	for _, name := range []string{"/db/g", "/db/h"} {
		must(t, m.Remove(name))
	}
	m.SetCapacity(-1)
	must(t, g.Preallocate(0, 10*pageBytes))
	must(t, g.Close())
	if m.OpenHandles() != 1 {
		t.Errorf("%d handles", m.OpenHandles())
	}
}

func TestClonesAccountForTheirSpace(t *testing.T) {
	m := newDB(t)
	start := m.Used()
	m.SetCapacity(1 << 20)
	f := put(t, m, "/db/f", rep("a", 5*pageBytes))
	must(t, m.Link("/db/f", "/db/g"))
	for name, c := range map[string]*Mem{
		"kill": m.KillClone(), "all": m.CrashClone(func(CrashItem) CrashChoice { return CrashKeep }),
	} {
		if c.Used() != m.Used() {
			t.Errorf("%s: %d, want %d", name, c.Used(), m.Used())
		}
		must(t, c.Remove("/db/f"))
		must(t, c.Remove("/db/g"))
		if c.Used() != start {
			t.Errorf("%s: %d left, want %d", name, c.Used(), start)
		}
		if n, err := c.Free("/db"); err != nil || n != 1<<20-uint64(start) {
			t.Errorf("%s: %d free, %v", name, n, err)
		}
	}
	if c := m.CrashClone(nil); c.Used() != start {
		t.Errorf("empty image: %d", c.Used())
	}
	must(t, m.Remove("/db/f"))
	must(t, m.Remove("/db/g"))
	if c := m.KillClone(); c.Used() != start {
		t.Errorf("open but unlinked at the kill: %d", c.Used())
	}
	must(t, f.Close())
	if m.Used() != start {
		t.Errorf("%d left", m.Used())
	}
}

func TestClonesAreIndependent(t *testing.T) {
	m := newDB(t)
	f := putDurable(t, m, "/db/f", rep("a", 3*pageBytes))
	lock, err := m.Lock("/db/LOCK")
	must(t, err)
	for name, c := range map[string]*Mem{"crash": m.CrashClone(nil), "kill": m.KillClone()} {
		if c.OpenHandles() != 0 {
			t.Errorf("%s: %d handles", name, c.OpenHandles())
		}
		l, err := c.Lock("/db/LOCK")
		must(t, err)
		must(t, l.Close())
		g, err := c.OpenReadWrite("/db/f")
		must(t, err)
		before := dump(t, m)
		write(t, g, "clone", pageBytes-2)
		must(t, g.Truncate(2*pageBytes))
		if dump(t, m) != before {
			t.Errorf("%s: writing the clone changed the original", name)
		}
		cloned := dump(t, c)
		write(t, f, "original", 5)
		if dump(t, c) != cloned {
			t.Errorf("%s: writing the original changed the clone", name)
		}
	}
	must(t, lock.Close())
}

func TestHookMayTakeCrashImages(t *testing.T) {
	m := newDB(t)
	var seen []string
	m.SetHook(func(op Op) error {
		seen = append(seen, fmt.Sprintf("%d %v: %s, %d items", op.Index, op.Kind, dump(t, m.CrashClone(nil)), len(m.Unsynced())))
		m.KillClone()
		return nil
	})
	f := put(t, m, "/db/f", "x")
	must(t, f.Sync())
	must(t, m.SyncDir("/db"))
	must(t, f.Close())
	m.SetHook(nil)
	want := "[3 create: , 0 items 4 write: , 1 items 5 sync: , 3 items 6 syncdir: , 1 items 7 close: f=[x*1], 0 items]"
	if got := fmt.Sprint(seen); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestMemIsSafeForConcurrentUse(t *testing.T) {
	m := newDB(t)
	shared := putDurable(t, m, "/db/shared", rep("s", 9000))
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			path := fmt.Sprintf("/db/%d", i)
			for j := range 50 {
				f := put(t, m, path, rep("x", 100*j))
				shared.WriteAt([]byte("data"), int64(1000*i))
				c := m.CrashClone(func(CrashItem) CrashChoice { return CrashTear })
				if err := WriteFileAtomic(c, path, []byte("clone")); err != nil {
					t.Error(err)
				}
				buf := make([]byte, 9000)
				if _, err := shared.ReadAt(buf, 0); err != nil {
					t.Error(err)
				}
				if err := errors.Join(f.Sync(), f.Close(), m.Remove(path), m.SyncDir("/db")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}
