package result

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// machine makes summaries of runs on a machine with noise.
type machine struct {
	rng        *rand.Rand
	rounds     int
	noise      float64 // standard deviation of the logarithm, of each figure of each round
	speedNoise float64 // the same of what the probe of the speed says
	drift      float64 // how many times slower it is as a whole
	dependence float64 // of times on the speed: 0 none, 1 proportional
}

var timeMetrics = []string{"rate", "cpu_us", "p99_us"}

// measure is a run of 6 workloads on 2 engines. change multiplies the figure of
// one metric everywhere.
func (m *machine) measure(change map[string]float64) []Summary {
	var summaries []Summary
	for workload := range 6 {
		for _, engine := range []string{"a", "b"} {
			s := Summary{Set: "1KiB", Workload: fmt.Sprint("w", workload), Engine: engine, Stats: make(map[string]Stat)}
			values := make(map[string][]RoundValue)
			for round := 1; round <= m.rounds; round++ {
				// The machine gets faster and slower from phase to phase, too.
				slow := m.drift * math.Exp(0.1*m.rng.NormFloat64())
				speed := 30e6 * slow * math.Exp(m.speedNoise*m.rng.NormFloat64())
				s.Phases = append(s.Phases, &Phase{Round: round, SpeedNS: int64(speed)})
				for _, name := range append(slices.Clone(timeMetrics), "written_per_byte", "peak_bytes") {
					v := 1000 * math.Exp(m.noise*m.rng.NormFloat64())
					switch name {
					case "rate":
						v /= math.Pow(slow, m.dependence)
					case "cpu_us", "p99_us":
						v *= math.Pow(slow, m.dependence)
					}
					if factor, ok := change[name]; ok {
						v *= factor
					}
					values[name] = append(values[name], RoundValue{round, v})
				}
			}
			for name, v := range values {
				s.Stats[name] = newStat(v)
			}
			summaries = append(summaries, s)
		}
	}
	return summaries
}

func regressed(olds, news []Summary, limit float64) *Regressions {
	r := &Regressions{Options: RegressOptions{Limit: limit, Confidence: 0.95, Metrics: RegressMetrics()}}
	r.compare(olds, news)
	return r
}

// The gate must not cry wolf: of comparisons of 60 metrics each that differ by
// noise and the machine's mood only, fewer than 5% may report anything.
func TestIdenticalRunsRaiseNoFalseAlarm(t *testing.T) {
	runs := 200
	if testing.Short() {
		runs = 20
	}
	for _, c := range []struct {
		what                     string
		rounds                   int
		noise, drift, dependence float64
		limit                    float64
	}{
		{"quiet", 5, 0.02, 1, 1, 0.05},
		{"20% of noise", 5, 0.2, 1, 1, 0.05},
		{"20% of noise, three rounds", 3, 0.2, 1, 1, 0.05},
		{"20% of noise, 1.5 times slower", 5, 0.2, 1.5, 1, 0.05},
		{"20% of noise, 1.5 times faster", 5, 0.2, 1 / 1.5, 1, 0.05},
		{"1.5 times slower, waiting for the disk", 5, 0.05, 1.5, 0, 0.05},
		{"1.5 times faster, waiting for the disk", 5, 0.05, 1 / 1.5, 0, 0.05},
		{"1.5 times slower, half of it computing", 5, 0.05, 1.5, 0.5, 0.05},
		{"no limit", 10, 0.1, 1.5, 1, 0},
	} {
		rng := rand.New(rand.NewPCG(7, 8))
		worse, better := 0, 0
		for range runs {
			before := machine{rng: rng, rounds: c.rounds, noise: c.noise, speedNoise: 0.05, drift: 1, dependence: c.dependence}
			after := before
			after.drift = c.drift
			r := regressed(before.measure(nil), after.measure(nil), c.limit)
			if r.Tested != 60 {
				t.Fatalf("%d tests", r.Tested)
			}
			if r.Any(Regressed) {
				worse++
			}
			if r.Any(Improved) {
				better++
			}
		}
		// 5%, and two standard deviations for luck.
		allowed := 0.05*float64(runs) + 2*math.Sqrt(0.05*0.95*float64(runs))
		t.Logf("%s: of %d comparisons %d report a regression, %d an improvement", c.what, runs, worse, better)
		if float64(worse) > allowed || float64(better) > allowed {
			t.Errorf("%s: of %d comparisons %d report a regression, %d an improvement; up to %.0f are allowed",
				c.what, runs, worse, better, allowed)
		}
	}
}

