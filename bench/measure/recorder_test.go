package measure

import (
	"math"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/cordwood-db/cordwood/bench/measure/measuretest"
	"github.com/cordwood-db/cordwood/bench/result"
)

const ms = time.Millisecond

var twoKinds = []Kind{{"get", result.Read}, {"put", result.Write}}

// onFakeClock returns a Recorder that has begun, without a watcher.
func onFakeClock(workers int, open bool, busy func() string) (*Recorder, *measuretest.Clock) {
	clock := &measuretest.Clock{}
	r := NewRecorder(twoKinds, workers, open, busy)
	r.clock = clock
	r.begin(clock.Now())
	return r, clock
}

func TestKindsAddUpOverAllWorkers(t *testing.T) {
	r, clock := onFakeClock(3, false, nil)
	for i := range 3 {
		w := r.Worker(i)
		for range 10 {
			began := clock.Now()
			clock.Advance(time.Duration(i+1) * 100)
			w.Record(0, AtOnce, began, clock.Now(), 2, i == 2)
		}
	}
	r.Worker(0).Record(1, AtOnce, 0, 50*ms, 7, false)
	kinds, seconds, stalls := r.Finish()
	if len(kinds) != 2 || kinds[0].Name != "get" || kinds[1].Class != result.Write {
		t.Fatalf("%+v", kinds)
	}
	get, put := kinds[0], kinds[1]
	if get.Operations != 30 || get.Items != 60 || get.NotFound != 10 || get.Latency.Count() != 30 {
		t.Errorf("get: %+v", get)
	}
	for percent, want := range map[float64]time.Duration{33: 100, 66: 200, 99: 300} {
		if got := get.Latency.At(percent); got != want {
			t.Errorf("p%g %v, want %v", percent, got, want)
		}
	}
	if put.Operations != 1 || put.Items != 7 || put.NotFound != 0 {
		t.Errorf("put: %+v", put)
	}
	if get.Service != nil || put.Service != nil {
		t.Error("a closed loop with times of service")
	}
	if len(seconds) != 1 || seconds[0].Operations != 31 || len(stalls) != 0 {
		t.Errorf("seconds %+v, stalls %+v", seconds, stalls)
	}
}

func TestSecondsHaveTheirOwnNumbers(t *testing.T) {
	r, clock := onFakeClock(2, false, nil)
	record := func(worker int, ended, latency time.Duration) {
		clock.SleepUntil(ended)
		r.Worker(worker).Record(0, AtOnce, ended-latency, ended, 1, false)
	}
	// Second 1: 100 operations of 1 to 100 ns, split among the workers.
	for i := range 100 {
		record(i%2, 500*ms+time.Duration(i), time.Duration(i+1))
	}
	// Second 2: nothing. Second 3: a single one by worker 1; its end belongs to
	// the second that begins with it.
	record(1, 2*time.Second, 200)
	// Second 4: worker 0, which is only now handing in its second 1.
	record(0, 3*time.Second+ms, 77)
	clock.SleepUntil(3*time.Second + 250*ms)
	if l := r.Live(); l.Operations != 102 || l.Time != 3250*ms || l.P99 != 99 {
		t.Errorf("%+v", l) // worker 1 has not handed in its third second
	}
	record(1, 3*time.Second+250*ms, 77)
	for second, want := range []time.Duration{0, 99, 99, 200, 200} {
		if got := r.timeline.p99(second); got != want {
			t.Errorf("p99 before second %d: %v, want %v", second, got, want)
		}
	}
	_, seconds, _ := r.Finish()
	want := []result.Second{
		{At: 1, Operations: 100, P50NS: 50, P99NS: 99, MaxNS: 100},
		{At: 2},
		{At: 3, Operations: 1, P50NS: 200, P99NS: 200, MaxNS: 200},
		{At: 3.25, Operations: 2, P50NS: 77, P99NS: 77, MaxNS: 77},
	}
	if !reflect.DeepEqual(seconds, want) {
		t.Errorf("%+v", seconds)
	}
}

