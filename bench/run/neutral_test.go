package run

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/cordwood-db/cordwood/bench/engine"
	"github.com/cordwood-db/cordwood/bench/result"
)

// execute does what the children of a plan do that has to succeed, in this
// process, and returns its phases.
func execute(t *testing.T, p *Plan) []result.Phase {
	t.Helper()
	var out bytes.Buffer
	for round := range p.Rounds {
		for _, i := range order(len(p.Engines), round) {
			name := p.Engines[i].Name
			e, ok := engine.Find(name)
			if !ok {
				t.Fatalf("no engine %s", name)
			}
			j := &job{Protocol: protocol, Task: phases, Engine: name, Label: name, Round: round + 1,
				Dir: filepath.Join(p.Dir, name), Set: p.Sets[0], Settings: p.Settings, Workloads: p.Workloads}
			if err := os.Mkdir(j.Dir, 0o777); err != nil {
				t.Fatal(err)
			}
			if err := j.runPhases(t.Context(), e, newSender(&out)); err != nil {
				t.Fatal(err)
			}
		}
	}
	requireEmpty(t, p.Dir)
	var list []result.Phase
	for in := json.NewDecoder(&out); in.More(); {
		var m message
		if err := in.Decode(&m); err != nil {
			t.Fatal(err)
		}
		if m.Phase == nil {
			continue
		}
		if m.Phase.Failed != "" {
			t.Fatalf("%s: %s", m.Phase.Workload, m.Phase.Failed)
		}
		list = append(list, *m.Phase)
	}
	return list
}

func TestAllEnginesAreAskedTheSame(t *testing.T) {
	p := plan(t, "taped,poor", "fillrandom,mergerandom,readrandom,bank,overwrite,ttlchurn,"+
		"seekrandom,ycsb-d,mixgraph,readrandom,fillbatch,deleterandom")
	p.Rounds = 2
	phases := execute(t, p)
	tapes := map[string]float64{}
	type place struct {
		round, index int
	}
	first := map[place]result.Phase{}
	for i, phase := range phases {
		at := place{phase.Round, i % len(p.Workloads)}
		other, ok := first[at]
		first[at] = phase
		if phase.Skipped != "" || other.Skipped != "" {
			continue
		}
		name := fmt.Sprintf("%s in round %d", phase.Workload, phase.Round)
		if ok && (phase.Counters["keys_now"] != other.Counters["keys_now"] || phase.Operations != other.Operations ||
			phase.UserBytes != other.UserBytes || phase.LiveBytes != other.LiveBytes || phase.Bytes != other.Bytes) {
			t.Errorf("%s: %s was asked something else than %s:\n%+v\n%+v", name, phase.Engine, other.Engine, other, phase)
		}
		if !ok {
			tapes[fmt.Sprintf("%s, %d in %d", phase.Workload, at.index, phase.Round)] = phase.Counters["keys_now"]
		}
	}
	// No two phases, nor the same one in two rounds, are asked the same, other than
	// those whose order is given.
	seen := map[float64]string{}
	for name, keys := range tapes {
		if before, ok := seen[keys]; ok && keys != 0 && name[:9] != "fillbatch" {
			t.Errorf("%s and %s are asked the same", before, name)
		}
		seen[keys] = name
	}
	if len(tapes) < 18 {
		t.Errorf("%d phases compared", len(tapes))
	}
}

func TestSeedsDifferByAllButTheEngine(t *testing.T) {
	seen := map[uint64]string{}
	for round := range 5 {
		for phase := range 40 {
			for part := forWork; part <= forArrivals; part++ {
				name := fmt.Sprint(round, phase, part)
				s := &stage{job: &job{Round: round, Settings: Settings{Seed: 7}}, phase: phase, stores: 1}
				seed := s.seed(part)
				if before, ok := seen[seed]; ok {
					t.Fatalf("%s and %s have the same seed", before, name)
				}
				seen[seed] = name
				s.Engine, s.Label, s.stores = "another", "another", 9
				if s.seed(part) != seed {
					t.Fatal("the seed depends on the engine or its past")
				}
			}
		}
	}
}

func TestBulkLoadsCountTheSameOnAllEngines(t *testing.T) {
	p := plan(t, "taped,poor", "bulkload")
	p.Operations = 10 // says nothing here: all keys are loaded
	for _, phase := range execute(t, p) {
		if phase.Workload != "bulkload" || phase.Operations != 1000 || len(phase.Kinds) != 1 ||
			phase.Kinds[0].Name != "bulkload" || phase.UserBytes != 1000*116 {
			t.Errorf("%s: %+v", phase.Engine, phase)
		}
	}
}

