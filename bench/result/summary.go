package result

import (
	"cmp"
	"slices"
)

// Summary is what the rounds of one workload on one set of one engine say
// together.
type Summary struct {
	Set, Workload, Engine string
	// Phases are those that the figures are of: the ones that were run to their
	// end, by round. If there is none, those that were interrupted, and Partial is
	// true. They belong to the run.
	Phases  []*Phase
	Partial bool
	// Lost are the rounds without figures, by round.
	Lost []Lost
	// Stats are the figures by the name of the metric, with scopes as in
	// Phase.Values.
	Stats map[string]Stat
}

// Lost is a phase that has no part in a summary.
type Lost struct {
	Round   int
	Skipped bool   // it was not run; otherwise it failed or was interrupted
	Wrong   bool   // it failed by a wrong answer
	Reason  string // never empty
}

// interrupted is the reason of a phase that was not finished.
const interrupted = "interrupted"

// Stat is one metric over the rounds.
type Stat struct {
	Median, Min, Max float64
	N                int
	Values           []RoundValue // by round
}

// RoundValue is a metric in one round.
type RoundValue struct {
	Round int
	Value float64
}

// Spread is how far the rounds are apart: (Max-Min)/Median, 0 if Median is 0.
func (s Stat) Spread() float64 {
	if s.Median == 0 {
		return 0
	}
	return (s.Max - s.Min) / s.Median
}

// Summaries sums up the rounds of a run: sets in the order of the header, workloads
// as they were run first, engines in the order of the header.
func Summaries(run *Run) []Summary {
	type key struct{ set, workload, engine string }
	phases := make(map[key][]*Phase)
	var sets, workloads, engines []string
	for _, s := range run.Sets {
		sets = append(sets, s.Name)
	}
	for _, e := range run.Engines {
		engines = append(engines, e.Name)
	}
	for i := range run.Phases {
		p := &run.Phases[i]
		k := key{p.Set, p.Workload, p.Engine}
		phases[k] = append(phases[k], p)
		sets, workloads, engines = append(sets, p.Set), append(workloads, p.Workload), append(engines, p.Engine)
	}
	keys := make([]key, 0, len(phases))
	for k := range phases {
		keys = append(keys, k)
	}
	set, workload, engine := places(sets), places(workloads), places(engines)
	slices.SortFunc(keys, func(a, b key) int {
		return cmp.Or(set[a.set]-set[b.set], workload[a.workload]-workload[b.workload], engine[a.engine]-engine[b.engine])
	})
	summaries := make([]Summary, 0, len(keys))
	for _, k := range keys {
		s := Summary{Set: k.set, Workload: k.workload, Engine: k.engine}
		s.sum(phases[k])
		summaries = append(summaries, s)
	}
	return summaries
}

// places tells where each name comes first.
func places(names []string) map[string]int {
	at := make(map[string]int)
	for i, name := range names {
		if _, ok := at[name]; !ok {
			at[name] = i
		}
	}
	return at
}

// sum fills in everything but the names.
func (s *Summary) sum(phases []*Phase) {
	slices.SortStableFunc(phases, func(a, b *Phase) int { return a.Round - b.Round })
	var partial []*Phase
	for _, p := range phases {
		switch {
		case p.Skipped != "":
			s.Lost = append(s.Lost, Lost{Round: p.Round, Skipped: true, Reason: p.Skipped})
		case p.Failed != "":
			s.Lost = append(s.Lost, Lost{Round: p.Round, Wrong: p.Wrong, Reason: p.Failed})
		case p.Partial:
			partial = append(partial, p)
		default:
			s.Phases = append(s.Phases, p)
		}
	}
	if len(s.Phases) == 0 && len(partial) > 0 {
		s.Phases, s.Partial, partial = partial, true, nil
	}
	for _, p := range partial {
		s.Lost = append(s.Lost, Lost{Round: p.Round, Reason: interrupted})
	}
	slices.SortStableFunc(s.Lost, func(a, b Lost) int { return a.Round - b.Round })

	s.Stats = make(map[string]Stat)
	for _, p := range s.Phases {
		for name, v := range p.Values() {
			stat := s.Stats[name]
			stat.Values = append(stat.Values, RoundValue{p.Round, v})
			s.Stats[name] = stat
		}
	}
	for name, stat := range s.Stats {
		s.Stats[name] = newStat(stat.Values)
	}
}

// newStat makes the statistics of at least one value.
func newStat(values []RoundValue) Stat {
	sorted := make([]float64, len(values))
	for i, v := range values {
		sorted[i] = v.Value
	}
	slices.Sort(sorted)
	n := len(sorted)
	return Stat{
		Median: (sorted[(n-1)/2] + sorted[n/2]) / 2,
		Min:    sorted[0], Max: sorted[n-1],
		N: n, Values: values,
	}
}
