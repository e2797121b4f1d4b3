package trace

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cordwood-db/cordwood/bench/engine"
	"github.com/cordwood-db/cordwood/bench/result"
	"github.com/cordwood-db/cordwood/bench/workload"
)

// ReplayOptions are the settings of a replay.
type ReplayOptions struct {
	// Threads is the number of clients, at least 1.
	Threads int
	// Speed is how much faster than recorded operations are due: 1 as recorded,
	// 2 twice as fast. 0: each at once when the one before it has ended.
	Speed float64
	// Verify compares every answer with what the replay has written.
	Verify bool
}

// Replay does the operations of a trace on a store again: a workload.Source. See
// the package comment for what it keeps of the order, and what it leaves out. All
// keys of the trace are held in memory, with about 150 bytes for each.
type Replay struct {
	o     ReplayOptions
	path  string
	store engine.Store
	s     *survey
	kinds []workload.Kind
	kind  [kindMax + 1]int // index in kinds

	start   sync.Once
	stop    chan struct{} // closed when a client ends early, or at the end
	stopped sync.Once
	worked  sync.WaitGroup // the dispatcher
	began   time.Time
	epoch   atomic.Uint32 // scans begun
	queues  []queue

	mu      sync.Mutex
	room    sync.Cond // the dispatcher waits for it
	backlog int       // steps on their way
	closed  bool      // stop is closed; guarded by mu
}

var _ workload.Source = (*Replay)(nil)

// NewReplay reads the trace at path, once or twice, for a replay on a store that
// has abilities. The store is empty until Preload. Errors: those of Open and
// Next. A torn trace is replayed as far as it goes.
func NewReplay(path string, store engine.Store, abilities engine.Ability, o ReplayOptions) (*Replay, error) {
	if o.Threads < 1 || o.Speed < 0 || o.Speed != o.Speed || o.Speed > 1e6 {
		return nil, fmt.Errorf("trace: replay with %d threads at speed %v", o.Threads, o.Speed)
	}
	s, err := newSurvey(path, abilities&storeAbilities(store))
	if err != nil {
		return nil, err
	}
	r := &Replay{o: o, path: path, store: store, s: s, stop: make(chan struct{}), queues: make([]queue, o.Threads)}
	r.room.L = &r.mu
	for i := range r.queues {
		r.queues[i].ready = make(chan struct{}, 1)
	}
	for k, n := range s.kinds {
		if n > 0 {
			r.kind[k] = len(r.kinds)
			r.kinds = append(r.kinds, workload.Kind{Name: Kind(k).String(), Class: classIn(Kind(k))})
		}
	}
	return r, nil
}

// storeAbilities are those whose interfaces a store implements.
func storeAbilities(store engine.Store) (a engine.Ability) {
	if _, ok := store.(engine.Merger); ok {
		a |= engine.Merge
	}
	if _, ok := store.(engine.Expirer); ok {
		a |= engine.TTL
	}
	if _, ok := store.(engine.Transactor); ok {
		a |= engine.Transactions
	}
	return a
}

// classIn is what a kind counts as for objectives.
func classIn(k Kind) result.Class {
	switch k {
	case KindGet, KindHas, KindMultiGet:
		return result.Read
	case KindScan, KindWalk:
		return result.Scan
	case KindPut, KindPutTTL, KindDelete, KindMerge, KindBatch:
		return result.Write
	}
	return result.Tx
}

// Kinds lists the kinds of operations that are replayed.
func (r *Replay) Kinds() []workload.Kind { return r.kinds }

// Total is how many operations are replayed.
func (r *Replay) Total() uint64 { return r.s.total }

// Summary is that of the trace; see Summary.Torn.
func (r *Replay) Summary() Summary { return r.s.summary }

// Skipped lists what is left out, and why. Items of batches and transactions
// count as operations.
func (r *Replay) Skipped() []Skip { return r.s.skipped() }

// Preloaded is how many keys Preload stores.
func (r *Replay) Preloaded() (keys int, bytes uint64) {
	for key, length := range r.Entries() {
		keys++
		bytes += uint64(len(key) + length)
	}
	return keys, bytes
}

