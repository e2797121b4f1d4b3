package wal

import (
	"bytes"
	"testing"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/record"
	"github.com/cordwood-db/cordwood/internal/testkit"
	"github.com/cordwood-db/cordwood/vfs"
)

// FuzzReplay replays directories with one or two made-up segments, repairs the
// cut if there is one, and goes on behind it.
func FuzzReplay(f *testing.F) {
	_, segs, _ := closedLog(f)
	f.Add(segs[1], segs[2], uint8(0))
	f.Add(segs[1][:200], segs[2][:100], uint8(3))
	f.Add(segs[1], []byte{}, uint8(1))
	f.Add(segs[1], segs[2], uint8(3))
	f.Add([]byte{}, []byte{}, uint8(1))
	f.Add(make([]byte, 100), segs[2], uint8(2))
	f.Fuzz(func(t *testing.T, first, second []byte, how uint8) {
		first, second = bytes.Clone(first), bytes.Clone(second)
		for i, b := range [][]byte{first, second} {
			if how>>i&1 != 0 {
				testkit.ResealRecords(b)
			}
		}
		m := newMem(t)
		put := func(seg int, b []byte) {
			f, err := m.Create(filePath(testDir, base.SegmentNum(seg)))
			must(t, err)
			_, err = f.WriteAt(b, 0)
			must(t, err)
			must(t, f.Close())
		}
		put(1, first)
		if how&4 == 0 {
			put(2, second)
		}
		testkit.Bounded(t, len(first)+len(second), func() { replayAndGoOn(t, m, len(first)+len(second), int(how>>3&1)) })
	})
}

// replayAndGoOn replays a log of size bytes, repairs it, replays it again and
// appends to it.
func replayAndGoOn(t *testing.T, m *vfs.Mem, size, from int) {
	replay := func(fs vfs.FS, from int) (payloads [][]byte, res ReplayResult, err error) {
		got := 0
		res, err = Replay(fs, testDir, base.SegmentNum(from), func(r ReplayRecord) error {
			payloads = append(payloads, bytes.Clone(r.Payload))
			got += len(r.Payload)
			return nil
		})
		if got > size+len("one more") || len(payloads) < res.Records {
			t.Fatalf("%d bytes replayed of %d", got, size)
		}
		return payloads, res, err
	}
	payloads, res, err := replay(m, from)
	if err != nil {
		if !tellsDamage(err) {
			t.Fatal(err)
		}
		return
	}
	if res.Cut != nil {
		must(t, Repair(m, testDir, *res.Cut))
	}
	again, res2, err := replay(m, from)
	if err != nil || res2.Cut != nil || res2.EndLSN != res.EndLSN || res2.NextSegment != res.NextSegment || len(again) != len(payloads) {
		t.Fatalf("after repair: %v, %+v, before %+v", err, res2, res)
	}
	l, err := Create(testOptions(m), res.NextSegment, res.EndLSN)
	if err != nil {
		if res.EndLSN < record.LSNMax-1000 {
			t.Fatal(err)
		}
		return
	}
	_, err = l.Append([]byte("one more"))
	must(t, err)
	must(t, l.Close())
	more, _, err := replay(m, from)
	if err != nil || len(more) != len(payloads)+1 || string(more[len(payloads)]) != "one more" {
		t.Fatalf("after going on: %v, %d records, before %d", err, len(more), len(payloads))
	}
}
