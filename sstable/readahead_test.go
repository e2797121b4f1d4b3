package sstable

import (
	"fmt"
	"testing"

	"github.com/cordwood-db/cordwood/vfs"
)

// counting counts what is read from a file.
type counting struct {
	vfs.File
	calls int
	bytes int64
}

func (f *counting) ReadAt(p []byte, off int64) (int, error) {
	f.calls++
	f.bytes += int64(len(p))
	return f.File.ReadAt(p, off)
}

func TestReadingAheadFollowsTheLengthOfTheScan(t *testing.T) {
	const entries = 60_000
	fs := vfs.NewMem()
	m := writeTable(t, fs, "t.sst", WriterOptions{ID: testID}, numbered(entries, 100), nil)
	f, err := fs.Open("t.sst")
	if err != nil {
		t.Fatal(err)
	}
	file := &counting{File: f}
	r, err := Open(file, "t.sst", ReaderOptions{FileNum: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	perEntry := int64(m.Size) / entries
	index := int64(2 * blockBytesDefault)

	for _, n := range []int{1, 100, 500, 2000, 10_000, entries} {
		for _, back := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d back=%v", n, back), func(t *testing.T) {
				file.calls, file.bytes = 0, 0
				it := r.NewIter(IterOptions{})
				step, ok := it.Next, it.First()
				if back {
					step, ok = it.Prev, it.Last()
				}
				for range n - 1 {
					ok = ok && step()
				}
				if err := it.Close(); err != nil || !ok {
					t.Fatal(ok, err)
				}
				needed := int64(n) * perEntry
				chunks := 1 + needed/chunkBytesDefault
				if limit := 2*needed + aheadBytesMin + chunks*index + 2*blockBytesDefault; file.bytes > limit {
					t.Errorf("%d bytes read for %d needed, want at most %d", file.bytes, needed, limit)
				}
				// Three single blocks, 64 KiB, 128 KiB ..., then a chunk and its index.
				if limit := 12 + 3*int(chunks); file.calls > limit {
					t.Errorf("%d reads of %d bytes, want at most %d", file.calls, file.bytes, limit)
				}
			})
		}
	}
}