// Entries are the keys that Preload stores, ascending, as they are in the store,
// with the lengths of their values. The keys must not be changed.
func (r *Replay) Entries() iter.Seq2[[]byte, int] {
	return func(yield func([]byte, int) bool) {
		for _, e := range r.s.keys {
			if e.preload >= 0 && !yield(e.key, int(e.preload)) {
				return
			}
		}
	}
}

// preloadBytes is about how much Preload writes at once.
const preloadBytes = 1 << 20

// Preload stores what the trace has found before it was written. Call it once,
// before any client; then let the store settle. progress may be nil.
func (r *Replay) Preload(ctx context.Context, progress func(keys int)) error {
	batch := r.store.NewBatch()
	var value []byte
	done, size := 0, 0
	err := func() error {
		for _, e := range r.s.keys {
			if e.preload < 0 {
				continue
			}
			value = appendValue(value[:0], e.hash, 1, int(e.preload))
			if err := batch.Put(e.key, value); err != nil {
				return err
			}
			e.ack(e.issue(exact, int(e.preload)), 0)
			done++
			if size += len(e.key) + len(value); size < preloadBytes {
				continue
			}
			if err := errors.Join(ctx.Err(), batch.Commit()); err != nil {
				return err
			}
			size = 0
			if progress != nil {
				progress(done)
			}
		}
		return batch.Commit()
	}()
	if err = errors.Join(err, batch.Close()); err != nil {
		return fmt.Errorf("trace: load: %w", err)
	}
	return nil
}

// Client returns the client of that index.
func (r *Replay) Client(index int) (workload.Client, error) {
	if index < 0 || index >= len(r.queues) {
		return nil, fmt.Errorf("trace: client %d of %d", index, len(r.queues))
	}
	return &client{r: r, q: &r.queues[index]}, nil
}

// Finish ends the replay.
func (r *Replay) Finish(bool) error {
	r.halt()
	r.start.Do(func() {}) // none was started: none will be
	r.worked.Wait()
	return nil
}

// halt makes everybody end who waits.
func (r *Replay) halt() {
	r.stopped.Do(func() {
		close(r.stop)
		r.mu.Lock()
		r.closed = true
		r.mu.Unlock()
		r.room.Broadcast()
	})
}

// begin starts the dispatcher, and the clock.
func (r *Replay) begin() {
	r.start.Do(func() {
		r.began = time.Now()
		r.worked.Go(r.dispatch)
	})
}

// chunkTasks is how many tasks are handed over at once.
const chunkTasks = 64

// chunk is a part of a client's work.
type chunk struct {
	tasks []task // of fixed capacity; those behind its length are memory
	steps int
}

var chunks = sync.Pool{New: func() any { return &chunk{tasks: make([]task, 0, chunkTasks)} }}

// queue is a client's work. It is not bounded: the sum of all is.
type queue struct {
	mu    sync.Mutex
	list  []*chunk
	ended bool
	ready chan struct{} // has an element when there may be something new
	next  *chunk        // the dispatcher's, not handed over yet
}

// hand gives the client a chunk, or, with nil, the end.
func (q *queue) hand(c *chunk) {
	q.mu.Lock()
	if c == nil {
		q.ended = true
	} else {
		q.list = append(q.list, c)
	}
	q.mu.Unlock()
	select {
	case q.ready <- struct{}{}:
	default:
	}
}

// take is the next chunk, nil if there is none now; ended, if none will come.
func (q *queue) take() (c *chunk, ended bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.list) == 0 {
		return nil, q.ended
	}
	c, q.list = q.list[0], q.list[1:]
	return c, false
}

// backlogMax bounds the steps that are translated and not done yet.
const backlogMax = 1 << 15

