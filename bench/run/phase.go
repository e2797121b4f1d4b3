package run

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/cordwood-db/cordwood/bench/engine"
	"github.com/cordwood-db/cordwood/bench/measure"
	"github.com/cordwood-db/cordwood/bench/result"
	"github.com/cordwood-db/cordwood/bench/workload"
)

const (
	progressInterval = 250 * time.Millisecond
	// settleMax is when a store counts as one that does not settle.
	settleMax = 10 * time.Minute
)

// play runs one phase: it makes the store ready, warms up, measures.
func (s *stage) play(ctx context.Context, w *workload.Workload, p *result.Phase) error {
	if err := s.prepare(ctx, w, p); err != nil {
		return err
	}
	if s.Settings.Replay != nil {
		return s.replay(ctx, w, p)
	}
	switch w.Special {
	case workload.OpenClean:
		return s.openClean(ctx, w, p)
	case workload.OpenKilled:
		return s.openKilled(ctx, w, p)
	case workload.BulkLoad:
		return s.bulkLoad(ctx, w, p)
	}
	if s.Settings.Warmup > 0 && !w.Fresh && !usesUp(w) {
		if err := s.warmUp(ctx, w, p); err != nil {
			return fmt.Errorf("warming up: %w", err)
		}
	}
	source, err := s.source(ctx, w, forWork, s.unlimited(w))
	if err != nil {
		return err
	}
	return s.measure(ctx, w, p, source)
}

// unlimited reports whether nothing but time ends the workload.
func (s *stage) unlimited(w *workload.Workload) bool {
	return s.Settings.Duration > 0 && !w.Fresh && !usesUp(w)
}

// usesUp reports whether a workload only removes what is there. It has no warm-up,
// which would leave it nothing to remove, and it ends when it is done.
func usesUp(w *workload.Workload) bool {
	deletes := false
	for _, share := range w.Shares {
		switch share.Op {
		case workload.Delete:
			deletes = true
		case workload.Put, workload.PutTTL, workload.Update, workload.Insert, workload.BatchPut, workload.ReadModify, workload.MergeOperand:
			return false
		}
	}
	return deletes
}

// cramped reports whether earlier phases have left the workload too little room
// for its inserts.
func (s *stage) cramped(w *workload.Workload) bool {
	keys := s.model.Data().Keys
	return s.model.Records() > keys && float64(s.model.Room()) < s.Settings.inserts(w, keys)
}

// prepare makes the store as the workload wants it: empty, or with data.
func (s *stage) prepare(ctx context.Context, w *workload.Workload, p *result.Phase) error {
	if err := s.report(w, Opening); err != nil {
		return err
	}
	if err := s.reshape(w, p); err != nil {
		return err
	}
	sync := s.Settings.Sync || w.Sync
	if w.Fresh {
		if err := s.discard(); err != nil {
			return err
		}
		return s.open(sync)
	}
	if !w.Ready(s.model) || w.Loaded && s.cramped(w) {
		if err := s.load(ctx, w); err != nil {
			return fmt.Errorf("loading data before %s: %w", w.Name, err)
		}
	}
	if s.unsettled && s.store != nil { // its debts are not this phase's
		if err := s.settle(ctx); err != nil {
			return err
		}
	}
	if s.Settings.Cold && w.Loaded {
		if err := s.chill(p); err != nil {
			return err
		}
	}
	return s.open(sync)
}

// load fills a new store, unmeasured.
func (s *stage) load(ctx context.Context, w *workload.Workload) error {
	if err := errors.Join(s.report(w, Loading), s.discard(), s.open(false)); err != nil {
		return err
	}
	fill, ok := workload.Find(w.Load)
	if !ok {
		return fmt.Errorf("there is no workload %q to fill the store with", w.Load)
	}
	source, err := fill.New(s.config(ctx, forLoad, 0, false))
	if err != nil {
		return err
	}
	l := s.loop(w, source, 0)
	l.recorder = measure.NewRecorder(kindsOf(source), l.threads+l.beside, false, nil)
	l.recorder.Start(l.clock)
	stop := s.watch(w, Loading, source.Total(), nil, l)
	_, _, _, err = l.run(ctx, 0)
	l.recorder.Finish()
	err = errors.Join(err, stop(), source.Finish(err != nil || ctx.Err() != nil))
	if err := errors.Join(err, ctx.Err()); err != nil {
		return err
	}
	return s.settle(ctx)
}