// A true regression has to be found, and nothing else with it.
func TestTrueRegressionsAreFound(t *testing.T) {
	runs := 100
	if testing.Short() {
		runs = 20
	}
	rng := rand.New(rand.NewPCG(9, 10))
	for _, c := range []struct {
		metric string
		factor float64
		drift  float64
	}{
		{"rate", 0.7, 1}, {"cpu_us", 1.43, 1}, {"written_per_byte", 1.3, 1}, {"peak_bytes", 1.3, 1.5}, {"rate", 0.7, 1.1},
	} {
		found, other := 0, 0
		for range runs {
			before := machine{rng: rng, rounds: 5, noise: 0.05, speedNoise: 0.02, drift: 1, dependence: 0.3}
			after := before
			after.drift = c.drift
			r := regressed(before.measure(nil), after.measure(map[string]float64{c.metric: c.factor}), 0.05)
			one := false
			for _, x := range r.Comparisons {
				switch {
				case x.Metric == c.metric:
					one = one || x.Outcome == Regressed
				case x.Outcome == Regressed:
					other++
				}
			}
			if one {
				found++
			}
		}
		t.Logf("%s: found in %d of %d runs", c.metric, found, runs)
		if found < runs*99/100 || other > runs/20 {
			t.Errorf("%s times %g, machine %g times slower: found in %d of %d runs, others in %d", c.metric, c.factor, c.drift, found, runs, other)
		}
	}
}

func TestTrueImprovementsAreFound(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 12))
	m := machine{rng: rng, rounds: 5, noise: 0.03, speedNoise: 0.02, drift: 1, dependence: 0}
	r := regressed(m.measure(nil), m.measure(map[string]float64{"rate": 1.5, "p99_us": 0.5}), 0.05)
	found := 0
	for _, c := range r.Comparisons {
		changed := c.Metric == "rate" || c.Metric == "p99_us"
		if changed && c.Outcome == Improved {
			found++
		}
		// What was found must be true; noise may hide some of it.
		if c.Outcome == Regressed || c.Outcome == Improved && !changed || c.Outcome == Fine && c.Low > 0.05 && !changed {
			t.Errorf("%s of %s on %s is %v: %+.1f%% [%+.1f%%, %+.1f%%]", c.Metric, c.Workload, c.Engine, c.Outcome, 100*c.Change, 100*c.Low, 100*c.High)
		}
	}
	if found < 16 {
		t.Errorf("%d of 24 improvements were found", found)
	}
}

// An old and a new run of one workload with the given figures.
func pair(olds, news []float64, oldSpeed, newSpeed int64) (a, b []Summary) {
	one := func(rates []float64, speed int64) []Summary {
		s := Summary{Workload: "w", Engine: "e", Stats: map[string]Stat{"rate": newStat(number(rates))}}
		for i := range rates {
			s.Phases = append(s.Phases, &Phase{Round: i + 1, SpeedNS: speed})
		}
		return []Summary{s}
	}
	return one(olds, oldSpeed), one(news, newSpeed)
}

func TestOutcomes(t *testing.T) {
	quiet := []float64{1000, 1010, 990}
	times := func(f float64) []float64 { return []float64{1000 * f, 1010 * f, 990 * f} }
	for _, c := range []struct {
		what               string
		olds, news         []float64
		oldSpeed, newSpeed int64
		want               Outcome
		reason             string
	}{
		{"the same", quiet, quiet, 100, 100, Fine, ""},
		{"half", quiet, times(0.5), 100, 100, Regressed, ""},
		{"double", quiet, times(2), 100, 100, Improved, ""},
		{"4.8% less", quiet, times(0.952), 100, 100, Inconclusive, "too close to the limit"},
		{"two rounds", quiet, times(0.5)[:2], 100, 100, Inconclusive, "3 and 2 rounds are too few"},
		{"noise", []float64{500, 1000, 2000}, quiet, 100, 100, Inconclusive, "much further apart"},
		{"some noise", []float64{970, 1000, 1030}, times(0.99), 100, 100, Inconclusive, "rounds in both runs would tell"},
		{"half on a machine at half speed", quiet, times(0.5), 100, 200, Inconclusive, "speed differs by 100%"},
		{"half on a machine at double speed", quiet, times(0.5), 200, 100, Regressed, ""},
		{"half, speed unknown", quiet, times(0.5), 0, 200, Regressed, ""},
		{"exactly alike", []float64{7, 7, 7}, []float64{7, 7, 7}, 0, 0, Fine, ""},
		{"exactly half", []float64{8, 8, 8}, []float64{4, 4, 4}, 0, 0, Regressed, ""},
		{"zero", []float64{0, 0, 0}, quiet, 0, 0, Inconclusive, "no ratio"},
	} {
		a, b := pair(c.olds, c.news, c.oldSpeed, c.newSpeed)
		r := regressed(a, b, 0.05)
		if len(r.Comparisons) != 1 {
			t.Fatalf("%s: %d comparisons", c.what, len(r.Comparisons))
		}
		got := r.Comparisons[0]
		if got.Outcome != c.want || (got.Reason == "") != (c.want != Inconclusive) || !strings.Contains(got.Reason, c.reason) {
			t.Errorf("%s: %v (%s), want %v (%s); %+v", c.what, got.Outcome, got.Reason, c.want, c.reason, got)
		}
	}
}

