package commit

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// fake is a log that checks what a pipeline promises. Its callbacks run the
// hooks first; a hook's error or panic is the callback's.
type fake struct {
	t        testing.TB
	onWrite  func(group []*Request) error
	onSync   func(batch []*Request) error
	onPub    func(batch []*Request)
	writers  atomic.Int32
	syncers  atomic.Int32
	mu       sync.Mutex
	written  []*entry
	durable  int // entries synced
	pubs     int // entries published
	groups   [][]string
	syncs    [][]string
	failedAt int // entries written when a Write or Sync failed for good; -1: never
}

// entry is what the fake knows of a request: it is the request's Batch.
type entry struct {
	name      string
	pos       int // in the order of Write; -1: not written
	published bool
	dead      bool // its Write failed
}

func newFake(t testing.TB) *fake { return &fake{t: t, failedAt: -1} }

func (f *fake) config() Config {
	return Config{Write: f.write, Sync: f.sync, Publish: f.publish}
}

func (f *fake) write(group []*Request) error {
	if f.writers.Add(1) != 1 {
		f.t.Error("two writes at one time")
	}
	defer f.writers.Add(-1)
	f.mu.Lock()
	f.groups = append(f.groups, names(group))
	f.mu.Unlock()
	var err error
	if f.onWrite != nil {
		err = f.onWrite(group)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range group {
		e := r.Batch.(*entry)
		if e.pos >= 0 {
			f.t.Errorf("%s is written twice", e.name)
		}
		if err != nil || r.Refused != nil {
			e.dead = true
			continue
		}
		e.pos = len(f.written)
		f.written = append(f.written, e)
	}
	return err
}

func (f *fake) sync(batch []*Request) error {
	if f.syncers.Add(1) != 1 {
		f.t.Error("two syncs or publications at one time")
	}
	defer f.syncers.Add(-1)
	f.mu.Lock()
	f.syncs = append(f.syncs, names(batch))
	upTo := batch[len(batch)-1].Batch.(*entry).pos + 1
	if upTo == 0 {
		f.t.Error("sync of what is not written")
	}
	f.mu.Unlock()
	if f.onSync != nil {
		if err := f.onSync(batch); err != nil {
			return err
		}
	}
	f.mu.Lock()
	f.durable = max(f.durable, upTo)
	f.mu.Unlock()
	return nil
}

func (f *fake) publish(batch []*Request) {
	if f.syncers.Add(1) != 1 {
		f.t.Error("two syncs or publications at one time")
	}
	defer f.syncers.Add(-1)
	if f.onPub != nil {
		f.onPub(batch)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range batch {
		e := r.Batch.(*entry)
		switch {
		case e.pos != f.pubs:
			f.t.Errorf("%s, written as number %d, is published as number %d", e.name, e.pos, f.pubs)
		case e.published || e.dead:
			f.t.Errorf("%s is published again or after it failed", e.name)
		case r.Sync && f.durable <= e.pos:
			f.t.Errorf("%s is published before it is synced", e.name)
		}
		e.published = true
		f.pubs++
	}
}

func names(group []*Request) []string {
	var s []string
	for _, r := range group {
		s = append(s, r.Batch.(*entry).name)
	}
	return s
}

// outcome is a commit under way: done is closed with err set.
type outcome struct {
	entry *entry
	done  chan struct{}
	err   error
}

// start commits in a goroutine of its own and waits until nothing moves.
func start(p *Pipeline, name string, sync bool) *outcome {
	o := &outcome{entry: &entry{name: name, pos: -1}, done: make(chan struct{})}
	go func() {
		defer close(o.done)
		defer func() {
			if v := recover(); v != nil {
				o.err = fmt.Errorf("panicked: %v", v)
			}
		}()
		r := &Request{Sync: sync, Bytes: 10, Batch: o.entry}
		o.err = p.Commit(r)
		if r.Err() != o.err {
			o.err = errors.Join(o.err, errors.New("Err differs from what Commit returned"))
		}
	}()
	synctest.Wait()
	return o
}

func (o *outcome) finished() bool {
	select {
	case <-o.done:
		return true
	default:
		return false
	}
}

// gate makes a hook that announces each call and waits to be let go with an
// error or nil.
type gate struct {
	entered chan []string
	leave   chan error
}

func newGate() *gate {
	return &gate{entered: make(chan []string, 100), leave: make(chan error)}
}

func (g *gate) hook(group []*Request) error {
	g.entered <- names(group)
	return <-g.leave
}

// expect waits for the next call and checks whom it is for.
func (g *gate) expect(t *testing.T, want ...string) {
	t.Helper()
	synctest.Wait()
	select {
	case got := <-g.entered:
		if !slices.Equal(got, want) {
			t.Fatalf("called for %v, want %v", got, want)
		}
	default:
		t.Fatalf("not called, want %v", want)
	}
}

func (g *gate) expectNothing(t *testing.T) {
	t.Helper()
	synctest.Wait()
	select {
	case got := <-g.entered:
		t.Fatalf("called for %v", got)
	default:
	}
}

func (g *gate) release(err error) {
	g.leave <- err
	synctest.Wait()
}

// check waits until nothing moves and compares what became of commits.
func check(t *testing.T, o *outcome, want error) {
	t.Helper()
	synctest.Wait()
	switch {
	case !o.finished():
		t.Fatalf("%s has not returned", o.entry.name)
	case !errors.Is(o.err, want):
		t.Fatalf("%s: error %v, want %v", o.entry.name, o.err, want)
	case (want == nil) != o.entry.published:
		t.Fatalf("%s: error %v, published %v", o.entry.name, o.err, o.entry.published)
	}
}

func checkWaiting(t *testing.T, os ...*outcome) {
	t.Helper()
	synctest.Wait()
	for _, o := range os {
		if o.finished() {
			t.Fatalf("%s has returned: %v", o.entry.name, o.err)
		}
	}
}
