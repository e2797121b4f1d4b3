package wal

import (
	"math/rand/v2"
	"testing"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/vfs"
)

// TestRetainedSegmentsAreNoneOfRecoverysBusiness: a directory that keeps
// segments below the first that a replay needs, whole, damaged or with gaps, is
// replayed, repaired, created in and removed from as if they were not there,
// and keeps them.
func TestRetainedSegmentsAreNoneOfRecoverysBusiness(t *testing.T) {
	const minSeg = 4
	for what, change := range map[string]func(f *feed){
		"whole": func(*feed) {},
		"gap": func(f *feed) {
			must(t, f.fs.Remove(filePath(testDir, 2)))
		},
		"gap just below": func(f *feed) {
			must(t, f.fs.Remove(filePath(testDir, 3)))
		},
		"damaged": func(f *feed) {
			file, err := f.fs.OpenReadWrite(filePath(testDir, 2))
			must(t, err)
			_, err = file.WriteAt(make([]byte, 500), 0)
			must(t, err)
			must(t, file.Close())
		},
		"empty": func(f *feed) {
			file, err := f.fs.OpenReadWrite(filePath(testDir, 3))
			must(t, err)
			must(t, file.Truncate(0))
			must(t, file.Close())
		},
	} {
		for _, torn := range []bool{false, true} {
			m := newMem(t)
			f := newFeed(t, m)
			for range 6 {
				f.add(50, 1)
				f.add(50, 2)
				f.rotate()
			}
			mustSync(t, f.l)
			f.add(60, 1)
			must(t, f.l.Close())
			change(f)
			kept, err := List(m, testDir)
			must(t, err)
			if torn { // the last record
				b := segmentBytes(t, f, 7)
				rewrite(t, m, 7, b[:len(b)-3])
				f.recs = f.recs[:len(f.recs)-1]
			}

			res, err := Replay(m, testDir, minSeg, nil)
			must(t, err)
			if res.Records != len(f.recs)-6 || len(res.Segments) != 4 || res.NextSegment != 8 || (res.Cut != nil) != torn {
				t.Fatalf("%s: %+v", what, res)
			}
			if torn {
				must(t, Repair(m, testDir, *res.Cut))
			}
			opts := testOptions(m)
			opts.NewID = ids(50)
			f.l, err = Create(opts, res.NextSegment, res.EndLSN)
			must(t, err)
			f.add(70, 1)
			f.rotate()
			f.add(70, 1)
			now, err := List(m, testDir)
			must(t, err)
			if len(now) != len(kept)+2 {
				t.Fatalf("%s: %v, then %v", what, kept, now)
			}

			again, err := Replay(m, testDir, minSeg, nil)
			must(t, err)
			if again.Records != len(f.recs)-6 || again.EndLSN != f.l.EndLSN() || again.Cut != nil {
				t.Fatalf("%s: %+v", what, again)
			}
			// What is readable of the retained part can be read, into the log
			// that was opened since.
			first := 6
			if what == "whole" {
				first = 0
			}
			f.want(f.mustOpen(Position{Seq: f.recs[first].first}), f.l.EndLSN(), first, len(f.recs))

			for before := base.SegmentNum(1); before <= minSeg; before++ {
				_, err := Remove(m, testDir, before)
				must(t, err)
				if now, err = List(m, testDir); err != nil || now[0] < before {
					t.Fatalf("%s: %v, %v", what, now, err)
				}
				f.want(f.mustOpen(Position{Seq: f.recs[6].first}), f.l.EndLSN(), 6, len(f.recs))
			}
			if now[0] != minSeg {
				t.Fatalf("%s: %v", what, now)
			}
			must(t, f.l.Close())
		}
	}
}

// TestSizesAreThoseOfTheFiles, preallocated space included.
func TestSizesAreThoseOfTheFiles(t *testing.T) {
	f := newFeed(t, newMem(t))
	f.fill()
	sizes, err := Sizes(f.fs, testDir)
	must(t, err)
	if len(sizes) != int(f.l.Segment()) {
		t.Fatalf("%v", sizes)
	}
	for i, s := range sizes {
		if s.Num != base.SegmentNum(i+1) || s.Bytes != int64(len(segmentBytes(t, f, s.Num))) || s.Bytes < 4096 {
			t.Fatalf("%v", sizes)
		}
	}
	must(t, f.l.Close())
}

// TestADurablePositionOutlivesPowerLoss: a reader that went no further than what
// was synced goes on after a crash where it was, also if the segment had been
// let go of, since it was synced before.
func TestADurablePositionOutlivesPowerLoss(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	for range 60 {
		m := newMem(t)
		f := newFeed(t, m)
		r := f.mustOpen(Position{})
		seen := 0
		for range 1 + rng.IntN(30) {
			switch rng.IntN(5) {
			case 0:
				f.rotate()
			case 1:
				mustSync(t, f.l)
				f.l.Retire(f.l.Segment())
			default:
				f.add(rng.IntN(100), 1)
			}
			n := f.before(f.l.DurableLSN())
			f.want(r, f.l.DurableLSN(), seen, n)
			seen = n
		}
		crashed := m.CrashClone(func(vfs.CrashItem) vfs.CrashChoice { return vfs.CrashChoice(rng.IntN(3)) })
		res, err := Replay(crashed, testDir, 1, nil)
		must(t, err)
		if res.Cut != nil {
			must(t, Repair(crashed, testDir, *res.Cut))
		}
		if f.recs = f.recs[:f.before(res.EndLSN)]; len(f.recs) < seen {
			t.Fatalf("%d records, %d were durable", len(f.recs), seen)
		}
		opts := testOptions(crashed)
		opts.NewID = ids(77)
		f.fs = crashed
		f.l, err = Create(opts, res.NextSegment, res.EndLSN)
		must(t, err)
		f.add(20, 1)
		f.rotate()
		f.add(20, 1)
		f.want(f.mustOpen(Position{LSN: r.LSN()}), f.l.EndLSN(), seen, len(f.recs))
		f.want(f.mustOpen(Position{}), f.l.EndLSN(), 0, len(f.recs))
		must(t, f.l.Close())
	}
}
