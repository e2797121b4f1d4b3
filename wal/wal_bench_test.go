package wal

import (
	"fmt"
	"os"
	"testing"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/vfs"
)

// benchLog creates a log on the machine's file system.
func benchLog(b *testing.B, preallocate int64) (*Log, string) {
	b.Helper()
	dir := b.TempDir()
	l, err := Create(Options{FS: vfs.OS(), Dir: dir, PreallocateBytes: preallocate}, 1, 0)
	must(b, err)
	return l, dir
}

// turn rotates a full segment and drops the old one.
func turn(b *testing.B, l *Log, dir string) {
	if l.SegmentBytes() < 64<<20 {
		return
	}
	next := l.Segment() + 1
	must(b, l.Rotate(next))
	l.Retire(next)
	_, err := Remove(vfs.OS(), dir, next)
	must(b, err)
}

func BenchmarkAppend(b *testing.B) {
	for _, size := range []int{100, 1 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			l, dir := benchLog(b, 4<<20)
			p := make([]byte, size)
			b.ReportAllocs()
			b.SetBytes(int64(size))
			for b.Loop() {
				_, err := l.Append(p[:20], p[20:])
				must(b, err)
				turn(b, l, dir)
			}
			must(b, l.Close())
		})
	}
}

func BenchmarkAppendAndSync(b *testing.B) {
	for _, preallocate := range []int64{0, 1 << 20, 4 << 20} {
		b.Run(fmt.Sprintf("preallocate=%d", preallocate), func(b *testing.B) {
			l, dir := benchLog(b, preallocate)
			p := make([]byte, 1<<10)
			b.ReportAllocs()
			for b.Loop() {
				_, err := l.Append(p)
				must(b, err)
				lsn, err := l.Sync()
				must(b, err)
				l.MarkSynced(lsn)
				turn(b, l, dir)
			}
			must(b, l.Close())
		})
	}
}

func BenchmarkRotate(b *testing.B) {
	l, dir := benchLog(b, 4<<20)
	for b.Loop() {
		next := l.Segment() + 1
		must(b, l.Rotate(next))
		l.Retire(next)
		_, err := Remove(vfs.OS(), dir, next)
		must(b, err)
	}
	must(b, l.Close())
}

func BenchmarkReplay(b *testing.B) {
	for _, size := range []int{100, 1 << 10, 16 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			l, dir := benchLog(b, 4<<20)
			p := make([]byte, size)
			for seg := base.SegmentNum(1); seg <= 3; seg++ {
				for l.SegmentBytes() < 32<<20 {
					_, err := l.Append(p)
					must(b, err)
				}
				if seg < 3 {
					must(b, l.Rotate(seg+1))
				}
			}
			b.SetBytes(int64(l.EndLSN()))
			must(b, l.Close())
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Replay(vfs.OS(), dir, 1, func(ReplayRecord) error { return nil }); err != nil {
					b.Fatal(err)
				}
			}
			must(b, os.RemoveAll(dir))
		})
	}
}
