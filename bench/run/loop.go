package run

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cordwood-db/cordwood/bench/measure"
	"github.com/cordwood-db/cordwood/bench/workload"
)

// sampleEvery is how many operations share one measurement of what the client
// itself costs.
const sampleEvery = 64

// loop drives the clients of one source. Immutable while it runs, but for the
// atomics.
type loop struct {
	source   workload.Source
	clock    measure.Clock
	recorder *measure.Recorder // started; nil: warm-up, nothing is recorded
	entries  bool              // what counts is entries, of which an operation reads many
	threads  int               // clients that end by themselves
	beside   int               // clients that end when those have
	rate     float64
	poisson  bool
	seed     uint64

	began time.Duration // when the clients were let go: timetables count from here

	stopped atomic.Bool // out of time, interrupted, or a client failed
	ended   atomic.Bool // all clients but those beside are done
}

// tally is what one client did.
type tally struct {
	operations, items, checked, bytes, written, retries uint64
	prepare, verify                                     time.Duration // of the sampled operations
	samples                                             uint64
	ended                                               time.Duration // when its last operation had
}

func (t *tally) add(o *tally) {
	t.operations += o.operations
	t.items += o.items
	t.checked += o.checked
	t.bytes += o.bytes
	t.written += o.written
	t.retries += o.retries
	t.prepare += o.prepare
	t.verify += o.verify
	t.samples += o.samples
}

// run works until the source's operations are done, ctx ends, or limit is over
// (0: never). It returns what was done, of the main clients and of those beside.
// The error is that of the first client that failed, not that of ctx.
func (l *loop) run(ctx context.Context, limit time.Duration) (main, beside tally, took time.Duration, err error) {
	clients, err := l.clients()
	if err != nil {
		return main, beside, 0, err
	}
	defer context.AfterFunc(ctx, func() { l.stopped.Store(true) })()
	l.began = l.clock.Now()
	if limit > 0 {
		defer time.AfterFunc(limit, func() { l.stopped.Store(true) }).Stop()
	}
	tallies, errs := make([]tally, len(clients)), make([]error, len(clients))
	var mains, others sync.WaitGroup
	for i, c := range clients {
		group := &mains
		if i >= l.threads {
			group = &others
		}
		group.Go(func() {
			if errs[i] = l.client(i, c, &tallies[i]); errs[i] != nil {
				l.stopped.Store(true)
			}
			tallies[i].ended = l.clock.Now() - l.began
			// At once, and not when all have ended: those of a replay wait for each
			// other, and one that is closed lets the others go.
			errs[i] = errors.Join(errs[i], c.Close())
		})
	}
	mains.Wait()
	l.ended.Store(true)
	others.Wait()
	for i := range tallies {
		if i < l.threads {
			took = max(took, tallies[i].ended)
			main.add(&tallies[i])
		} else {
			beside.add(&tallies[i])
		}
	}
	return main, beside, took, errors.Join(errs...)
}

// clients makes the clients; none if one cannot be made.
func (l *loop) clients() ([]workload.Client, error) {
	clients := make([]workload.Client, 0, l.threads+l.beside)
	for i := range l.threads + l.beside {
		c, err := l.source.Client(i)
		if err != nil {
			for _, c := range clients {
				err = errors.Join(err, c.Close())
			}
			return nil, err
		}
		clients = append(clients, c)
	}
	return clients, nil
}

// over reports whether client i has to end.
func (l *loop) over(i int) bool {
	return l.stopped.Load() || i >= l.threads && l.ended.Load()
}

// client does the operations of one client.
func (l *loop) client(i int, c workload.Client, t *tally) error {
	var pacer *measure.Pacer
	if l.rate > 0 && i < l.threads {
		pacer = measure.NewPacer(l.rate, l.threads, i, l.poisson, l.seed)
	}
	var worker *measure.Worker
	if l.recorder != nil {
		worker = l.recorder.Worker(i)
	}
	over := func() bool { return l.over(i) }
	for n := uint64(0); !over(); n++ {
		sampled := n%sampleEvery == 0
		var before time.Duration
		if sampled {
			before = l.clock.Now()
		}
		kind, due, more := c.Prepare()
		if !more {
			return nil
		}
		if sampled {
			t.samples++
			t.prepare += l.clock.Now() - before
		}
		if due < 0 && pacer != nil {
			due = pacer.Next()
		}
		if due >= 0 {
			due += l.began
			if !measure.Wait(l.clock, due, over) {
				return nil
			}
		}
		began := l.clock.Now()
		outcome, err := c.Execute()
		ended := l.clock.Now()
		if err != nil {
			return err
		}
		if due < 0 {
			due = began
		}
		if err := c.Verify(); err != nil {
			return err
		}
		if sampled {
			t.verify += l.clock.Now() - ended
		}
		if worker != nil {
			if l.entries && outcome.Items > 1 {
				// The average entry of the run stands for all of them.
				began = ended - (ended-began)/time.Duration(outcome.Items)
				due = began
			}
			worker.Record(kind, due, began, ended, outcome.Items, outcome.NotFound)
		}
		t.operations++
		t.items += uint64(outcome.Items)
		t.checked += uint64(outcome.Checked)
		t.bytes += uint64(outcome.Bytes)
		t.written += uint64(outcome.Written)
		t.retries += uint64(outcome.Retries)
	}
	return nil
}
