package measure

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/cordwood-db/cordwood/bench/measure/measuretest"
	"github.com/cordwood-db/cordwood/bench/result"
)

func TestWorkersTakeTurnsAtEvenDistances(t *testing.T) {
	var all []time.Duration
	for i := range 4 {
		p := NewPacer(1000, 4, i, false, 0)
		for k := range 50 {
			due := p.Next()
			if want := time.Duration(k*4+i) * ms; due != want {
				t.Fatalf("operation %d of worker %d is due at %v, want %v", k, i, due, want)
			}
			all = append(all, due)
		}
	}
	slices.Sort(all)
	for n, due := range all {
		if due != time.Duration(n)*ms {
			t.Fatalf("the %d-th of all is due at %v", n, due)
		}
	}
}

func TestTheTimetableDoesNotDrift(t *testing.T) {
	p := NewPacer(3, 1, 0, false, 0) // a third of a second cannot be written down
	var due time.Duration
	for range 300_001 {
		due = p.Next()
	}
	if due != 100_000*time.Second {
		t.Errorf("operation 300000 is due at %v", due)
	}
}

func TestPoissonArrivals(t *testing.T) {
	const n = 20_000
	var gaps []float64
	var ends []time.Duration
	for i := range 2 {
		p, again := NewPacer(100, 2, i, true, 7), NewPacer(100, 2, i, true, 7)
		var last time.Duration
		for range n {
			due := p.Next()
			if due != again.Next() {
				t.Fatal("the same seed gives another timetable")
			}
			if due < last {
				t.Fatalf("%v after %v", due, last)
			}
			gaps = append(gaps, (due - last).Seconds())
			last = due
		}
		ends = append(ends, last)
	}
	if ends[0] == ends[1] {
		t.Error("both workers have the same timetable")
	}
	// Exponential gaps: mean 1/50 s, deviation the same, and e^-x are longer than
	// x means. The seed is fixed, so this fails always or never.
	var sum, squares float64
	longer := 0
	for _, g := range gaps {
		sum += g
		squares += g * g
		if g > 3*0.02 {
			longer++
		}
	}
	mean := sum / float64(len(gaps))
	deviation := math.Sqrt(squares/float64(len(gaps)) - mean*mean)
	share := float64(longer) / float64(len(gaps))
	if math.Abs(mean/0.02-1) > 0.02 || math.Abs(deviation/0.02-1) > 0.03 || math.Abs(share/math.Exp(-3)-1) > 0.05 {
		t.Errorf("mean %g, deviation %g, %g longer than three means", mean, deviation, share)
	}
}

func TestWithoutARateTheLoopIsClosed(t *testing.T) {
	for _, rate := range []float64{0, -5, math.NaN()} {
		if due := NewPacer(rate, 1, 0, true, 0).Next(); due != AtOnce {
			t.Errorf("rate %g: %v", rate, due)
		}
	}
	if due := NewPacer(math.Inf(1), 1, 5, false, 0).Next(); due != 0 {
		t.Errorf("endless rate: %v", due)
	}
	slow := NewPacer(1e-12, 1, 1, false, 0)
	if due := slow.Next(); due != math.MaxInt64 {
		t.Errorf("one in 30000 years: %v", due)
	}
}

// play runs one worker's operations of 1 ms each, of which number 10 takes a
// second, on a fake clock, and returns what was recorded and how long it took.
func play(p *Pacer, operations int) (result.Kind, time.Duration) {
	clock := &measuretest.Clock{}
	r := NewRecorder(twoKinds, 1, p.Next() != AtOnce, nil)
	r.clock = clock
	r.begin(0)
	for i := range operations {
		due := p.Next()
		clock.SleepUntil(due)
		began := clock.Now()
		clock.Advance(ms)
		if i == 10 {
			clock.Advance(999 * ms)
		}
		r.Worker(0).Record(0, due, began, clock.Now(), 1, false)
	}
	kinds, _, _ := r.Finish()
	return kinds[0], clock.Now()
}

func TestOperationsBehindAStallAreChargedForTheirWait(t *testing.T) {
	// 100 per second: 10 ms apart. Operation 10 keeps the worker for 1000 ms.
	// Operation 10+j is due 10j ms later and ends at the stall's end + j ms: it is
	// charged 1000-9j ms, and the worker has caught up when that is 1 ms, j=111.
	const operations = 1000
	p := NewPacer(100, 1, 0, false, 0)
	open, took := play(p, operations)
	var want result.Histogram
	for range operations - 111 {
		want.Record(ms, 1)
	}
	for j := range 111 {
		want.Record(1000*ms-time.Duration(j)*9*ms, 1)
	}
	if open.Latency.Count() != operations || !slices.Equal(bars(open.Latency), bars(want)) {
		t.Errorf("open loop: %v\nwant %v", bars(open.Latency), bars(want))
	}
	if late := open.Latency.Over(2 * ms); late != 111 {
		t.Errorf("open loop: %d operations were late, want 111", late)
	}
	// The first due time was taken by play for finding out the kind of loop.
	if took != operations*10*ms+ms {
		t.Errorf("the timetable was shifted: %v", took)
	}

	// A closed loop sees the same stall as one slow operation among 1000: its p99
	// knows nothing of it. So do the times of service in the open loop.
	closed, _ := play(NewPacer(0, 1, 0, false, 0), operations)
	if !slices.Equal(bars(*open.Service), bars(closed.Latency)) {
		t.Errorf("service %v, closed loop %v", bars(*open.Service), bars(closed.Latency))
	}
	if late := closed.Latency.Over(2 * ms); late != 1 {
		t.Errorf("closed loop: %d slow operations", late)
	}
	exact := func(h result.Histogram, percent float64, want time.Duration) {
		t.Helper()
		if got := h.At(percent); got < want || got > want+want/1000+1 {
			t.Errorf("p%g %v, want %v", percent, got, want)
		}
	}
	exact(closed.Latency, 99, ms)
	exact(open.Latency, 50, ms)
	exact(open.Latency, 95, 1000*ms-50*9*ms)
	exact(open.Latency, 99, 1000*ms-10*9*ms)
}

func TestAPacedKindInAClosedLoopHasTimesOfService(t *testing.T) {
	r, _ := onFakeClock(3, false, nil)
	r.Worker(0).Record(0, AtOnce, 0, 100, 1, false)
	// Worker 1: on time, then late. Worker 2 is always on time.
	r.Worker(1).Record(1, 0, 0, 100, 1, false)
	r.Worker(1).Record(1, 100, 150, 200, 1, false)
	r.Worker(2).Record(1, 0, 0, 30, 1, false)
	kinds, _, _ := r.Finish()
	if kinds[0].Service != nil {
		t.Error("the kind without due times has times of service")
	}
	var latency, service result.Histogram
	for _, ns := range []time.Duration{100, 100, 30} {
		latency.Record(ns, 1)
	}
	for _, ns := range []time.Duration{100, 50, 30} {
		service.Record(ns, 1)
	}
	put := kinds[1]
	if put.Service == nil || !slices.Equal(bars(put.Latency), bars(latency)) || !slices.Equal(bars(*put.Service), bars(service)) {
		t.Errorf("latency %v, service %v", bars(put.Latency), put.Service)
	}
}

type bar struct {
	from, to time.Duration
	count    uint64
}

func bars(h result.Histogram) (all []bar) {
	h.Bars(func(from, to time.Duration, count uint64) bool {
		all = append(all, bar{from, to, count})
		return true
	})
	return all
}
