package measuretest

import (
	"sync"
	"time"
)

// Clock is a measure.Clock that stands still unless it is moved. The zero Clock
// shows 0. Whoever sleeps moves it: SleepUntil returns at once, and the time is
// then what was slept for. So one goroutine at a time plays through hours in no
// time; among several the one that sleeps longest decides.
type Clock struct {
	mu  sync.Mutex
	now time.Duration
}

// Now is the time that the clock shows.
func (c *Clock) Now() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// SleepUntil moves the clock to due, if that is later.
func (c *Clock) SleepUntil(due time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = max(c.now, due)
}

// Advance moves the clock on by d, as an operation does that takes so long.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now += max(d, 0)
}
