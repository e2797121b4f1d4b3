package measure

import (
	"sync"
	"time"

	"github.com/cordwood-db/cordwood/bench/result"
)

// stallMin is what a standstill has to be longer than to be a stall.
const stallMin = 100 * time.Millisecond

// stalls finds the stretches in which no operation of any worker ended although
// one was due. The worker whose operation ends a stall finds it, so that its
// length is exact, even if the whole process stood still; the watcher collects
// what the engine says meanwhile.
type stalls struct {
	mu      sync.Mutex
	epoch   *epoch
	found   []stall
	from    time.Duration // when the last operation had ended before the answers
	answers []answer      // of the engine since
}

type stall struct {
	from, until time.Duration
	busy        string
}

type answer struct {
	text  string
	times int
}

// restart forgets everything; what belongs to other epochs is ignored from now on.
func (s *stalls) restart(e *epoch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.epoch, s.found, s.answers = e, nil, nil
}

// ask counts what the engine said while no operation had ended since from.
func (s *stalls) ask(from time.Duration, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.from != from {
		s.from, s.answers = from, s.answers[:0]
	}
	for i := range s.answers {
		if s.answers[i].text == text {
			s.answers[i].times++
			return
		}
	}
	s.answers = append(s.answers, answer{text, 1})
}

// ended is called by worker w for an operation that ended long after its last
// one. It notes the stall that this ends, if no other worker's operation ended in
// between. Before it was due nobody waited: that is no stall, but the pace of an
// open loop.
func (s *stalls) ended(w *Worker, due, ended time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	last := w.r.lastEnded()
	w.ended.Store(int64(ended)) // within the lock: else two workers find the same
	from := max(last, due, w.epoch.base)
	if w.epoch != s.epoch || ended-from <= stallMin {
		return
	}
	found := stall{from: from, until: ended}
	if s.from == last {
		found.busy = s.mostFrequent()
	}
	s.found = append(s.found, found)
}

// mostFrequent is the first of those answers that were given most often.
func (s *stalls) mostFrequent() string {
	var most answer
	for _, a := range s.answers {
		if a.times > most.times {
			most = a
		}
	}
	return most.text
}

// finish returns the stalls of a phase that began at base.
func (s *stalls) finish(base time.Duration) []result.Stall {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []result.Stall
	for _, one := range s.found {
		all = append(all, result.Stall{
			At:      (one.from - base).Seconds(),
			Seconds: (one.until - one.from).Seconds(),
			Busy:    one.busy,
		})
	}
	return all
}
