package measure

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/cordwood-db/cordwood/bench/result"
)

// Kind is one kind of operation: see result.Kind.
type Kind struct {
	Name  string
	Class result.Class
}

// Recorder takes the times of the operations of one phase. Make one with
// NewRecorder, Start it when the workers begin, end the warm-up with Restart, and
// call Finish when all workers have ended. Live may be called by anyone meanwhile.
type Recorder struct {
	// Constant.
	kinds   []Kind
	open    bool
	busy    func() string
	workers []*Worker

	// Set by Start.
	clock Clock
	end   chan struct{}
	watch sync.WaitGroup

	epoch    atomic.Pointer[epoch]
	timeline timeline
	stalls   stalls
	rate     rate
}

// An epoch is a stretch that is measured: warm-up is one, what comes after it
// another. A worker sees by the pointer that a new one has begun.
type epoch struct {
	base time.Duration // its beginning, on the clock
	done uint64        // operations before it, about
}

// NewRecorder returns a Recorder for operations of these kinds, by number, by so
// many workers. open says that it is for an open loop: then the results have the
// times of service for all kinds, else only for kinds with operations that began
// later than they were due. busy says what holds up writers of the engine at the
// moment, "" for nothing; it is asked while no operation ends, and must not wait
// for any; nil: not known.
func NewRecorder(kinds []Kind, workers int, open bool, busy func() string) *Recorder {
	if busy == nil {
		busy = func() string { return "" }
	}
	r := &Recorder{kinds: kinds, open: open, busy: busy, end: make(chan struct{})}
	for range workers {
		r.workers = append(r.workers, &Worker{r: r, kinds: make([]tally, len(kinds))})
	}
	r.begin(0)
	return r
}

// Start begins to measure: the phase begins now, and all times that are passed to
// Record are of this clock. It is called once, before any Record.
func (r *Recorder) Start(clock Clock) {
	r.clock = clock
	now := clock.Now()
	r.begin(now)
	r.rate.sample(now, 0)
	r.watch.Go(r.watcher)
}

// Restart ends the warm-up: it forgets all that ended so far, and the phase begins
// now. It returns the clock's time that it took for that. Workers go on meanwhile;
// an operation that was under way counts, to the whole of its latency.
func (r *Recorder) Restart() time.Duration {
	now := r.clock.Now()
	r.begin(now)
	return now
}

func (r *Recorder) begin(now time.Duration) {
	e := &epoch{base: now, done: r.done()}
	r.timeline.restart(e)
	r.stalls.restart(e)
	r.epoch.Store(e)
}

// done is how many operations have ended, warm-up included.
func (r *Recorder) done() uint64 {
	var n uint64
	for _, w := range r.workers {
		n += w.done.Load()
	}
	return n
}

// lastEnded is when the last operation ended, on the clock.
func (r *Recorder) lastEnded() time.Duration {
	var last int64
	for _, w := range r.workers {
		last = max(last, w.ended.Load())
	}
	return time.Duration(last)
}

// watchEvery is how often the watcher looks whether operations end.
const watchEvery = 10 * time.Millisecond

func (r *Recorder) watcher() {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-r.end:
			return
		case <-tick.C:
			r.look(r.clock.Now())
		}
	}
}

// look is what the watcher does each time.
func (r *Recorder) look(now time.Duration) {
	r.rate.sample(now, r.done())
	if last := r.lastEnded(); now-max(last, r.epoch.Load().base) >= watchEvery {
		r.stalls.ask(last, r.busy())
	}
}

// Live is how a phase is doing.
type Live struct {
	Time       time.Duration // since its beginning, or since the end of the warm-up
	Operations uint64        // that ended since then
	Rate       float64       // per second, in the last second
	// P99 is the latency of the last full second in which operations ended, as
	// far as workers have handed theirs in: one does with its next operation.
	P99 time.Duration
	// Stalled is for how long no operation has ended; 0 if not for over 100 ms. In
	// an open loop nothing may have been due: only Finish knows real stalls.
	Stalled time.Duration
}

// Live returns how the phase is doing now. It may be called by any goroutine
// from Start to the end of Finish.
func (r *Recorder) Live() Live {
	now, e, done := r.clock.Now(), r.epoch.Load(), r.done()
	l := Live{
		Time:       now - e.base,
		Operations: done - min(done, e.done),
		Rate:       r.rate.at(now, done),
		P99:        r.timeline.p99(int((now - e.base) / time.Second)),
	}
	if silent := now - max(r.lastEnded(), e.base); silent > stallMin {
		l.Stalled = silent
	}
	return l
}

// Finish ends the phase now, and returns what was measured: all kinds in their
// order, the seconds, and the stalls. It is called once, when no worker calls
// Record any more. The results are the caller's.
func (r *Recorder) Finish() (kinds []result.Kind, seconds []result.Second, stalls []result.Stall) {
	now := r.clock.Now()
	close(r.end)
	r.watch.Wait()
	e := r.epoch.Load()
	total := make([]tally, len(r.kinds))
	for _, w := range r.workers {
		if w.epoch != e {
			continue // nothing since the warm-up
		}
		r.timeline.add(e, w.second, &w.interval)
		for i := range total {
			total[i].merge(&w.kinds[i], r.open)
		}
	}
	for i, k := range r.kinds {
		kinds = append(kinds, total[i].result(k, r.open))
	}
	return kinds, r.timeline.finish(now - e.base), r.stalls.finish(e.base)
}
