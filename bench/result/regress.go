package result

import (
	"fmt"
	"math"
	"slices"
)

// Outcome is what comparing two runs says about one metric.
type Outcome int

// The outcomes.
const (
	// Inconclusive: the runs are too short or too noisy to tell.
	Inconclusive Outcome = iota
	// Fine: not worse than the limit allows.
	Fine
	// Improved: better by more than the limit.
	Improved
	// Regressed: worse by more than the limit.
	Regressed
)

// String is the outcome's name in small letters.
func (o Outcome) String() string {
	return [...]string{"inconclusive", "fine", "improved", "regressed"}[o]
}

// RoundsMin is how many rounds both runs need for an outcome.
const RoundsMin = 3

// RegressOptions say how runs are compared.
type RegressOptions struct {
	// Limit is how much worse a metric may become, as a share: 0.05 is 5%. It is
	// not below 0.
	Limit float64
	// Confidence is that no comparison of a run is called a regression, or an
	// improvement, that is none; 0: 0.95.
	Confidence float64
	// Metrics that are compared; none: RegressMetrics.
	Metrics []string
}

// RegressMetrics are compared unless others are asked for. The slice is the
// caller's.
func RegressMetrics() []string {
	return []string{"rate", "cpu_us", "p99_us", "written_per_byte", "peak_bytes"}
}

// Comparison is one metric of one workload on one set of one engine in two runs.
type Comparison struct {
	Set, Workload, Engine, Metric string
	Outcome                       Outcome
	// Reason says why the outcome is Inconclusive and what would help, or which
	// failure is the regression.
	Reason string

	Old, New       float64 // geometric means over rounds; 0 if there are none
	OldN, NewN     int     // rounds
	OldSpeed       float64 // mean of Phase.SpeedNS; 0: not known
	NewSpeed       float64
	SpeedCorrected bool // the metric depends on the machine's speed, and that was known

	// Change is New/Old-1; Low and High bound it with Options.Confidence for this
	// comparison alone. With SpeedCorrected they hold for a phase that does not
	// depend on the machine's speed as well as for one that does.
	Change, Low, High float64
	// PWorse is the probability of a difference like this one or a greater if the
	// metric were worse by no more than the limit, corrected for the number of
	// comparisons. PBetter is the same for improvements. 1 without an interval.
	PWorse, PBetter float64
}

// Regressions is the comparison of two runs.
type Regressions struct {
	Options     RegressOptions // with what zeros stand for
	Comparisons []Comparison   // as Summaries of the old run, then as Options.Metrics
	// Warnings list what else differs between the runs: machines, versions,
	// settings, data.
	Warnings []string
	// Tested is how many comparisons had rounds enough, for which the
	// probabilities were corrected.
	Tested int
}

// Any reports whether there is a comparison of that outcome.
func (r *Regressions) Any(o Outcome) bool {
	return slices.ContainsFunc(r.Comparisons, func(c Comparison) bool { return c.Outcome == o })
}

// Regress compares a run with an older one, workload by workload, engine by
// engine, metric by metric.
//
// A metric has regressed if it is worse by more than the limit and chance does not
// explain that: the logarithms of the rounds are compared by Welch's t test (B. L.
// Welch, "The generalization of Student's problem when several different population
// variances are involved", Biometrika 34, 1947), one-sided, against the limit. Rounds
// of different runs have nothing in common, so they are not paired.
//
// A comparison of two runs makes many tests, and of a hundred at 95% five would
// cry wolf. Holm's procedure (S. Holm, "A simple sequentially rejective multiple test
// procedure", Scandinavian Journal of Statistics 6, 1979) keeps the probability of a
// single false alarm in the whole comparison below 1-Confidence. It needs no
// independence, which metrics of one phase do not have, and finds at least as much
// as Bonferroni's correction.
//
// The machine may have been faster or slower as a whole. Every phase knows how
// long a fixed piece of work took just before it. How much of a phase hangs on that
// is not known: all of it if it computes, nothing if it waits for the disk. So each
// metric of time is tested both as measured and divided by the speed, round by
// round, and it regressed only if both tests say so: then every mixture does too. The
// test of both is as strict as each (R. L. Berger, "Multiparameter hypothesis testing
// and acceptance sampling", Technometrics 24, 1982), and the noise of the
// speed is part of the second.
//
// A phase that failed in the new run only is a regression of its own, with the
// first of the metrics.
func Regress(old, new *Run, o RegressOptions) *Regressions {
	if o.Confidence == 0 {
		o.Confidence = 0.95
	}
	if len(o.Metrics) == 0 {
		o.Metrics = RegressMetrics()
	}
	r := &Regressions{Options: o, Warnings: differences(old, new)}
	for _, name := range o.Metrics {
		if _, _, ok := FindMetric(name); !ok {
			r.Warnings = append(r.Warnings, fmt.Sprintf("there is no metric %q", name))
		}
	}
	r.compare(Summaries(old), Summaries(new))
	return r
}

