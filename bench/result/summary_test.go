package result

import (
	"math"
	"slices"
	"testing"
	"time"
)

func TestSummariesAreInTheOrderOfTheHeader(t *testing.T) {
	var got []string
	for _, s := range Summaries(sample()) {
		got = append(got, s.Set+" "+s.Workload+" "+s.Engine)
	}
	var want []string
	for _, set := range []string{"100", "1KiB"} {
		for _, workload := range []string{"fillrandom", "readrandom", "ycsb-a", "ttlchurn"} {
			for _, engine := range []string{"cordwood", "pebble", "bbolt"} {
				want = append(want, set+" "+workload+" "+engine)
			}
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestStatsAreThoseOfTheRounds(t *testing.T) {
	run := &Run{}
	for round, rate := range []uint64{300, 100, 120, 200} {
		run.Phases = append(run.Phases, Phase{Engine: "e", Workload: "w", Round: 4 - round, Seconds: 1, Operations: rate})
	}
	s := Summaries(run)[0].Stats["rate"]
	if s.Median != 160 || s.Min != 100 || s.Max != 300 || s.N != 4 || s.Spread() != 1.25 {
		t.Errorf("%+v with spread %g", s, s.Spread())
	}
	if want := []RoundValue{{1, 200}, {2, 120}, {3, 100}, {4, 300}}; !slices.Equal(s.Values, want) {
		t.Errorf("values %v, want %v", s.Values, want)
	}
}

func TestPhasesWithoutFiguresAreLostWithTheirReason(t *testing.T) {
	run := &Run{Phases: []Phase{
		{Workload: "a", Round: 1, Seconds: 1, Operations: 10},
		{Workload: "a", Round: 2, Seconds: 1, Operations: 99, Failed: "no space"},
		{Workload: "a", Round: 3, Seconds: 1, Operations: 99, Partial: true},
		{Workload: "b", Round: 1, Skipped: "needs TTL"},
		{Workload: "c", Round: 1, Seconds: 1, Operations: 7, Partial: true},
		{Workload: "d", Round: 1, Failed: "a lie", Wrong: true},
	}}
	sums := Summaries(run)
	a, b, c, d := sums[0], sums[1], sums[2], sums[3]
	if a.Partial || a.Stats["rate"].Max != 10 || !slices.Equal(a.Lost, []Lost{
		{Round: 2, Reason: "no space"}, {Round: 3, Reason: "interrupted"}}) {
		t.Errorf("a: %+v", a)
	}
	if len(b.Phases) != 0 || len(b.Stats) != 0 || !slices.Equal(b.Lost, []Lost{{Round: 1, Skipped: true, Reason: "needs TTL"}}) {
		t.Errorf("b: %+v", b)
	}
	if !c.Partial || c.Stats["rate"].Median != 7 || len(c.Lost) != 0 {
		t.Errorf("c: %+v", c)
	}
	if !slices.Equal(d.Lost, []Lost{{Round: 1, Wrong: true, Reason: "a lie"}}) {
		t.Errorf("d: %+v", d)
	}
}

func TestValuesOfAPhase(t *testing.T) {
	p := Phase{
		Seconds: 2, Operations: 400, Bytes: 8e6, UserBytes: 1000, LiveBytes: 500, SettleSeconds: 3,
		Stalls: []Stall{{Seconds: 0.5}, {Seconds: 0.25}},
		Costs: Costs{CPUNS: 800_000, Allocations: 800, AllocatedBytes: 4000, PeakBytes: 1 << 20, ClientBytes: 1 << 10,
			DiskBytes: 750, WrittenBytes: 3000, ReadBytes: 4000, VerifyNS: 50, PrepareNS: 40},
		Kinds: []Kind{
			{Name: "read", Class: Read, Operations: 100, Items: 100},
			{Name: "multiget", Class: Read, Operations: 100, Items: 1000},
			{Name: "update", Class: Write, Operations: 200, Items: 200},
		},
	}
	p.Kinds[0].Latency.Record(10*time.Microsecond, 100)
	p.Kinds[1].Latency.Record(100*time.Microsecond, 100)
	p.Kinds[2].Latency.Record(time.Millisecond, 200)
	if got := p.Scopes(); !slices.Equal(got, []string{"read", "write", "multiget", "update"}) {
		t.Errorf("scopes %q", got)
	}
	want := map[string]float64{
		"rate": 200, "items_s": 650, "mb_s": 4, "mean_us": 527.5, "p50_us": 100, "p99_us": 1000, "max_us": 1000,
		"cpu_us": 2, "allocs": 2, "alloc_bytes": 10, "peak_bytes": 1 << 20, "client_bytes": 1 << 10,
		"written_per_byte": 3, "written_bytes": 3000, "read_bytes": 10, "disk_bytes": 750, "disk_per_live": 1.5,
		"settle_s": 3, "stalls": 2, "stall_s": 0.75, "verify_ns": 50, "prepare_ns": 40,
		"read.rate": 100, "read.items_s": 550, "read.p50_us": 10, "read.p99_us": 100,
		"multiget.rate": 50, "multiget.p50_us": 100, "update.mean_us": 1000, "write.rate": 100, "write.p9999_us": 1000,
	}
	got := p.Values()
	for name, v := range want {
		if math.Abs(got[name]-v) > v/1000 {
			t.Errorf("%s is %g, want %g", name, got[name], v)
		}
		if _, _, ok := FindMetric(name); !ok {
			t.Errorf("%s is not a metric", name)
		}
	}
	for _, name := range []string{"read.cpu_us", "scan.rate", "nonsense"} {
		if _, ok := got[name]; ok {
			t.Errorf("there is %s", name)
		}
	}
	if _, _, ok := FindMetric("read.cpu_us"); ok {
		t.Error("processor time of reads is a metric")
	}
}

// A cost of zero is one that is not known, but reading nothing is known where
// anything is.
func TestUnknownCostsHaveNoValue(t *testing.T) {
	p := Phase{Seconds: 1, Operations: 1}
	got := p.Values()
	for _, name := range []string{"cpu_us", "allocs", "peak_bytes", "written_per_byte", "written_bytes", "read_bytes",
		"disk_per_live", "settle_s", "verify_ns", "p99_us", "mean_us"} {
		if v, ok := got[name]; ok {
			t.Errorf("%s is %g", name, v)
		}
	}
	p.Costs.WriteCalls = 1
	if v, ok := p.Values()["read_bytes"]; !ok || v != 0 {
		t.Errorf("read_bytes is %g, %v", v, ok)
	}
	if got := (&Phase{Skipped: "x"}).Values(); len(got) != 0 {
		t.Errorf("a skipped phase has values %v", got)
	}
}
