package measure

import (
	"sync/atomic"
	"time"

	"github.com/cordwood-db/cordwood/bench/result"
)

// A Worker records the operations of one goroutine. It allocates a histogram with
// the first operation of a kind: 270 KB, of which fresh memory takes the pages only
// that latencies fall into. 64 workers with three kinds in a closed loop come to
// 50 MB, of which 18 MB became resident; an open loop that is behind has twice as
// many, and Finish adds them up in a tenth of a second.
type Worker struct {
	// Read by others. They have a cache line apart from everything else.
	_     [64]byte
	done  atomic.Uint64 // operations, warm-up included
	ended atomic.Int64  // when the last one ended
	_     [64]byte

	r        *Recorder
	epoch    *epoch
	second   int // of the epoch, that interval counts
	kinds    []tally
	interval interval
}

// A tally is what a worker, or all, did of one kind.
type tally struct {
	operations, items, notFound uint64
	latency                     result.Histogram
	// service is from when operations began. It is used once one has begun later
	// than it was due: until then it is the same as latency.
	service result.Histogram
	late    bool
}

// Worker returns the Worker of that index, below the number of workers.
func (r *Recorder) Worker(index int) *Worker { return r.workers[index] }

// Record takes down an operation of a kind that ended: when it was due (negative:
// when it began), when it began and ended, how many entries it read or wrote, and
// whether it did rightly not find what it looked for. An operation that ended
// before the phase began does not count. It takes no lock, other than once a
// second and when over 100 ms have passed since the worker's last operation, and
// allocates once per kind.
func (w *Worker) Record(kind int, due, began, ended time.Duration, items int, notFound bool) {
	if due < 0 {
		due = began
	}
	if e := w.r.epoch.Load(); e != w.epoch {
		w.restart(e)
	}
	since := ended - w.epoch.base
	if since < 0 {
		return
	}
	latency := max(ended-due, 0)
	w.kinds[kind].record(latency, max(ended-began, 0), items, notFound)
	if time.Duration(w.second+1)*time.Second <= since {
		w.roll(int(since / time.Second))
	}
	w.interval.record(latency)

	// Nobody else writes these two.
	if ended-time.Duration(w.ended.Load()) > stallMin {
		w.r.stalls.ended(w, due, ended)
	} else {
		w.ended.Store(int64(ended))
	}
	w.done.Store(w.done.Load() + 1)
}

// restart forgets everything. The histograms are dropped, not cleared: clearing
// would bring all their pages into memory.
func (w *Worker) restart(e *epoch) {
	w.epoch, w.second, w.interval = e, 0, interval{}
	clear(w.kinds)
}

// roll hands over the second that has passed.
func (w *Worker) roll(second int) {
	if w.interval.operations > 0 {
		w.r.timeline.add(w.epoch, w.second, &w.interval)
		w.interval = interval{}
	}
	w.second = second
}

func (t *tally) record(latency, service time.Duration, items int, notFound bool) {
	if latency != service && !t.late {
		t.late = true
		t.service.Merge(t.latency)
	}
	t.latency.Record(latency, 1)
	if t.late {
		t.service.Record(service, 1)
	}
	t.operations++
	t.items += uint64(max(items, 0))
	if notFound {
		t.notFound++
	}
}

// merge adds what a worker did. open: the time of service is wanted anyway.
func (t *tally) merge(other *tally, open bool) {
	if open || other.late {
		if !t.late {
			t.late = true
			t.service.Merge(t.latency)
		}
	}
	if t.late {
		if other.late {
			t.service.Merge(other.service)
		} else {
			t.service.Merge(other.latency)
		}
	}
	t.latency.Merge(other.latency)
	t.operations += other.operations
	t.items += other.items
	t.notFound += other.notFound
}

// result is the tally of a kind. open: it has a time of service in any case.
func (t *tally) result(k Kind, open bool) result.Kind {
	kind := result.Kind{
		Name: k.Name, Class: k.Class,
		Operations: t.operations, NotFound: t.notFound, Items: t.items,
		Latency: t.latency,
	}
	if t.late || open {
		kind.Service = &t.service
	}
	return kind
}
