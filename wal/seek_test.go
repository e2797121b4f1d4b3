package wal

import (
	"errors"
	"slices"
	"testing"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/record"
)

func TestAReaderStartsAtAnyBorder(t *testing.T) {
	f := newFeed(t, newMem(t))
	f.fill()
	limit := f.l.EndLSN()
	borders := map[uint64]int{} // LSN: records before it
	r := f.mustOpen(Position{})
	for i := 0; ; i++ {
		borders[r.LSN()] = i
		if _, ok, err := r.Next(limit); err != nil {
			t.Fatal(err)
		} else if !ok {
			borders[r.LSN()] = i
			break
		}
	}
	segs, err := List(f.fs, testDir)
	must(t, err)
	for _, seg := range segs { // where segments and their records start
		h, err := r.header(seg)
		must(t, err)
		borders[h.StartLSN] = f.before(h.StartLSN)
		borders[h.StartLSN+record.HeaderLen] = f.before(h.StartLSN)
		if seg > 1 {
			borders[h.StartLSN-sealRecordLen] = f.before(h.StartLSN)
		}
	}
	for lsn := uint64(1); lsn <= limit; lsn++ {
		n, border := borders[lsn]
		if !border && n > 6 && lsn%31 != 0 {
			continue
		}
		r, err := f.open(Position{LSN: lsn})
		if border {
			must(t, err)
			f.want(r, limit, n, len(f.recs))
			continue
		}
		if err == nil {
			_, _, err = r.Next(limit)
		}
		var c *base.CorruptionError
		if limit-lsn >= record.RecordHeaderLen && !errors.As(err, &c) && !isProof(f, lsn) {
			t.Fatalf("LSN %d is no border: %v", lsn, err)
		}
	}
	if _, err := f.open(Position{LSN: limit + 1}); !errors.Is(err, ErrAhead) {
		t.Fatal(err)
	}
}

// isProof reports whether a proof starts or ends at lsn: those are borders too.
func isProof(f *feed, lsn uint64) bool {
	var at []uint64
	_, err := Replay(f.fs, testDir, 0, func(r ReplayRecord) error {
		at = append(at, r.LSN, r.EndLSN)
		return nil
	})
	must(f.t, err)
	return slices.Contains(at, lsn)
}

func TestAReaderFindsSequenceNumbers(t *testing.T) {
	f := newFeed(t, newMem(t))
	f.fill()
	for limit := range f.l.EndLSN() + 1 {
		end := f.before(limit)
		if limit != f.l.EndLSN() && limit%61 != 0 {
			continue
		}
		for seq := base.SeqNum(0); seq < f.next+3; seq++ {
			from := slices.IndexFunc(f.recs, func(w written) bool { return w.last >= seq })
			if from < 0 {
				from = len(f.recs)
			}
			r, err := OpenReader(ReaderOptions{FS: f.fs, Dir: testDir}, Position{Seq: seq}, limit)
			must(t, err)
			f.want(r, limit, min(from, end), end)
			f.want(r, f.l.EndLSN(), max(from, end), len(f.recs))
		}
	}
	// With an LSN, it only passes over.
	r := f.mustOpen(Position{LSN: f.recs[1].end, Seq: f.recs[4].last})
	f.want(r, f.l.EndLSN(), 4, len(f.recs))
	r = f.mustOpen(Position{LSN: f.recs[5].end, Seq: 1})
	f.want(r, f.l.EndLSN(), 6, len(f.recs))
}