func TestDebtsAreSettledBeforeTheNextPhase(t *testing.T) {
	var phases []result.Phase
	for duration := 100 * time.Millisecond; len(phases) == 0 || phases[1].UserBytes == 0; duration *= 4 {
		if duration > patience {
			t.Fatal("nothing was written beside the readers")
		}
		p := plan(t, "taped", "fillrandom,readwhilewriting,readmissing")
		p.WriteRate, p.Duration = 10_000, duration
		own := *p.Workloads[1] // a mix may say that it need not be settled
		own.Writes = false
		p.Workloads[1] = &own
		phases = execute(t, p)
	}
	// tape.settled counts all of the process: the fill's, and the one between the
	// phases that read.
	if n := phases[2].Counters["settled_now"] - phases[1].Counters["settled_now"]; n != 1 {
		t.Errorf("settled %v times between writes and the next phase", n)
	}
}

func TestDeletesAreNotUsedUpByTheWarmUp(t *testing.T) {
	p := plan(t, "taped", "deleteseq")
	p.Warmup, p.Duration = 50*time.Millisecond, 100*time.Millisecond
	phase := execute(t, p)[0]
	if phase.WarmupSeconds != 0 || phase.Operations != 1000 || phase.LiveBytes != 0 {
		t.Errorf("%+v", phase)
	}
}

func TestInsertsHaveRoom(t *testing.T) {
	p := plan(t, "memory", "ycsb-d,ycsb-e,ycsb-d")
	p.Warmup, p.Operations = 20*time.Millisecond, 12_000 // 600 inserts each, of 1000 keys
	for _, phase := range execute(t, p) {
		if phase.Operations != 12_000 {
			t.Errorf("%s ended after %d operations: %v", phase.Workload, phase.Operations, phase.Notes)
		}
	}
	p = plan(t, "memory", "ycsb-d")
	p.Workloads = append(p.Workloads, p.Workloads[0])
	p.Sets[0].KeyBytes = 8
	for i, s := range []Settings{{Operations: 1 << 40}, {Duration: 1000 * time.Hour}, {Warmup: time.Second}} {
		data, err := p.Sets[0].data(1)
		if err != nil {
			t.Fatal(err)
		}
		roomy := s.withRoom(data, p.Workloads)
		if err := roomy.Check(); err != nil || roomy.Capacity <= data.Capacity || roomy.Capacity > 5*data.Keys+100_000 {
			t.Errorf("%d: room for %d: %v", i, roomy.Capacity, err)
		}
	}
}

func TestEverySettingIsHeard(t *testing.T) {
	base := func(workload string) *Plan { return plan(t, "taped", workload) }
	for _, c := range []struct {
		name, workload string
		set            func(*Plan)
		ok             func(result.Phase) bool
	}{
		{"operations", "readrandom", func(p *Plan) { p.Operations = 77 }, func(p result.Phase) bool { return p.Operations == 77 }},
		{"operations of a fill", "fillrandom", func(p *Plan) { p.Operations, p.Duration = 77, time.Hour },
			func(p result.Phase) bool { return p.Operations == 77 }},
		{"read limit", "readrandom", func(p *Plan) { p.ReadLimit, p.Operations = 50*time.Millisecond, 1<<40 },
			func(p result.Phase) bool { return p.Seconds >= 0.05 && p.Operations < 1<<30 }},
		{"no read limit for writes", "overwrite", func(p *Plan) { p.ReadLimit, p.Operations = time.Nanosecond, 500 },
			func(p result.Phase) bool { return p.Operations == 500 }},
		{"warm-up", "readrandom", func(p *Plan) { p.Warmup = 50 * time.Millisecond },
			func(p result.Phase) bool {
				return p.WarmupSeconds >= 0.05 && p.Operations == 1000 && p.Counters["calls_now"] == 1000
			}},
		{"no warm-up of a fill", "fillseq", func(p *Plan) { p.Warmup = time.Hour }, func(p result.Phase) bool { return p.WarmupSeconds == 0 }},
		{"rate", "readrandom", func(p *Plan) { p.Rate, p.Operations = 500, 100 },
			func(p result.Phase) bool { return p.Seconds >= 0.19 && p.Kinds[0].Service != nil && p.Rate == 500 }},
		{"poisson", "readrandom", func(p *Plan) { p.Rate, p.Operations, p.Poisson = 500, 100, true },
			func(p result.Phase) bool { return p.Seconds >= 0.08 }},
		{"write rate", "readwhilewriting", func(p *Plan) { p.WriteRate, p.Duration = 100, 300*time.Millisecond },
			func(p result.Phase) bool { return float64(p.UserBytes) <= (100*p.Seconds+10)*116 }},
		{"batch size", "fillbatch", func(p *Plan) { p.BatchSize = 33 }, func(p result.Phase) bool { return p.Counters["batched_now"] == 33 }},
		{"scan entries", "seekrandom", func(p *Plan) { p.ScanEntries, p.Operations = 3, 50 },
			func(p result.Phase) bool { return p.Kinds[0].Items <= 150 && p.Kinds[0].Items > 100 }},
		{"multiget", "multireadrandom", func(p *Plan) { p.MultiGet, p.Operations = 7, 20 },
			func(p result.Phase) bool { return p.Kinds[0].Items == 140 }},
		{"threads", "readrandom", func(p *Plan) { p.Threads, p.Engines[0].Name = 3, "memory" },
			func(p result.Phase) bool { return p.Threads == 3 && p.Operations == 1000 }},
		{"sync", "fillseq", func(p *Plan) { p.Sync = true }, func(p result.Phase) bool { return p.Counters["sync_now"] == 1 }},
		{"sync of a workload", "fillsync", func(*Plan) {}, func(p result.Phase) bool { return p.Counters["sync_now"] == 1 }},
		{"no sync", "fillseq", func(*Plan) {}, func(p result.Phase) bool { return p.Counters["sync_now"] == 0 }},
		{"cold", "readrandom", func(p *Plan) { p.Cold = true },
			func(p result.Phase) bool { return p.CacheResident != nil || runtime.GOOS != "linux" }},
		{"verify", "readrandom", func(*Plan) {}, func(p result.Phase) bool { return p.Verified == 1000 }},
		{"no verify", "readrandom", func(p *Plan) { p.Verify = false }, func(p result.Phase) bool { return p.Verified == 0 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := base(c.workload)
			c.set(p)
			if phase := execute(t, p)[0]; !c.ok(phase) {
				t.Errorf("%+v", phase)
			}
		})
	}
}

