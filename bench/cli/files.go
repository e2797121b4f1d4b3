package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/cordwood-db/cordwood/bench/cli/progress"
	"github.com/cordwood-db/cordwood/bench/engine"
	"github.com/cordwood-db/cordwood/bench/files"
	"github.com/cordwood-db/cordwood/bench/measure"
	"github.com/cordwood-db/cordwood/bench/result"
)

// files stores a file tree in engines, and compares.
func (a *app) files(c *cobra.Command, s *settings, tree string) error {
	f, err := s.fileRun(tree)
	if err != nil {
		return usageOf(c, err)
	}
	return a.measured(c, s, f.names(), func(ctx context.Context, w *session) (found *result.Run, err error) {
		stop, err := startProfiles(s)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, stop()) }()
		f.app, f.session = a, w
		return f.run(ctx)
	})
}

// fileRun is one run of the files command.
type fileRun struct {
	*app
	*session
	settings *settings
	engines  []*engine.Engine
	options  engine.Options
	root     string // empty: the Go installation's source
	began    time.Time
	steps    int // done, of all engines
}

// fileRun checks what the flags say.
func (s *settings) fileRun(root string) (*fileRun, error) {
	f := &fileRun{settings: s, root: root}
	found, err := s.contenders()
	if err != nil {
		return nil, err
	}
	for _, c := range found {
		if c.program != "" {
			return nil, usageErrorf("-engine %s: engines of other programs are for run and compare", c.name)
		}
		e, _ := engine.Find(c.engine)
		f.engines = append(f.engines, e)
	}
	switch {
	case s.threads < 1 || s.threads > 1024:
		return nil, usageErrorf("-threads %d: must be from 1 to 1024", s.threads)
	case s.kills < 1:
		return nil, usageErrorf("-kills %d: must be at least 1", s.kills)
	}
	f.options, err = s.storeOptions()
	return f, err
}

func (f *fileRun) names() []string {
	var names []string
	for _, e := range f.engines {
		names = append(names, e.Name)
	}
	return names
}

// run runs one engine after the other. An engine that fails does not keep the
// others from running.
func (f *fileRun) run(ctx context.Context) (*result.Run, error) {
	f.began = time.Now()
	if f.root == "" {
		var err error
		if f.root, err = files.GoSource(ctx); err != nil {
			return nil, err
		}
	}
	f.display.Update(progress.Update{State: "walking " + f.root, Fraction: -1})
	tree, err := files.Walk(ctx, f.root)
	if err != nil {
		return nil, err
	}
	found := &result.Run{}
	if found.Header, err = f.header(ctx, tree); err != nil {
		return nil, err
	}
	if err := f.Begin(found.Header); err != nil {
		return nil, err
	}
	var errs []error
	for _, e := range f.engines {
		if ctx.Err() != nil {
			break
		}
		if err := f.engine(ctx, e, tree, found); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", e.Name, err))
		}
	}
	err = errors.Join(append(errs, ctx.Err())...)
	found.Footer = &result.Footer{Ended: time.Now().UTC().Truncate(time.Millisecond), Partial: err != nil}
	if err != nil {
		found.Footer.Error = err.Error()
	}
	return found, err
}

func (f *fileRun) header(ctx context.Context, tree *files.Tree) (result.Header, error) {
	machine, err := measure.Probe(ctx, f.dir)
	if err != nil {
		return result.Header{}, fmt.Errorf("looking at the machine: %w", err)
	}
	s := f.settings
	h := result.Header{Format: result.Format, Started: f.began.UTC().Truncate(time.Millisecond), Command: f.args, Title: s.title,
		Machine: machine, Rounds: 1, Threads: s.threads, Sync: s.sync, Verify: true, Seed: s.seed}
	for _, e := range f.engines {
		described := result.Engine{Name: e.Name, Title: e.Title, Version: e.Version()}
		if e.Settings != nil {
			for _, setting := range e.Settings(f.options) {
				described.Settings = append(described.Settings, result.Setting(setting))
			}
		}
		h.Engines = append(h.Engines, described)
	}
	h.Sets = []result.Set{{Name: files.SetName, Keys: tree.Len(), KeyBytes: tree.KeyBytes(), Values: "files of " + tree.Root(),
		ValueBytesMean: float64(tree.Bytes()) / float64(tree.Len())}}
	return h, nil
}

// filePhases is how many phases a run of an engine has, without -kill.
const filePhases = 4

// engine runs one engine.
func (f *fileRun) engine(ctx context.Context, e *engine.Engine, tree *files.Tree, found *result.Run) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	dir := filepath.Join(f.dir, e.Name)
	if err := os.Mkdir(dir, 0o777); err != nil {
		return err
	}
	phases := filePhases
	if f.settings.kill {
		phases = 1
	}
	var saving error
	o := files.Options{
		Engine: e, Store: f.options, Dir: dir, Tree: tree, Threads: f.settings.threads,
		Seed: f.settings.seed, Kills: f.settings.kills, Child: []string{program, filesChildCommandName},
		Phase: func(p result.Phase) {
			f.steps++
			found.Phases = append(found.Phases, p)
			saving = errors.Join(saving, f.Phase(p))
		},
		Progress: func(p files.Progress) {
			all := phases * len(f.engines)
			f.display.Update(progress.Update{Engine: e.Name, Workload: p.Workload, Phase: min(f.steps+1, all), Phases: all, State: p.State,
				Fraction: p.Fraction, Overall: (float64(f.steps) + max(p.Fraction, 0)) / float64(all), Rate: p.Rate, Elapsed: time.Since(f.began)})
		},
	}
	do := files.Run
	if f.settings.kill {
		do = files.Kill
	}
	_, err = do(ctx, o)
	if !f.settings.keep {
		err = errors.Join(err, os.RemoveAll(dir))
	}
	return errors.Join(err, saving)
}

// filesChild is the process that -kill kills.
func (a *app) filesChild() error { return files.Child(a.stdin, a.stdout) }
