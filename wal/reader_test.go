package wal

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/record"
	"github.com/cordwood-db/cordwood/vfs"
)

// commits is the payload of a group of commits with count operations each, of
// n bytes (of nonsense), from sequence number first on.
func commits(first base.SeqNum, n int, counts ...uint32) (b []byte) {
	for _, count := range counts {
		b = base.CommitHeader{FirstSeq: first, Count: count, OpsLen: uint64(n)}.Append(b)
		b = append(b, bytes.Repeat([]byte{byte(first)}, n)...)
		first += base.SeqNum(count)
	}
	return b
}

// written is a record as a test wrote it.
type written struct {
	seg         base.SegmentNum
	end         uint64
	first, last base.SeqNum
	payload     []byte
}

// feed is a log in the making.
type feed struct {
	t    testing.TB
	fs   vfs.FS
	l    *Log
	next base.SeqNum
	recs []written
}

func newFeed(t testing.TB, fs vfs.FS) *feed { return newFeedWith(t, testOptions(fs)) }

func newFeedWith(t testing.TB, opts Options) *feed {
	l, err := Create(opts, 1, 0)
	must(t, err)
	return &feed{t: t, fs: opts.FS, l: l, next: 10}
}

// add appends a record of a commit with the given counts of operations.
func (f *feed) add(n int, counts ...uint32) {
	f.t.Helper()
	w := written{seg: f.l.Segment(), first: f.next, payload: commits(f.next, n, counts...)}
	for _, c := range counts {
		f.next += base.SeqNum(c)
	}
	w.last = f.next - 1
	var err error
	w.end, err = f.l.Append(w.payload)
	must(f.t, err)
	f.recs = append(f.recs, w)
}

func (f *feed) rotate() {
	f.t.Helper()
	must(f.t, f.l.Rotate(f.l.Segment()+1))
}

// fill writes a log with everything in it: groups, proofs, gaps in the sequence
// numbers, segments without records or with proofs only.
func (f *feed) fill() {
	f.add(10, 1)
	f.add(0, 3, 2)
	mustSync(f.t, f.l)
	must(f.t, f.l.WriteProof())
	f.add(700, 5)
	f.rotate()
	f.add(30, 1, 1, 1)
	f.next += 7 // of a commit that failed
	f.add(5, 4)
	f.rotate()
	f.rotate()
	mustSync(f.t, f.l)
	must(f.t, f.l.WriteProof())
	f.rotate()
	must(f.t, f.l.WriteProof())
	f.add(1500, 2)
	f.add(1, 1)
	f.rotate()
	f.next += 3
	f.add(1, 1)
	f.rotate()
}

func (f *feed) open(from Position) (*Reader, error) {
	return OpenReader(ReaderOptions{FS: f.fs, Dir: testDir}, from, f.l.EndLSN())
}

func (f *feed) mustOpen(from Position) *Reader {
	f.t.Helper()
	r, err := f.open(from)
	must(f.t, err)
	return r
}

// want checks that r delivers records [from, to) of the feed and then nothing,
// at that limit.
func (f *feed) want(r *Reader, limit uint64, from, to int) {
	f.t.Helper()
	for i := from; i < to; i++ {
		rec, ok, err := r.Next(limit)
		must(f.t, err)
		w := f.recs[i]
		if !ok || rec.Segment != w.seg || rec.EndLSN != w.end || !bytes.Equal(rec.Payload, w.payload) ||
			rec.EndLSN-rec.LSN != uint64(record.RecordHeaderLen+len(w.payload)) || r.LSN() != rec.EndLSN || r.Segment() != w.seg {
			f.t.Fatalf("limit %d, record %d of %d: got %v, %d to %d in %d, want %+v", limit, i, to, ok, rec.LSN, rec.EndLSN, rec.Segment, w)
		}
	}
	for range 2 {
		if rec, ok, err := r.Next(limit); ok || err != nil {
			f.t.Fatalf("limit %d, behind record %d: %v, %v, LSN %d", limit, to, ok, err, rec.LSN)
		}
	}
	if r.LSN() > limit {
		f.t.Fatalf("the reader stands at %d, the limit was %d", r.LSN(), limit)
	}
	if m, ok := f.fs.(*vfs.Mem); ok && m.OpenHandles() > len(f.l.open) {
		f.t.Fatalf("%d open files, the log has %d", m.OpenHandles(), len(f.l.open))
	}
}

