package run

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"

	"github.com/cordwood-db/cordwood/bench/engine"
	"github.com/cordwood-db/cordwood/bench/measure"
	"github.com/cordwood-db/cordwood/bench/result"
	"github.com/cordwood-db/cordwood/bench/workload"
)

const (
	// openRepeats is how often a phase opens its store.
	openRepeats = 5
	// openReads is how many keys are read, and checked, after each opening.
	openReads = 100
)

// openClean closes the store and times opening it, again and again.
func (s *stage) openClean(ctx context.Context, w *workload.Workload, p *result.Phase) error {
	return s.openings(ctx, w, p, func(int) error {
		if s.Settings.Cold {
			return s.chill(p)
		}
		return s.close()
	}, func() error { return s.someReads(ctx) })
}

// openKilled times opening a store after the process that filled it was killed,
// and checks that all of what it had acknowledged is there, and nothing torn. Each
// time the store is a new one.
func (s *stage) openKilled(ctx context.Context, w *workload.Workload, p *result.Phase) error {
	v := s.victim()
	var acknowledged []uint64
	return s.openings(ctx, w, p, func(attempt int) (err error) {
		if err := errors.Join(s.discard(), s.makeDir()); err != nil {
			return err
		}
		if acknowledged, err = s.killVictim(ctx, v, attempt); err != nil || !s.Settings.Cold {
			return err
		}
		return s.chill(p)
	}, func() error {
		model, found, err := v.Check(s.store, acknowledged)
		if err != nil {
			return err
		}
		s.model = model
		p.Verified += found.Live
		return nil
	})
}

// openings times opening the store openRepeats times. prepare makes it ready to be
// opened, which is not timed, nor is check.
func (s *stage) openings(ctx context.Context, w *workload.Workload, p *result.Phase,
	prepare func(attempt int) error, check func() error) error {
	p.SpeedNS = measure.Speed().Nanoseconds()
	clock := measure.RealClock()
	recorder := measure.NewRecorder([]measure.Kind{{Name: "open", Class: result.Read}}, 1, false, nil)
	recorder.Start(clock)
	var costs result.Costs // of the openings alone
	sync := s.Settings.Sync || w.Sync
	var err error
	for n := 0; n < openRepeats && err == nil && ctx.Err() == nil; n++ {
		if err = prepare(n); err != nil {
			break
		}
		debug.FreeOSMemory() // which is none of the opening's, either
		meter := measure.StartMeter()
		began := clock.Now()
		err = s.open(sync)
		ended := clock.Now()
		addCosts(&costs, meter.Stop())
		if err == nil {
			recorder.Worker(0).Record(0, began, began, ended, 1, false)
			p.Seconds += (ended - began).Seconds()
			p.Operations++
			err = check()
		}
	}
	p.Kinds, _, _ = recorder.Finish() // seconds and stalls say nothing here
	if s.store == nil {
		return err
	}
	return errors.Join(err, s.charge(p, costs, nil)) // the counters began with the last opening
}

// addCosts adds what another opening has cost: of memory, the most.
func addCosts(sum *result.Costs, c result.Costs) {
	sum.CPUNS += c.CPUNS
	sum.Allocations += c.Allocations
	sum.AllocatedBytes += c.AllocatedBytes
	sum.PeakBytes = max(sum.PeakBytes, c.PeakBytes)
	sum.WrittenBytes += c.WrittenBytes
	sum.ReadBytes += c.ReadBytes
	sum.WriteCalls += c.WriteCalls
	sum.ReadCalls += c.ReadCalls
}

// someReads reads a few keys, and checks the answers.
func (s *stage) someReads(ctx context.Context) error {
	reads, ok := workload.Find("readrandom")
	if !ok {
		return errors.New("there is no workload readrandom")
	}
	source, err := reads.New(s.config(ctx, forReads, openReads, false))
	if err != nil {
		return err
	}
	_, _, _, err = s.loop(reads, source, 0).run(ctx, 0)
	return errors.Join(err, source.Finish(err != nil || ctx.Err() != nil))
}

// victimBatch is how many writes a victim commits at once.
const victimBatch = 10

// victim is what the process does that is killed.
func (s *stage) victim() *workload.Victim {
	data := s.model.Data()
	v := &workload.Victim{Data: data, Threads: s.Settings.Threads, Batch: victimBatch,
		MayLose: s.engine.LostByKill != "" && !s.Settings.Sync}
	v.Batch = max(1, min(v.Batch, data.Keys/v.Threads))
	return v
}

// enough is how many commits of all threads a victim does before it is killed:
// more in each attempt, at last about three quarters of a memtable or of the keys,
// since what is in no table yet is what opening has to recover.
func (s *stage) enough(v *workload.Victim, attempt int) uint64 {
	entry := float64(v.Data.KeyBytes) + v.Data.Sizes.Mean()
	keys := min(float64(v.Data.Keys), float64(s.Settings.Options.MemtableBytes)/entry)
	return uint64(keys*0.75*float64(attempt+1)/openRepeats)/uint64(v.Batch) + 1
}

