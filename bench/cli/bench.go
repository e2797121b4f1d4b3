package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/cordwood-db/cordwood/bench/report"
	"github.com/cordwood-db/cordwood/bench/result"
	"github.com/cordwood-db/cordwood/bench/run"
)

// bench measures workloads on engines.
func (a *app) bench(c *cobra.Command, s *settings, names []string) error {
	plan, err := s.plan(c, names)
	if err != nil {
		return usageOf(c, err)
	}
	return a.execute(c, s, plan)
}

// replay measures a trace on engines.
func (a *app) replay(c *cobra.Command, s *settings, path string) error {
	plan, err := s.replayPlan(path)
	if err != nil {
		return usageOf(c, err)
	}
	return a.execute(c, s, plan)
}

// execute carries a plan out, from the checks of what could stop it to the exit
// status.
func (a *app) execute(c *cobra.Command, s *settings, plan *run.Plan) error {
	var labels []string
	for _, e := range plan.Engines {
		labels = append(labels, e.String())
	}
	return a.measured(c, s, labels, func(ctx context.Context, w *session) (*result.Run, error) {
		if s.allEngines && len(s.engines) == 0 && len(labels) == 1 {
			w.display.Print("Only " + labels[0] + " is linked into this program: see bench/peers for one with other engines.")
		}
		plan.Command, plan.Dir = a.args, w.dir
		return run.Execute(ctx, plan, w)
	})
}

// measured opens the outputs, calls work in a folder of its own, and makes
// outputs and verdicts of what it found, also if that was interrupted or failed.
func (a *app) measured(c *cobra.Command, s *settings, engines []string, work func(context.Context, *session) (*result.Run, error)) (err error) {
	baseline, err := s.baselineOf(engines)
	if err != nil {
		return usageOf(c, err)
	}
	g, err := s.gatesOf(c)
	if err != nil {
		return usageOf(c, err)
	}
	if err := s.checkProfiles(); err != nil {
		return err
	}
	outs, err := a.openOutputs(s.outputPaths(), s.force)
	if err != nil {
		return usageOf(c, err)
	}
	defer func() { err = errors.Join(err, outs.close()) }()
	found, err := a.inWorkDir(c.Context(), s, outs, work)
	if found == nil || len(found.Phases) == 0 {
		return err
	}
	w := &writer{app: a, settings: s, outs: outs, baseline: baseline}
	err = errors.Join(err, w.all(found))
	if errors.Is(err, context.Canceled) {
		return err // what there is shows nothing
	}
	return errors.Join(err, w.judge(found, g))
}

// session is one run: where it works, and what it tells of itself meanwhile. It
// is package run's Sink.
type session struct {
	dir     string
	display display
	outs    *outputs
	json    *result.Writer // nil: not asked for
}

// Begin writes the head of the saved run.
func (w *session) Begin(header result.Header) error {
	to, err := w.outs.begin("-json")
	if to == nil || err != nil {
		return err
	}
	w.json, err = result.NewWriter(to, header)
	return wrapFlag("-json", err)
}

// Phase saves a phase at once, and shows it.
func (w *session) Phase(p result.Phase) error {
	w.display.Print(report.PhaseLine(&p))
	if w.json == nil {
		return nil
	}
	return wrapFlag("-json", w.json.Phase(&p))
}

// end writes the end of the saved run.
func (w *session) end(found *result.Run) error {
	if w.json == nil || found == nil || found.Footer == nil {
		return nil
	}
	return wrapFlag("-json", w.json.Close(*found.Footer))
}

func wrapFlag(flag string, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", flag, err)
	}
	return nil
}

// inWorkDir calls work with a folder that is gone afterwards, whatever happens.
func (a *app) inWorkDir(ctx context.Context, s *settings, outs *outputs, work func(context.Context, *session) (*result.Run, error)) (found *result.Run, err error) {
	dir := &workDir{}
	ctx, stop := catchInterrupts(ctx, dir)
	defer stop()
	defer func() { err = errors.Join(err, dir.remove()) }()
	if err := dir.make(s.dir, s.force, s.keep); err != nil {
		return nil, err
	}
	w := &session{dir: dir.path, display: a.newDisplay(s), outs: outs}
	found, err = work(ctx, w)
	w.display.Close()
	if ctx.Err() != nil && !errors.Is(err, context.Canceled) {
		err = errors.Join(err, ctx.Err())
	}
	if found != nil && found.Footer != nil && errors.Is(err, context.Canceled) {
		found.Footer.Partial, found.Footer.Error = true, "interrupted"
	}
	err = errors.Join(err, w.end(found))
	if s.keep {
		_, printed := fmt.Fprintf(a.stderr, "The data is in %s\n", dir.path)
		err = errors.Join(err, printed)
	}
	return found, err
}

// replayPlan is the plan for a trace.
func (s *settings) replayPlan(path string) (*run.Plan, error) {
	p := &run.Plan{Title: s.title, Rounds: s.rounds, Keep: s.keep, CPUProfile: s.cpuProfile, MemProfile: s.memProfile}
	var err error
	if p.Engines, err = s.engineRefs(); err != nil {
		return nil, err
	}
	if p.Settings, err = s.runSettings(); err != nil {
		return nil, err
	}
	switch {
	case s.speed < 0:
		return nil, usageErrorf("-speed %v: must not be negative", s.speed)
	case s.duration < 0:
		return nil, usageErrorf("-duration %v: must not be negative", s.duration)
	case s.rounds < 1:
		return nil, usageErrorf("-rounds %d: must be at least 1", s.rounds)
	case s.threads < 1 || s.threads > 1024:
		return nil, usageErrorf("-threads %d: must be from 1 to 1024", s.threads)
	}
	p.Settings.Replay = &run.Replay{Path: path, Speed: s.speed}
	return p, nil
}

// engineLabels are the engines of a run that has been measured.
func engineLabels(r *result.Run) []string {
	var names []string
	for _, e := range r.Engines {
		names = append(names, e.Name)
	}
	for _, p := range r.Phases { // a file that was cut or made by others may lack the list
		if !slices.Contains(names, p.Engine) {
			names = append(names, p.Engine)
		}
	}
	return names
}
