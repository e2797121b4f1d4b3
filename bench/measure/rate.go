package measure

import (
	"sync"
	"time"
)

// rate remembers how many operations had ended at the watcher's rounds of the
// last second, and so how many end per second. Safe for concurrent use.
type rate struct {
	mu      sync.Mutex
	samples [rateSamples]rateSample // a ring
	next    int
	filled  bool
}

type rateSample struct {
	at   time.Duration
	done uint64
}

// rateSamples reach back a second from the latest round.
const rateSamples = int(time.Second/watchEvery) + 1

func (r *rate) sample(at time.Duration, done uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.samples[r.next] = rateSample{at, done}
	r.next++
	if r.next == rateSamples {
		r.next, r.filled = 0, true
	}
}

// at is the rate up to now, when done operations have ended; 0 if there is
// nothing to compare with.
func (r *rate) at(now time.Duration, done uint64) float64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	oldest := r.samples[0]
	if r.filled {
		oldest = r.samples[r.next]
	}
	if now <= oldest.at || done < oldest.done {
		return 0
	}
	return float64(done-oldest.done) / (now - oldest.at).Seconds()
}
