package run

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/cordwood-db/cordwood/bench/engine"
	"github.com/cordwood-db/cordwood/bench/measure"
	"github.com/cordwood-db/cordwood/bench/result"
	"github.com/cordwood-db/cordwood/bench/workload"
)

// stage is where a child's phases play: the store of the moment, and the model of
// what it must hold. For one goroutine.
type stage struct {
	*job
	engine *engine.Engine
	to     *sender
	set    *workload.Data  // of the job
	model  *workload.Model // of the store of the moment, which may have another shape

	store       engine.Store // nil: none is open
	storeDir    string
	stores      int   // made so far
	sync        bool  // how store was opened
	clientBytes int64 // resident before the first store was opened, for a model as it is now
	phase       int   // the number of the workload at hand, from 1; see seed
	unsettled   bool  // a phase wrote, and the store was not settled after it
}

// runPhases runs the job's workloads one after the other. A phase that fails ends
// the set: what the store holds then is not known any more.
func (j *job) runPhases(ctx context.Context, e *engine.Engine, to *sender) (err error) {
	data, err := j.Set.data(j.Settings.Seed)
	if err != nil {
		return err
	}
	data = j.Settings.withRoom(data, j.Workloads)
	s := &stage{job: j, engine: e, to: to, set: data, model: workload.NewModel(data)}
	s.model.Forget() // which touches its memory, so that it counts as the client's
	s.clientBytes = measure.Resident()
	defer func() {
		err = errors.Join(err, s.close())
		if !j.Keep {
			err = errors.Join(err, removeAll(j.Dir))
		}
	}()
	failed := ""
	for i, w := range j.Workloads {
		s.phase = i + 1
		p := s.begin(w)
		switch {
		case ctx.Err() != nil:
			return nil
		case failed != "":
			p.Skipped = failed + " has failed before it"
		case !e.Abilities.Has(w.Needs):
			p.Skipped = fmt.Sprintf("needs %s, which %s does not have", w.Needs&^e.Abilities, e.Title)
		default:
			s.perform(ctx, w, p)
			if p.Failed != "" {
				failed = w.Name
			}
		}
		if err := to.send(message{Phase: p}); err != nil {
			return err
		}
		cut := p.Skipped != "" && e.Abilities.Has(w.Needs) // in the middle
		if failed == "" && ctx.Err() == nil && i+1 < len(j.Workloads) && (optional(w) || cut) {
			if err := s.discard(); err != nil {
				return err
			}
		}
	}
	return nil
}

// optional reports whether a workload is one that not all engines can do. What
// comes after it has to find the same data with all engines: so the store is given
// up then, also by those that skipped the workload.
func optional(w *workload.Workload) bool { return w.Needs != 0 }

// begin is the record of a phase before it has done anything.
func (s *stage) begin(w *workload.Workload) *result.Phase {
	return &result.Phase{Engine: s.Label, Set: s.Set.Name, Workload: w.Name, Round: s.Round,
		Started: time.Now().UTC().Truncate(time.Millisecond), Threads: s.Settings.Threads, Rate: s.Settings.Rate}
}

// perform runs a phase, and enters into it what became of it. One that makes
// larger batches than the engine takes counts as skipped.
func (s *stage) perform(ctx context.Context, w *workload.Workload, p *result.Phase) {
	err := s.play(ctx, w, p)
	if ctx.Err() != nil {
		p.Partial = true
		if errors.Is(err, ctx.Err()) {
			err = nil
		}
	}
	if errors.Is(err, engine.ErrBatchFull) {
		// A limit of the engine, not a failure. The store has lost nothing.
		began := s.begin(w)
		began.Started, began.Skipped = p.Started, fmt.Sprintf("its batches are larger than %s takes: %v", s.engine.Title, err)
		*p = *began
		return
	}
	if err != nil {
		p.Failed = err.Error()
		var wrong *workload.WrongAnswer
		p.Wrong = errors.As(err, &wrong)
	}
}

