package run

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/cordwood-db/cordwood/bench/result"
)

// interrupt executes a plan and interrupts it when now says so.
func interrupt(t *testing.T, p *Plan, now func(Progress) bool) (*result.Run, time.Duration) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var at time.Time
	run, err := Execute(ctx, p, &notes{onTick: func(tick Progress) {
		if at.IsZero() && now(tick) {
			at = time.Now()
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v, want that of the context", err)
	}
	if run.Footer == nil || !run.Footer.Partial {
		t.Errorf("footer %+v", run.Footer)
	}
	requireEmpty(t, p.Dir)
	return run, time.Since(at)
}

func TestAnInterruptAtAnyTime(t *testing.T) {
	for _, c := range []struct {
		name, engine, workloads string
		set                     func(*Plan)
		state                   State
		operations              bool
	}{
		{"loading", "slow", "readrandom,readseq", func(p *Plan) { p.Sets[0].Keys = 100_000 }, Loading, false},
		{"warm-up", "memory", "readrandom,readseq", func(p *Plan) { p.Warmup = time.Hour }, WarmUp, false},
		{"settling", "unsettled", "fillseq,readseq", func(*Plan) {}, Settling, true},
		{"an open loop with a writer", "memory", "readwhilewriting,readseq",
			func(p *Plan) { p.Rate, p.WriteRate, p.Duration, p.Threads = 100, 100, time.Hour, 2 }, Running, true},
		{"a victim", "cordwood", "openkilled,readseq", func(p *Plan) {
			p.Sets[0].Keys, p.Options.MemtableBytes = 5_000_000, 8<<30
		}, Opening, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := plan(t, c.engine, c.workloads)
			c.set(p)
			run, took := interrupt(t, p, func(tick Progress) bool {
				if c.state == Opening {
					time.Sleep(500 * time.Millisecond) // meanwhile the child goes on to its victim
				}
				return tick.State == c.state && (tick.Operations > 0 || tick.PhaseFraction < 0)
			})
			if len(run.Phases) != 1 {
				t.Fatalf("%d phases: %+v", len(run.Phases), run.Phases)
			}
			if p := run.Phases[0]; !p.Partial || p.Failed != "" || c.operations != (p.Operations > 0) {
				t.Errorf("%+v", p)
			}
			if took > grace {
				t.Errorf("it took %v", took)
			}
		})
	}
}

func TestAChildThatDoesNotStopIsKilled(t *testing.T) {
	defer func(was time.Duration) { grace = was }(grace)
	grace = 2 * time.Second // a child built with the race detector takes one to exit
	p := plan(t, "hangs", "fillseq,readseq")
	run, _ := interrupt(t, p, func(tick Progress) bool { return tick.State == Running })
	if len(run.Phases) != 1 || run.Phases[0].Failed == "" || !run.Phases[0].Partial {
		t.Errorf("%+v", run.Phases)
	}
}

func TestWhatGoesWrongIsTold(t *testing.T) {
	for _, c := range []struct{ engine, says string }{
		{"full", "no space left on device"},
		{"unopened", "the disk is gone"},
		{"floods", "the end of it"},
		{"unclosable", "the last flush has failed"},
	} {
		t.Run(c.engine, func(t *testing.T) {
			p := plan(t, c.engine+",memory", "fillseq,readrandom")
			run, err := Execute(t.Context(), p, &notes{})
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %v, want one that says %q", err, c.says)
			}
			if n := len(err.Error()); n > 3*wordsBytes {
				t.Errorf("an error of %d bytes", n)
			}
			if len(run.Phases) != 4 || run.Phases[2].Operations == 0 || run.Phases[3].Operations == 0 {
				t.Errorf("the honest engine: %+v", run.Phases)
			}
			if c.engine == "unclosable" && (run.Phases[0].Operations != 1000 || run.Phases[1].Operations != 1000 || run.Phases[1].Failed != "") {
				t.Errorf("what was measured is lost: %+v", run.Phases)
			}
			requireEmpty(t, p.Dir)
		})
	}
}

func TestAnEngineMayPrint(t *testing.T) {
	if _, err := Execute(t.Context(), plan(t, "prints", "fillseq"), &notes{}); err != nil {
		t.Error(err)
	}
}

// script makes a program.
func script(t *testing.T, text string) string {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("needs a shell")
	}
	path := filepath.Join(t.TempDir(), "kvbench")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAProgramThatIsNoKvbench(t *testing.T) {
	for name, text := range map[string]string{
		"prints something else": "echo hello; exec sleep 600",
		"prints without end":    "exec yes",
		"repeats what it hears": "exec cat",
		"ends at once":          "exit 0",
		"closes its output":     "exec >&-; exec sleep 600",
	} {
		t.Run(name, func(t *testing.T) {
			p := plan(t, "memory", "fillseq")
			p.Engines[0].Program = script(t, text)
			if run, err := Execute(t.Context(), p, &notes{}); err == nil {
				t.Errorf("no error, and %+v", run)
			}
		})
	}
	t.Run("says nothing", func(t *testing.T) {
		p := plan(t, "memory", "fillseq")
		p.Engines[0].Program = script(t, "exec sleep 600")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := Execute(ctx, p, &notes{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
	})
}

func TestAChildThatEndsEarlyHasFailed(t *testing.T) {
	p := plan(t, "memory", "fillseq,readseq")
	p.Engines[0].Program = script(t, `read job
case "$job" in
*'"describe"'*) echo '{"protocol":1,"engine":{"name":"x"}}';;
esac
echo '{"done":true}'`)
	run, err := Execute(t.Context(), p, &notes{})
	if err == nil || len(run.Phases) != 2 || run.Phases[0].Failed == "" || run.Phases[1].Skipped == "" {
		t.Errorf("error %v, phases %+v", err, run.Phases)
	}
	if run.Engines[0].Name != p.Engines[0].String() {
		t.Errorf("the engine is called %q, and its phases %q", run.Engines[0].Name, p.Engines[0])
	}
	requireEmpty(t, p.Dir)
}

// TestAParentThatDies: nobody reads what the child says any more, nor its victim's.
func TestAParentThatDies(t *testing.T) {
	for _, c := range []struct{ engine, workloads, at string }{
		{"memory", "fillseq,readrandom", "readrandom"},
		{"cordwood", "openkilled", "openkilled"},
	} {
		t.Run(c.workloads, func(t *testing.T) {
			p := plan(t, c.engine, c.workloads)
			p.Duration, p.Options.MemtableBytes = time.Hour, 8<<30
			if c.engine == "cordwood" {
				p.Sets[0].Keys = 5_000_000
			}
			j := &job{Protocol: protocol, Task: phases, Engine: c.engine, Label: c.engine, Round: 1,
				Dir: filepath.Join(p.Dir, "child"), Set: p.Sets[0], Settings: p.Settings, Workloads: p.Workloads}
			if err := os.Mkdir(j.Dir, 0o777); err != nil {
				t.Fatal(err)
			}
			child, err := start("", j)
			if err != nil {
				t.Fatal(err)
			}
			for {
				m, err := child.next()
				if err != nil {
					t.Fatal(err)
				}
				if m.Progress != nil && m.Progress.Workload == c.at {
					break
				}
			}
			time.Sleep(300 * time.Millisecond) // the victim is at work
			if err := errors.Join(child.out.Close(), child.in.Close()); err != nil {
				t.Fatal(err)
			}
			_ = child.command.Wait() // what it says then is of no account
			requireEmpty(t, p.Dir)
		})
	}
}
