package result

import (
	"math"
	"math/rand/v2"
	"testing"
)

// The values are those of the tables that every textbook prints.
func TestQuantilesOfStudentsT(t *testing.T) {
	cases := []struct{ tail, df, want float64 }{
		{0.25, 1, 1}, {0.025, 1, 12.70620474}, {0.0005, 1, 636.6192488},
		{0.05, 2, 2.91998558}, {0.025, 2, 4.30265273}, {0.0005, 2, 31.59905458},
		{0.005, 3, 5.84090930}, {0.025, 4, 2.77644511}, {0.025, 8, 2.30600414},
		{0.025, 10, 2.22813885}, {0.01, 20, 2.52797700}, {0.025, 30, 2.04227246},
		{0.025, 120, 1.97993041}, {0.025, 1e7, 1.95996422}, {0.5, 7, 0}, {0.975, 4, -2.77644511},
	}
	for _, c := range cases {
		if got := studentQuantile(c.tail, c.df); math.Abs(got-c.want) > 2e-7*max(1, math.Abs(c.want)) {
			t.Errorf("tail %g with %g degrees of freedom: %.8f, want %.8f", c.tail, c.df, got, c.want)
		}
	}
}

// With one and two degrees of freedom the distribution has a closed form.
func TestTailsOfStudentsT(t *testing.T) {
	for _, x := range []float64{-5, -0.1, 0, 1e-8, 0.3, 1, 2.5, 40, 1e6, 1e12} {
		cauchy := math.Atan2(1, x) / math.Pi
		if got := studentTail(x, 1); math.Abs(got-cauchy) > 1e-12*cauchy+1e-16 {
			t.Errorf("df 1: P(T > %g) = %g, want %g", x, got, cauchy)
		}
		root := math.Sqrt(2 + x*x)
		two := 1 / (root * (root + math.Abs(x))) // (1 - x/root)/2 without cancellation
		if x < 0 {
			two = 1 - two
		}
		if got := studentTail(x, 2); math.Abs(got-two) > 1e-12*two {
			t.Errorf("df 2: P(T > %g) = %g, want %g", x, got, two)
		}
	}
	for df := 0.5; df < 200; df *= 1.7 {
		for tail := 0.4; tail > 1e-9; tail /= 7 {
			if got := studentTail(studentQuantile(tail, df), df); math.Abs(got-tail) > 1e-9*tail {
				t.Errorf("df %g: the tail of the quantile of %g is %g", df, tail, got)
			}
		}
	}
	if got := studentTail(math.Inf(1), 3); got != 0 {
		t.Errorf("beyond everything lies %g", got)
	}
}

// rounds makes a run of engines a and b with the given operations per second.
func rounds(a, b []float64) *Run {
	run := &Run{Header: Header{Engines: []Engine{{Name: "a"}, {Name: "b"}}}}
	for name, rates := range map[string][]float64{"a": a, "b": b} {
		for i, rate := range rates {
			run.Phases = append(run.Phases, Phase{Engine: name, Workload: "w", Round: i + 1, Operations: 1e6, Seconds: 1e6 / rate})
		}
	}
	return run
}

func ratioOf(t *testing.T, run *Run, metric string) Ratio {
	t.Helper()
	for _, r := range Ratios(Summaries(run), "a", 0.95) {
		if r.Metric == metric && r.Engine == "b" {
			return r
		}
	}
	t.Fatalf("there is no ratio of %s", metric)
	return Ratio{}
}

func TestRatiosArePairedByRound(t *testing.T) {
	// The machine gets slower threefold from round to round; b is always twice
	// as fast, give or take: ratios 2, 2.2, 1.8.
	r := ratioOf(t, rounds([]float64{9000, 3000, 1000}, []float64{18000, 6600, 1800}), "rate")
	logs := []float64{math.Log(2), math.Log(2.2), math.Log(1.8)}
	mean := (logs[0] + logs[1] + logs[2]) / 3
	s := math.Sqrt((sq(logs[0]-mean) + sq(logs[1]-mean) + sq(logs[2]-mean)) / 2)
	half := 4.30265273 * s / math.Sqrt(3)
	near := func(what string, got, want float64) {
		t.Helper()
		if math.Abs(got/want-1) > 1e-6 {
			t.Errorf("%s is %g, want %g", what, got, want)
		}
	}
	near("the mean", r.Mean, math.Exp(mean))
	near("low", r.Low, math.Exp(mean-half))
	near("high", r.High, math.Exp(mean+half))
	if r.N != 3 || !r.Interval || r.Low < 1.5 || r.High > 2.7 {
		t.Errorf("%+v", r)
	}
}

func TestOneRoundHasNoInterval(t *testing.T) {
	r := ratioOf(t, rounds([]float64{100}, []float64{50, 70}), "rate")
	if r.Interval || r.N != 1 || math.Abs(r.Mean-0.5) > 1e-9 || r.Low != r.Mean || r.High != r.Mean {
		t.Errorf("%+v", r)
	}
}

func TestRatiosLeaveOutWhatCannotBeCompared(t *testing.T) {
	run := rounds([]float64{100, 100}, []float64{50, 50})
	for i := range run.Phases {
		switch p := &run.Phases[i]; {
		case p.Engine == "b" && p.Round == 1:
			p.Failed = "no space"
		case p.Engine == "a":
			p.Stalls = []Stall{{Seconds: 1}}
		}
	}
	for _, r := range Ratios(Summaries(run), "a", 0.95) {
		if r.N != 1 || r.Metric == "stalls" {
			t.Errorf("%+v", r)
		}
	}
	if got := Ratios(Summaries(run), "nobody", 0.95); len(got) != 0 {
		t.Errorf("ratios to an engine that was not run: %v", got)
	}
	if got := Ratios(Summaries(sample()), "cordwood", 0.95); len(got) == 0 || got[0].Engine != "pebble" || got[0].Metric != "rate" {
		t.Errorf("the first of the sample: %+v", got[:1])
	}
}

// In 95 of 100 runs the interval has to hold the true ratio, whatever the
// machine did from round to round.
func TestIntervalsHoldTheTrueRatioAsOftenAsTheySay(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	const runs, truth = 4000, 1.3
	for _, n := range []int{2, 3, 5, 10} {
		held, drift := 0, 1.0
		for range runs {
			a, b := make([]float64, n), make([]float64, n)
			for i := range n {
				drift *= math.Exp(0.3 * rng.NormFloat64())
				a[i] = 1000 * drift * math.Exp(0.1*rng.NormFloat64())
				b[i] = 1000 * truth * drift * math.Exp(0.2*rng.NormFloat64())
			}
			mean, half := meanInterval(logRatios(number(b), number(a)), 0.95)
			if math.Abs(mean-math.Log(truth)) <= half {
				held++
			}
		}
		// Four standard deviations of the count are 1.4%.
		if share := float64(held) / runs; share < 0.936 || share > 0.964 {
			t.Errorf("%d rounds: %.1f%% of the intervals hold the true ratio, want 95%%", n, 100*share)
		}
	}
}

func number(values []float64) []RoundValue {
	numbered := make([]RoundValue, len(values))
	for i, v := range values {
		numbered[i] = RoundValue{i + 1, v}
	}
	return numbered
}
