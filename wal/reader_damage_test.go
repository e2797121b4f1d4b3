package wal

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/record"
	"github.com/cordwood-db/cordwood/internal/testkit"
	"github.com/cordwood-db/cordwood/vfs"
)

// smallFeed is a closed log of a few hundred bytes in three segments, with
// proofs, and without anything behind its records.
func smallFeed(t testing.TB) (f *feed, limit uint64) {
	opts := testOptions(newMem(t))
	opts.PreallocateBytes = 0
	f = newFeedWith(t, opts)
	f.add(9, 1)
	f.add(0, 1, 2)
	f.rotate()
	mustSync(t, f.l)
	must(t, f.l.WriteProof())
	f.add(5, 1)
	f.rotate()
	f.add(7, 3)
	limit = f.l.EndLSN()
	must(t, f.l.Close())
	return f, limit
}

// read delivers from a position to the end or an error. What it delivers must
// be what was written, in order and without holes.
func (f *feed) read(from Position, limit uint64) (n int, err error) {
	f.t.Helper()
	r, err := OpenReader(ReaderOptions{FS: f.fs, Dir: testDir}, from, limit)
	if err != nil {
		return 0, err
	}
	at := slices.IndexFunc(f.recs, func(w written) bool { return w.end > from.LSN && w.last >= from.Seq })
	for {
		rec, ok, err := r.Next(limit)
		if err != nil || !ok {
			return n, err
		}
		if w := f.recs[at+n]; rec.EndLSN != w.end || rec.Segment != w.seg || !bytes.Equal(rec.Payload, w.payload) {
			f.t.Fatalf("from %+v: record %d is not what was written there", from, at+n)
		}
		n++
	}
}

// TestAReaderTellsAnyDamagedByte flips every bit pattern of a few in each byte:
// a reader gives what was written or an error, and one that reads everything
// meets the damage.
func TestAReaderTellsAnyDamagedByte(t *testing.T) {
	testkit.Sequential(t)
	f, limit := smallFeed(t)
	m := f.fs.(*vfs.Mem)
	starts := []Position{{}}
	for _, w := range f.recs {
		starts = append(starts, Position{LSN: w.end}, Position{Seq: w.first}, Position{Seq: w.last})
	}
	for seg := base.SegmentNum(1); seg <= 3; seg++ {
		good := segmentBytes(t, f, seg)
		bad := func(what string, b []byte) {
			t.Helper()
			rewrite(t, m, seg, b)
			for i, from := range starts {
				n, err := f.read(from, limit)
				var damage *base.CorruptionError
				var version *base.FormatError
				switch {
				case err == nil && i == 0:
					t.Fatalf("segment %d, %s: %d records and no error", seg, what, n)
				case err != nil && !errors.As(err, &damage) && !errors.As(err, &version):
					t.Fatalf("segment %d, %s: %v", seg, what, err)
				case damage != nil && damage.File == "":
					t.Fatal(err)
				}
			}
		}
		for i := range good {
			for _, bits := range []byte{1, 0x80, 0xff} {
				b := slices.Clone(good)
				b[i] ^= bits
				bad(fmt.Sprintf("byte %d ^ %#x", i, bits), b)
			}
			bad(fmt.Sprintf("cut at %d", i), good[:i])
			if !bytes.Equal(good[i:], make([]byte, len(good)-i)) {
				bad(fmt.Sprintf("zeros from %d", i), append(slices.Clone(good[:i]), make([]byte, len(good)-i)...))
			}
		}
		rewrite(t, m, seg, good)
	}
	if n, err := f.read(Position{}, limit); n != len(f.recs) || err != nil {
		t.Fatal(n, err)
	}
}

// TestAReaderTellsSwappedSegments: valid files in the wrong places.
func TestAReaderTellsSwappedSegments(t *testing.T) {
	f, limit := smallFeed(t)
	m := f.fs.(*vfs.Mem)
	two := segmentBytes(t, f, 2)
	var damage *base.CorruptionError
	rewrite(t, m, 2, segmentBytes(t, f, 3))
	if _, err := f.read(Position{}, limit); !errors.As(err, &damage) {
		t.Fatal(err)
	}
	// The same number and start, another file.
	opts := testOptions(newMem(t))
	opts.NewID = ids(99)
	l, err := Create(opts, 1, 0)
	must(t, err)
	for _, w := range f.recs[:2] {
		_, err := l.Append(w.payload)
		must(t, err)
	}
	must(t, l.Rotate(2))
	foreign := &feed{t: t, fs: opts.FS}
	rewrite(t, m, 2, segmentBytes(t, foreign, 2))
	if n, err := f.read(Position{}, limit); !errors.As(err, &damage) || n != 2 || !strings.Contains(err.Error(), "seal") {
		t.Fatal(n, err)
	}
	rewrite(t, m, 2, two)
	if n, err := f.read(Position{}, limit); err != nil || n != len(f.recs) {
		t.Fatal(n, err)
	}
}

// TestAReaderTellsRecordsThatMakeNoSense: their checksums hold.
func TestAReaderTellsRecordsThatMakeNoSense(t *testing.T) {
	elsewhere := seal{next: 3, id: 7}.encode()
	toTwo := seal{next: 2, id: 7}.encode()
	for what, c := range map[string]struct {
		typ     byte
		payload []byte
		from    Position
	}{
		"unknown type 9":          {9, nil, Position{}},
		"malformed seal":          {typeSeal, []byte("seal"), Position{}},
		"seal leads to segment 3": {typeSeal, elsewhere[:], Position{}},
		"starts at LSN 0":         {typeSeal, toTwo[:], Position{}},
		"does not decode":         {typeCommits, []byte("x"), Position{Seq: 5}},
	} {
		m := newMem(t)
		end := handmade(t, m, 1, record.FileHeader{Number: 1}, c.typ, c.payload)
		handmade(t, m, 2, record.FileHeader{Number: 2}, typeCommits, nil)
		r, err := OpenReader(ReaderOptions{FS: m, Dir: testDir}, c.from, end+200)
		for err == nil {
			ok := false
			if _, ok, err = r.Next(end + 200); err == nil && !ok {
				t.Fatalf("%s: nothing is wrong", what)
			}
		}
		var damage *base.CorruptionError
		if !errors.As(err, &damage) || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
