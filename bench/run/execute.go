package run

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/cordwood-db/cordwood/bench/measure"
	"github.com/cordwood-db/cordwood/bench/result"
)

// Sink takes what a run finds, as it finds it. Its methods are called from one
// goroutine; an error ends the run.
type Sink interface {
	// Begin is called once, before anything is measured.
	Begin(result.Header) error
	// Progress is called a few times a second.
	Progress(Progress) error
	// Phase is called at the end of each phase, also of skipped and failed ones.
	Phase(result.Phase) error
}

// Progress tells what a run is doing.
type Progress struct {
	Engine, Set, Workload string
	Round, Rounds         int
	Phase, Phases         int // counted over the whole run, from 1
	State                 State
	PhaseFraction         float64 // of this phase; negative: not known
	RunFraction           float64 // of the run, by the times that phases have taken so far
	Operations            uint64
	Rate                  float64       // of the last second
	P99                   time.Duration // of the last second
	Stalled               time.Duration // since the last operation ended, if that is long
	Busy                  string        // what the engine says that holds writers back, while Stalled
	Elapsed, Left         time.Duration // of the run; Left is 0 if not known
}

// execution is one run at work.
type execution struct {
	*Plan
	ctx     context.Context
	sink    Sink
	run     *result.Run
	times   *times
	failure error // the first that a phase or a child met
}

// Execute carries out a plan and returns what it found, also together with an
// error: that of the first phase that failed, of the sink, or of ctx. A phase
// that fails does not keep other engines from running.
func Execute(ctx context.Context, plan *Plan, sink Sink) (*result.Run, error) {
	if err := plan.Check(); err != nil {
		return nil, err
	}
	if plan.Settings.Replay != nil {
		var err error
		if plan, err = plan.ofTrace(); err != nil {
			return nil, err
		}
	}
	x := &execution{Plan: plan, ctx: ctx, sink: sink, run: &result.Run{}, times: newTimes(plan)}
	if err := x.begin(); err != nil {
		return x.run, err
	}
	err := x.rounds()
	if err == nil {
		err = ctx.Err()
	}
	if err == nil {
		err = x.failure
	}
	x.run.Footer = &result.Footer{Ended: time.Now().UTC().Truncate(time.Millisecond), Partial: err != nil}
	if err != nil {
		x.run.Footer.Error = err.Error()
	}
	return x.run, err
}

// begin notes the machine and the engines.
func (x *execution) begin() error {
	machine, err := measure.Probe(x.ctx, x.Dir)
	if err != nil {
		return fmt.Errorf("looking at the machine: %w", err)
	}
	x.run.Header = result.Header{
		Format: result.Format, Started: time.Now().UTC().Truncate(time.Millisecond), Command: x.Command, Title: x.Title,
		Machine: machine, Rounds: x.Rounds, Threads: x.Threads, Sync: x.Sync, Cold: x.Cold, Verify: x.Verify,
		Seed: x.Seed, Rate: x.Rate,
		Budget: &result.Budget{MemtableBytes: x.Options.MemtableBytes, MemtablesMax: x.Options.MemtablesMax,
			CacheBytes: x.Options.CacheBytes, FilterBits: x.Options.FilterBits, Compression: string(x.Options.Compression)},
	}
	for _, e := range x.Engines {
		described, err := x.describe(e)
		if err != nil {
			return fmt.Errorf("engine %s: %w", e, err)
		}
		x.run.Engines = append(x.run.Engines, *described)
	}
	for _, s := range x.Sets {
		data, err := s.data(x.Seed)
		if err != nil {
			return err
		}
		x.run.Sets = append(x.run.Sets, result.Set{Name: s.Name, Keys: s.Keys, KeyBytes: s.KeyBytes, Values: s.Values,
			ValueBytesMean: data.Sizes.Mean(), Compressibility: s.Compressibility})
	}
	return x.sink.Begin(x.run.Header)
}

// describeMax is how long a program may take to tell about an engine.
const describeMax = time.Minute

// describe asks the program that has an engine about it.
func (x *execution) describe(e EngineRef) (*result.Engine, error) {
	p, err := start(e.Program, &job{Protocol: protocol, Task: describe, Engine: e.Name, Label: e.String(), Settings: x.Settings})
	if err != nil {
		return nil, err
	}
	// A program that is no kvbench may say nothing at all.
	kill := func() { _ = p.command.Process.Kill() }
	defer context.AfterFunc(x.ctx, kill)()
	defer time.AfterFunc(describeMax, kill).Stop()
	m, err := p.next()
	if err != nil {
		return nil, errors.Join(x.ctx.Err(), err, p.kill())
	}
	if m.Engine == nil || m.Protocol != protocol {
		return nil, errors.Join(fmt.Errorf("%s is not a kvbench of this protocol, version %d", e.Program, protocol), p.kill())
	}
	m.Engine.Name = e.String()
	if _, err := p.next(); err != nil {
		return nil, errors.Join(err, p.kill())
	}
	m.Engine.Program = e.Program
	return m.Engine, p.wait()
}

