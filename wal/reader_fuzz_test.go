package wal

import (
	"bytes"
	"errors"
	"testing"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/record"
	"github.com/cordwood-db/cordwood/internal/testkit"
	"github.com/cordwood-db/cordwood/vfs"
)

// FuzzReader opens directories with up to two made-up segments at any position
// and reads them up to any limit. Nothing but records that a scan finds too may
// come, below the limit, in order.
func FuzzReader(f *testing.F) {
	feed, limit := smallFeed(f)
	segs := [][]byte{segmentBytes(f, feed, 1), segmentBytes(f, feed, 2)}
	f.Add(segs[0], segs[1], uint8(0), uint64(0), uint64(0), limit)
	f.Add(segs[0], segs[1], uint8(0), uint64(0), uint64(13), limit)
	f.Add(segs[0], segs[1], uint8(0), feed.recs[1].end, uint64(0), limit)
	f.Add(segs[0][:90], segs[1][:70], uint8(3), uint64(64), uint64(1), uint64(1<<63))
	f.Add(segs[0], []byte{}, uint8(1), uint64(0), uint64(11), limit)
	f.Add([]byte{}, segs[1], uint8(0), feed.recs[0].end, uint64(0), limit)
	f.Add(segs[0], segs[1], uint8(3), uint64(0), uint64(0), limit)
	f.Add(make([]byte, 100), segs[1], uint8(2), uint64(0), uint64(14), limit)
	f.Fuzz(func(t *testing.T, first, second []byte, how uint8, lsn, seq, limit uint64) {
		m := newMem(t)
		for i, b := range [][]byte{bytes.Clone(first), bytes.Clone(second)} {
			if how>>i&1 != 0 {
				testkit.ResealRecords(b)
			}
			if how>>(2+i)&1 == 0 {
				file, err := m.Create(filePath(testDir, base.SegmentNum(i+1)))
				must(t, err)
				_, err = file.WriteAt(b, 0)
				must(t, err)
				must(t, file.Close())
			}
		}
		testkit.Bounded(t, len(first)+len(second), func() { readFeed(t, m, Position{LSN: lsn, Seq: base.SeqNum(seq)}, limit, len(first)+len(second)) })
	})
}

// readFeed reads a log of size bytes from a position up to a limit.
func readFeed(t *testing.T, m *vfs.Mem, from Position, limit uint64, size int) {
	allowed := func(err error) {
		t.Helper()
		if !errors.Is(err, ErrGone) && !errors.Is(err, ErrAhead) && !tellsDamage(err) {
			t.Fatal(err)
		}
	}
	r, err := OpenReader(ReaderOptions{FS: m, Dir: testDir}, from, limit)
	if err != nil {
		allowed(err)
		return
	}
	at := r.LSN()
	for {
		rec, ok, err := r.Next(limit)
		if err != nil {
			allowed(err)
			break
		}
		if !ok {
			break
		}
		if rec.LSN < at || rec.EndLSN > limit || rec.EndLSN-rec.LSN != uint64(record.RecordHeaderLen+len(rec.Payload)) {
			t.Fatalf("record from %d to %d behind %d, limit %d", rec.LSN, rec.EndLSN, at, limit)
		}
		at = rec.EndLSN
		if size -= len(rec.Payload); size < 0 {
			t.Fatal("more than there is")
		}
	}
	if m.OpenHandles() != 0 {
		t.Fatal("open files left")
	}
}
