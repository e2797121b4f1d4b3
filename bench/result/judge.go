package result

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// Verdict is what an objective says about one workload on one set of one engine,
// all its rounds together.
type Verdict struct {
	Objective Objective
	// Set, Workload and Engine are empty if the objective is about nothing that
	// was run: then it is not met, and Reason says why.
	Set, Workload, Engine string

	Met bool
	// Measured is in Objective.Unit; NaN if nothing was measured.
	Measured float64
	// Off is by how much of the limit the measured value is on the wrong side: 0.25
	// is a quarter too high, or too low for a lower limit. 0 if it is met.
	Off float64

	// Of percentiles only: p99<=300us allows that 1% of the operations take
	// longer. Over is the share that did, Allowed the share that may, and Budget,
	// Over divided by Allowed, how much of the error budget was used: 2.3 is more
	// than twice of what there was.
	Over, Allowed, Budget float64

	Rounds  int    // that were measured
	Partial bool   // the only rounds are those that were interrupted
	Reason  string // why it is not met, if not by what was measured
}

// Judge says for each objective about what it is and whether it is met, in the
// order of the objectives, then of Summaries. A phase that failed meets no
// objective. An objective that is about nothing that was measured is not met
// either, so that a misspelt one is noticed.
func Judge(run *Run, objectives []Objective) []Verdict {
	summaries := Summaries(run)
	var verdicts []Verdict
	for i := range objectives {
		o := &objectives[i]
		n := len(verdicts)
		for j := range summaries {
			if v, ok := judge(o, &summaries[j]); ok {
				verdicts = append(verdicts, v)
			}
		}
		if len(verdicts) == n {
			verdicts = append(verdicts, Verdict{Objective: *o, Measured: math.NaN(), Reason: unmatched(o, summaries)})
		}
	}
	return verdicts
}

// AllMet reports whether no verdict is against the run.
func AllMet(verdicts []Verdict) bool {
	return !slices.ContainsFunc(verdicts, func(v Verdict) bool { return !v.Met })
}

// judge applies an objective to a summary. ok is false if it is not about it.
func judge(o *Objective, s *Summary) (v Verdict, ok bool) {
	if o.Engine != "" && o.Engine != s.Engine || o.Workload != "" && o.Workload != s.Workload {
		return v, false
	}
	v = Verdict{Objective: *o, Set: s.Set, Workload: s.Workload, Engine: s.Engine, Measured: math.NaN(), Partial: s.Partial}
	measured := v.measure(o, s)
	for _, l := range s.Lost {
		// Where no round shows whether the phase would have had such operations,
		// only an objective for this very workload can be meant.
		if l.Skipped || !measured && (len(s.Phases) > 0 || o.Workload == "") {
			continue
		}
		v.Met = false
		v.Reason = fmt.Sprintf("round %d has no result: %s", l.Round, l.Reason)
		return v, true
	}
	return v, measured
}

// measure fills in what the rounds say. It reports whether they say anything.
func (v *Verdict) measure(o *Objective, s *Summary) bool {
	var scopes []*scope
	for _, p := range s.Phases {
		if o.Scope == "" || slices.Contains(p.Scopes(), o.Scope) {
			scopes = append(scopes, p.scoped(o.Scope))
		}
	}
	if len(scopes) == 0 {
		return false
	}
	v.Rounds = len(scopes)
	if o.gauge.percent > 0 {
		return v.measureLatency(o, scopes)
	}
	measured, known := o.gauge.value(scopes)
	if !known {
		return false
	}
	v.Measured = measured
	v.Met = measured <= o.Limit
	if o.AtLeast {
		v.Met = measured >= o.Limit
	}
	if !v.Met {
		v.Off = off(measured, o.Limit)
	}
	return true
}

// measureLatency judges a percentile by the operations over its limit: the same
// thing, but it also tells by how much.
func (v *Verdict) measureLatency(o *Objective, scopes []*scope) bool {
	all := pooledLatency(scopes)
	if all.Count() == 0 {
		return false
	}
	v.Measured = float64(all.At(o.gauge.percent)) / 1e3
	v.Over = float64(all.Over(time.Duration(o.Limit*1e3))) / float64(all.Count())
	v.Allowed = 1 - o.gauge.percent/100
	v.Budget = v.Over / v.Allowed
	v.Met = v.Budget <= 1+1e-9 // Allowed is not exact
	if !v.Met {
		v.Off = max(0, off(v.Measured, o.Limit))
	}
	return true
}

// off is how far a value is from its limit, as a share of the limit.
func off(measured, limit float64) float64 {
	if limit == 0 {
		return math.Inf(1)
	}
	return math.Abs(measured-limit) / limit
}

// unmatched tells why an objective is about nothing.
func unmatched(o *Objective, summaries []Summary) string {
	var engines, workloads, scopes []string
	add := func(list *[]string, name string) {
		if !slices.Contains(*list, name) {
			*list = append(*list, name)
		}
	}
	skipped := ""
	for i := range summaries {
		s := &summaries[i]
		add(&engines, s.Engine)
		if o.Engine != "" && o.Engine != s.Engine {
			continue
		}
		add(&workloads, s.Workload)
		if o.Workload != "" && o.Workload != s.Workload {
			continue
		}
		for _, p := range s.Phases {
			for _, name := range p.Scopes() {
				add(&scopes, name)
			}
		}
		for _, l := range s.Lost {
			skipped = fmt.Sprintf("%s on %s has no result: %s", s.Workload, s.Engine, l.Reason)
		}
	}
	list := func(names []string) string { return strings.Join(names, ", ") }
	switch {
	case len(summaries) == 0:
		return "nothing was measured"
	case o.Engine != "" && !slices.Contains(engines, o.Engine):
		return fmt.Sprintf("engine %q was not run; there are %s", o.Engine, list(engines))
	case o.Workload != "" && !slices.Contains(workloads, o.Workload):
		return fmt.Sprintf("workload %q was not run; there are %s", o.Workload, list(workloads))
	case len(scopes) == 0 && skipped != "":
		return skipped
	case o.Scope != "" && !slices.Contains(scopes, o.Scope):
		return fmt.Sprintf("no operation of class or kind %q was run; there are %s", o.Scope, list(scopes))
	}
	return fmt.Sprintf("%s was not measured", o.Metric)
}

// pooledLatency is the latencies of all rounds.
func pooledLatency(rounds []*scope) Histogram {
	if len(rounds) == 1 {
		return rounds[0].latency
	}
	var all Histogram
	for _, s := range rounds {
		all.Merge(s.latency)
	}
	return all
}

// pooled divides the sum over all rounds by the sum over all rounds.
func pooled(rounds []*scope, parts func(*scope) (a, b float64)) (float64, bool) {
	var sumA, sumB float64
	for _, s := range rounds {
		a, b := parts(s)
		sumA, sumB = sumA+a, sumB+b
	}
	return quotient(sumA, sumB)
}

// pooledCost is pooled for costs, which are not known if they are 0.
func pooledCost(rounds []*scope, parts func(*scope) (cost, per float64)) (float64, bool) {
	cost := 0.0
	v, ok := pooled(rounds, func(s *scope) (float64, float64) {
		a, b := parts(s)
		cost += a
		return a, b
	})
	return v, ok && cost > 0
}

// worst is the highest value of the rounds where it is known.
func worst(rounds []*scope, value func(*scope) (float64, bool)) (float64, bool) {
	highest, known := 0.0, false
	for _, s := range rounds {
		if v, ok := value(s); ok {
			highest, known = max(highest, v), true
		}
	}
	return highest, known
}
