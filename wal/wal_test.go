package wal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/vfs"
)

const testDir = "/db"

// newMem returns a file system with a durable, empty testDir.
func newMem(t testing.TB) *vfs.Mem {
	t.Helper()
	m := vfs.NewMem()
	must(t, m.MkdirAll(testDir))
	must(t, m.SyncDir("/"))
	return m
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// ids returns a source of file ids that gives the same ones every time.
func ids(seed uint64) func() uint64 {
	return func() uint64 {
		seed++
		return seed * 0x9e3779b97f4a7c15
	}
}

func testOptions(fs vfs.FS) Options {
	return Options{FS: fs, Dir: testDir, PreallocateBytes: 4096, NewID: ids(1)}
}

// payload number i, of n bytes or a few more; it tells i again.
func payload(i, n int) []byte {
	b := binary.LittleEndian.AppendUint32(nil, uint32(i))
	for j := range n {
		b = append(b, byte(i+j)|1)
	}
	return b
}

// checkPayload undoes payload.
func checkPayload(b []byte) (i int, err error) {
	if len(b) < 4 {
		return 0, fmt.Errorf("payload of %d bytes", len(b))
	}
	i = int(binary.LittleEndian.Uint32(b))
	if !bytes.Equal(b, payload(i, len(b)-4)) {
		return i, fmt.Errorf("payload %d is not what was written", i)
	}
	return i, nil
}

// replayed is what a replay of testDir gives.
type replayed struct {
	ReplayResult
	records []int
	proven  int // records with Proven set
}

// replay replays dir and checks what must hold of any replay.
func replayDir(fs vfs.FS, dir string, minSeg base.SegmentNum) (r replayed, err error) {
	var end uint64
	unproven := false
	r.ReplayResult, err = Replay(fs, dir, minSeg, func(rec ReplayRecord) error {
		i, err := checkPayload(rec.Payload)
		if err != nil {
			return err
		}
		if rec.LSN < end || rec.EndLSN < rec.LSN+32+uint64(len(rec.Payload)) {
			return fmt.Errorf("record %d: LSN %d to %d after %d", i, rec.LSN, rec.EndLSN, end)
		}
		if rec.Proven && unproven {
			return fmt.Errorf("record %d is proven, the one before it is not", i)
		}
		if rec.Proven {
			r.proven++
		} else {
			unproven = true
		}
		end = rec.EndLSN
		r.records = append(r.records, i)
		return nil
	})
	if err == nil && r.Records != len(r.records) {
		err = fmt.Errorf("%d records counted, %d delivered", r.Records, len(r.records))
	}
	return r, err
}

func mustReplay(t testing.TB, fs vfs.FS, minSeg base.SegmentNum) replayed {
	t.Helper()
	r, err := replayDir(fs, testDir, minSeg)
	must(t, err)
	for i, rec := range r.records {
		if rec != i {
			t.Fatalf("records %v", r.records)
		}
	}
	return r
}

func mustAppend(t testing.TB, l *Log, i, n int) {
	t.Helper()
	p := payload(i, n)
	end, err := l.Append(p[:2], p[2:])
	must(t, err)
	if end != l.EndLSN() {
		t.Fatalf("Append gives LSN %d, EndLSN %d", end, l.EndLSN())
	}
}

func mustSync(t testing.TB, l *Log) {
	t.Helper()
	lsn, err := l.Sync()
	must(t, err)
	l.MarkSynced(lsn)
	if lsn != l.EndLSN() || l.SyncedLSN() != lsn || l.DurableLSN() != lsn {
		t.Fatalf("sync gives %d: end %d, mark %d, durable %d", lsn, l.EndLSN(), l.SyncedLSN(), l.DurableLSN())
	}
}

func TestReplayReturnsWhatWasAppended(t *testing.T) {
	for _, c := range []struct {
		name string
		fs   vfs.FS
		dir  string
	}{{"os", vfs.OS(), t.TempDir()}, {"mem", newMem(t), testDir}} {
		t.Run(c.name, func(t *testing.T) {
			n := 0
			var next ReplayResult
			for open := range 3 {
				opts := Options{FS: c.fs, Dir: c.dir, PreallocateBytes: 10000}
				seg := max(1, next.NextSegment)
				l, err := Create(opts, seg, next.EndLSN)
				must(t, err)
				for range 3 {
					for size := range 40 {
						mustAppend(t, l, n, size*size)
						n++
					}
					if l.Segment() != seg || l.SegmentBytes() < 20000 {
						t.Fatalf("segment %d has %d bytes", l.Segment(), l.SegmentBytes())
					}
					seg++
					must(t, l.Rotate(seg))
					mustSync(t, l)
				}
				must(t, l.WriteProof())
				must(t, l.Close())
				r, err := replayDir(c.fs, c.dir, 0)
				must(t, err)
				if len(r.records) != n || r.Cut != nil || r.proven != n || len(r.Segments) != 4*(open+1) {
					t.Fatalf("%d records of %d, %d proven, cut %v, segments %v", len(r.records), n, r.proven, r.Cut, r.Segments)
				}
				next = r.ReplayResult
			}
		})
	}
}

func TestSegmentsBelowTheFirstAreIgnored(t *testing.T) {
	m := newMem(t)
	l, err := Create(testOptions(m), 1, 0)
	must(t, err)
	for i := range 4 {
		mustAppend(t, l, i, 10)
		must(t, l.Rotate(l.Segment()+1))
	}
	must(t, l.Close())
	r, err := replayDir(m, testDir, 3)
	must(t, err)
	if len(r.records) != 2 || r.records[0] != 2 {
		t.Fatalf("records %v", r.records)
	}
	if n, err := Remove(m, testDir, 3); n != 2 || err != nil {
		t.Fatal(n, err)
	}
	if r, err = replayDir(m, testDir, 3); err != nil || len(r.records) != 2 {
		t.Fatal(r, err)
	}
	for _, minSeg := range []base.SegmentNum{0, 1, 2, 6} {
		_, err := replayDir(m, testDir, minSeg)
		var missing *base.MissingFileError
		if !errors.As(err, &missing) {
			t.Fatalf("from %d: %v", minSeg, err)
		}
	}
	must(t, m.Remove(filepath.Join(testDir, "000005.wal")))
	_, err = replayDir(m, testDir, 3)
	var missing *base.MissingFileError
	if !errors.As(err, &missing) || missing.File != "000005.wal" {
		t.Fatal(err)
	}
}
