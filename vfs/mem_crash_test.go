package vfs

import (
	"bytes"
	"errors"
	"fmt"
	iofs "io/fs"
	"sort"
	"strings"
	"testing"
)

// newDB returns a file system with a durable directory /db.
func newDB(t testing.TB) *Mem {
	t.Helper()
	m := NewMem()
	must(t, m.MkdirAll("/db"))
	must(t, m.SyncDir("/"))
	return m
}

// put creates a file with contents, un-synced.
func put(t testing.TB, m *Mem, path, data string) File {
	t.Helper()
	f, err := m.Create(path)
	must(t, err)
	write(t, f, data, 0)
	return f
}

func write(t testing.TB, f File, data string, off int64) {
	t.Helper()
	_, err := f.WriteAt([]byte(data), off)
	must(t, err)
}

// putDurable creates a file with contents, durable with its name.
func putDurable(t testing.TB, m *Mem, path, data string) File {
	t.Helper()
	f := put(t, m, path, data)
	must(t, f.Sync())
	must(t, m.SyncDir("/db"))
	return f
}

// dump describes all of /db: names and contents, long runs shortened.
func dump(t testing.TB, m *Mem) string {
	t.Helper()
	infos, err := m.List("/db")
	if errors.Is(err, iofs.ErrNotExist) {
		return "no /db"
	}
	must(t, err)
	var parts []string
	for _, info := range infos {
		if info.IsDir {
			parts = append(parts, info.Name+"/")
			continue
		}
		data, err := ReadFile(m, "/db/"+info.Name, 1<<30)
		must(t, err)
		parts = append(parts, info.Name+"="+runs(data))
	}
	return strings.Join(parts, " ")
}

// runs writes "aaab" as "a*3 b", and so on; zero bytes as 0.
func runs(data []byte) string {
	var out []string
	for len(data) > 0 {
		n := 1
		for n < len(data) && data[n] == data[0] {
			n++
		}
		c := string(data[:1])
		if data[0] == 0 {
			c = "0"
		}
		out = append(out, fmt.Sprintf("%s*%d", c, n))
		data = data[n:]
	}
	return "[" + strings.Join(out, " ") + "]"
}

// images returns the distinct images over all 2^n choices, sorted.
func images(t testing.TB, m *Mem) []string {
	t.Helper()
	items := m.Unsynced()
	if len(items) > 12 {
		t.Fatalf("%d items are too many: %v", len(items), items)
	}
	seen := map[string]bool{}
	for mask := range 1 << len(items) {
		var asked []CrashItem
		img := m.CrashClone(func(c CrashItem) CrashChoice {
			asked = append(asked, c)
			return CrashChoice(mask >> (len(asked) - 1) & 1)
		})
		if fmt.Sprint(asked) != fmt.Sprint(items) {
			t.Fatalf("asked %v, Unsynced says %v", asked, items)
		}
		if left := img.Unsynced(); len(left) != 0 {
			t.Fatalf("the image has un-synced items: %v", left)
		}
		seen[dump(t, img)] = true
	}
	all := make([]string, 0, len(seen))
	for s := range seen {
		all = append(all, s)
	}
	sort.Strings(all)
	return all
}

