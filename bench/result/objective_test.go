package result

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"
)

func TestObjectivesAreRead(t *testing.T) {
	const many = " read.p99<=300us,write.p999 <= 5ms ,\n write.rate>=100k, pebble/ycsb-a:update.p99<1.5ms," +
		"cordwood@./old/p50<=2s,load:all.max<=1s,mbps>=250MB/s,rate>=1.5M/s,cpu<=3us,allocs<=2,memory<=512MiB,memory<=1.5GB," +
		"written<=2.5x,space<=1.2,settle<=1m,stall<=500ms,stalls<=0,p995<=1ms,scan.mean<=2ms,rate>2e3"
	want := []Objective{
		{Scope: "read", Metric: "p99", Limit: 300, Unit: "µs"},
		{Scope: "write", Metric: "p999", Limit: 5000, Unit: "µs"},
		{Scope: "write", Metric: "rate", AtLeast: true, Limit: 100_000, Unit: "ops/s"},
		{Engine: "pebble", Workload: "ycsb-a", Scope: "update", Metric: "p99", Limit: 1500, Unit: "µs"},
		{Engine: "cordwood@./old", Metric: "p50", Limit: 2e6, Unit: "µs"},
		{Workload: "load", Metric: "max", Limit: 1e6, Unit: "µs"},
		{Metric: "mbps", AtLeast: true, Limit: 250, Unit: "MB/s"},
		{Metric: "rate", AtLeast: true, Limit: 1.5e6, Unit: "ops/s"},
		{Metric: "cpu", Limit: 3, Unit: "µs"},
		{Metric: "allocs", Limit: 2},
		{Metric: "memory", Limit: 512 << 20, Unit: "B"},
		{Metric: "memory", Limit: 1.5e9, Unit: "B"},
		{Metric: "written", Limit: 2.5},
		{Metric: "space", Limit: 1.2},
		{Metric: "settle", Limit: 60, Unit: "s"},
		{Metric: "stall", Limit: 0.5, Unit: "s"},
		{Metric: "stalls", Limit: 0},
		{Metric: "p995", Limit: 1000, Unit: "µs"},
		{Scope: "scan", Metric: "mean", Limit: 2000, Unit: "µs"},
		{Metric: "rate", AtLeast: true, Limit: 2000, Unit: "ops/s"},
	}
	got, err := ParseObjectives(many)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(want) {
		t.Fatalf("%d objectives, want %d", len(got), len(want))
	}
	for i, text := range strings.Split(many, ",") {
		g, w := got[i], want[i]
		w.Text = strings.TrimSpace(text)
		if g.Text != w.Text || g.Engine != w.Engine || g.Workload != w.Workload || g.Scope != w.Scope ||
			g.Metric != w.Metric || g.AtLeast != w.AtLeast || g.Limit != w.Limit || g.Unit != w.Unit {
			t.Errorf("%q is read as %+v", text, g)
		}
	}
	for name, percent := range map[string]float64{"p50": 50, "p99": 99, "p999": 99.9, "p9999": 99.99, "p995": 99.5} {
		if g, ok := findGauge(name); !ok || math.Abs(g.percent-percent) > 1e-9 {
			t.Errorf("%s is %g%%", name, g.percent)
		}
	}
}

func TestWrongObjectivesAreRefusedWithTheirPlace(t *testing.T) {
	cases := []struct {
		text, at, problem string // at is the text from the position on
	}{
		{"", "", "missing"},
		{"read.p99<=1ms,", "", "missing"},
		{"read.p99<=1ms,,rate>=1", ",rate>=1", "missing"},
		{"read.p99", "", "<= or >="},
		{"read.p99=1ms", "=1ms", "by <= only"},
		{"rate==1", "==1", "by >= only"},
		{"read.p99>=1ms", ">=1ms", "a low one: use <="},
		{"rate<=100k", "<=100k", "a high one: use >="},
		{"read.p99<=", "", "limit is missing"},
		{"read.p99 <= 300", "300", "time with its unit"},
		{"read.p99<=-3ms", "-3ms", "time with its unit"},
		{"read.p99<=1ms, write.speed<=3", "speed<=3", "none of p50"},
		{"read.<=3", "<=3", "what is measured is missing"},
		{".p99<=1ms", ".p99<=1ms", "before the point"},
		{"/p99<=1ms", "/p99<=1ms", "engine before /"},
		{":p99<=1ms", ":p99<=1ms", "workload before :"},
		{"read.memory<=1GiB", "read.memory<=1GiB", "write all.memory"},
		{"p100<=1ms", "p100<=1ms", "none of"},
		{"p5<=1ms", "p5<=1ms", "none of"},
		{"p09<=1ms", "p09<=1ms", "none of"},
		{"p99999999<=1ms", "p99999999<=1ms", "none of"},
		{"rate>=100q", "100q", "operations per second"},
		{"rate>=0", "0", "always met"},
		{"rate>=NaN", "NaN", "operations per second"},
		{"rate>=1e400", "1e400", "operations per second"},
		{"mbps>=1GB/s", "1GB/s", "million bytes"},
		{"memory<=many", "many", "a size"},
		{"written<=2 x 3", "2 x 3", "a number"},
		{"stall<=1", "1", "time with its unit"},
	}
	for _, c := range cases {
		_, err := ParseObjectives(c.text)
		bad, ok := errors.AsType[*ObjectiveError](err)
		if !ok {
			t.Errorf("%q: error %v", c.text, err)
			continue
		}
		if bad.Text != c.text || bad.Text[bad.Position:] != c.at || !strings.Contains(bad.Problem, c.problem) {
			t.Errorf("%q: at %q: %s; want at %q something about %q", c.text, bad.Text[bad.Position:], bad.Problem, c.at, c.problem)
		}
	}
}