// before is how many records end at limit or before.
func (f *feed) before(limit uint64) int {
	n, _ := slices.BinarySearchFunc(f.recs, limit+1, func(w written, end uint64) int { return int(w.end) - int(end) })
	return n
}

func TestAReaderFollowsTheLog(t *testing.T) {
	f := newFeed(t, newMem(t))
	early := f.mustOpen(Position{})
	rng := rand.New(rand.NewPCG(1, 2))
	seen := 0
	for range 400 {
		switch rng.IntN(12) {
		case 0:
			f.rotate()
		case 1:
			must(t, f.l.WriteProof())
		case 2:
			mustSync(t, f.l)
		case 3:
			f.add(rng.IntN(600_000), 1)
		default:
			f.add(rng.IntN(300), 1+rng.Uint32N(3), 1)
		}
		if rng.IntN(3) == 0 {
			f.want(early, f.l.EndLSN(), seen, len(f.recs))
			seen = len(f.recs)
		}
	}
	f.want(early, f.l.EndLSN(), seen, len(f.recs))
	f.want(f.mustOpen(Position{}), f.l.EndLSN(), 0, len(f.recs))
	must(t, f.l.Close())
}

func TestAReaderWorksOnTheMachinesFiles(t *testing.T) {
	dir := t.TempDir()
	l, err := Create(Options{FS: vfs.OS(), Dir: dir, PreallocateBytes: 1 << 16}, 1, 0)
	must(t, err)
	r, err := OpenReader(ReaderOptions{FS: vfs.OS(), Dir: dir}, Position{}, l.EndLSN())
	must(t, err)
	for i := range 100 {
		mustAppend(t, l, i, i*100)
		if i%10 == 9 {
			must(t, l.Rotate(l.Segment()+1))
			_, err := Remove(vfs.OS(), dir, r.Segment()) // while the log has it open
			must(t, err)
		}
		rec, ok, err := r.Next(l.EndLSN())
		if n, perr := checkPayload(rec.Payload); err != nil || !ok || perr != nil || n != i {
			t.Fatalf("record %d: %v, %v, %d, %v", i, ok, err, n, perr)
		}
	}
	sizes, err := Sizes(vfs.OS(), dir)
	must(t, err)
	nums, err := List(vfs.OS(), dir)
	must(t, err)
	if len(nums) != 2 || len(sizes) != 2 || nums[0] != 10 || sizes[0].Num != 10 || sizes[0].Bytes < 9000 || sizes[1].Num != 11 {
		t.Fatalf("%v, %v", nums, sizes)
	}
	must(t, l.Close())
}

// TestAReaderNeverPassesItsLimit: any limit, also one inside a record, a seal or
// a header, gives what ends before it, and a higher one goes on.
func TestAReaderNeverPassesItsLimit(t *testing.T) {
	f := newFeed(t, newMem(t))
	f.fill()
	step := f.mustOpen(Position{})
	seen := 0
	for limit := range f.l.EndLSN() + 1 {
		n := f.before(limit)
		f.want(step, limit, seen, n)
		seen = n
		if n > 6 && limit%97 != 0 {
			continue // the large record
		}
		r, err := OpenReader(ReaderOptions{FS: f.fs, Dir: testDir}, Position{}, limit)
		must(t, err)
		f.want(r, limit, 0, n)
	}
	if seen != len(f.recs) {
		t.Fatalf("%d records of %d", seen, len(f.recs))
	}
}