func TestTheLastSecondEndsWithThePhase(t *testing.T) {
	for _, c := range []struct {
		end  time.Duration
		want []float64
	}{
		{0, nil},
		{50 * ms, nil},
		{400 * ms, []float64{0.4}},
		{time.Second, []float64{1}},
		{2050 * ms, []float64{1, 2}}, // nothing ended in the rest
		{2100 * ms, []float64{1, 2, 2.1}},
	} {
		r, clock := onFakeClock(1, false, nil)
		clock.SleepUntil(c.end)
		_, seconds, _ := r.Finish()
		var at []float64
		for _, s := range seconds {
			at = append(at, s.At)
		}
		if !reflect.DeepEqual(at, c.want) {
			t.Errorf("%v: %v, want %v", c.end, at, c.want)
		}
	}
}

func TestAWorkerThatComesMinutesLateLosesNoOperation(t *testing.T) {
	r, clock := onFakeClock(2, false, nil)
	r.Worker(0).Record(0, AtOnce, 0, 900, 1, false) // kept until the end
	for i := range 3 * openSeconds {
		ended := time.Duration(i)*time.Second + ms
		clock.SleepUntil(ended)
		r.Worker(1).Record(0, AtOnce, ended-100, ended, 1, false)
	}
	if n := len(r.timeline.open) + len(r.timeline.spare); n > openSeconds+1 {
		t.Errorf("%d histograms of seconds are kept", n)
	}
	_, seconds, _ := r.Finish()
	if len(seconds) != 3*openSeconds {
		t.Fatalf("%d seconds", len(seconds))
	}
	if s := seconds[0]; s != (result.Second{At: 1, Operations: 2, P50NS: 100, P99NS: 100, MaxNS: 900}) {
		t.Errorf("%+v", s)
	}
	for _, s := range seconds[1:] {
		if s.Operations != 1 || s.MaxNS != 100 {
			t.Fatalf("%+v", s)
		}
	}
}

func TestRestartForgetsTheWarmUp(t *testing.T) {
	r, clock := onFakeClock(2, false, nil)
	clock.SleepUntil(300 * ms)
	r.Worker(0).Record(0, AtOnce, 0, 300*ms, 1, true) // a stall, too
	clock.SleepUntil(1500 * ms)
	r.Worker(1).Record(0, AtOnce, 1499*ms, 1500*ms, 1, true)
	if l := r.Live(); l.Operations != 2 {
		t.Errorf("before: %+v", l)
	}
	clock.SleepUntil(1700 * ms)
	warmUp := r.epoch.Load()
	if at := r.Restart(); at != 1700*ms {
		t.Errorf("restarted at %v", at)
	}
	if l := r.Live(); l != (Live{Rate: l.Rate}) {
		t.Errorf("after: %+v", l)
	}
	r.timeline.add(warmUp, 0, &interval{operations: 9})      // a worker that was about to
	r.Worker(1).Record(0, AtOnce, 1600*ms, 1699*ms, 1, true) // ended before
	clock.SleepUntil(1750 * ms)
	r.Worker(0).Record(0, AtOnce, 1650*ms, 1750*ms, 1, false) // was under way
	clock.SleepUntil(2800 * ms)
	kinds, seconds, stalls := r.Finish()
	if k := kinds[0]; k.Operations != 1 || k.NotFound != 0 || k.Items != 1 || k.Latency.Count() != 1 {
		t.Errorf("%+v", k)
	}
	want := []result.Second{
		{At: 1, Operations: 1, P50NS: int64(100 * ms), P99NS: int64(100 * ms), MaxNS: int64(100 * ms)},
		{At: 1.1},
	}
	if !reflect.DeepEqual(seconds, want) || len(stalls) != 0 {
		t.Errorf("%+v, stalls %+v", seconds, stalls)
	}
}

func TestWorkersOfOneRecorderDoNotDisturbEachOther(t *testing.T) {
	const workers, each = 8, 5000
	clock := RealClock()
	r := NewRecorder(twoKinds, workers, false, func() string { return "busy" })
	r.Start(clock)
	base := r.epoch.Load().base
	var all sync.WaitGroup
	for i := range workers {
		all.Go(func() {
			w := r.Worker(i)
			for n := range each {
				// Every hundred of them a second passes, for this worker.
				ended := base + time.Duration(n)*10*ms + time.Duration(i)
				w.Record(n%2, AtOnce, ended-time.Duration(n%100), ended, 1, false)
			}
		})
	}
	done := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		var last uint64
		for {
			l := r.Live()
			if l.Operations < last || l.Operations > workers*each || math.IsNaN(l.Rate) {
				t.Errorf("%+v after %d", l, last)
			}
			last = l.Operations
			select {
			case <-done:
				return
			default:
			}
		}
	})
	all.Wait()
	close(done)
	watching.Wait()
	kinds, seconds, _ := r.Finish()
	for _, k := range kinds {
		if k.Operations != workers*each/2 || k.Latency.Count() != k.Operations {
			t.Errorf("%s: %d operations, %d latencies", k.Name, k.Operations, k.Latency.Count())
		}
	}
	for i, s := range seconds {
		if s.Operations != workers*100 {
			t.Errorf("second %d: %d operations", i, s.Operations)
		}
	}
	if len(seconds) != each/100 {
		t.Errorf("%d seconds", len(seconds))
	}
}

