package files

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cordwood-db/cordwood/bench/engine"
	"github.com/cordwood-db/cordwood/bench/measure"
	"github.com/cordwood-db/cordwood/bench/result"
)

// SetName is the name of the set in the results.
const SetName = "files"

// The workloads' names in the results.
const (
	workloadPut  = "files-put"
	workloadOpen = "files-open"
	workloadGet  = "files-get"
	workloadScan = "files-scan"
	workloadKill = "files-kill"
)

// Progress is how far a run is.
type Progress struct {
	Workload string  // such as "files-put"
	State    string  // such as "running" or "settling"
	Fraction float64 // of the workload; negative: not known
	Rate     float64 // operations per second so far
}

// Options say what to do.
type Options struct {
	Engine *engine.Engine
	// Store is how stores are opened; its Dir is set by Run and Kill.
	Store engine.Options
	// Dir is a folder that exists, to work in. What is made in it is left there.
	Dir     string
	Tree    *Tree
	Threads int
	// Phase is called as soon as a phase has ended, Progress now and then, from
	// any goroutine. Both may be nil.
	Phase    func(result.Phase)
	Progress func(Progress)

	// Seed decides the moments of Kill, Kills their number. Child is the program
	// and its arguments that call Child.
	Seed  uint64
	Kills int
	Child []string
}

// Run stores a tree, reopens the store and compares every byte, by point reads
// along a new walk and by a scan. It returns the phases that were done, also
// beside an error: a *workload.WrongAnswer, or what failed.
func Run(ctx context.Context, o Options) ([]result.Phase, error) {
	f := &run{Options: o, storeDir: filepath.Join(o.Dir, "store")}
	err := f.all(ctx)
	if f.store != nil {
		err = errors.Join(err, f.store.Close())
	}
	return f.phases, err
}

// run is one run of Run or Kill.
type run struct {
	Options
	storeDir string
	store    engine.Store // nil while it is closed
	phases   []result.Phase
}

func (f *run) all(ctx context.Context) error {
	if err := f.open(); err != nil {
		return err
	}
	for _, step := range []struct {
		workload string
		do       func(context.Context, *result.Phase) error
	}{
		{workloadPut, f.put}, {workloadOpen, f.reopen}, {workloadGet, f.compareByGets}, {workloadScan, f.compareByScan},
	} {
		if err := f.phase(ctx, step.workload, step.do); err != nil {
			return fmt.Errorf("%s: %w", step.workload, err)
		}
	}
	return nil
}

// phase does one phase and hands it on, with what it cost, also when it failed.
func (f *run) phase(ctx context.Context, name string, do func(context.Context, *result.Phase) error) error {
	p := result.Phase{Engine: f.Engine.Name, Set: SetName, Workload: name, Round: 1, Started: time.Now(), Threads: f.Threads,
		SpeedNS: measure.Speed().Nanoseconds()}
	f.tell(Progress{Workload: name, State: "running", Fraction: -1})
	meter := measure.StartMeter()
	err := do(ctx, &p)
	disk := p.Costs.DiskBytes
	p.Costs = meter.Stop()
	p.Costs.DiskBytes = disk
	f.add(p, err)
	return err
}

// add keeps a phase, and how it failed.
func (f *run) add(p result.Phase, err error) {
	switch {
	case errors.Is(err, context.Canceled):
		p.Partial = true
	case err != nil:
		p.Failed = err.Error()
		p.Wrong = isWrong(err)
	}
	f.phases = append(f.phases, p)
	if f.Options.Phase != nil {
		f.Options.Phase(p)
	}
}

func (f *run) tell(p Progress) {
	if f.Options.Progress != nil {
		f.Options.Progress(p)
	}
}

func (f *run) open() error {
	if err := os.MkdirAll(f.storeDir, 0o777); err != nil {
		return err
	}
	o := f.Store
	o.Dir, o.Threads, o.Keys = f.storeDir, f.Threads, f.Tree.Len()
	o.KeyBytes, o.ValueBytes = f.Tree.KeyBytes(), int(f.Tree.bytes/uint64(f.Tree.Len()))
	store, err := f.Engine.Open(o)
	if err != nil {
		return fmt.Errorf("opening: %w", err)
	}
	f.store = store
	return nil
}

func (f *run) close() error {
	err := f.store.Close()
	f.store = nil
	if err != nil {
		return fmt.Errorf("closing: %w", err)
	}
	return nil
}

// KeyBytes is the mean length of the keys.
func (t *Tree) KeyBytes() int {
	n := 0
	for _, path := range t.paths {
		n += len(path)
	}
	return n / len(t.paths)
}