// patience is how long tests of a phase's duration make it at most. What they look
// for shows within a tenth of a second, unless the machine does something else.
const patience = 30 * time.Second

// TestADurationIsHeard: a phase that is to last goes on after it has been through
// all keys, or has done its operations.
func TestADurationIsHeard(t *testing.T) {
	for _, c := range []struct {
		workload         string
		operations, more uint64
	}{{"overwrite", 0, 1000}, {"readreverse", 0, 2000}, {"rmwcontended", 5, 5}} {
		t.Run(c.workload, func(t *testing.T) {
			for duration := 100 * time.Millisecond; ; duration *= 4 {
				p := plan(t, "taped", c.workload)
				p.Duration, p.Operations = duration, c.operations
				phase := execute(t, p)[0]
				if phase.Seconds < duration.Seconds() {
					t.Fatalf("%v ended early: %+v", duration, phase)
				}
				if phase.Operations > c.more {
					return
				}
				if duration > patience {
					t.Fatalf("%v: %+v", duration, phase)
				}
			}
		})
	}
}

func TestGuessesOfTheTimeThatIsLeft(t *testing.T) {
	p := plan(t, "memory,poor", "bank,fillseq,readrandom")
	p.Rounds = 3
	times := newTimes(p)
	for round := range p.Rounds {
		for _, e := range order(len(p.Engines), round) {
			j := &job{Engine: p.Engines[e].Name, Set: p.Sets[0]}
			for told, w := range p.Workloads {
				for _, m := range []progress{{State: Opening, Fraction: -1}, {State: Running, Fraction: 0}, {State: Running, Fraction: 1}, {State: Settling, Fraction: -1}} {
					done, left := times.estimate(j, told, &m)
					if math.IsNaN(done) || done < 0 || done > 1 || left < 0 {
						t.Fatalf("%v done, %v left", done, left)
					}
					if times.worked == 0 && (done != 0 || left != 0) {
						t.Fatalf("%v done, %v left, before anything was", done, left)
					}
				}
				phase := &result.Phase{Set: p.Sets[0].Name, Workload: w.Name}
				if w.Needs != 0 {
					phase.Skipped = "cannot"
				} else {
					time.Sleep(2 * time.Millisecond)
				}
				times.ended(phase)
			}
		}
	}
	if times.phases != times.total {
		t.Errorf("%d of %d phases", times.phases, times.total)
	}
}

func TestNamesOfFiles(t *testing.T) {
	long := fileName(fmt.Sprint("engine@/", string(slices.Repeat([]byte("ü"), 300)), "-set-3"))
	if len(long) > nameMax || long[len(long)-6:] != "-set-3" {
		t.Errorf("%q", long)
	}
	if got := fileName("cordwood@./old/kvbench-list:1x2-1"); got != "cordwood@._old_kvbench-list_1x2-1" {
		t.Error(got)
	}
	x := &execution{Plan: &Plan{Engines: make([]EngineRef, 2), Sets: make([]Set, 1), Rounds: 1}}
	if got := x.profile("a/cpu.out", "e-s-1"); got != "a/cpu-e-s-1.out" {
		t.Error(got)
	}
	x.Engines = x.Engines[:1]
	if got := x.profile("a/cpu.out", "e-s-1"); got != "a/cpu.out" {
		t.Error(got)
	}
}
