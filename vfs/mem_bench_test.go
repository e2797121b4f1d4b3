package vfs

import (
	"fmt"
	"testing"
)

// benchMem holds 1 MiB in 32 files; dirty KiB of the last are un-synced.
func benchMem(b *testing.B, dirty int) *Mem {
	m := newDB(b)
	for i := range 31 {
		f := put(b, m, fmt.Sprintf("/db/%06d.sst", i), rep("x", 32<<10))
		must(b, f.Sync())
		must(b, f.Close())
	}
	must(b, m.SyncDir("/db"))
	put(b, m, "/db/000031.log", rep("y", dirty<<10))
	return m
}

func BenchmarkCrashClone(b *testing.B) {
	keep := func(c CrashItem) CrashChoice { return CrashChoice(c.Index & 1) }
	for _, bench := range []struct {
		name  string
		dirty int
		pick  func(CrashItem) CrashChoice
	}{{"drop/4KiB", 4, nil}, {"drop/1MiB", 1024, nil}, {"half/4KiB", 4, keep}, {"half/1MiB", 1024, keep}} {
		b.Run(bench.name, func(b *testing.B) {
			m := benchMem(b, bench.dirty)
			b.ReportAllocs()
			for b.Loop() {
				m.CrashClone(bench.pick)
			}
		})
	}
	b.Run("kill", func(b *testing.B) {
		m := benchMem(b, 4)
		b.ReportAllocs()
		for b.Loop() {
			m.KillClone()
		}
	})
}

func BenchmarkMemAppend(b *testing.B) {
	m := newDB(b)
	f := put(b, m, "/db/f", "")
	p := make([]byte, 200)
	off := int64(0)
	b.ReportAllocs()
	for b.Loop() {
		if off > 1<<20 {
			must(b, f.Truncate(0))
			must(b, f.Sync())
			off = 0
		}
		if _, err := f.WriteAt(p, off); err != nil {
			b.Fatal(err)
		}
		off += 200
	}
}

func BenchmarkOSAppend(b *testing.B) {
	f, err := OS().Create(b.TempDir() + "/f")
	must(b, err)
	defer f.Close()
	p := make([]byte, 200)
	off := int64(0)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := f.WriteAt(p, off%(1<<24)); err != nil {
			b.Fatal(err)
		}
		off += 200
	}
}