// warmUp does the workload's work for a time, unmeasured.
func (s *stage) warmUp(ctx context.Context, w *workload.Workload, p *result.Phase) error {
	if err := s.report(w, WarmUp); err != nil {
		return err
	}
	operations, unlimited := s.warmUpOperations(w)
	if !unlimited && operations == 0 {
		p.Notes = append(p.Notes, "no warm-up: the room for inserts is for the work")
		return nil
	}
	source, err := w.New(s.config(ctx, forWarmUp, operations, unlimited))
	if err != nil {
		return err
	}
	main, beside, took, err := s.loop(w, source, s.Settings.Rate).run(ctx, s.Settings.Warmup)
	p.WarmupSeconds = took.Seconds()
	s.unsettled = s.unsettled || main.written+beside.written > 0
	return errors.Join(err, source.Finish(err != nil || ctx.Err() != nil), ctx.Err())
}

// warmUpOperations is how much a warm-up may do: what there is time for, but of a
// workload that inserts not more than leaves the work its room.
func (s *stage) warmUpOperations(w *workload.Workload) (operations uint64, unlimited bool) {
	share := inserting(w)
	if share == 0 {
		return 0, true
	}
	work := s.Settings
	work.Warmup = 0
	spare := float64(s.model.Room()) - work.inserts(w, s.model.Data().Keys)
	return uint64(max(0, spare/share/1.1)), false
}

// config is what the workloads of this stage are made with.
func (s *stage) config(ctx context.Context, part, operations uint64, unlimited bool) workload.Config {
	return workload.Config{
		Store: s.store, Model: s.model, Context: ctx, Threads: s.Settings.Threads,
		Operations: operations, Unlimited: unlimited, Verify: s.Settings.Verify, Seed: s.seed(part),
		BatchSize: s.Settings.BatchSize, ScanEntries: s.Settings.ScanEntries, MultiGet: s.Settings.MultiGet,
		WriteRate: s.Settings.WriteRate,
	}
}

func (s *stage) source(ctx context.Context, w *workload.Workload, part uint64, unlimited bool) (workload.Source, error) {
	return w.New(s.config(ctx, part, s.Settings.Operations, unlimited))
}

// loop is for the clients of a source.
func (s *stage) loop(w *workload.Workload, source workload.Source, rate float64) *loop {
	l := &loop{source: source, entries: w.Entries, clock: measure.RealClock(), threads: s.Settings.Threads,
		rate: rate, poisson: s.Settings.Poisson, seed: s.seed(forArrivals)}
	if b, ok := source.(interface{ Beside() int }); ok {
		l.beside = b.Beside()
	}
	return l
}

// limit is how long a phase of the workload may take; 0: until it is done.
func (s *stage) limit(w *workload.Workload) time.Duration {
	switch {
	case w.Fresh && s.Settings.Replay == nil:
		return 0
	case usesUp(w):
		return 0
	case s.Settings.Duration > 0:
		return s.Settings.Duration
	case !w.Writes:
		return s.Settings.ReadLimit
	}
	return 0
}

// measure runs the source's clients and enters what they did and what it cost.
func (s *stage) measure(ctx context.Context, w *workload.Workload, p *result.Phase, source workload.Source) error {
	p.SpeedNS = measure.Speed().Nanoseconds()
	l := s.loop(w, source, s.Settings.Rate)
	l.recorder = measure.NewRecorder(kindsOf(source), l.threads+l.beside, s.openLoop(), s.busy())
	debug.FreeOSMemory() // so that peak memory is this phase's own
	before, meter := s.counters(), measure.StartMeter()
	limit := s.limit(w)
	l.recorder.Start(l.clock)
	stop := s.watch(w, Running, source.Total(), &limit, l)
	main, beside, took, err := l.run(ctx, limit)
	p.Kinds, p.Timeline, p.Stalls = l.recorder.Finish()
	err = errors.Join(err, stop())
	s.enter(p, w, &main, &beside, took)
	s.unsettled = s.unsettled || p.UserBytes > 0
	if limit > 0 && took < limit && s.unlimited(w) && inserting(w) > 0 && err == nil && ctx.Err() == nil {
		p.Notes = append(p.Notes, fmt.Sprintf("ended before its time: %d records are all that there is room for", s.model.Data().Capacity))
	}
	if err == nil && w.Writes {
		err = s.timedSettle(ctx, w, p)
	}
	costs := meter.Stop() // what is checked at the end is no part of the work
	err = errors.Join(err, source.Finish(err != nil || ctx.Err() != nil))
	return errors.Join(err, s.charge(p, costs, before))
}