// TestAReaderOnlyMissesWhatIsGone removes more and more segments.
func TestAReaderOnlyMissesWhatIsGone(t *testing.T) {
	f := newFeed(t, newMem(t))
	f.fill()
	f.add(10, 1)
	limit := f.l.EndLSN()
	starts := map[base.SegmentNum]uint64{}
	probe := f.mustOpen(Position{})
	for seg := base.SegmentNum(1); seg <= f.l.Segment(); seg++ {
		h, err := probe.header(seg)
		must(t, err)
		starts[seg] = h.StartLSN
	}
	for oldest := base.SegmentNum(2); oldest <= f.l.Segment(); oldest++ {
		var running []*Reader // one behind each record, with nothing read ahead
		for i := range f.recs {
			r, err := f.open(Position{LSN: f.recs[i].end})
			if err != nil {
				r = nil // gone in an earlier round
			}
			running = append(running, r)
		}
		_, err := Remove(f.fs, testDir, oldest)
		must(t, err)
		there := slices.IndexFunc(f.recs, func(w written) bool { return w.seg >= oldest })
		for seq := base.SeqNum(0); seq < f.next; seq++ {
			r, err := f.open(Position{Seq: seq})
			if seq < f.recs[there].first {
				if !errors.Is(err, ErrGone) {
					t.Fatalf("from segment %d on, %d: %v", oldest, seq, err)
				}
				continue
			}
			must(t, err)
			f.want(r, limit, slices.IndexFunc(f.recs, func(w written) bool { return w.last >= seq }), len(f.recs))
		}
		for i, w := range f.recs {
			if r := running[i]; r != nil && i >= there-1 {
				f.want(r, limit, i+1, len(f.recs)) // it had all that is gone
			} else if r != nil {
				for range 2 {
					if _, _, err := r.Next(limit); !errors.Is(err, ErrGone) {
						t.Fatalf("from segment %d on, behind record %d: %v", oldest, i, err)
					}
				}
			}
			r, err := f.open(Position{LSN: w.end})
			gap := starts[oldest] - w.end
			switch {
			case w.seg >= oldest, gap == sealRecordLen, gap == sealRecordLen+record.RecordHeaderLen:
				must(t, err)
				f.want(r, limit, i+1, len(f.recs))
			case !errors.Is(err, ErrGone):
				t.Fatalf("from segment %d on, %d bytes behind: %v", oldest, gap, err)
			}
		}
	}
}

// TestSegmentsThatCameBackAreNotRead: a crash may bring removed segments back,
// with a gap behind them.
func TestSegmentsThatCameBackAreNotRead(t *testing.T) {
	f := newFeed(t, newMem(t))
	f.fill()
	r := f.mustOpen(Position{LSN: f.recs[2].end}) // at the end of segment 1
	must(t, f.fs.Remove(filePath(testDir, 2)))
	for _, pos := range []Position{{}, {Seq: 10}, {Seq: 22}, {LSN: f.recs[0].end}} {
		if _, err := f.open(pos); !errors.Is(err, ErrGone) {
			t.Fatalf("%+v: %v", pos, err)
		}
	}
	for range 2 {
		if _, _, err := r.Next(f.l.EndLSN()); !errors.Is(err, ErrGone) {
			t.Fatal(err)
		}
	}
	f.want(f.mustOpen(Position{Seq: f.recs[5].first}), f.l.EndLSN(), 5, len(f.recs))
}

// TestASegmentInTheMakingIsLeftAlone: the newest file may have no header yet,
// or a part of one.
func TestASegmentInTheMakingIsLeftAlone(t *testing.T) {
	f := newFeed(t, newMem(t))
	f.fill()
	limit := f.l.EndLSN()
	next := f.l.Segment() + 1
	whole := segmentBytes(t, f, 1)[:record.HeaderLen]
	for _, b := range [][]byte{nil, make([]byte, 64), make([]byte, 4096), whole[:20], append(slices.Clone(whole[:40]), make([]byte, 24)...)} {
		file, err := f.fs.Create(filePath(testDir, next))
		must(t, err)
		_, err = file.WriteAt(b, 0)
		must(t, err)
		must(t, file.Close())
		f.want(f.mustOpen(Position{}), limit, 0, len(f.recs))
		f.want(f.mustOpen(Position{Seq: 25}), limit, 4, len(f.recs))
		f.want(f.mustOpen(Position{LSN: limit}), limit, len(f.recs), len(f.recs))
		must(t, f.fs.Remove(filePath(testDir, next)))
	}
}

func segmentBytes(t testing.TB, f *feed, seg base.SegmentNum) []byte {
	t.Helper()
	file, err := f.fs.Open(filePath(testDir, seg))
	must(t, err)
	size, err := file.Size()
	must(t, err)
	b := make([]byte, size)
	if n, err := file.ReadAt(b, 0); n < len(b) {
		t.Fatal(err)
	}
	must(t, file.Close())
	return b
}

func TestAnEmptyDirectoryHasNothingToRead(t *testing.T) {
	_, err := OpenReader(ReaderOptions{FS: newMem(t), Dir: testDir}, Position{}, 0)
	if !errors.Is(err, ErrGone) {
		t.Fatal(err)
	}
	_, err = OpenReader(ReaderOptions{FS: newMem(t), Dir: "/nowhere"}, Position{}, 0)
	if err == nil || errors.Is(err, ErrGone) {
		t.Fatal(err)
	}
}
