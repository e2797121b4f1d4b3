package run

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cordwood-db/cordwood/bench/engine"
	_ "github.com/cordwood-db/cordwood/bench/engine/cordwood"
	"github.com/cordwood-db/cordwood/bench/engine/enginetest"
	"github.com/cordwood-db/cordwood/bench/result"
	"github.com/cordwood-db/cordwood/bench/workload"
)

// TestMain makes the test binary a child, too, with engines that misbehave.
func TestMain(m *testing.M) {
	memory := enginetest.Memory()
	engine.Register(memory)
	engine.Register(spoiled(memory, "dies", func(int) error { os.Exit(7); return nil }))
	engine.Register(spoiled(memory, "fails", func(int) error { return errors.New("the disk is on fire") }))
	engine.Register(spoiled(memory, "lies", nil))
	engine.Register(smallBatches(memory))
	engine.Register(spoiled(memory, "stalls", func(n int) error {
		if n == 300 {
			time.Sleep(400 * time.Millisecond)
		}
		return nil
	}))
	registerMore(memory)
	if len(os.Args) > 1 && os.Args[1] == ChildCommand {
		if err := Child(context.Background(), os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// spoiled is an engine without abilities whose n-th Put calls put first, or is
// not done if put is nil and n is 700.
func spoiled(e *engine.Engine, name string, put func(n int) error) *engine.Engine {
	s := *e
	s.Name, s.Title, s.Abilities = name, "An engine that "+name, 0
	s.Open = func(o engine.Options) (engine.Store, error) {
		store, err := e.Open(o)
		return &spoiledStore{Store: store, put: put}, err
	}
	return &s
}

type spoiledStore struct {
	engine.Store
	put  func(int) error
	puts atomic.Int64
}

func (s *spoiledStore) Put(key, value []byte) error {
	n := int(s.puts.Add(1))
	if s.put == nil && n == 700 {
		return nil
	}
	if s.put != nil && n >= 200 {
		if err := s.put(n); err != nil {
			return err
		}
	}
	return s.Store.Put(key, value)
}

// smallBatches is an engine whose batches take ten writes.
func smallBatches(e *engine.Engine) *engine.Engine {
	s := *e
	s.Name, s.Title = "smallbatches", "An engine with small batches"
	s.Open = func(o engine.Options) (engine.Store, error) {
		store, err := e.Open(o)
		return smallBatchStore{store}, err
	}
	s.Abilities = 0
	return &s
}

type smallBatchStore struct{ engine.Store }

func (s smallBatchStore) NewBatch() engine.Batch { return &smallBatch{Batch: s.Store.NewBatch()} }

type smallBatch struct {
	engine.Batch
	writes int
}

func (b *smallBatch) Put(key, value []byte) error {
	if b.writes++; b.writes > 10 {
		return fmt.Errorf("ten writes are in it: %w", engine.ErrBatchFull)
	}
	return b.Batch.Put(key, value)
}

func (b *smallBatch) Commit() error {
	b.writes = 0
	return b.Batch.Commit()
}

func (s *spoiledStore) Busy() string { return "spoiled" }

// plan is a small run of the named workloads on the named engines.
func plan(t *testing.T, engines, workloads string) *Plan {
	t.Helper()
	p := &Plan{
		Title: "test", Dir: t.TempDir(), Rounds: 1,
		Sets:     []Set{{Name: "100B", Keys: 1000, KeyBytes: 16, Values: "100", Compressibility: 0.5}},
		Settings: Settings{Options: engine.DefaultOptions(), Threads: 1, Seed: 1, Verify: true, WriteRate: 1000},
	}
	p.Options.MemtableBytes, p.Options.CacheBytes = 4<<20, 8<<20
	for name := range strings.SplitSeq(engines, ",") {
		p.Engines = append(p.Engines, EngineRef{Name: name})
	}
	for name := range strings.SplitSeq(workloads, ",") {
		w, ok := workload.Find(name)
		if !ok {
			t.Fatalf("no workload %s", name)
		}
		p.Workloads = append(p.Workloads, w)
	}
	return p
}

// notes is a Sink that keeps what it is told.
type notes struct {
	header   result.Header
	phases   []result.Phase
	progress []Progress
	onPhase  func(result.Phase) error
	onTick   func(Progress)
}

func (n *notes) Begin(h result.Header) error { n.header = h; return nil }

func (n *notes) Progress(p Progress) error {
	n.progress = append(n.progress, p)
	if n.onTick != nil {
		n.onTick(p)
	}
	return nil
}

func (n *notes) Phase(p result.Phase) error {
	n.phases = append(n.phases, p)
	if n.onPhase != nil {
		return n.onPhase(p)
	}
	return nil
}

func TestRoundsRotateTheEngines(t *testing.T) {
	p := plan(t, "memory,cordwood", "fillseq,readrandom")
	p.Rounds = 2
	var sink notes
	run, err := Execute(t.Context(), p, &sink)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range run.Phases {
		got = append(got, fmt.Sprintf("%d %s %s", p.Round, p.Engine, p.Workload))
		if p.Failed != "" || p.Skipped != "" || p.Operations == 0 || p.Verified == 0 && p.Workload == "readrandom" {
			t.Errorf("%s: %+v", got[len(got)-1], p)
		}
	}
	want := []string{
		"1 memory fillseq", "1 memory readrandom", "1 cordwood fillseq", "1 cordwood readrandom",
		"2 cordwood fillseq", "2 cordwood readrandom", "2 memory fillseq", "2 memory readrandom",
	}
	if !slices.Equal(got, want) {
		t.Errorf("phases %q, want %q", got, want)
	}
	if len(sink.phases) != len(want) || run.Footer == nil || run.Footer.Partial || len(run.Engines) != 2 || run.Machine.OS == "" {
		t.Errorf("%d phases told, footer %+v, engines %v, machine %+v", len(sink.phases), run.Footer, run.Engines, run.Machine)
	}
	requireEmpty(t, p.Dir)
}

func TestEachEngineBeginsOnceBeforeAnyBeginsTwice(t *testing.T) {
	for _, n := range []int{1, 2, 5} {
		first := map[int]bool{}
		for round := range n {
			o := order(n, round)
			first[o[0]] = true
			slices.Sort(o)
			for i := range o {
				if o[i] != i {
					t.Errorf("round %d of %d engines runs %v", round, n, o)
				}
			}
		}
		if len(first) != n {
			t.Errorf("of %d engines only %v began a round", n, first)
		}
	}
}

func TestAnEngineThatFailsDoesNotKeepOthersFromRunning(t *testing.T) {
	for _, bad := range []struct {
		engine, says string
		wrong        bool
	}{
		{"dies", "exit status 7", false},
		{"fails", "the disk is on fire", false},
		{"lies", "WRONG ANSWER", true},
	} {
		t.Run(bad.engine, func(t *testing.T) {
			p := plan(t, bad.engine+",memory", "fillseq,readseq,readrandom")
			run, err := Execute(t.Context(), p, &notes{})
			if err == nil || !strings.Contains(err.Error(), bad.says) {
				t.Fatalf("error %v, want one that says %q", err, bad.says)
			}
			if len(run.Phases) != 6 {
				t.Fatalf("%d phases, want 6", len(run.Phases))
			}
			failed := slices.IndexFunc(run.Phases, func(p result.Phase) bool { return p.Failed != "" })
			if f := run.Phases[failed]; f.Engine != bad.engine || f.Wrong != bad.wrong {
				t.Errorf("the failed phase is %+v", f)
			}
			for _, p := range run.Phases[failed+1 : 3] {
				if !strings.Contains(p.Skipped, "failed before") {
					t.Errorf("after a failed phase: %+v", p)
				}
			}
			for _, p := range run.Phases[3:] {
				if p.Failed != "" || p.Skipped != "" || p.Operations == 0 {
					t.Errorf("the honest engine: %+v", p)
				}
			}
			if run.Footer == nil || !run.Footer.Partial {
				t.Errorf("footer %+v", run.Footer)
			}
			requireEmpty(t, p.Dir)
		})
	}
}

func TestWhatAnEngineLacksIsSkipped(t *testing.T) {
	p := plan(t, "stalls", "fillseq,bank,readseq")
	p.Sets[0].Keys = 100
	run, err := Execute(t.Context(), p, &notes{})
	if err != nil {
		t.Fatal(err)
	}
	if s := run.Phases[1].Skipped; !strings.Contains(s, "transactions") {
		t.Errorf("skipped because %q", s)
	}
	if run.Phases[2].Operations == 0 {
		t.Error("the phase after it did nothing")
	}
}

func TestBatchesThatAreTooLargeAreSkipped(t *testing.T) {
	p := plan(t, "smallbatches", "fillbatch,readrandom")
	run, err := Execute(t.Context(), p, &notes{})
	if err != nil {
		t.Fatal(err)
	}
	if s := run.Phases[0]; !strings.Contains(s.Skipped, "batches") || s.Operations != 0 || s.Failed != "" {
		t.Errorf("the phase of batches: %+v", s)
	}
	if run.Phases[1].Operations == 0 || run.Phases[1].Failed != "" {
		t.Errorf("the phase after it: %+v", run.Phases[1])
	}
}

func TestAStallIsNamedAndChargedToWhatWasDue(t *testing.T) {
	// The machine may stall, too, even so that nobody asks what the engine is at.
	named := func(s result.Stall) bool { return s.Seconds >= 0.4 && s.Busy == "spoiled" }
	var phase result.Phase
	for try := 1; !slices.ContainsFunc(phase.Stalls, named); try++ {
		if try > 10 {
			t.Fatalf("stalls %+v, want one of 0.4 s that is named", phase.Stalls)
		}
		p := plan(t, "stalls", "fillseq")
		p.Rate = 2000
		run, err := Execute(t.Context(), p, &notes{})
		if err != nil {
			t.Fatal(err)
		}
		phase = run.Phases[0]
	}
	// 800 operations were due in the stall and waited 200 ms on average. Service
	// times show the one alone.
	kind := phase.Kinds[0]
	if over := kind.Latency.Over(100 * time.Millisecond); over < 300 {
		t.Errorf("%d latencies over 100 ms, want about 600", over)
	}
	if kind.Service == nil || kind.Service.Over(100*time.Millisecond) > 50 {
		t.Errorf("service times charge more than the operation that stalled")
	}
}

func TestAnInterruptKeepsWhatThereIs(t *testing.T) {
	p := plan(t, "memory", "fillseq,readrandom,readseq")
	p.Duration = time.Hour
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	sink := &notes{onTick: func(p Progress) {
		if p.Workload == "readrandom" && p.State == Running {
			cancel()
		}
	}}
	run, err := Execute(ctx, p, sink)
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v, want that of the context", err)
	}
	if len(run.Phases) != 2 || !run.Phases[1].Partial || run.Phases[1].Operations == 0 || run.Phases[1].Failed != "" {
		t.Fatalf("phases %+v, want the second one partial", run.Phases)
	}
	if !run.Footer.Partial {
		t.Error("the run counts as complete")
	}
	requireEmpty(t, p.Dir)
}

func TestTheSinkCanEndARun(t *testing.T) {
	p := plan(t, "memory", "fillseq,readrandom")
	full := errors.New("no space for results")
	run, err := Execute(t.Context(), p, &notes{onPhase: func(result.Phase) error { return full }})
	if !errors.Is(err, full) || len(run.Phases) != 1 {
		t.Errorf("%d phases and error %v, want 1 and %v", len(run.Phases), err, full)
	}
	requireEmpty(t, p.Dir)
}

func TestAChildWhoseParentDiedLeavesNothing(t *testing.T) {
	p := plan(t, "memory", "fillseq,readrandom")
	p.Duration = time.Hour
	j := &job{Protocol: protocol, Task: phases, Engine: "memory", Label: "memory", Round: 1,
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
		if m.Progress != nil && m.Progress.Workload == "readrandom" && m.Progress.State == Running {
			break
		}
	}
	if err := child.in.Close(); err != nil {
		t.Fatal(err)
	}
	// What it still says is read, so that it does not wait for its reader.
	if _, err := io.Copy(io.Discard, child.messages.Buffered()); err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := child.next(); err != nil {
			break
		}
	}
	requireEmpty(t, p.Dir)
}

func TestAChildOfAnotherProtocolIsRefused(t *testing.T) {
	child, err := start("", &job{Protocol: protocol + 1, Task: describe, Engine: "memory"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := child.next(); err == nil || !strings.Contains(err.Error(), "protocol") {
		t.Errorf("error %v", err)
	}
	if err := child.kill(); err != nil {
		t.Fatal(err)
	}
}

func TestAnEngineOfAnotherProgramIsRunByIt(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := plan(t, "memory", "fillseq")
	p.Engines = append(p.Engines, EngineRef{Name: "memory", Program: program})
	run, err := Execute(t.Context(), p, &notes{})
	if err != nil {
		t.Fatal(err)
	}
	if got := run.Phases[1].Engine; got != "memory@"+program || run.Engines[1].Program != program {
		t.Errorf("the second engine is %q, %+v", got, run.Engines[1])
	}
	p = plan(t, "memory", "fillseq")
	p.Engines[0].Program = filepath.Join(t.TempDir(), "missing")
	if _, err := Execute(t.Context(), p, &notes{}); err == nil {
		t.Error("a program that does not exist ran")
	}
}

func TestOpeningIsTimedAndWhatWasAcknowledgedIsThere(t *testing.T) {
	p := plan(t, "cordwood", "openclean,openkilled")
	p.Cold = true
	run, err := Execute(t.Context(), p, &notes{})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range run.Phases {
		if p.Operations != openRepeats || len(p.Kinds) != 1 || p.Kinds[0].Latency.Count() != openRepeats {
			t.Errorf("%s: %+v", p.Workload, p)
		}
	}
	if run.Phases[1].Verified == 0 {
		t.Error("nothing was checked after the kills")
	}
	requireEmpty(t, p.Dir)
}

func TestPlansThatCannotBeCarriedOut(t *testing.T) {
	for name, spoil := range map[string]func(*Plan){
		"no engine":      func(p *Plan) { p.Engines = nil },
		"unknown engine": func(p *Plan) { p.Engines[0].Name = "nosuch" },
		"engine twice":   func(p *Plan) { p.Engines = append(p.Engines, p.Engines[0]) },
		"no workload":    func(p *Plan) { p.Workloads = nil },
		"no rounds":      func(p *Plan) { p.Rounds = 0 },
		"no threads":     func(p *Plan) { p.Threads = 0 },
		"negative rate":  func(p *Plan) { p.Rate = -1 },
		"set twice":      func(p *Plan) { p.Sets = append(p.Sets, p.Sets[0]) },
		"no keys":        func(p *Plan) { p.Sets[0].Keys = 0 },
		"bad values":     func(p *Plan) { p.Sets[0].Values = "many" },
	} {
		p := plan(t, "memory", "fillseq")
		spoil(p)
		if _, err := Execute(t.Context(), p, &notes{}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func requireEmpty(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		t.Errorf("%s is left behind", e.Name())
	}
}