func TestRestartWhileWorkersWork(t *testing.T) {
	clock := RealClock()
	r := NewRecorder(twoKinds, 4, false, nil)
	r.Start(clock)
	counts := make([]uint64, 4)
	stop := make(chan struct{})
	var all sync.WaitGroup
	for i := range counts {
		all.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				now := clock.Now()
				r.Worker(i).Record(0, AtOnce, now, now, 1, false)
				counts[i]++
			}
		})
	}
	for range 20 {
		r.Restart()
		r.Live()
		time.Sleep(ms)
	}
	close(stop)
	all.Wait()
	kinds, seconds, _ := r.Finish()
	var ever, inSeconds uint64
	for _, n := range counts {
		ever += n
	}
	for _, s := range seconds {
		inSeconds += s.Operations
	}
	if n := kinds[0].Operations; n > ever || n != inSeconds || n != kinds[0].Latency.Count() {
		t.Errorf("%d of %d operations, %d in seconds, %d latencies", n, ever, inSeconds, kinds[0].Latency.Count())
	}
}

func TestRecordAllocatesNothing(t *testing.T) {
	r, clock := onFakeClock(1, true, nil)
	w := r.Worker(0)
	record := func() {
		due := clock.Now()
		clock.Advance(333 * ms) // a second passes after three of them
		w.Record(0, due, due+ms, clock.Now(), 1, false)
	}
	for range 3 * openSeconds * 3 {
		record() // until the timeline has all the buffers that it needs
	}
	r.timeline.closed = append(make([]result.Second, 0, 1<<12), r.timeline.closed...)
	r.stalls.found = make([]stall, 0, 1<<12) // each of these is one
	if n := testing.AllocsPerRun(1000, record); n != 0 {
		t.Errorf("%g allocations", n)
	}
}

func TestTheRateIsThatOfTheLastSecond(t *testing.T) {
	r, clock := onFakeClock(1, false, nil)
	r.look(0)
	if rate := r.Live().Rate; rate != 0 {
		t.Errorf("%g before anything", rate)
	}
	tick := func(operations int) {
		for range operations {
			r.Worker(0).Record(0, AtOnce, clock.Now(), clock.Now(), 1, false)
		}
		clock.Advance(watchEvery)
		r.look(clock.Now())
	}
	for range 10 {
		tick(5)
	}
	if rate := r.Live().Rate; rate != 500 {
		t.Errorf("%g after 100 ms of 500 per second", rate)
	}
	for range 300 {
		tick(2)
	}
	if rate := r.Live().Rate; rate != 200 {
		t.Errorf("%g after 3 s of 200 per second", rate)
	}
	for range 50 {
		tick(5)
	}
	if rate := r.Live().Rate; rate != 350 {
		t.Errorf("%g after half a second of each, 200 and 500 per second", rate)
	}
	for range 110 {
		tick(0)
	}
	if l := r.Live(); l.Rate != 0 || l.Stalled != 1110*ms {
		t.Errorf("%+v after 1.1 s of nothing", l)
	}
}

func BenchmarkRecord(b *testing.B) {
	for name, open := range map[string]bool{"closed": false, "open": true} {
		b.Run(name, func(b *testing.B) {
			r := NewRecorder(twoKinds, 1, open, nil)
			r.Start(RealClock())
			w := r.Worker(0)
			var now time.Duration
			var late time.Duration
			if open {
				late = 1
			}
			for b.Loop() {
				now += 1000
				w.Record(0, now-(now&0x3fff)-late, now-(now&0x3fff), now, 1, false)
			}
			r.Finish()
		})
	}
}