func FuzzParseObjectives(f *testing.F) {
	f.Add("read.p99<=300us,write.p999<=5ms,write.rate>=100k")
	f.Add("pebble/ycsb-a:all.memory<=1GiB,p995<1ms")
	run := sample()
	run.Phases = run.Phases[:8]
	f.Fuzz(func(t *testing.T, text string) {
		objectives, err := ParseObjectives(text)
		if err != nil {
			bad, ok := errors.AsType[*ObjectiveError](err)
			if !ok || bad.Position < 0 || bad.Position > len(text) || bad.Text != text {
				t.Fatalf("error %#v", err)
			}
			return
		}
		if got := Judge(run, objectives[:min(len(objectives), 3)]); len(got) == 0 {
			t.Fatal("no verdict")
		}
		for _, o := range objectives {
			if again, err := ParseObjectives(o.Text); err != nil || len(again) != 1 || again[0].Limit != o.Limit {
				t.Fatalf("%q alone is read as %v, error %v", o.Text, again, err)
			}
		}
	})
}

// timed is a phase of one kind with latencies of 100 µs, but for some.
func timed(round int, class Class, n, slow uint64, slowness time.Duration) Phase {
	k := Kind{Name: string(class), Class: class, Operations: n, Items: n}
	k.Latency.Record(100*time.Microsecond, int(n-slow))
	k.Latency.Record(slowness, int(slow))
	return Phase{Engine: "e", Set: "s", Workload: "w", Round: round, Seconds: 1, Operations: n, Kinds: []Kind{k}}
}

func verdictOf(t *testing.T, run *Run, text string) Verdict {
	t.Helper()
	objectives, err := ParseObjectives(text)
	if err != nil {
		t.Fatal(err)
	}
	verdicts := Judge(run, objectives)
	if len(verdicts) != 1 {
		t.Fatalf("%s: %d verdicts", text, len(verdicts))
	}
	return verdicts[0]
}

func TestPercentilesAreJudgedByTheirErrorBudget(t *testing.T) {
	// Of 20,000 operations in two rounds 460 took 1 ms: 2.3%.
	run := &Run{Phases: []Phase{timed(1, Read, 10_000, 60, time.Millisecond), timed(2, Read, 10_000, 400, time.Millisecond)}}
	near := func(what string, got, want float64) {
		t.Helper()
		if math.Abs(got-want) > 1e-3*want {
			t.Errorf("%s is %g, want %g", what, got, want)
		}
	}
	v := verdictOf(t, run, "read.p99<=300us")
	near("the budget used", v.Budget, 2.3)
	near("the share over", v.Over, 0.023)
	near("the share allowed", v.Allowed, 0.01)
	near("p99", v.Measured, 1000)
	near("off", v.Off, 7.0/3)
	if v.Met || v.Rounds != 2 || v.Set != "s" || v.Workload != "w" || v.Engine != "e" || v.Reason != "" {
		t.Errorf("%+v", v)
	}
	v = verdictOf(t, run, "read.p97<=300us")
	near("the budget used", v.Budget, 2.3/3)
	if !v.Met || v.Off != 0 {
		t.Errorf("%+v", v)
	}
	if v := verdictOf(t, run, "read.p99<=1ms"); !v.Met || v.Budget != 0 {
		t.Errorf("%+v", v)
	}
	// Exactly the budget is within it.
	run = &Run{Phases: []Phase{timed(1, Read, 10_000, 100, time.Millisecond)}}
	if v := verdictOf(t, run, "read.p99<=300us"); !v.Met {
		t.Errorf("%+v", v)
	}
	run = &Run{Phases: []Phase{timed(1, Read, 10_000, 101, time.Millisecond)}}
	if v := verdictOf(t, run, "read.p99<=300us"); v.Met {
		t.Errorf("%+v", v)
	}
}