// TestALimitHidesWhatIsBehindIt: bytes behind the limit may be anything.
func TestALimitHidesWhatIsBehindIt(t *testing.T) {
	f := newFeed(t, newMem(t))
	f.add(100, 1)
	f.add(100, 1)
	limit, at := f.l.EndLSN(), f.l.SegmentBytes()
	r, late := f.mustOpen(Position{}), f.mustOpen(Position{LSN: limit})
	file, err := f.fs.OpenReadWrite(filePath(testDir, 1))
	must(t, err)
	_, err = file.WriteAt(bytes.Repeat([]byte{0xff}, 200), at)
	must(t, err)
	must(t, file.Close())
	f.want(f.mustOpen(Position{}), limit, 0, 2)
	f.want(r, limit, 0, 2)
	f.add(100, 1) // in the place of what was there
	f.want(r, f.l.EndLSN(), 2, 3)
	f.want(late, f.l.EndLSN(), 2, 3)
}

// TestAFailedAppendIsNotDelivered: what was taken back, whole or in part, lies
// above the limit, and what comes in its place is read.
func TestAFailedAppendIsNotDelivered(t *testing.T) {
	m := newMem(t)
	opts := testOptions(m)
	opts.PreallocateBytes = 0
	f := newFeedWith(t, opts)
	l := f.l
	r := f.mustOpen(Position{})
	for i := range 20 {
		f.add(50, 1)
		m.SetCapacity(m.Used() + int64(i*10))
		if _, err := l.Append(bytes.Repeat([]byte{7}, 5000)); !vfs.IsNoSpace(err) {
			t.Fatal(err)
		}
		f.want(r, l.EndLSN(), i, i+1)
		m.SetCapacity(1 << 40)
	}
	f.want(f.mustOpen(Position{}), l.EndLSN(), 0, 20)
}

// TestAReaderSurvivesFailedReads: every operation fails once, and the repeated
// call goes on without loss or repetition.
func TestAReaderSurvivesFailedReads(t *testing.T) {
	m := newMem(t)
	f := newFeed(t, m)
	f.fill()
	limit := f.l.EndLSN()
	for n := 1; ; n++ {
		left := n
		m.SetHook(func(vfs.Op) error {
			if left--; left == 0 {
				return errFault
			}
			return nil
		})
		fails := 0
		try := func(err error) bool {
			if err == nil {
				return false
			}
			if fails++; !errors.Is(err, errFault) || fails > 1 {
				t.Fatalf("operation %d: %v", n, err)
			}
			return true
		}
		r, err := f.open(Position{Seq: 25})
		if try(err) {
			r = f.mustOpen(Position{Seq: 25})
		}
		for i := 4; i < len(f.recs); {
			rec, ok, err := r.Next(limit)
			if try(err) {
				continue
			}
			if !ok || !bytes.Equal(rec.Payload, f.recs[i].payload) {
				t.Fatalf("operation %d, record %d: %v", n, i, ok)
			}
			i++
		}
		m.SetHook(nil)
		if m.OpenHandles() != len(f.l.open) {
			t.Fatal("open files left")
		}
		if fails == 0 {
			if n < 20 {
				t.Fatalf("only %d operations", n)
			}
			return
		}
	}
}

var errFault = errors.New("fault")

func TestAReaderForgetsTheMemoryOfLargeRecords(t *testing.T) {
	f := newFeed(t, newMem(t))
	f.add(30<<20, 1)
	for range 10 {
		f.add(10, 1)
	}
	r := f.mustOpen(Position{})
	f.want(r, f.l.EndLSN(), 0, len(f.recs))
	if n := testing.AllocsPerRun(10, func() {
		if _, _, err := r.Next(f.l.EndLSN()); err != nil {
			t.Error(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations where there is nothing to read", n)
	}
}