// rounds runs everything. Its error is one that ends the run; failures of engines
// are noted in x.failure instead.
func (x *execution) rounds() error {
	for round := range x.Rounds {
		for _, set := range x.Sets {
			for _, i := range order(len(x.Engines), round) {
				if x.ctx.Err() != nil {
					return nil
				}
				if err := x.child(x.Engines[i], set, round+1); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// child runs one engine on one set in one round.
func (x *execution) child(e EngineRef, set Set, round int) error {
	name := fileName(fmt.Sprintf("%s-%s-%d", e, set.Name, round))
	j := &job{
		Protocol: protocol, Task: phases, Engine: e.Name, Label: e.String(), Round: round, Keep: x.Keep,
		Dir: filepath.Join(x.Dir, name), Set: set, Settings: x.Settings, Workloads: x.Workloads,
		CPUProfile: x.profile(x.CPUProfile, name), MemProfile: x.profile(x.MemProfile, name),
	}
	if err := os.Mkdir(j.Dir, 0o777); err != nil {
		return err
	}
	p, err := start(e.Program, j)
	if err != nil {
		err = x.lost(j, 0, true, fmt.Errorf("starting a child process: %w", err))
	} else {
		defer context.AfterFunc(x.ctx, p.stop)()
		err = x.listen(p, j)
	}
	if !x.Keep {
		err = errors.Join(err, removeAll(j.Dir)) // if the child could not
	}
	return err
}

// listen passes on what a child tells until it is done. The phases that a child
// which dies has not told of are entered as failed and skipped.
func (x *execution) listen(p *process, j *job) error {
	told, begun := 0, false
	for {
		m, err := p.next()
		switch {
		case err != nil:
			return errors.Join(p.kill(), x.lost(j, told, begun, err))
		case m.Done && told < len(j.Workloads) && x.ctx.Err() == nil:
			return errors.Join(p.kill(), x.lost(j, told, true, errors.New("the child process ended without having done it")))
		case m.Done:
			return p.wait()
		case m.Phase != nil:
			if err := x.phase(*m.Phase); err != nil {
				return errors.Join(err, p.kill())
			}
			told, begun = told+1, false
		case m.Progress != nil:
			begun = true
			if err := x.progress(j, m.Progress, told); err != nil {
				return errors.Join(err, p.kill())
			}
		}
	}
}

// lost enters the phases of a child that died after it had told of some; begun
// says whether it had begun with the next one. After an interrupt what had not
// begun is not entered.
func (x *execution) lost(j *job, told int, begun bool, cause error) error {
	interrupted := x.ctx.Err() != nil
	for i := told; i < len(j.Workloads); i++ {
		if interrupted && (i > told || !begun) {
			break
		}
		p := result.Phase{Engine: j.Label, Set: j.Set.Name, Workload: j.Workloads[i].Name, Round: j.Round,
			Started: time.Now().UTC().Truncate(time.Millisecond), Threads: x.Threads, Rate: x.Rate, Partial: interrupted}
		if i == told {
			p.Failed = cause.Error()
		} else {
			p.Skipped = j.Workloads[told].Name + " has failed before it"
		}
		if err := x.phase(p); err != nil {
			return err
		}
	}
	if x.failure == nil {
		x.failure = fmt.Errorf("%s: %w", j.Label, cause)
	}
	return nil
}

// phase takes in the result of a phase.
func (x *execution) phase(p result.Phase) error {
	x.times.ended(&p)
	x.run.Phases = append(x.run.Phases, p)
	if p.Failed != "" && x.failure == nil {
		x.failure = &PhaseError{Engine: p.Engine, Set: p.Set, Workload: p.Workload, Round: p.Round, Wrong: p.Wrong, Problem: p.Failed}
	}
	return x.sink.Phase(p)
}

// progress tells the sink how far everything is.
func (x *execution) progress(j *job, m *progress, told int) error {
	done, left := x.times.estimate(j, told, m)
	return x.sink.Progress(Progress{
		Engine: j.Label, Set: j.Set.Name, Workload: m.Workload, Round: j.Round, Rounds: x.Rounds,
		Phase: x.times.phases + 1, Phases: x.times.total, State: m.State,
		PhaseFraction: m.Fraction, RunFraction: done, Operations: m.Operations, Rate: m.Rate, P99: m.P99,
		Stalled: m.Stalled, Busy: m.Busy, Elapsed: time.Since(x.times.began), Left: left,
	})
}

// profile is the file for a profile of one child.
func (x *execution) profile(path, child string) string {
	if path == "" || len(x.Engines)*len(x.Sets)*x.Rounds == 1 {
		return path
	}
	extension := filepath.Ext(path)
	return strings.TrimSuffix(path, extension) + "-" + child + extension
}

// nameMax is the most bytes of a name that fileName makes.
const nameMax = 120

// fileName makes the name of a file or folder of a text that has paths and sizes
// in it. Of a long one the end is left, which tells rounds apart.
func fileName(text string) string {
	name := strings.Map(func(r rune) rune {
		if r < ' ' || strings.ContainsRune(`/\:*?"<>|`, r) {
			return '_'
		}
		return r
	}, text)
	return strings.ToValidUTF8(name[max(0, len(name)-nameMax):], "")
}

// PhaseError says that a phase failed.
type PhaseError struct {
	Engine, Set, Workload string
	Round                 int
	Wrong                 bool // the engine gave a wrong answer
	Problem               string
}

// Error names the phase and says what went wrong.
func (e *PhaseError) Error() string {
	return fmt.Sprintf("%s, %s, %s, round %d: %s", e.Engine, e.Set, e.Workload, e.Round, e.Problem)
}
