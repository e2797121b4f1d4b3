package measure

import "time"

// Clock tells the time since it was started and waits. It never goes back, and is
// safe for concurrent use. Tests have one of their own (package measuretest).
type Clock interface {
	// Now is the time since the clock was started.
	Now() time.Duration
	// SleepUntil returns when Now has reached due; at once if it has already.
	SleepUntil(due time.Duration)
}

// RealClock starts a clock that shows real, monotonic time. On Linux SleepUntil
// is mostly late by a few microseconds; elsewhere by what time.Sleep is.
func RealClock() Clock { return realClock{time.Now()} }

type realClock struct{ start time.Time }

func (c realClock) Now() time.Duration { return time.Since(c.start) }

func (c realClock) SleepUntil(due time.Duration) {
	for left := due - c.Now(); left > 0; left = due - c.Now() {
		nap(left)
	}
}

// waitSlice is how long Wait sleeps at a time.
const waitSlice = 10 * time.Millisecond

// Wait sleeps until due, or until stopped, which it asks at least every 10 ms,
// returns true: then it returns false. stopped is asked once even if due is over.
func Wait(clock Clock, due time.Duration, stopped func() bool) bool {
	for !stopped() {
		now := clock.Now()
		if now >= due {
			return true
		}
		clock.SleepUntil(min(due, now+waitSlice))
	}
	return false
}
