package measure

import (
	"testing"
	"time"

	"github.com/cordwood-db/cordwood/bench/measure/measuretest"
)

func TestSleepUntilIsNeverEarly(t *testing.T) {
	clock := RealClock()
	for _, gap := range []time.Duration{-time.Second, 0, 1, 20 * time.Microsecond, 300 * time.Microsecond, 2 * ms, 15 * ms} {
		due := clock.Now() + gap
		clock.SleepUntil(due)
		if now := clock.Now(); now < due {
			t.Errorf("%v: %v early", gap, due-now)
		}
	}
}

func TestWaitEndsWhenStopped(t *testing.T) {
	clock := &measuretest.Clock{}
	asked := 0
	// The fifth question comes after four slices.
	if Wait(clock, time.Hour, func() bool { asked++; return asked == 5 }) {
		t.Error("waited to the end")
	}
	if clock.Now() != 4*waitSlice {
		t.Errorf("stopped at %v", clock.Now())
	}
	if !Wait(clock, 57*ms, func() bool { return false }) || clock.Now() != 57*ms {
		t.Errorf("waited until %v", clock.Now())
	}
	if !Wait(clock, AtOnce, func() bool { return false }) || clock.Now() != 57*ms {
		t.Errorf("waited for the past: %v", clock.Now())
	}
	if Wait(clock, 0, func() bool { return true }) {
		t.Error("stopped before it began, and went on")
	}
}

func TestRealWaitIsStoppedSoon(t *testing.T) {
	clock := RealClock()
	stop := time.Now().Add(30 * ms)
	if Wait(clock, time.Hour, func() bool { return time.Now().After(stop) }) {
		t.Error("waited for an hour")
	}
}

// BenchmarkSleepUntil tells by how much due times are missed.
func BenchmarkSleepUntil(b *testing.B) {
	clock := RealClock()
	var late time.Duration
	due := clock.Now()
	for b.Loop() {
		due += ms
		clock.SleepUntil(due)
		late += clock.Now() - due
	}
	b.ReportMetric(float64(late.Microseconds())/float64(b.N), "us-late")
}
