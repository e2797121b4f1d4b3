package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/cordwood-db/cordwood/bench/engine"
	"github.com/cordwood-db/cordwood/bench/result"
	"github.com/cordwood-db/cordwood/bench/run"
	"github.com/cordwood-db/cordwood/bench/workload"
)

// TestMain makes the test binary a child of its own runs, too.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == run.ChildCommand {
		if err := run.Child(context.Background(), os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// TestEveryWorkloadOnEveryEngine runs everything at a small size. A workload is
// skipped on an engine only for an ability that the engine does not have.
func TestEveryWorkloadOnEveryEngine(t *testing.T) {
	for _, e := range engine.All() {
		t.Run(e.Name, func(t *testing.T) {
			t.Parallel() // nothing is measured here, and much of it is waiting
			everyWorkload(t, e)
		})
	}
}

func everyWorkload(t *testing.T, e *engine.Engine) {
	plan := &run.Plan{
		Title: "every workload", Dir: t.TempDir(), Workloads: workload.All(), Rounds: 1,
		Engines:  []run.EngineRef{{Name: e.Name}},
		Sets:     []run.Set{{Name: "100B", Keys: 1000, KeyBytes: 16, Values: "100", Compressibility: 0.5}},
		Settings: run.Settings{Options: engine.DefaultOptions(), Threads: 2, Seed: 1, Verify: true, WriteRate: 1000},
	}
	plan.Options.MemtableBytes, plan.Options.CacheBytes = 4<<20, 8<<20
	done, err := run.Execute(t.Context(), plan, &told{t: t, engine: e})
	if err != nil {
		t.Fatal(err)
	}
	if len(done.Phases) != len(plan.Workloads) {
		t.Errorf("%d phases, want %d", len(done.Phases), len(plan.Workloads))
	}
	if d := done.Engines[0]; d.Version == "" || d.Version == "unknown" || len(d.Settings) == 0 {
		t.Errorf("it tells version %q and %d settings", d.Version, len(d.Settings))
	}
}

// told checks phases as they end.
type told struct {
	t      *testing.T
	engine *engine.Engine
}

func (s *told) Begin(result.Header) error   { return nil }
func (s *told) Progress(run.Progress) error { return nil }
func (s *told) Phase(p result.Phase) error {
	name := p.Workload
	w, _ := workload.Find(p.Workload)
	switch {
	case p.Failed != "":
		s.t.Errorf("%s failed: %s", name, p.Failed)
	case p.Skipped != "":
		if !strings.HasPrefix(p.Skipped, "needs ") || s.engine.Abilities.Has(w.Needs) {
			s.t.Errorf("%s was skipped: %s", name, p.Skipped)
		}
	case p.Operations == 0 || p.Seconds <= 0 || len(p.Kinds) == 0 || p.Costs.DiskBytes == 0:
		s.t.Errorf("%s measured nothing: %+v", name, p)
	}
	return nil
}
