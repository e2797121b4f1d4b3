package vlog

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/cache"
	"github.com/cordwood-db/cordwood/vfs"
)

// nullFile swallows writes, so that a benchmark sees the cost of the package
// alone.
type nullFile struct{ vfs.File }

func (nullFile) WriteAt(b []byte, _ int64) (int, error) { return len(b), nil }
func (nullFile) Flush(int64, int64) error               { return nil }

func BenchmarkAppend(b *testing.B) {
	for _, size := range []int{256, 1 << 10, 4 << 10, 64 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			w := mustCreate(b, newMem(b), 1, testID)
			w.a.f = nullFile{w.a.f}
			key, value := []byte("user0000000000001234"), randomValue(size, 1)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				if w.Size() > 256<<20 {
					w.a.written = HeaderLen
					w.size.Store(w.a.size())
				}
				if _, err := w.Append(0, key, 1, 0, value); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkAppendFlush is a commit group of 16 records of 1 KiB on the real file
// system, without fsync; per record.
func BenchmarkAppendFlush(b *testing.B) {
	w, err := Create(vfs.OS(), b.TempDir(), 1, WriterOptions{ID: testID})
	if err != nil {
		b.Fatal(err)
	}
	key, value := []byte("user0000000000001234"), randomValue(1<<10, 1)
	b.SetBytes(1 << 10)
	i := 0
	for b.Loop() {
		if w.Size() > 256<<20 {
			w.a.written, w.a.announced = HeaderLen, HeaderLen
			w.size.Store(w.a.size())
		}
		if _, err := w.Append(0, key, 1, 0, value); err != nil {
			b.Fatal(err)
		}
		if i++; i%16 == 0 {
			if err := w.Flush(); err != nil {
				b.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		b.Fatal(err)
	}
}

// benchFile makes a file of n records on the real file system, and a rewritten
// copy of it.
func benchFile(b *testing.B, n, size int) (dir string, es []entry) {
	dir = b.TempDir()
	w, err := Create(vfs.OS(), dir, 1, WriterOptions{ID: testID})
	if err != nil {
		b.Fatal(err)
	}
	for i := range n {
		es = append(es, mustAppend(b, w, makeEntry(i, size)))
	}
	if _, err := w.Seal(); err != nil {
		b.Fatal(err)
	}
	r, err := NewRewriter(vfs.OS(), dir, 2, testID+1)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := ScanFile(vfs.OS(), dir, 1, testID, 0, 0, r.Add); err != nil {
		b.Fatal(err)
	}
	if _, err := r.Finish(); err != nil {
		b.Fatal(err)
	}
	return dir, es
}

func benchRead(b *testing.B, size int, loc Location, reuse bool) {
	dir, es := benchFile(b, max(64, 16<<20/(size+1)), size)
	blocks := cache.New(8 << 20)
	defer blocks.Close()
	c := NewFileCache(vfs.OS(), dir, 10, blocks)
	var dst []byte
	i := 0
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for b.Loop() {
		e := &es[i*7919%len(es)]
		i++
		v, err := c.Read(dst[:0], loc, e.keyspace, e.key, e.seq, e.ptr)
		if err != nil {
			b.Fatal(err)
		}
		if reuse {
			dst = v
		}
	}
	if err := c.Close(); err != nil {
		b.Fatal(err)
	}
}

func BenchmarkRead(b *testing.B) {
	for _, size := range []int{1 << 10, 4 << 10, 16 << 10} {
		b.Run(fmt.Sprint("original/", size), func(b *testing.B) { benchRead(b, size, Location{Physical: 1, ID: testID}, true) })
		b.Run(fmt.Sprint("rewritten/", size), func(b *testing.B) {
			benchRead(b, size, Location{Physical: 2, ID: testID + 1, Rewritten: true}, true)
		})
	}
}

func BenchmarkReadLarge(b *testing.B) {
	for _, size := range []int{64 << 10, 256 << 10, 1 << 20} {
		for _, reuse := range []bool{true, false} {
			b.Run(fmt.Sprint(size, "/reuse=", reuse), func(b *testing.B) {
				benchRead(b, size, Location{Physical: 1, ID: testID}, reuse)
			})
		}
	}
}

func BenchmarkReadMany(b *testing.B) {
	dir, es := benchFile(b, 16<<10, 1<<10)
	c := NewFileCache(vfs.OS(), dir, 10, nil)
	reqs := make([]ReadRequest, 100)
	b.ReportAllocs()
	for b.Loop() {
		for i := range reqs {
			e := &es[(i*37)%1600]
			reqs[i] = ReadRequest{Loc: Location{Physical: 1, ID: testID}, Key: e.key, Keyspace: e.keyspace, Seq: e.seq, Ptr: e.ptr, Dst: reqs[i].Dst[:0]}
		}
		if err := c.ReadMany(reqs); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(reqs)), "ns/record")
	if err := c.Close(); err != nil {
		b.Fatal(err)
	}
}

func BenchmarkScan(b *testing.B) {
	dir, _ := benchFile(b, 64<<10, 1<<10)
	st, err := os.Stat(filepath.Join(dir, fileName(1)))
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(st.Size())
	for b.Loop() {
		if _, err := ScanFile(vfs.OS(), dir, 1, testID, 0, 0, func(Record) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRewrite(b *testing.B) {
	dir, _ := benchFile(b, 64<<10, 1<<10)
	b.SetBytes(64 << 20)
	num := base.FileNum(10)
	for b.Loop() {
		num++
		r, err := NewRewriter(vfs.OS(), dir, num, testID+2)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := ScanFile(vfs.OS(), dir, 1, testID, 0, 0, r.Add); err != nil {
			b.Fatal(err)
		}
		if err := r.Abort(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkReadAt is what BenchmarkRead/original/1024 costs at least: the same
// positional reads, nothing else.
func BenchmarkReadAt(b *testing.B) {
	dir, es := benchFile(b, 16<<10, 1<<10)
	f, err := vfs.OS().Open(filepath.Join(dir, fileName(1)))
	if err != nil {
		b.Fatal(err)
	}
	buf := make([]byte, es[0].ptr.Size)
	i := 0
	for b.Loop() {
		if _, err := f.ReadAt(buf, int64(es[i*7919%len(es)].ptr.Offset)); err != nil {
			b.Fatal(err)
		}
		i++
	}
	if err := f.Close(); err != nil {
		b.Fatal(err)
	}
}