func wantImages(t *testing.T, m *Mem, want ...string) {
	t.Helper()
	sort.Strings(want)
	got := images(t, m)
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("images:\n  %s\nwant:\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

func rep(s string, n int) string { return strings.Repeat(s, n) }

func TestCrashKeepsNothingUnsyncedByDefault(t *testing.T) {
	m := newDB(t)
	putDurable(t, m, "/db/old", "kept")
	f := put(t, m, "/db/unnamed", "synced, but its name is not")
	must(t, f.Sync())
	g, err := m.OpenReadWrite("/db/old")
	must(t, err)
	write(t, g, "lost and longer", 0)
	must(t, m.Link("/db/old", "/db/link"))
	if got, want := dump(t, m.CrashClone(nil)), "old=[k*1 e*1 p*1 t*1]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	must(t, g.Sync())
	must(t, m.SyncDir("/db"))
	if got, want := dump(t, m.CrashClone(nil)), dump(t, m); got != want {
		t.Errorf("after all is synced: got %s, want %s", got, want)
	}
	if items := m.Unsynced(); len(items) != 0 {
		t.Errorf("items left: %v", items)
	}
}

func TestCrashDropsADirectoryWhoseParentWasNotSynced(t *testing.T) {
	m := NewMem()
	must(t, m.MkdirAll("/db"))
	putDurable(t, m, "/db/file", "x")
	if got := dump(t, m.CrashClone(nil)); got != "no /db" {
		t.Errorf("got %s", got)
	}
}

func TestCrashEnumeratesSectorsAndSize(t *testing.T) {
	m := newDB(t)
	f := putDurable(t, m, "/db/f", rep("a", 700))
	write(t, f, rep("b", 800), 500) // sectors 0, 1 overwritten, 2 new
	wantImages(t, m,
		// size dropped, sector 2 dropped: 700 bytes
		"f=[a*700]", "f=[a*500 b*12 a*188]", "f=[a*512 b*512]", "f=[a*500 b*524]",
		// size kept, sector 2 dropped: a hole
		"f=[a*700 0*600]", "f=[a*500 b*12 a*188 0*600]", "f=[a*512 b*512 0*276]", "f=[a*500 b*524 0*276]",
		// sector 2 kept brings the size along
		"f=[a*700 0*324 b*276]", "f=[a*500 b*12 a*188 0*324 b*276]", "f=[a*512 b*788]", "f=[a*500 b*800]",
	)
}

func TestCrashTearsASectorAtAPrefix(t *testing.T) {
	m := newDB(t)
	f := putDurable(t, m, "/db/f", rep("a", 1024))
	write(t, f, rep("b", 512), 512)
	cuts := map[string]bool{}
	for range 50 {
		must(t, f.Flush(0, 0)) // only to move the operation count
		img := m.CrashClone(func(CrashItem) CrashChoice { return CrashTear })
		data, err := ReadFile(img, "/db/f", 2000)
		must(t, err)
		rest := bytes.TrimLeft(bytes.TrimPrefix(data, []byte(rep("a", 512))), "b")
		if len(data) != 1024 || len(rest) == 0 || len(rest) >= 512 || len(bytes.Trim(rest, "a")) != 0 {
			t.Fatalf("not torn: %s", runs(data))
		}
		again := m.CrashClone(func(CrashItem) CrashChoice { return CrashTear })
		if dump(t, again) != dump(t, img) {
			t.Fatal("the same moment tears differently")
		}
		cuts[runs(rest)] = true
	}
	if len(cuts) < 10 {
		t.Errorf("only %d different cuts in 50", len(cuts))
	}
}

func TestCrashTearsASizeWithinItsBounds(t *testing.T) {
	m := newDB(t)
	f := putDurable(t, m, "/db/f", rep("a", 100))
	must(t, f.Truncate(5000))
	sizes := map[int64]bool{}
	for range 100 {
		must(t, f.Flush(0, 0))
		img := m.CrashClone(func(CrashItem) CrashChoice { return CrashTear })
		info, err := img.Stat("/db/f")
		must(t, err)
		if info.Size < 100 || info.Size > 5000 {
			t.Fatalf("size %d", info.Size)
		}
		sizes[info.Size] = true
	}
	if len(sizes) < 50 {
		t.Errorf("only %d different sizes in 100", len(sizes))
	}
}

func TestCrashPreallocationIsZerosOrNothing(t *testing.T) {
	m := newDB(t)
	f := putDurable(t, m, "/db/f", "")
	must(t, f.Preallocate(0, 1024))
	wantImages(t, m, "f=[]", "f=[0*1024]")
	must(t, f.Sync())
	write(t, f, "x", 0)
	wantImages(t, m, "f=[0*1024]", "f=[x*1 0*1023]")
}

func TestCrashUndoesAnUnsyncedShrinking(t *testing.T) {
	m := newDB(t)
	f := putDurable(t, m, "/db/f", rep("a", 1000))
	must(t, f.Truncate(600))
	wantImages(t, m, "f=[a*1000]", "f=[a*600]")
	write(t, f, rep("b", 424), 600)
	wantImages(t, m,
		"f=[a*1000]",      // the cut was lost; the sector's item is about this file too,
		"f=[a*600]",       // but the bytes in it are from before
		"f=[a*600 0*424]", // cut and size
		"f=[a*600 b*424]", // all of it
	)
	must(t, f.Sync())
	wantImages(t, m, "f=[a*600 b*424]")
}

func TestCrashAfterShrinkingUnsyncedBytesMayLeaveThem(t *testing.T) {
	m := newDB(t)
	f := putDurable(t, m, "/db/f", "")
	write(t, f, rep("a", 512), 0)
	write(t, f, rep("b", 512), 512)
	must(t, f.Truncate(512))
	wantImages(t, m,
		"f=[]", "f=[a*512]", "f=[0*512 b*512]", "f=[a*512 b*512]", "f=[0*1024]", "f=[a*512 0*512]", // cut lost
		"f=[0*512]", // cut durable and with it the size; and f=[a*512] again
	)
}

func TestCrashKeepsAnySensibleSubsetOfNames(t *testing.T) {
	t.Run("create and rename over", func(t *testing.T) {
		m := newDB(t)
		putDurable(t, m, "/db/CURRENT", "1")
		must(t, put(t, m, "/db/tmp", "2").Sync())
		must(t, m.Rename("/db/tmp", "/db/CURRENT"))
		wantImages(t, m, "CURRENT=[1*1]", "CURRENT=[1*1] tmp=[2*1]", "CURRENT=[2*1]")
	})
	t.Run("two creations in either order", func(t *testing.T) {
		m := newDB(t)
		put(t, m, "/db/a", "")
		put(t, m, "/db/b", "")
		wantImages(t, m, "", "a=[]", "b=[]", "a=[] b=[]")
	})
	t.Run("a removed file comes back with its contents", func(t *testing.T) {
		m := newDB(t)
		must(t, putDurable(t, m, "/db/a", "data").Close())
		must(t, m.Remove("/db/a"))
		wantImages(t, m, "", "a=[d*1 a*1 t*1 a*1]")
		must(t, m.SyncDir("/db"))
		wantImages(t, m, "")
	})
	t.Run("remove and create again", func(t *testing.T) {
		m := newDB(t)
		must(t, putDurable(t, m, "/db/a", "1").Close())
		must(t, m.Remove("/db/a"))
		must(t, put(t, m, "/db/a", "2").Sync())
		wantImages(t, m, "", "a=[1*1]", "a=[2*1]")
	})
	t.Run("a moved file is not lost to its successor", func(t *testing.T) {
		m := newDB(t)
		putDurable(t, m, "/db/a", "1")
		must(t, m.Rename("/db/a", "/db/b"))
		must(t, put(t, m, "/db/a", "2").Sync())
		wantImages(t, m, "a=[1*1]", "b=[1*1]", "a=[2*1] b=[1*1]")
	})
	t.Run("a linked file is not lost to a lost link", func(t *testing.T) {
		m := newDB(t)
		putDurable(t, m, "/db/a", "1")
		must(t, m.Link("/db/a", "/db/b"))
		must(t, m.Remove("/db/a"))
		wantImages(t, m, "a=[1*1]", "b=[1*1]", "a=[1*1] b=[1*1]")
	})
	t.Run("two renames over one name", func(t *testing.T) {
		m := newDB(t)
		putDurable(t, m, "/db/c", "0")
		putDurable(t, m, "/db/t1", "1")
		putDurable(t, m, "/db/t2", "2")
		must(t, m.Rename("/db/t1", "/db/c"))
		must(t, m.Rename("/db/t2", "/db/c"))
		wantImages(t, m, "c=[0*1] t1=[1*1] t2=[2*1]", "c=[1*1] t2=[2*1]", "c=[2*1]", "c=[2*1] t1=[1*1]")
	})
	t.Run("directories", func(t *testing.T) {
		m := newDB(t)
		must(t, m.MkdirAll("/db/d"))
		wantImages(t, m, "", "d/")
		must(t, m.SyncDir("/db"))
		must(t, m.Remove("/db/d"))
		wantImages(t, m, "", "d/")
	})
}