func TestOtherObjectivesAreJudgedByTheirShortfall(t *testing.T) {
	a, b := timed(1, Write, 1000, 1, 3*time.Millisecond), timed(2, Write, 3000, 1, time.Millisecond)
	a.Seconds, b.Seconds = 0.5, 1.5 // 2000 per second together
	a.Bytes, b.Bytes = 10e6, 30e6
	a.UserBytes, b.UserBytes, a.LiveBytes, b.LiveBytes = 1000, 1000, 500, 500
	a.SettleSeconds, b.SettleSeconds = 1, 4
	a.Stalls = []Stall{{Seconds: 0.2}, {Seconds: 0.7}}
	a.Costs = Costs{CPUNS: 4e6, Allocations: 4000, PeakBytes: 100 << 20, WrittenBytes: 2000, DiskBytes: 700}
	b.Costs = Costs{CPUNS: 16e6, Allocations: 4000, PeakBytes: 200 << 20, WrittenBytes: 4000, DiskBytes: 500}
	run := &Run{Phases: []Phase{a, b}}
	cases := []struct {
		text     string
		measured float64
		met      bool
		off      float64
	}{
		{"write.rate>=2500", 2000, false, 0.2}, {"rate>=2k", 2000, true, 0},
		{"mbps>=40", 20, false, 0.5}, {"cpu<=4us", 5, false, 0.25}, {"allocs<=2", 2, true, 0},
		{"memory<=100MiB", 200 << 20, false, 1}, {"written<=2", 3, false, 0.5}, {"space<=1.2", 1.2, true, 0},
		{"settle<=2s", 4, false, 1}, {"stall<=500ms", 0.7, false, 0.4}, {"stalls<=0", 2, false, math.Inf(1)},
		{"max<=1ms", 3000, false, 2}, {"write.mean<=1ms", 100.95, true, 0},
	}
	for _, c := range cases {
		v := verdictOf(t, run, c.text)
		if v.Met != c.met || math.Abs(v.Measured-c.measured) > 2e-3*c.measured || !(v.Off == c.off || math.Abs(v.Off-c.off) < 5e-3) {
			t.Errorf("%s: %+v", c.text, v)
		}
	}
}

func TestObjectivesAboutNothingAreNotMet(t *testing.T) {
	run := sample()
	for text, reason := range map[string]string{
		"rocksdb/p99<=1ms":              `engine "rocksdb" was not run; there are cordwood, pebble, bbolt`,
		"readrand:p99<=1ms":             `workload "readrand" was not run; there are fillrandom`,
		"readrandom:scan.p99<=1ms":      `no operation of class or kind "scan" was run; there are read`,
		"pebble/ttlchurn:p99<=1ms":      "ttlchurn on pebble has no result: needs TTL",
		"readrandom:written<=3":         "written was not measured",
		"cordwood/fillrandom:p99<=1h,x": "",
	} {
		if reason == "" {
			continue
		}
		v := verdictOf(t, run, text)
		if v.Met || !math.IsNaN(v.Measured) || !strings.Contains(v.Reason, reason) {
			t.Errorf("%s: %+v", text, v)
		}
	}
	if v := verdictOf(t, &Run{}, "p99<=1ms"); v.Met || v.Reason != "nothing was measured" {
		t.Errorf("an empty run: %+v", v)
	}
}

func TestAPhaseThatFailedMeetsNothing(t *testing.T) {
	run := sample()
	objectives, err := ParseObjectives("ycsb-a:read.p99<=1h")
	if err != nil {
		t.Fatal(err)
	}
	verdicts := Judge(run, objectives)
	if len(verdicts) != 6 || AllMet(verdicts) {
		t.Fatalf("%d verdicts", len(verdicts))
	}
	for _, v := range verdicts {
		failed := v.Engine == "bbolt" && v.Set == "100"
		if v.Met == failed || failed && !strings.Contains(v.Reason, "round 2 has no result: WRONG ANSWER") {
			t.Errorf("%+v", v)
		}
	}
	// Nothing but failures.
	run = &Run{Phases: []Phase{{Engine: "e", Workload: "w", Round: 1, Failed: "no space"}, timed(1, Read, 10, 0, 0)}}
	run.Phases[1].Workload = "other"
	if v := verdictOf(t, run, "w:read.p99<=1h"); v.Met || !strings.Contains(v.Reason, "no space") {
		t.Errorf("%+v", v)
	}
	if v := verdictOf(t, run, "read.p99<=1h"); !v.Met || v.Workload != "other" {
		t.Errorf("%+v", v)
	}
	// A phase that was interrupted is judged on what there was.
	part := timed(1, Read, 10, 0, 0)
	part.Partial = true
	if v := verdictOf(t, &Run{Phases: []Phase{part}}, "p99<=1h"); !v.Met || !v.Partial {
		t.Errorf("%+v", v)
	}
}
