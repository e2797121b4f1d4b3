package commit

import (
	"cmp"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

const (
	groupBytesDefault = 1 << 20
	groupCountDefault = 1024
)

// Config is what a pipeline does and how. The slices that callbacks get are
// valid during the call; the requests are not the callback's to change.
type Config struct {
	// Write assigns sequence numbers and writes: value log, log, memtable. One
	// call at a time, in commit order. An error fails the group, and all later
	// ones unless it is a RetryableError. Of the requests it may change Refused.
	Write func(group []*Request) error
	// Sync makes durable everything that Write wrote up to and including these
	// requests, which may be those of several groups. One call at a time, in
	// order, maybe beside a Write of later requests. An error is final.
	Sync func(batch []*Request) error
	// Publish makes the requests, which may be those of several groups,
	// visible. One call at a time, in order, never for none.
	Publish func(batch []*Request)

	// A group ends before it would exceed one of these; a single request may.
	// 0 means 1 MiB and 1024.
	GroupBytesMax, GroupCountMax int

	// DelayMax is how long a sync may wait for others to join, in the whole. It
	// does so only while fewer are pending than were under way together the
	// last time: never for a lone writer. 0, or no Sleep, means never.
	DelayMax time.Duration
	Sleep    func(time.Duration)
}

// Pipeline commits requests in groups. See the package comment.
type Pipeline struct {
	cfg   Config    // immutable
	wakes sync.Pool // of chan turn; a channel stays in the synctest bubble it was made in
	bufs  sync.Pool // of *groupBuf

	failure atomic.Pointer[failure] // set once

	mu         sync.Mutex
	head, tail *Request  // the queue
	queued     int       // its length
	writing    bool      // somebody has the writer's role
	syncing    bool      // somebody has the syncer's role
	pending    *groupBuf // written, not taken by the syncer; nil if none
	wantSync   bool      // one of pending asked for a sync
	together   int       // requests under way when the last batch ended
	closed     error     // set by Close
	idlers     int       // waiting on idle
	idle       sync.Cond // a role became free
}

type failure struct{ err error }

type groupBuf struct{ reqs []*Request }

// New returns a pipeline. It starts nothing and holds nothing that needs
// closing.
func New(cfg Config) *Pipeline {
	cfg.GroupBytesMax = cmp.Or(max(cfg.GroupBytesMax, 0), groupBytesDefault)
	cfg.GroupCountMax = cmp.Or(max(cfg.GroupCountMax, 0), groupCountDefault)
	p := &Pipeline{cfg: cfg}
	p.idle.L = &p.mu
	p.wakes.New = func() any { return make(chan turn, 1) }
	p.bufs.New = func() any { return new(groupBuf) }
	return p
}

// Commit writes, syncs if asked, and publishes the request; it returns when it
// is published, or with the error that kept it from that: after a failed Sync
// it is unknown whether the commit will be there after the next open. A refused
// request waits for no sync.
func (p *Pipeline) Commit(r *Request) error {
	r.err, r.Refused, r.next, r.wake, r.exclusive = nil, nil, nil, nil, false
	p.mu.Lock()
	switch err := p.refusal(); {
	case err != nil:
		p.mu.Unlock()
		r.err = err
	case p.writing:
		p.enqueue(r)
		p.mu.Unlock()
		p.sleep(r)
	default:
		p.writing = true
		p.lead(r)
	}
	if r.wake != nil {
		p.wakes.Put(r.wake)
		r.wake = nil
	}
	return r.err
}

// Exclusive runs fn while no Write runs and all that was written is published,
// in its turn among the commits. No commit is written until fn returns. The
// error is fn's, or why it did not run.
func (p *Pipeline) Exclusive(fn func() error) error {
	r := &Request{exclusive: true}
	p.mu.Lock()
	if err := p.refusal(); err != nil {
		p.mu.Unlock()
		return err
	}
	if p.writing {
		p.enqueue(r)
		p.mu.Unlock()
		if <-r.wake == turnDone {
			return r.err
		}
		p.mu.Lock()
		p.dequeue()
	}
	p.writing = true
	p.waitWhile(func() bool { return p.syncing })
	if err := p.refusal(); err != nil {
		p.passWriter()
		return err
	}
	p.mu.Unlock()
	died := true
	defer func() {
		if died {
			p.Fail(ErrPanicked)
		}
		p.mu.Lock()
		p.passWriter()
	}()
	err := fn()
	died = false
	return err
}

// Fail makes every request fail with err that is not written yet, that of a
// Write under way included; what is pending goes on. Only the first failure
// counts. It may be called from callbacks. nil does nothing.
func (p *Pipeline) Fail(err error) {
	if err != nil {
		p.failure.CompareAndSwap(nil, &failure{err})
	}
}

// Failed returns the failure that stopped the pipeline, or nil.
func (p *Pipeline) Failed() error {
	if f := p.failure.Load(); f != nil {
		return f.err
	}
	return nil
}

// Close makes commits fail with err (nil: ErrClosed), those in the queue
// included, and waits until no callback runs. What is written already is synced
// and published. It may be called twice; the first error stays.
func (p *Pipeline) Close(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed == nil {
		p.closed = cmp.Or(err, ErrClosed)
	}
	p.waitWhile(func() bool { return p.writing || p.syncing })
}

// Queued is how many requests, those of Exclusive included, wait for their turn
// to be written.
func (p *Pipeline) Queued() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.queued
}

// refusal returns why no request may be written. Called with mu held.
func (p *Pipeline) refusal() error { return cmp.Or(p.closed, p.Failed()) }

// waitWhile sleeps while busy. Called with mu held.
func (p *Pipeline) waitWhile(busy func() bool) {
	p.idlers++
	for busy() {
		p.idle.Wait()
	}
	p.idlers--
}

// becameIdle is called with mu held when a role became free.
func (p *Pipeline) becameIdle() {
	if p.idlers > 0 {
		p.idle.Broadcast()
	}
}

// retryable says whether the pipeline survives this error of Write.
func retryable(err error) bool {
	_, ok := errors.AsType[*RetryableError](err)
	return ok
}