// openLoop reports whether operations have a timetable.
func (s *stage) openLoop() bool {
	return s.Settings.Rate > 0 || s.Settings.Replay != nil && s.Settings.Replay.Speed > 0
}

func kindsOf(source workload.Source) []measure.Kind {
	var kinds []measure.Kind
	for _, k := range source.Kinds() {
		kinds = append(kinds, measure.Kind{Name: k.Name, Class: k.Class})
	}
	return kinds
}

// enter puts what the clients did into the phase.
func (s *stage) enter(p *result.Phase, w *workload.Workload, main, beside *tally, took time.Duration) {
	p.Seconds = took.Seconds()
	p.Operations, p.Bytes = main.operations, main.bytes
	if w.Entries && main.operations > 0 {
		p.Operations = main.items
		for i := range p.Timeline {
			second := &p.Timeline[i]
			second.Operations = second.Operations * main.items / main.operations
		}
	}
	if s.Settings.Verify || s.Settings.Replay != nil || w.Program == workload.Bank || w.Program == workload.Counters {
		p.Verified = main.checked + beside.checked // transactions always are
	}
	p.UserBytes = main.written + beside.written
	p.Retries = main.retries + beside.retries
	if main.samples > 0 {
		p.Costs.PrepareNS = float64(main.prepare.Nanoseconds()) / float64(main.samples)
		p.Costs.VerifyNS = float64(main.verify.Nanoseconds()) / float64(main.samples)
	}
}

// timedSettle waits for the store to settle and enters how long that took.
func (s *stage) timedSettle(ctx context.Context, w *workload.Workload, p *result.Phase) error {
	if err := s.report(w, Settling); err != nil {
		return err
	}
	began := time.Now()
	err := s.settle(ctx)
	p.SettleSeconds = time.Since(began).Seconds()
	return err
}

func (s *stage) settle(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, settleMax, fmt.Errorf("the store has not settled for %v", settleMax))
	defer cancel()
	if err := s.store.Settle(ctx); err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return fmt.Errorf("settling: %w", err)
	}
	s.unsettled = false
	return nil
}

// charge enters what the phase has cost, and what became of the store. before are
// its counters when the phase began.
func (s *stage) charge(p *result.Phase, costs result.Costs, before map[string]float64) error {
	prepare, verify := p.Costs.PrepareNS, p.Costs.VerifyNS
	p.Costs = costs
	p.Costs.PrepareNS, p.Costs.VerifyNS, p.Costs.ClientBytes = prepare, verify, s.clientBytes
	p.Counters = s.counters()
	for name, was := range before {
		if _, known := p.Counters[name]; known && !strings.HasSuffix(name, "_now") {
			p.Counters[name] -= was
		}
	}
	_, p.LiveBytes = s.model.Live()
	var err error
	p.Costs.DiskBytes, err = measure.DiskBytes(s.storeDir)
	return err
}

// counters are the store's own; nil if it has none.
func (s *stage) counters() map[string]float64 {
	if c, ok := s.store.(engine.Counter); ok {
		return c.Counters()
	}
	return nil
}

// busy asks the store what holds writers back; nil if it cannot tell.
func (s *stage) busy() func() string {
	if b, ok := s.store.(engine.Busier); ok {
		return b.Busy
	}
	return nil
}

// watch tells the parent how far the loop is, until the function that it returns
// is called. The loop has a recorder.
func (s *stage) watch(w *workload.Workload, state State, total uint64, limit *time.Duration, l *loop) (stop func() error) {
	var wg sync.WaitGroup
	var failed error
	over, began, busy := make(chan struct{}), time.Now(), s.busy()
	wg.Go(func() {
		ticks := time.NewTicker(progressInterval)
		defer ticks.Stop()
		for failed == nil {
			select {
			case <-over:
				return
			case <-ticks.C:
			}
			live := l.recorder.Live()
			m := &progress{Workload: w.Name, State: state, Fraction: -1, Operations: live.Operations,
				Rate: live.Rate, P99: live.P99, Stalled: live.Stalled}
			if busy != nil && live.Stalled > 0 {
				m.Busy = busy()
			}
			if total > 0 {
				m.Fraction = min(1, float64(m.Operations)/float64(total))
			}
			if limit != nil && *limit > 0 {
				m.Fraction = min(1, max(m.Fraction, float64(time.Since(began))/float64(*limit)))
			}
			failed = s.to.send(message{Progress: m})
		}
	})
	return func() error {
		close(over)
		wg.Wait()
		return failed
	}
}