// reshape makes sure that the store has the shape of data that the workload wants.
// A shape of its own is entered into the phase.
func (s *stage) reshape(w *workload.Workload, p *result.Phase) error {
	data, err := w.DataFor(s.set)
	if err != nil {
		return err
	}
	if data != s.set {
		p.Shape = &result.Set{Name: w.Name, Keys: data.Keys, KeyBytes: data.KeyBytes, Values: data.Sizes.String(),
			ValueBytesMean: data.Sizes.Mean(), Compressibility: data.Compressibility}
	}
	if shapeOf(data) == shapeOf(s.model.Data()) {
		return nil
	}
	if err := s.discard(); err != nil {
		return err
	}
	s.clientBytes -= s.model.Bytes()
	s.model = workload.NewModel(data)
	s.clientBytes += s.model.Bytes()
	return nil
}

// shapeOf tells shapes apart.
func shapeOf(d *workload.Data) string {
	return fmt.Sprint(d.Keys, d.Capacity, d.KeyBytes, d.Sizes, d.Compressibility)
}

// open opens the store, anew if it is not open, for commits as the phase needs them.
func (s *stage) open(sync bool) (err error) {
	if s.store != nil && s.sync == sync {
		return nil
	}
	if err := s.close(); err != nil {
		return err
	}
	if err := s.makeDir(); err != nil {
		return err
	}
	s.sync = sync
	if s.store, err = s.engine.Open(s.options(sync)); err != nil {
		s.store = nil
		return fmt.Errorf("opening the store: %w", err)
	}
	return nil
}

// makeDir makes the folder of a new store if there is none.
func (s *stage) makeDir() error {
	if s.storeDir != "" {
		return nil
	}
	s.stores++
	s.storeDir = filepath.Join(s.Dir, fmt.Sprintf("store-%d", s.stores))
	s.unsettled = false
	s.model.Forget()
	return os.Mkdir(s.storeDir, 0o777)
}

// options are those of this stage's stores.
func (s *stage) options(sync bool) engine.Options {
	o := s.Settings.Options
	o.Dir, o.Sync, o.Threads = s.storeDir, sync, s.Settings.Threads
	d := s.model.Data()
	o.Keys, o.KeyBytes, o.ValueBytes = d.Keys, d.KeyBytes, int(d.Sizes.Mean())
	return o
}

// close closes the store, whose files stay.
func (s *stage) close() error {
	if s.store == nil {
		return nil
	}
	store := s.store
	s.store = nil
	if err := store.Close(); err != nil {
		return fmt.Errorf("closing the store: %w", err)
	}
	return nil
}

// discard closes the store and removes its files, unless they are to be kept.
func (s *stage) discard() error {
	if err := s.close(); err != nil {
		return err
	}
	dir := s.storeDir
	s.storeDir = ""
	s.model.Forget()
	if dir == "" || s.Keep {
		return nil
	}
	return removeAll(dir)
}

// chill closes the store and has the operating system forget its files.
func (s *stage) chill(p *result.Phase) error {
	if err := s.close(); err != nil {
		return err
	}
	resident, known, err := measure.DropCache(s.storeDir)
	if known {
		p.CacheResident = &resident
	}
	return err
}

// report tells the parent what the phase is doing.
func (s *stage) report(w *workload.Workload, state State) error {
	return s.to.send(message{Progress: &progress{Workload: w.Name, State: state, Fraction: -1}})
}

// What a seed is for.
const (
	forWork uint64 = iota
	forWarmUp
	forLoad
	forReads // after an opening
	forArrivals
)

// seed is where the random numbers of a part of the phase start. It follows from
// the plan alone, never from the engine, so that all engines are asked the same in
// a round; and no two parts, phases or rounds have the same.
func (s *stage) seed(part uint64) uint64 {
	return rand.NewPCG(s.Settings.Seed, uint64(s.Round)<<40|uint64(s.phase)<<8|part).Uint64()
}

const (
	removeTries = 50
	removePause = 100 * time.Millisecond
)

// removeAll is os.RemoveAll, again and again while a process that is about to die
// still makes files there.
func removeAll(dir string) error {
	for try := 1; ; try++ {
		err := os.RemoveAll(dir)
		if err == nil || try == removeTries {
			return err
		}
		time.Sleep(removePause)
	}
}