// compare compares summaries of the same workload, set and engine.
func (r *Regressions) compare(olds, news []Summary) {
	var tests []welchTests
	for i := range olds {
		a := &olds[i]
		j := slices.IndexFunc(news, func(b Summary) bool {
			return a.Set == b.Set && a.Workload == b.Workload && a.Engine == b.Engine
		})
		if j < 0 {
			r.Warnings = append(r.Warnings, fmt.Sprintf("%s on %s (%s) is in the old run only", a.Workload, a.Engine, a.Set))
			continue
		}
		b := &news[j]
		if c, failed := failure(a, b, r.Options.Metrics[0]); failed {
			r.Comparisons = append(r.Comparisons, c)
			continue
		}
		for _, name := range r.Options.Metrics {
			m, _, ok := FindMetric(name)
			if _, known := a.Stats[name]; !ok || !known || a.Partial || b.Partial {
				continue
			}
			if _, known := b.Stats[name]; !known {
				continue
			}
			c, t := compareMetric(a, b, &m, name, &r.Options)
			r.Comparisons = append(r.Comparisons, c)
			tests = append(tests, t)
		}
	}
	r.decide(tests)
}

// failure finds out whether the new run failed where the old one did not.
func failure(a, b *Summary, metric string) (Comparison, bool) {
	failed := func(s *Summary) int {
		return slices.IndexFunc(s.Lost, func(l Lost) bool { return !l.Skipped && l.Reason != interrupted })
	}
	i := failed(b)
	if i < 0 || failed(a) >= 0 || len(a.Phases) == 0 {
		return Comparison{}, false
	}
	return Comparison{Set: a.Set, Workload: a.Workload, Engine: a.Engine, Metric: metric, Outcome: Regressed,
		OldN: len(a.Phases), NewN: len(b.Phases), PWorse: 0, PBetter: 1,
		Reason: fmt.Sprintf("round %d of the new run failed: %s", b.Lost[i].Round, b.Lost[i].Reason)}, true
}

// decide corrects the probabilities for the number of tests and draws the
// conclusions. tests belong to the comparisons that did not fail, in order.
func (r *Regressions) decide(tests []welchTests) {
	var tested []*Comparison
	var of []*welchTests
	next := 0
	for i := range r.Comparisons {
		c := &r.Comparisons[i]
		if c.Reason != "" && c.Outcome == Regressed {
			continue
		}
		t := &tests[next]
		next++
		if t.enough {
			tested, of = append(tested, c), append(of, t)
		}
	}
	r.Tested = len(tested)
	worse, better := make([]float64, len(of)), make([]float64, len(of))
	for i, t := range of {
		worse[i], better[i] = t.pWorse, t.pBetter
	}
	holm(worse)
	holm(better)
	for i, c := range tested {
		c.PWorse, c.PBetter = worse[i], better[i]
		c.conclude(of[i], &r.Options, len(tested))
	}
}

// conclude sets the outcome.
func (c *Comparison) conclude(t *welchTests, o *RegressOptions, tested int) {
	alpha := 1 - o.Confidence
	switch {
	case c.PWorse < alpha:
		c.Outcome = Regressed
	case c.PBetter < alpha:
		c.Outcome = Improved
	case t.within:
		c.Outcome = Fine
	case t.pWorse < alpha:
		c.Reason = fmt.Sprintf("alone it would count as worse, but among %d comparisons that happens by chance: %s", tested, t.advice)
	default:
		c.Reason = t.advice
	}
}

// holm turns probabilities into those corrected for their number: the i-th
// smallest is multiplied by how many are not smaller, and none may fall below
// the one before.
func holm(p []float64) {
	order := make([]int, len(p))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		switch {
		case p[a] < p[b]:
			return -1
		case p[a] > p[b]:
			return 1
		}
		return a - b
	})
	highest := 0.0
	for rank, i := range order {
		highest = max(highest, min(1, p[i]*float64(len(p)-rank)))
		p[i] = highest
	}
}

// limits are how far the logarithm of new/old of a metric may move for the worse,
// and has to move for the better to be an improvement.
func limits(limit float64, better Better) (worse, improved float64) {
	rise, fall := math.Log1p(limit), -math.Log1p(-min(limit, 1))
	if better == Higher {
		return fall, rise
	}
	return rise, fall
}