// dispatch reads the trace and hands its operations to the clients, each one to
// that of its first key. The clients take theirs in this order, and wait for
// earlier operations of the same keys only. So whoever has the earliest operation
// that is not done waits for nobody, if it has been handed over: therefore all is
// handed over before the dispatcher waits.
func (r *Replay) dispatch() {
	err := r.dispatchAll()
	if err != nil {
		t := r.slot(&r.queues[0])
		*t = task{err: err, due: -1}
	}
	r.handAll()
	for i := range r.queues {
		r.queues[i].hand(nil)
	}
}

func (r *Replay) dispatchAll() error {
	in, err := Open(r.path)
	if err != nil {
		return err
	}
	defer in.Close()
	o := &ordered{r: in, slow: r.s.slow}
	var id uint64
	var scratch task
	for {
		op, err := o.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		r.s.tr.translate(op, &scratch)
		if len(scratch.steps) == 0 {
			continue
		}
		id++
		r.plan(&scratch, id)
		scratch.kind, scratch.due = r.kind[op.Kind], -1
		if r.o.Speed > 0 {
			scratch.due = time.Duration(float64(max(op.Start-r.s.first, 0)) / r.o.Speed)
		}
		q := &r.queues[r.shareOf(&scratch)]
		t := r.slot(q)
		*t, scratch.steps = scratch, t.steps[:0]
		q.next.steps += len(t.steps)
		if len(q.next.tasks) == chunkTasks {
			r.handOver(q)
		}
		if !r.admit(len(t.steps)) {
			return nil
		}
	}
}

// plan says which reads and writes each step of a task comes behind.
func (r *Replay) plan(t *task, id uint64) {
	for i := range t.steps {
		s := &t.steps[i]
		s.prev = -1
		if s.e == nil {
			continue
		}
		s.writes, s.reads = s.e.writes, s.e.reads
		if s.again = s.e.task == id; s.again {
			s.prev = s.e.step
		}
		if s.do == doGet {
			continue
		}
		s.e.task, s.e.step = id, int32(i)
		if r.o.Speed > 0 && s.do == doPutTTL {
			s.ttl = max(time.Duration(float64(s.ttl)/r.o.Speed), time.Millisecond)
		}
	}
	for i := range t.steps {
		switch s := &t.steps[i]; {
		case s.e == nil:
		case s.do == doGet:
			s.e.reads++
		case !s.again && t.how != asDiscarded:
			s.e.writes++
		}
	}
}

// shareOf is the client that does a task: that of its first key.
func (r *Replay) shareOf(t *task) int {
	for i := range t.steps {
		if e := t.steps[i].e; e != nil {
			return int(e.hash >> 32 % uint64(len(r.queues)))
		}
	}
	s := t.steps[0].scan
	n := mix(uint64(len(s.lower)) + s.entries)
	for _, c := range s.lower {
		n = mix(n ^ uint64(c))
	}
	return int(n >> 32 % uint64(len(r.queues)))
}

// slot is room for a task in the chunk that a queue gets next.
func (r *Replay) slot(q *queue) *task {
	if q.next == nil {
		q.next = chunks.Get().(*chunk)
		q.next.tasks, q.next.steps = q.next.tasks[:0], 0
	}
	n := len(q.next.tasks)
	q.next.tasks = q.next.tasks[:n+1]
	return &q.next.tasks[n]
}

func (r *Replay) handOver(q *queue) {
	if q.next != nil {
		q.hand(q.next)
		q.next = nil
	}
}

func (r *Replay) handAll() {
	for i := range r.queues {
		r.handOver(&r.queues[i])
	}
}

// admit counts steps, and waits if there are too many. It is false when the
// replay is stopped.
func (r *Replay) admit(steps int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.backlog += steps; r.backlog > backlogMax {
		r.handAll()
		for r.backlog > backlogMax/2 && !r.closed {
			r.room.Wait()
		}
	}
	return !r.closed
}

// doneWith gives back a chunk that is done.
func (r *Replay) doneWith(c *chunk) {
	r.mu.Lock()
	r.backlog -= c.steps
	r.mu.Unlock()
	r.room.Signal()
	for i := range c.tasks {
		clear(c.tasks[i].steps)
	}
	chunks.Put(c)
}