// The expected values are those of another program.
func TestWelchAgainstKnownValues(t *testing.T) {
	a := []float64{19.8, 20.4, 19.6, 17.8, 18.5, 18.9, 18.3, 18.9, 19.5, 22.0}
	b := []float64{28.2, 26.6, 20.1, 23.3, 25.2, 22.1, 17.7, 27.6, 20.6, 13.7, 23.2, 17.5, 20.6, 18.0, 23.9, 21.6, 24.3, 20.4, 23.9, 13.3}
	l := welch(a, b, 1)
	if two := 2 * l.tail(l.worse); math.Abs(l.worse/l.deviation-2.22551204) > 1e-7 || math.Abs(l.df-24.5246349) > 1e-6 || math.Abs(two-0.0354845) > 1e-6 {
		t.Errorf("t = %.8f with %.7f degrees of freedom, P = %.7f", l.worse/l.deviation, l.df, two)
	}
}

func TestHolm(t *testing.T) {
	p := []float64{0.03, 0.005, 0.5, 0.011}
	holm(p)
	for i, want := range []float64{0.06, 0.02, 0.5, 0.033} {
		if math.Abs(p[i]-want) > 1e-12 {
			t.Errorf("the probability %d is %g, want %g", i, p[i], want)
		}
	}
	p = []float64{0.9, 0.02, 0.012}
	holm(p)
	if p[0] != 0.9 || math.Abs(p[1]-0.04) > 1e-12 || math.Abs(p[2]-0.036) > 1e-12 {
		t.Errorf("%v", p)
	}
	holm(nil)
}

func TestWholeRunsAreCompared(t *testing.T) {
	old, slower := sample(), sample()
	for i := range slower.Phases {
		if p := &slower.Phases[i]; p.Engine == "pebble" && p.Workload == "readrandom" {
			p.Seconds *= 3
		}
		if p := &slower.Phases[i]; p.Engine == "cordwood" && p.Workload == "ycsb-a" && p.Set == "100" && p.Round == 3 {
			p.Failed = "no space"
		}
	}
	slower.Machine.Kernel, slower.Machine.FsyncP50NS = "6.9.0", 3_000_000
	slower.Engines[1].Version = "v2.2.0"
	slower.Engines[1].Settings[0].Value = "32 MiB"
	slower.Sets[0].Keys++
	slower.Phases = slices.DeleteFunc(slower.Phases, func(p Phase) bool { return p.Engine == "bbolt" && p.Workload == "fillrandom" })
	r := Regress(old, slower, RegressOptions{Limit: 0.05, Metrics: []string{"rate", "read.p99_us", "nonsense"}})
	var got []string
	for _, c := range r.Comparisons {
		if c.Outcome == Regressed {
			got = append(got, c.Set+" "+c.Workload+" "+c.Engine+" "+c.Metric+" "+c.Reason)
		}
	}
	want := []string{"100 readrandom pebble rate ", "100 ycsb-a cordwood rate round 3 of the new run failed: no space", "1KiB readrandom pebble rate "}
	if !slices.Equal(got, want) {
		t.Errorf("regressed: %q, want %q", got, want)
	}
	warnings := strings.Join(r.Warnings, "\n")
	for _, w := range []string{`there is no metric "nonsense"`, "kernel: 6.1.0 in the old run, 6.9.0 in the new", "fsync in µs: 1200",
		"version of pebble: v2.1.0", "settings of pebble: MemTableSize = 64 MiB in the old run, MemTableSize = 32 MiB in the new",
		"shape of set 100", "fillrandom on bbolt (100) is in the old run only"} {
		if !strings.Contains(warnings, w) {
			t.Errorf("no warning of %q in\n%s", w, warnings)
		}
	}
	if same := Regress(old, sample(), RegressOptions{Limit: 0.05}); same.Any(Regressed) || same.Any(Improved) || len(same.Warnings) != 0 ||
		same.Options.Confidence != 0.95 || len(same.Options.Metrics) != 5 {
		t.Errorf("a run against itself: %+v", same)
	}
	if r := Regress(&Run{}, &Run{}, RegressOptions{}); len(r.Comparisons) != 0 {
		t.Errorf("two empty runs: %+v", r)
	}
}
