package manifest

import (
	"fmt"
	"testing"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/vfs"
)

// bigSet has tables tables, one in ten in level 5 and the rest in level 6, and vlogs value-log files.
func bigSet(b testing.TB, fs vfs.FS, dir string, tables, vlogs int) *Set {
	e := &Edit{}
	for i := range tables {
		key := fmt.Sprintf("user%012d", i)
		e.Added = append(e.Added, add(5+min(i%10, 1), table(base.FileNum(i+1), key, key+"z", 1)))
	}
	for i := range vlogs {
		n := base.FileNum(tables + i + 1)
		e.VlogAdded = append(e.VlogAdded, VlogMeta{Logical: n, Physical: n, PhysicalID: 1, Sealed: true, Bytes: 1 << 40})
	}
	s, err := Create(Options{FS: fs, Dir: dir, NewID: newIDs(1), Initial: e})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	return s
}

// compactionEdit replaces four tables of level 6 by four others, as a
// compaction does, and records what that discarded.
func compactionEdit(s *Set, i int) *Edit {
	v := s.Current()
	defer v.Unref()
	tables := v.Trees[0].Levels[6]
	e := &Edit{Discards: map[base.FileNum]uint64{}}
	at := i * 7919 % (len(tables) - 4)
	for _, t := range tables[at : at+4] {
		e.Deleted = append(e.Deleted, DeletedTable{6, t.Num})
		m := *t
		m.Num = s.NewFileNum()
		e.Added = append(e.Added, add(6, &m))
	}
	for k := range min(20, len(v.Vlogs)) {
		e.Discards[v.Vlogs[(i*31+k*97)%len(v.Vlogs)].Logical] = 100
	}
	return e
}

func BenchmarkApply(b *testing.B) {
	for _, c := range []struct{ tables, vlogs int }{{100, 10}, {10_000, 1_000}, {100_000, 10_000}} {
		run := func(b *testing.B, fs vfs.FS, dir string) {
			s := bigSet(b, fs, dir, c.tables, c.vlogs)
			i := 0
			b.ReportAllocs()
			for b.Loop() {
				v, err := s.Apply(compactionEdit(s, i), nil)
				if err != nil {
					b.Fatal(err)
				}
				v.Unref()
				s.Obsolete()
				i++
			}
		}
		name := fmt.Sprintf("tables=%d,vlogs=%d", c.tables, c.vlogs)
		b.Run("mem/"+name, func(b *testing.B) { run(b, newMem(b), testDir) })
		b.Run("os/"+name, func(b *testing.B) { run(b, vfs.OS(), b.TempDir()) })
	}
}

func BenchmarkRotateAndLoad(b *testing.B) {
	mem := newMem(b)
	bigSet(b, mem, testDir, 100_000, 10_000).Close()
	b.Run("load", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			s, _, err := Load(testOptions(mem))
			if err != nil {
				b.Fatal(err)
			}
			s.Close()
		}
	})
	b.Run("rotate", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			b.StopTimer()
			s, _, err := Load(testOptions(mem))
			if err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
			v, err := s.Apply(&Edit{}, nil)
			if err != nil {
				b.Fatal(err)
			}
			v.Unref()
			b.StopTimer()
			s.Close()
			b.StartTimer()
		}
	})
}

func BenchmarkCurrent(b *testing.B) {
	s := bigSet(b, newMem(b), testDir, 100, 10)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			s.Current().Unref()
		}
	})
}

func BenchmarkLookup(b *testing.B) {
	s := bigSet(b, newMem(b), testDir, 100_000, 10_000)
	v := s.Current()
	defer v.Unref()
	b.Run("find", func(b *testing.B) {
		b.ReportAllocs()
		key := []byte("user000000000000")
		i := 0
		for b.Loop() {
			i = (i + 7919) % 100_000
			for k, n := 15, i; n > 0; k, n = k-1, n/10 {
				key[k] = byte('0' + n%10)
			}
			v.Trees[0].Find(6, key)
		}
	})
	b.Run("vlog", func(b *testing.B) {
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			i = (i + 7919) % 10_000
			if v.Vlog(base.FileNum(100_001+i)) == nil {
				b.Fatal(i)
			}
		}
	})
}