// put stores every file.
func (f *run) put(ctx context.Context, p *result.Phase) error {
	err := f.each(ctx, p, result.Kind{Name: "put", Class: result.Write}, f.Tree.paths, func(w *worker, path string) error {
		contents, err := f.Tree.read(path)
		if err != nil {
			return err
		}
		w.key = append(w.key[:0], path...)
		began := time.Now()
		if err := f.store.Put(w.key, contents); err != nil {
			return fmt.Errorf("putting %q: %w", path, err)
		}
		w.record(time.Since(began), len(path)+len(contents))
		return nil
	})
	p.UserBytes, p.LiveBytes = p.Bytes, p.Bytes
	if err != nil {
		return err
	}
	f.tell(Progress{Workload: p.Workload, State: "settling", Fraction: -1})
	began := time.Now()
	if err := f.store.Settle(ctx); err != nil {
		return fmt.Errorf("settling: %w", err)
	}
	p.SettleSeconds = time.Since(began).Seconds()
	p.Costs.DiskBytes, err = measure.DiskBytes(f.storeDir)
	return err
}

// reopen closes the store and opens it again: that is timed.
func (f *run) reopen(_ context.Context, p *result.Phase) error {
	if err := f.close(); err != nil {
		return err
	}
	began := time.Now()
	if err := f.open(); err != nil {
		return err
	}
	took := time.Since(began)
	w := &worker{}
	w.record(took, 0)
	p.Threads = 1
	sum(p, result.Kind{Name: "open", Class: result.Read}, took, w)
	return nil
}

// compareByGets walks the tree again and compares each file with the store.
func (f *run) compareByGets(ctx context.Context, p *result.Phase) error {
	again, err := list(ctx, f.Tree.root)
	if err != nil {
		return err
	}
	err = f.each(ctx, p, result.Kind{Name: "get", Class: result.Read}, f.Tree.known(again), f.getFile)
	p.Verified = p.Operations
	return err
}

// getFile reads one path from the store and compares it.
func (f *run) getFile(w *worker, path string) error {
	w.key = append(w.key[:0], path...)
	began := time.Now()
	value, err := f.store.Get(w.value[:0], w.key)
	took := time.Since(began)
	if errors.Is(err, engine.ErrNotFound) {
		return wrong(path, "not found; it was stored")
	}
	if err != nil {
		return fmt.Errorf("getting %q: %w", path, err)
	}
	w.value = value
	w.record(took, len(path)+len(value))
	return f.Tree.compare(path, value)
}

// worker is one goroutine at work.
type worker struct {
	key, value []byte // buffers
	done       atomic.Uint64
	bytes      uint64
	latency    result.Histogram
}

func (w *worker) record(latency time.Duration, bytes int) {
	w.latency.Record(latency, 1)
	w.bytes += uint64(bytes)
	w.done.Add(1)
}

// progressInterval is how often each tells how far it is.
const progressInterval = 250 * time.Millisecond

// each calls do for every path, in several workers, and adds them up in p. The
// first failure stops the others.
func (f *run) each(ctx context.Context, p *result.Phase, kind result.Kind, paths []string, do func(*worker, string) error) error {
	workers, errs := make([]*worker, f.Threads), make([]error, f.Threads)
	for i := range workers {
		workers[i] = &worker{}
	}
	var stopped atomic.Bool
	defer context.AfterFunc(ctx, func() { stopped.Store(true) })()
	stop := f.watch(p.Workload, len(paths), workers)
	began := time.Now()
	var wg sync.WaitGroup
	for i, w := range workers {
		wg.Go(func() {
			for n := i; n < len(paths) && !stopped.Load(); n += len(workers) {
				if errs[i] = do(w, paths[n]); errs[i] != nil {
					stopped.Store(true)
				}
			}
		})
	}
	wg.Wait()
	took := time.Since(began)
	stop()
	sum(p, kind, took, workers...)
	return errors.Join(append(errs, ctx.Err())...)
}

// watch tells how far workers are until stop is called.
func (f *run) watch(name string, total int, workers []*worker) (stop func()) {
	over := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		ticks := time.NewTicker(progressInterval)
		defer ticks.Stop()
		began := time.Now()
		for {
			select {
			case <-over:
				return
			case <-ticks.C:
			}
			var done uint64
			for _, w := range workers {
				done += w.done.Load()
			}
			f.tell(Progress{Workload: name, State: "running", Fraction: float64(done) / float64(max(total, 1)),
				Rate: float64(done) / time.Since(began).Seconds()})
		}
	})
	return func() {
		close(over)
		wg.Wait()
	}
}

// sum enters what workers have done as the one kind of a phase.
func sum(p *result.Phase, kind result.Kind, took time.Duration, workers ...*worker) {
	kind.Latency = result.NewHistogram()
	for _, w := range workers {
		kind.Operations += w.done.Load()
		kind.Latency.Merge(w.latency)
		p.Bytes += w.bytes
	}
	kind.Items = kind.Operations
	p.Operations, p.Seconds, p.Kinds = kind.Operations, took.Seconds(), []result.Kind{kind}
}
