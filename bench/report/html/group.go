package html

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/cordwood-db/cordwood/bench/result"
)

// book is a run, sorted for the report.
type book struct {
	run     *result.Run
	engines []result.Engine // of the header, then those that only phases name
	sets    []string        // likewise
	panels  []*panel        // by set, then in the order in which they ran
	ratios  [][]ratio       // by baseline
}

// panel is one workload on one set.
type panel struct {
	index         int // in book.panels
	set, workload string
	entries       []*entry // by engine, those without any phase included
}

// entry is an engine's part of a panel.
type entry struct {
	engine int // in book.engines
	// Summary is empty if there is no phase.
	result.Summary
}

func newBook(run *result.Run) *book {
	b := &book{run: run, engines: slices.Clone(run.Engines)}
	summaries := result.Summaries(run)
	engines := make(map[string]int)
	for i, e := range b.engines {
		engines[e.Name] = i
	}
	for _, s := range summaries {
		if _, ok := engines[s.Engine]; !ok {
			engines[s.Engine] = len(b.engines)
			b.engines = append(b.engines, result.Engine{Name: s.Engine})
		}
	}
	for _, s := range summaries {
		// Summaries of one panel are neighbors.
		last := len(b.panels) - 1
		if last < 0 || b.panels[last].set != s.Set || b.panels[last].workload != s.Workload {
			last++
			b.panels = append(b.panels, &panel{index: last, set: s.Set, workload: s.Workload})
			for e := range b.engines {
				b.panels[last].entries = append(b.panels[last].entries, &entry{engine: e})
			}
		}
		b.panels[last].entries[engines[s.Engine]].Summary = s
		if !slices.Contains(b.sets, s.Set) {
			b.sets = append(b.sets, s.Set)
		}
	}
	b.compare(summaries, engines)
	return b
}

// id names the panel in links. It is made of numbers only, so that no name of a
// run gets into one.
func (p *panel) id() string { return fmt.Sprintf("p%d", p.index+1) }

// reason tells why an engine has no figures in a panel; empty if it has some.
func (e *entry) reason() string {
	if len(e.Phases) > 0 {
		return ""
	}
	if len(e.Lost) == 0 {
		return "not run"
	}
	word := lostWord(e.Lost[0])
	if strings.HasPrefix(strings.ToLower(e.Lost[0].Reason), word) {
		return e.Lost[0].Reason
	}
	return word + ": " + e.Lost[0].Reason
}

func lostWord(l result.Lost) string {
	switch {
	case l.Skipped:
		return "skipped"
	case l.Wrong:
		return "wrong answer"
	default:
		return "failed"
	}
}

// medianRound is the round whose throughput is the median, or the nearest to it;
// 0 if there is none.
func (e *entry) medianRound() int {
	rate, ok := e.Stats["rate"]
	if !ok {
		return 0
	}
	return slices.MinFunc(rate.Values, func(x, y result.RoundValue) int {
		return cmp.Compare(math.Abs(x.Value-rate.Median), math.Abs(y.Value-rate.Median))
	}).Round
}
