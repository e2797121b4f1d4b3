package result

import (
	"math"
	"slices"
)

// Ratio compares an engine with the baseline in one metric of one workload on one
// set: the engine's value divided by the baseline's.
type Ratio struct {
	Set, Workload, Engine, Metric string
	Mean                          float64 // geometric mean over rounds
	// Low and High bound the true ratio with the confidence that was asked for.
	// Without Interval they equal Mean: one round says nothing about the noise.
	Low, High float64
	Interval  bool
	N         int // rounds that both have
}

// Ratios compares all engines of a run's summaries with that of the name baseline, in every
// metric where both have a value above zero in a common round. They are ordered
// as Summaries, then as Metrics. confidence is that of the interval, such as 0.95.
//
// Rounds are pairs: what engines measured in the same round has the machine's
// state of that time in common, which the ratio cancels. Ratios of times and
// rates are skewed and their logarithms are not, so the mean is the geometric one
// (Fleming and Wallace, "How not to lie with statistics", CACM 29(3), 1986), and
// its interval is that of Student's t for the mean of the logarithms.
func Ratios(summaries []Summary, baseline string, confidence float64) []Ratio {
	type place struct{ set, workload string }
	bases := make(map[place]*Summary)
	for i := range summaries {
		if s := &summaries[i]; s.Engine == baseline && !s.Partial {
			bases[place{s.Set, s.Workload}] = s
		}
	}
	var ratios []Ratio
	for i := range summaries {
		s := &summaries[i]
		base := bases[place{s.Set, s.Workload}]
		if base == nil || s.Engine == baseline || s.Partial {
			continue
		}
		for _, name := range s.metricNames() {
			logs := logRatios(s.Stats[name].Values, base.Stats[name].Values)
			if len(logs) == 0 {
				continue
			}
			r := Ratio{Set: s.Set, Workload: s.Workload, Engine: s.Engine, Metric: name, N: len(logs)}
			mean, half := meanInterval(logs, confidence)
			r.Mean, r.Low, r.High = math.Exp(mean), math.Exp(mean-half), math.Exp(mean+half)
			r.Interval = len(logs) > 1
			ratios = append(ratios, r)
		}
	}
	return ratios
}

// metricNames lists the names in Stats: over all operations in the order of
// Metrics, then the same for each scope, by name.
func (s *Summary) metricNames() []string {
	scopes := []string{""}
	for _, p := range s.Phases {
		for _, name := range p.Scopes() {
			if !slices.Contains(scopes, name+".") {
				scopes = append(scopes, name+".")
			}
		}
	}
	slices.Sort(scopes[1:])
	var names []string
	for _, scope := range scopes {
		for i := range metrics {
			if _, ok := s.Stats[scope+metrics[i].Name]; ok {
				names = append(names, scope+metrics[i].Name)
			}
		}
	}
	return names
}

// logRatios pairs values of the same round. Rounds ascend in both.
func logRatios(values, base []RoundValue) []float64 {
	var logs []float64
	for _, v := range values {
		i := slices.IndexFunc(base, func(b RoundValue) bool { return b.Round == v.Round })
		if i >= 0 && v.Value > 0 && base[i].Value > 0 {
			logs = append(logs, math.Log(v.Value/base[i].Value))
		}
	}
	return logs
}

// meanInterval is the mean of values and half the length of its confidence
// interval, which is 0 for a single value.
func meanInterval(values []float64, confidence float64) (mean, half float64) {
	mean, variance := moments(values)
	n := float64(len(values))
	if n < 2 {
		return mean, 0
	}
	return mean, studentQuantile((1-confidence)/2, n-1) * math.Sqrt(variance/n)
}

// moments are the mean of values and their variance, estimated from them.
func moments(values []float64) (mean, variance float64) {
	n := float64(len(values))
	for _, v := range values {
		mean += v / n
	}
	if n < 2 {
		return mean, 0
	}
	for _, v := range values {
		variance += (v - mean) * (v - mean) / (n - 1)
	}
	return mean, variance
}