// killVictim starts a process that fills the store and kills it in the middle. It
// returns how many commits each of its threads had acknowledged.
func (s *stage) killVictim(ctx context.Context, v *workload.Victim, attempt int) ([]uint64, error) {
	j := *s.job
	j.Task, j.Dir, j.Workloads, j.CPUProfile, j.MemProfile = victim, s.storeDir, nil, "", ""
	j.Victim = v
	p, err := start("", &j)
	if err != nil {
		return nil, fmt.Errorf("starting the process to be killed: %w", err)
	}
	defer context.AfterFunc(ctx, p.stop)()
	acknowledged, sum := make([]uint64, v.Threads), uint64(0)
	for enough := s.enough(v, attempt); sum < enough; {
		m, err := p.next()
		switch {
		case ctx.Err() != nil: // whatever it says, it says because it was told to stop
			return nil, errors.Join(ctx.Err(), p.kill())
		case err != nil:
			return nil, errors.Join(fmt.Errorf("the process to be killed: %w", err), p.kill())
		case m.Done:
			return nil, errors.Join(errors.New("the process to be killed ended by itself"), p.kill())
		case m.Acked != nil && m.Acked.Thread >= 0 && m.Acked.Thread < len(acknowledged):
			sum += m.Acked.Commits - acknowledged[m.Acked.Thread]
			acknowledged[m.Acked.Thread] = m.Acked.Commits
		}
	}
	return acknowledged, p.kill()
}

// runVictim fills a store until it is killed.
func (j *job) runVictim(ctx context.Context, e *engine.Engine, to *sender) error {
	if j.Victim == nil {
		return errors.New("a victim is told what to write")
	}
	s := &stage{job: j, engine: e, to: to, model: workload.NewModel(j.Victim.Data), storeDir: j.Dir}
	store, err := e.Open(s.options(j.Settings.Sync))
	if err != nil {
		return fmt.Errorf("opening the store: %w", err)
	}
	var wg sync.WaitGroup
	errs := make([]error, j.Victim.Threads)
	for thread := range errs {
		wg.Go(func() {
			errs[thread] = j.Victim.Fill(store, thread, func(commits uint64) error {
				if err := ctx.Err(); err != nil {
					return err
				}
				return to.send(message{Acked: &acked{Thread: thread, Commits: commits}})
			})
		})
	}
	wg.Wait()
	return errors.Join(errors.Join(errs...), store.Close())
}

// bulkLoad fills an empty store by the engine's fastest way for ascending keys:
// batches, if it has no other.
func (s *stage) bulkLoad(ctx context.Context, w *workload.Workload, p *result.Phase) error {
	loader, ok := s.store.(engine.BulkLoader)
	if !ok {
		batches, ok := workload.Find("fillbatch")
		if !ok {
			return errors.New("there is no workload fillbatch")
		}
		return s.bulkLoadByBatches(ctx, w, batches, p)
	}
	p.SpeedNS = measure.Speed().Nanoseconds()
	clock := measure.RealClock()
	recorder := measure.NewRecorder([]measure.Kind{{Name: bulkKind, Class: result.Write}}, 1, false, s.busy())
	debug.FreeOSMemory()
	before, meter := s.counters(), measure.StartMeter()
	recorder.Start(clock)
	stop := s.watch(w, Running, uint64(s.model.Data().Keys), nil, &loop{recorder: recorder})
	entries := s.model.NewLoader()
	began := clock.Now()
	last := began
	err := loader.BulkLoad(ctx, func() (key, value []byte, ok bool) {
		key, value, ok = entries.Next()
		now := clock.Now()
		if p.Operations > 0 {
			recorder.Worker(0).Record(0, last, last, now, 1, false)
		}
		last = now
		if ok {
			p.Operations++
		}
		return key, value, ok && ctx.Err() == nil
	})
	p.Seconds = (clock.Now() - began).Seconds()
	p.Kinds, p.Timeline, p.Stalls = recorder.Finish()
	err = errors.Join(err, stop())
	if err == nil && ctx.Err() == nil {
		done := entries.Done()
		p.Bytes, p.UserBytes = uint64(done.Bytes), uint64(done.Written)
		err = s.timedSettle(ctx, w, p)
	}
	return errors.Join(err, s.charge(p, meter.Stop(), before))
}

// bulkLoadByBatches is for engines without a faster way. All keys are stored, and
// entries are counted, as with the others.
func (s *stage) bulkLoadByBatches(ctx context.Context, w, batches *workload.Workload, p *result.Phase) error {
	entries := *batches
	entries.Name, entries.Entries = w.Name, true
	source, err := entries.New(s.config(ctx, forWork, 0, false))
	if err != nil {
		return err
	}
	err = s.measure(ctx, &entries, p, source)
	for i := range p.Kinds {
		p.Kinds[i].Name = bulkKind
	}
	return err
}

// bulkKind is the kind of operation of a bulk load.
const bulkKind = "bulkload"
