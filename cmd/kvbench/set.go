package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"time"

	"github.com/cordwood-db/cordwood/db"
)

// set is one value length at work: the store of the moment and what it must
// hold. It belongs to one goroutine, which starts the workers.
type set struct {
	config *config
	dir    string // of this set's stores
	model  *model
	bar    *progress

	store    *db.DB // nil until the first fill
	storeDir string
	stores   int // made so far
}

func newSet(c *config, dir string, valueBytes int, bar *progress) *set {
	keys := c.keys
	if keys == 0 {
		keys = defaultKeys(valueBytes)
	}
	return &set{config: c, dir: dir, bar: bar, model: newModel(newGenerator(c.seed, valueBytes), keys)}
}

// defaultKeys sizes the standard run, which has to end within a minute on two
// processors: 156 MB, but not over half a million keys.
func defaultKeys(valueBytes int) int {
	return max(1000, min(500_000, 156_000_000/(keyBytes+valueBytes)))
}

// renew replaces the store with an empty one.
func (s *set) renew() error {
	if err := s.close(); err != nil {
		return err
	}
	s.stores++
	s.storeDir = filepath.Join(s.dir, fmt.Sprintf("store-%d-%d", s.model.bytes, s.stores))
	s.model.forget()
	var err error
	s.store, err = db.Open(s.storeDir, s.config.options())
	return err
}

// close closes the store and removes its files, unless they are to be kept.
func (s *set) close() error {
	if s.store == nil {
		return nil
	}
	err := s.store.Close()
	s.store = nil
	if s.config.keep {
		return err
	}
	return errors.Join(err, os.RemoveAll(s.storeDir))
}

// metrics are those of the store of the moment; all zero without one.
func (s *set) metrics() (m db.Metrics) {
	if s.store != nil {
		m = s.store.Metrics()
	}
	return m
}

// run does one phase and returns its line, and one for a worker beside it.
func (s *set) run(ctx context.Context, p phase) ([]result, error) {
	switch {
	case p.fresh:
		if err := s.renew(); err != nil {
			return nil, err
		}
	case s.store == nil: // with -only, a phase that needs data may come first
		load, err := findPhases("fillrandom")
		if err != nil {
			return nil, err
		}
		if _, err := s.run(ctx, load[0]); err != nil {
			return nil, fmt.Errorf("fillrandom, before %s: %w", p.name, err)
		}
	}
	debug.FreeOSMemory() // so that peak memory is this phase's own
	before, meter := s.store.Metrics(), newMeter()
	results, err := s.work(ctx, p)
	if err != nil {
		return nil, err
	}
	if p.writes {
		if results[0].Written, err = s.settle(ctx, p, before, results[0].Bytes); err != nil {
			return nil, err
		}
	}
	results[0].charge(meter.stop())
	return results, nil
}

// settle waits for the store to settle and tells what a phase wrote.
func (s *set) settle(ctx context.Context, p phase, before db.Metrics, userBytes uint64) (*written, error) {
	stop := s.bar.watch(s.label(p)+": settling", 0, nil)
	took, err := settle(ctx, s.store)
	stop()
	if err != nil {
		return nil, err
	}
	w := writtenSince(before, s.store.Metrics())
	w.SettleSeconds = took.Seconds()
	w.UserBytes = userBytes
	for i := range s.model.acknowledged {
		if s.model.acknowledged[i].Load() > 0 {
			w.LiveBytes += uint64(keyBytes + s.model.bytes)
		}
	}
	w.DiskBytes, err = diskBytes(s.storeDir)
	return w, err
}

func (s *set) label(p phase) string {
	return fmt.Sprintf("%s, %s values", p.name, size(uint64(s.model.bytes)))
}

// work runs the workers of a phase.
func (s *set) work(ctx context.Context, p phase) ([]result, error) {
	threads, total := s.config.threads, p.operations(s.model.keys())
	j := &job{points: s.store, store: s.store, model: s.model, threads: threads, writeRate: s.config.writeRate}
	defer context.AfterFunc(ctx, func() { j.stopped.Store(true) })()
	if limit := s.config.limit; limit > 0 && !p.writes {
		defer time.AfterFunc(limit, func() { j.stopped.Store(true) }).Stop()
	}
	seed := s.config.seed ^ uint64(s.stores)<<32
	for _, c := range p.name {
		seed = mix(seed ^ uint64(c))
	}
	workers := make([]*worker, threads)
	for i := range workers {
		workers[i] = newWorker(j, i, share(total, i, threads), seed)
	}
	stop := s.bar.watch(s.label(p), uint64(total), func() (done uint64) {
		for _, w := range workers {
			done += w.done.Load()
		}
		return done
	})
	defer stop()
	return runWorkers(ctx, p, j, workers, newWorker(j, threads, 0, seed))
}

// runWorkers waits for all workers and adds them up. The first failure stops
// the others.
func runWorkers(ctx context.Context, p phase, j *job, workers []*worker, extra *worker) ([]result, error) {
	errs := make([]error, len(workers)+1)
	guard := func(i int, err error) {
		if errs[i] = err; err != nil {
			j.stopped.Store(true)
		}
	}
	var main, beside sync.WaitGroup
	began := time.Now()
	for i, w := range workers {
		main.Go(func() { guard(i, p.run(w)) })
	}
	if p.beside != nil {
		beside.Go(func() { guard(len(workers), p.beside(extra)) })
	}
	main.Wait()
	took := time.Since(began)
	j.ended.Store(true)
	beside.Wait()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	keys := j.model.keys()
	results := []result{sum(p.name, j, keys, took, workers...)}
	if p.beside != nil {
		results = append(results, sum(p.besideName, j, keys, took, extra))
		results[1].Threads, results[1].side = 1, true
	}
	for i := range results {
		results[i].ValueBytes = j.model.bytes
	}
	return results, nil
}

// sum makes one line of several workers.
func sum(name string, j *job, keys int, took time.Duration, workers ...*worker) result {
	r := result{Phase: name, Keys: keys, Threads: j.threads, Seconds: took.Seconds()}
	all := newHistogram()
	for _, w := range workers {
		r.Operations += w.done.Load()
		r.Bytes += w.bytes
		all.Merge(w.latency)
	}
	r.latencies = summarize(all)
	return r
}
