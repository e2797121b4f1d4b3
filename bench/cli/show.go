package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cordwood-db/cordwood/bench/cli/progress"
	"github.com/cordwood-db/cordwood/bench/report"
	"github.com/cordwood-db/cordwood/bench/report/html"
	"github.com/cordwood-db/cordwood/bench/result"
	"github.com/cordwood-db/cordwood/bench/run"
)

// display shows progress.
type display = progress.Display

func (a *app) newDisplay(s *settings) display { return progress.New(a.stderr, s.quiet, a.getenv) }

// Progress shows where the run is.
func (w *session) Progress(p run.Progress) error {
	w.display.Update(progress.Update{
		Engine: p.Engine, Set: p.Set, Workload: p.Workload, Round: p.Round, Rounds: p.Rounds, Phase: p.Phase, Phases: p.Phases,
		State: string(p.State), Fraction: p.PhaseFraction, Overall: p.RunFraction, Rate: p.Rate, P99: p.P99,
		Stalled: p.Stalled, Busy: p.Busy, Elapsed: p.Elapsed, Left: p.Left,
	})
	return nil
}

// outputPaths are the files that flags name.
func (s *settings) outputPaths() map[string]string {
	return map[string]string{"-json": s.json, "-csv": s.csv, "-gobench": s.gobench, "-html": s.html}
}

// writer makes the outputs of a run that is over, or was saved.
type writer struct {
	*app
	settings *settings
	outs     *outputs
	baseline string   // the engine that others are compared with
	notes    []string // after the table
}

// text is where tables and verdicts go: not between what a program is to read.
func (w *writer) text() io.Writer {
	if w.outs.toStdout() {
		return w.stderr
	}
	return w.stdout
}

// all makes every output but that of -json, which was written meanwhile. One that
// fails does not keep the others from being made.
func (w *writer) all(r *result.Run) error {
	var errs []error
	if !w.outs.toStdout() {
		errs = append(errs, report.Table(w.stdout, r, report.TableOptions{Baseline: w.baseline, Confidence: w.settings.confidence}))
	}
	for i, line := range w.notes {
		before := ""
		if i == 0 {
			before = "\n"
		}
		_, err := fmt.Fprintln(w.text(), before+strings.Join(wrap(line, helpColumns-2), "\n  "))
		errs = append(errs, err)
	}
	errs = append(errs,
		w.outs.write("-csv", func(to io.Writer) error { return report.CSV(to, r) }),
		w.outs.write("-gobench", func(to io.Writer) error { return report.GoBench(to, r) }),
		w.outs.write("-html", func(to io.Writer) error { return html.Write(to, r) }))
	return errors.Join(errs...)
}

// saved writes a run that was read as -json asks for.
func (w *writer) saved(r *result.Run) error {
	return w.outs.write("-json", func(to io.Writer) error { return result.WriteRun(to, r) })
}

// gates are what decides about the exit status.
type gates struct {
	objectives []result.Objective
	old        *result.Run // nil: none to compare with
}

// gatesOf is gates for the flags of a command.
func (s *settings) gatesOf(c *cobra.Command) (*gates, error) {
	if isSet(c, "max-regress") && s.baseline == "" {
		return nil, usageErrorf("-max-regress is for -baseline")
	}
	return s.gates()
}

// gates reads what the flags say, before minutes are spent on measuring.
func (s *settings) gates() (*gates, error) {
	g := &gates{}
	for _, text := range s.slo {
		objectives, err := result.ParseObjectives(text)
		if err != nil {
			return nil, usageErrorf("-slo: %v", err)
		}
		g.objectives = append(g.objectives, objectives...)
	}
	if !(s.confidence > 0 && s.confidence < 1) {
		return nil, usageErrorf("-confidence %v: must be between 0 and 1", s.confidence)
	}
	if s.baseline != "" {
		old, err := result.ReadFile(s.baseline)
		if err != nil {
			return nil, fmt.Errorf("-baseline: %w", err)
		}
		g.old = old
	}
	return g, nil
}

// judge prints what the gates say, and fails if they are against the run.
func (w *writer) judge(r *result.Run, g *gates) error {
	var errs []error
	if len(g.objectives) > 0 {
		verdicts := result.Judge(r, g.objectives)
		errs = append(errs, report.Verdicts(w.text(), verdicts))
		if !result.AllMet(verdicts) {
			errs = append(errs, errMissed)
		}
	}
	if g.old != nil {
		found := result.Regress(g.old, r, result.RegressOptions{Limit: w.settings.maxRegress, Confidence: w.settings.confidence})
		errs = append(errs, report.Regressions(w.text(), found))
		if found.Any(result.Regressed) {
			errs = append(errs, errRegressed)
		}
	}
	return errors.Join(errs...)
}
