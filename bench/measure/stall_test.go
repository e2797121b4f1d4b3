package measure

import (
	"reflect"
	"testing"
	"time"

	"github.com/cordwood-db/cordwood/bench/result"
)

func TestAStandstillIsAStallOfExactLength(t *testing.T) {
	var says string
	r, clock := onFakeClock(2, false, func() string { return says })
	end := func(worker int, at time.Duration) {
		clock.SleepUntil(at)
		r.Worker(worker).Record(0, AtOnce, at-ms, at, 1, false)
	}
	// held plays an operation that lasts until then, with the watcher's rounds.
	held := func(until time.Duration, answers ...string) {
		began := clock.Now()
		for _, says = range answers {
			clock.Advance(watchEvery)
			r.look(clock.Now())
		}
		clock.SleepUntil(until)
		r.Worker(0).Record(0, AtOnce, began, until, 1, false)
	}
	end(0, 10*ms)
	end(1, 20*ms)
	held(120 * ms)                                           // 100 ms since 20 ms: not longer than 100 ms
	held(120*ms+100*ms+1, "a", "flush", "flush")             // one nanosecond longer
	held(500*ms, "stop", "slow", "slow", "", "", "", "stop") // mostly nothing
	end(1, 550*ms)                                           // the other worker goes on,
	held(640*ms, "flush", "flush")                           // so that this is none,
	held(941*ms, "compaction", "compaction")                 // and its answers are forgotten
	held(1200 * ms)                                          // without any answer
	_, _, stalls := r.Finish()
	want := []result.Stall{
		{At: 0.12, Seconds: 0.100000001, Busy: "flush"},
		{At: 0.220000001, Seconds: 0.279999999, Busy: ""},
		{At: 0.64, Seconds: 0.301, Busy: "compaction"},
		{At: 0.941, Seconds: 0.259},
	}
	if !reflect.DeepEqual(stalls, want) {
		t.Errorf("%+v", stalls)
	}
}

func TestAStandstillOfSeveralWorkersIsOneStall(t *testing.T) {
	r, clock := onFakeClock(4, false, nil)
	for i := range 4 {
		at := 10*ms + time.Duration(i)
		clock.SleepUntil(at)
		r.Worker(i).Record(0, AtOnce, 0, at, 1, false)
	}
	for i := range 4 {
		at := 1010*ms + time.Duration(i)
		clock.SleepUntil(at)
		r.Worker(i).Record(0, AtOnce, 10*ms+time.Duration(i), at, 1, false)
	}
	_, _, stalls := r.Finish()
	if want := []result.Stall{{At: 0.010000003, Seconds: 0.999999997}}; !reflect.DeepEqual(stalls, want) {
		t.Errorf("%+v", stalls)
	}
}

func TestAStallOfTheWarmUpCountsFromItsEnd(t *testing.T) {
	r, clock := onFakeClock(1, false, nil)
	clock.SleepUntil(500 * ms)
	r.Restart()
	clock.SleepUntil(650 * ms)
	r.Worker(0).Record(0, AtOnce, 0, 650*ms, 1, false)
	_, _, stalls := r.Finish()
	if want := []result.Stall{{Seconds: 0.15}}; !reflect.DeepEqual(stalls, want) {
		t.Errorf("%+v", stalls)
	}
}

func TestWaitingForTheNextDueTimeIsNoStall(t *testing.T) {
	r, clock := onFakeClock(2, true, nil)
	pacers := []*Pacer{NewPacer(2, 2, 0, false, 0), NewPacer(2, 2, 1, false, 0)} // one in 500 ms
	for i := range 20 {
		due := pacers[i%2].Next()
		clock.SleepUntil(due)
		began := clock.Now()
		clock.Advance(ms)
		if i == 10 {
			clock.Advance(199 * ms)
		}
		r.Worker(i%2).Record(0, due, began, clock.Now(), 1, false)
	}
	_, _, stalls := r.Finish()
	if want := []result.Stall{{At: 5, Seconds: 0.2}}; !reflect.DeepEqual(stalls, want) {
		t.Errorf("%+v", stalls)
	}
}

func TestTheWatcherAsksTheEngineDuringAStall(t *testing.T) {
	asked := make(chan struct{}, 1)
	r := NewRecorder(twoKinds, 1, false, func() string {
		select {
		case asked <- struct{}{}:
		default:
		}
		return "memtable full"
	})
	clock := RealClock()
	r.Start(clock)
	<-asked
	clock.SleepUntil(150 * ms)
	if l := r.Live(); l.Stalled <= stallMin {
		t.Errorf("not stalled: %+v", l)
	}
	r.Worker(0).Record(0, AtOnce, 0, clock.Now(), 1, false)
	_, _, stalls := r.Finish() // the machine may stall before it, too
	if len(stalls) == 0 || stalls[0].Seconds < 0.15 || stalls[0].Busy != "memtable full" {
		t.Errorf("%+v", stalls)
	}
}
