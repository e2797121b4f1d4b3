package wal

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/vfs"
)

// refuseFrom replays fs and refuses record n and all behind it.
func refuseFrom(fs vfs.FS, n int) (records []int, res ReplayResult, err error) {
	res, err = Replay(fs, testDir, 0, func(r ReplayRecord) error {
		i, err := checkPayload(r.Payload)
		if err != nil {
			return err
		}
		if i >= n {
			return fmt.Errorf("record %d has no value: %w", i, ErrCutHere)
		}
		records = append(records, i)
		return nil
	})
	return records, res, err
}

// chain is a durable log of four segments with ten records, without a mark.
func chain(t *testing.T) *vfs.Mem {
	t.Helper()
	m := newMem(t)
	l, err := Create(testOptions(m), 1, 0)
	must(t, err)
	for i := range 10 {
		if i%3 == 2 {
			must(t, l.Rotate(l.Segment()+1))
		}
		mustAppend(t, l, i, 300)
	}
	_, err = l.Sync()
	must(t, err)
	must(t, l.Close())
	return m
}

func TestCutByTheCallerSurvivesACrashAtEveryStepOfItsRepair(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	for refuse := range 10 {
		m := chain(t)
		records, res, err := refuseFrom(m, refuse)
		must(t, err)
		last := base.SegmentNum((refuse+1)/3 + 1)
		if len(records) != refuse || res.Records != refuse || res.Cut == nil || res.Cut.Segment != last ||
			len(res.Cut.LostSegments) != 4-int(last) || !slices.Contains(res.Segments, last) || res.NextSegment != last+1 {
			t.Fatalf("refuse %d: %+v %+v", refuse, res, res.Cut)
		}
		m.SetHook(func(op vfs.Op) error {
			if !op.Kind.Mutates() {
				return nil
			}
			subsets(m, rng, 64, func(img *vfs.Mem, what string) {
				records, again, err := refuseFrom(img, refuse)
				if err != nil || len(records) != refuse || again.EndLSN != res.EndLSN || again.NextSegment != res.NextSegment {
					t.Fatalf("refuse %d, before %v %s, %s: %v, %d records, %+v", refuse, op.Kind, op.Path, what, err, len(records), again)
				}
			})
			return nil
		})
		must(t, Repair(m, testDir, *res.Cut))
		must(t, Repair(m, testDir, *res.Cut))
		m.SetHook(nil)
		if items := m.Unsynced(); len(items) > 0 {
			t.Fatalf("repaired, but not durable: %v", items)
		}
		if r := mustReplay(t, m, 0); r.Cut != nil || len(r.records) != refuse || r.EndLSN != res.EndLSN {
			t.Fatalf("after repair: %+v", r)
		}
		l, err := Create(testOptions(m), res.NextSegment, res.EndLSN)
		must(t, err)
		mustAppend(t, l, refuse, 5)
		must(t, l.Close())
		if r := mustReplay(t, m, 0); r.Cut != nil || len(r.records) != refuse+1 {
			t.Fatalf("after repair and one more: %+v", r)
		}
		if n := m.OpenHandles(); n != 0 {
			t.Fatalf("%d handles left open", n)
		}
	}
}

func TestAProvenRecordThatTheCallerRefusesIsDamage(t *testing.T) {
	m := newMem(t)
	l, err := Create(testOptions(m), 1, 0)
	must(t, err)
	mustAppend(t, l, 0, 9)
	at := l.SegmentBytes()
	mustAppend(t, l, 1, 9)
	mustSync(t, l)
	mustAppend(t, l, 2, 9)
	must(t, l.Close())
	_, _, err = refuseFrom(m, 1)
	var damage *base.CorruptionError
	if !errors.As(err, &damage) || damage.File != "000001.wal" || damage.Offset != at || !errors.Is(err, ErrCutHere) {
		t.Fatal(err)
	}
	if _, res, err := refuseFrom(m, 2); err != nil || res.Cut == nil || res.Cut.Reason != "record 2 has no value: wal: cut here" {
		t.Fatal(res, err)
	}
}

func TestErrorOfTheCallerEndsTheReplay(t *testing.T) {
	m := chain(t)
	mine := errors.New("mine")
	n := 0
	_, err := Replay(m, testDir, 0, func(ReplayRecord) error {
		if n++; n == 4 {
			return mine
		}
		return nil
	})
	if err != mine || n != 4 {
		t.Fatal(n, err)
	}
	if res, err := Replay(m, testDir, 0, nil); err != nil || res.Records != 10 {
		t.Fatal(res, err)
	}
}

func TestRepairRefusesACutThatCannotBe(t *testing.T) {
	m := chain(t)
	for _, cut := range []Cut{
		{Segment: 9, Offset: 64},
		{Segment: 1, Offset: 63},
		{Segment: 1, Offset: 1 << 20},
		{Segment: 3, Offset: 64, LostSegments: []base.SegmentNum{4, 2}},
	} {
		if err := Repair(m, testDir, cut); err == nil {
			t.Fatalf("%+v accepted", cut)
		}
	}
}
