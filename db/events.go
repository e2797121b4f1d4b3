package db

import (
	"sync"
	"sync/atomic"
	"time"
)

// Event is something that happened in the background: one of the types below.
type Event interface{ event() }

// FlushDone says that memtables were written to level 0.
type FlushDone struct {
	Memtables, Tables int
	Bytes             uint64 // of the tables
	Took              time.Duration
}

// CompactionDone says that tables were merged, moved or dropped.
type CompactionDone struct {
	Reason            string
	FromLevel         int
	ToLevel           int
	TablesIn          int
	TablesOut         int
	BytesIn, BytesOut uint64 // of the tables
	Took              time.Duration
}

// GarbageCollected says that value-log files were rewritten or dropped.
type GarbageCollected struct {
	Files       int
	Bytes, Kept uint64 // of records, before and after
	Took        time.Duration
}

// LogCut says that the torn end of the WAL, or of the MANIFEST, which was
// never acknowledged as durable, was cut off by Open. A read-only Open passes
// over it and leaves it where it is.
type LogCut struct {
	File   string
	Offset int64
	Reason string
}

// JobFailed says that a background job failed and will be tried again.
type JobFailed struct {
	Job   string
	Err   error
	Tries int
}

// Damage says that a file turned out to be damaged or missing. Compaction and
// garbage collection leave it alone from then on.
type Damage struct {
	File string
	Err  error // may be nil
}

// BackgroundError says that the store has become read-only.
type BackgroundError struct{ Err error }

// Leak says that Close met something that was left open.
type Leak struct {
	What  string // "cursor", "snapshot", "transaction" or "feed"
	Where string // the stack that opened it
}

func (FlushDone) event()        {}
func (CompactionDone) event()   {}
func (GarbageCollected) event() {}
func (LogCut) event()           {}
func (JobFailed) event()        {}
func (Damage) event()           {}
func (BackgroundError) event()  {}
func (Leak) event()             {}

// eventBacklogMax is how many events wait for a slow listener.
const eventBacklogMax = 1024

// eventQueue hands events to the listener, in order, from one goroutine, which
// lives while there are any.
type eventQueue struct {
	listener func(Event)
	dropped  atomic.Uint64

	mu      sync.Mutex
	queue   []Event
	running bool
	wg      sync.WaitGroup
}

func newEventQueue(listener func(Event)) *eventQueue {
	return &eventQueue{listener: listener}
}

// post queues e. It never waits for the listener.
func (q *eventQueue) post(e Event) {
	if q.listener == nil {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.queue) >= eventBacklogMax {
		q.dropped.Add(1)
		return
	}
	q.queue = append(q.queue, e)
	if !q.running {
		q.running = true
		q.wg.Go(q.run)
	}
}

func (q *eventQueue) run() {
	for {
		q.mu.Lock()
		events := q.queue
		q.queue = nil
		if len(events) == 0 {
			q.running = false
			q.mu.Unlock()
			return
		}
		q.mu.Unlock()
		for _, e := range events {
			q.listener(e)
		}
	}
}

// close waits until the listener has seen every event.
func (q *eventQueue) close() { q.wg.Wait() }
