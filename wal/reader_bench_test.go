package wal

import (
	"fmt"
	"os"
	"testing"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/vfs"
)

// BenchmarkReaderCatchesUp reads a log of three segments of 32 MiB.
func BenchmarkReaderCatchesUp(b *testing.B) {
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
			limit := l.EndLSN()
			b.SetBytes(int64(limit))
			b.ReportAllocs()
			for b.Loop() {
				r, err := OpenReader(ReaderOptions{FS: vfs.OS(), Dir: dir}, Position{}, limit)
				must(b, err)
				for ok := true; ok; {
					_, ok, err = r.Next(limit)
					must(b, err)
				}
			}
			must(b, l.Close())
			must(b, os.RemoveAll(dir))
		})
	}
}

// BenchmarkReaderTails reads each record as soon as it is appended.
func BenchmarkReaderTails(b *testing.B) {
	l, dir := benchLog(b, 4<<20)
	p := make([]byte, 200)
	r, err := OpenReader(ReaderOptions{FS: vfs.OS(), Dir: dir}, Position{}, l.EndLSN())
	must(b, err)
	b.ReportAllocs()
	for b.Loop() {
		limit, err := l.Append(p)
		must(b, err)
		if _, ok, err := r.Next(limit); !ok || err != nil {
			b.Fatal(ok, err)
		}
		turn(b, l, dir)
	}
	must(b, l.Close())
}

// BenchmarkReaderFindsASequenceNumber opens at the newest record of 300 small
// segments.
func BenchmarkReaderFindsASequenceNumber(b *testing.B) {
	l, dir := benchLog(b, 0)
	for seg := base.SegmentNum(1); seg <= 300; seg++ {
		_, err := l.Append(commits(base.SeqNum(seg), 100, 1))
		must(b, err)
		must(b, l.Rotate(seg+1))
	}
	b.ReportAllocs()
	for b.Loop() {
		_, err := OpenReader(ReaderOptions{FS: vfs.OS(), Dir: dir}, Position{Seq: 300}, l.EndLSN())
		must(b, err)
	}
	must(b, l.Close())
	must(b, os.RemoveAll(dir))
}
