package measure

import (
	"sync"
	"time"

	"github.com/cordwood-db/cordwood/bench/result"
)

// openSeconds is how many seconds keep their histograms for workers that come
// late with theirs. It bounds the memory to 1.2 MB however long a phase is.
const openSeconds = 64

// A timeline collects the seconds of a phase. A worker gathers a second for
// itself and hands it over with the first operation that ends in a later one: so
// the lock is taken once per second and worker. Safe for concurrent use.
type timeline struct {
	mu     sync.Mutex
	epoch  *epoch
	closed []result.Second // their histograms are given up; At is set at the end
	open   []*interval     // the seconds after those; nil: nothing yet
	spare  []*interval     // empty ones
}

// restart forgets everything; what belongs to other epochs is ignored from now on.
func (t *timeline) restart(e *epoch) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.epoch, t.closed, t.open = e, nil, nil
}

// add hands over what a worker has counted in a second of an epoch.
func (t *timeline) add(e *epoch, second int, counted *interval) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e != t.epoch {
		return
	}
	if second < len(t.closed) {
		// The worker was held up for over a minute in one operation. Its second
		// has its numbers already: it stays out of the percentiles.
		s := &t.closed[second]
		s.Operations += counted.operations
		s.MaxNS = max(s.MaxNS, int64(counted.longest))
		return
	}
	t.extend(second + 1)
	v := &t.open[second-len(t.closed)]
	if *v == nil {
		*v = t.empty()
	}
	(*v).merge(counted)
}

// extend makes the timeline that many seconds long, and closes what is old.
func (t *timeline) extend(seconds int) {
	for len(t.closed)+len(t.open) < seconds {
		if len(t.open) == openSeconds {
			t.close()
		}
		t.open = append(t.open, nil)
	}
}

// close sums up the first open second.
func (t *timeline) close() {
	v := t.open[0]
	t.open = append(t.open[:0], t.open[1:]...) // in place: the array stays
	if v == nil {
		t.closed = append(t.closed, result.Second{})
		return
	}
	t.closed = append(t.closed, result.Second{
		Operations: v.operations,
		P50NS:      int64(v.at(50)),
		P99NS:      int64(v.at(99)),
		MaxNS:      int64(v.longest),
	})
	*v = interval{}
	t.spare = append(t.spare, v)
}

func (t *timeline) empty() *interval {
	last := len(t.spare) - 1
	if last < 0 {
		return &interval{}
	}
	v := t.spare[last]
	t.spare = t.spare[:last]
	return v
}

// p99 is that of the latest second before second of which something is known.
func (t *timeline) p99(second int) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := min(second-len(t.closed), len(t.open)) - 1; i >= 0; i-- {
		if t.open[i] != nil {
			return t.open[i].at(99)
		}
	}
	return 0
}

// lastSecondMin is how long the rest of the last second has to be to be shown
// though nothing ended in it: the clients' way out is no second of the phase.
const lastSecondMin = 100 * time.Millisecond

// finish returns all seconds of a phase that was so long.
func (t *timeline) finish(length time.Duration) []result.Second {
	t.mu.Lock()
	defer t.mu.Unlock()
	whole, rest := int(length/time.Second), length%time.Second
	if rest >= lastSecondMin {
		whole++
	}
	t.extend(whole)
	for len(t.open) > 0 {
		t.close()
	}
	for i := range t.closed {
		t.closed[i].At = float64(i + 1)
	}
	if n := len(t.closed); n > 0 && length > 0 {
		t.closed[n-1].At = min(float64(n), length.Seconds())
	}
	return t.closed
}
