package report

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/cordwood-db/cordwood/bench/result"
)

// Verdicts prints for each objective whether it is met, where, and if not by how
// much: of a percentile, how much of the error budget was used. Its error is that
// of w.
func Verdicts(w io.Writer, verdicts []result.Verdict) error {
	p := newPrinter(w)
	missed := 0
	for i := range verdicts {
		v := &verdicts[i]
		mark := "met     "
		if !v.Met {
			mark = "NOT MET "
			missed++
		}
		text := v.Objective.Text
		if where := place(v.Workload, v.Engine, v.Set); where != "" {
			text += " in " + where
		}
		p.printf("%s", wrapped(mark, text+": "+VerdictText(v), len(mark)))
	}
	switch {
	case len(verdicts) == 0:
		p.printf("No objectives.\n")
	case missed == 0:
		p.printf("%d checked, all met.\n", len(verdicts))
	default:
		p.printf("%d checked, %d not met.\n", len(verdicts), missed)
	}
	return p.flush()
}

// VerdictText says in a few words what was measured and what that means.
func VerdictText(v *result.Verdict) string {
	if v.Reason != "" {
		return oneLine(v.Reason)
	}
	o := &v.Objective
	text := Value(v.Measured, o.Unit)
	switch {
	case v.Allowed > 0:
		text += fmt.Sprintf("; %s took longer, %s may: %s of the error budget", share(v.Over), share(v.Allowed), Percent(v.Budget))
	case v.Met:
	case math.IsInf(v.Off, 1):
		text += ", and none are allowed"
	case o.AtLeast:
		text += fmt.Sprintf(", %s too low", Percent(v.Off))
	default:
		text += fmt.Sprintf(", %s too high", Percent(v.Off))
	}
	if v.Rounds > 1 {
		text += fmt.Sprintf(" (%d rounds)", v.Rounds)
	}
	if v.Partial {
		text += " (interrupted)"
	}
	return text
}

// share writes a part of all operations with as many digits as small ones need.
func share(v float64) string {
	if v == 0 {
		return "none"
	}
	return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.3g", 100*v), " "), ".0") + "%"
}

// place names a workload on an engine; it is empty without one.
func place(workload, engine, set string) string {
	if workload == "" && engine == "" {
		return ""
	}
	text := fmt.Sprintf("%s on %s", workload, engine)
	if set != "" {
		text += " (" + set + ")"
	}
	return text
}

var comparisonColumns = []column{{"", 50}, {"old", 11}, {"new", 11}, {"change", 7}, {"interval", 17}}

// Regressions prints what the comparison of two runs found: regressions first,
// then what stays open and why, then improvements; what is fine is counted. It
// ends with what was done and what else differs. Its error is that of w.
func Regressions(w io.Writer, r *result.Regressions) error {
	p := newPrinter(w)
	n := make(map[result.Outcome]int)
	for i := range r.Comparisons {
		n[r.Comparisons[i].Outcome]++
	}
	for _, part := range []struct {
		outcome result.Outcome
		title   string
	}{
		{result.Regressed, "REGRESSED: worse by more than " + Percent(r.Options.Limit)},
		{result.Inconclusive, "INCONCLUSIVE: no statement is possible"},
		{result.Improved, "IMPROVED: better by more than " + Percent(r.Options.Limit)},
	} {
		if n[part.outcome] == 0 {
			continue
		}
		p.printf("%s\n%s\n", part.title, heads(comparisonColumns))
		p.comparisons(r.Comparisons, part.outcome)
		p.printf("\n")
	}
	p.printf("%d regressed, %d inconclusive, %d improved, %d fine.\n", n[result.Regressed], n[result.Inconclusive],
		n[result.Improved], n[result.Fine])
	p.method(r)
	if len(r.Warnings) > 0 {
		p.printf("\nThe runs differ in more than what was measured:\n")
		for _, warning := range r.Warnings {
			p.printf("%s", wrapped("  ", oneLine(warning), 4))
		}
	}
	return p.flush()
}

// comparisons prints those of an outcome: without a reason first, then those of
// the same reason below it.
func (p *printer) comparisons(all []result.Comparison, outcome result.Outcome) {
	reasons := []string{""}
	for i := range all {
		if c := &all[i]; c.Outcome == outcome && !slices.Contains(reasons, c.Reason) {
			reasons = append(reasons, c.Reason)
		}
	}
	for _, reason := range reasons {
		if reason != "" {
			p.printf("%s", wrapped(" * ", oneLine(reason)+":", 3))
		}
		for i := range all {
			if c := &all[i]; c.Outcome == outcome && c.Reason == reason {
				p.comparison(c)
			}
		}
	}
}

// comparison prints the row of one comparison.
func (p *printer) comparison(c *result.Comparison) {
	name := "  " + place(c.Workload, c.Engine, c.Set) + " " + c.Metric
	cells := []string{name, unknown, unknown, unknown, ""}
	if c.Old > 0 && c.New > 0 {
		m, _, _ := result.FindMetric(c.Metric)
		cells[1], cells[2] = perUnit(c.Old, m.Unit), perUnit(c.New, m.Unit)
		cells[3] = signed(c.Change)
		if min(c.OldN, c.NewN) >= result.RoundsMin {
			cells[4] = fmt.Sprintf("[%s, %s]", signed(c.Low), signed(c.High))
		}
	}
	p.printf("%s\n", row(comparisonColumns, cells))
}

// perUnit is Value with rates as bare numbers, which fit into a column.
func perUnit(v float64, unit string) string {
	if strings.HasSuffix(unit, "/s") {
		return Number(v)
	}
	return Value(v, unit)
}

// signed writes a change: +5.3%, -12%.
func signed(share float64) string {
	text := Percent(share)
	if share >= 0 {
		text = "+" + text
	}
	return text
}

// method says how the outcomes were found.
func (p *printer) method(r *result.Regressions) {
	if len(r.Comparisons) == 0 {
		p.printf("The runs have nothing in common that could be compared.\n")
		return
	}
	text := fmt.Sprintf("Rounds are compared by Welch's t test on logarithms against the limit of %s; intervals have %s confidence each.",
		Percent(r.Options.Limit), Percent(r.Options.Confidence))
	if r.Tested > 0 {
		text += fmt.Sprintf(" The probability of any false alarm among the %d tests is kept below %s (Holm).",
			r.Tested, Percent(1-r.Options.Confidence))
	}
	if slices.ContainsFunc(r.Comparisons, func(c result.Comparison) bool { return c.SpeedCorrected }) {
		text += " Rates and times have to differ both as measured and corrected for the machine's speed" + speedText(r) + "."
	}
	p.printf("%s", wrapped("", text, 0))
}

// speedText says how the machine's speed has changed, over all comparisons.
func speedText(r *result.Regressions) string {
	sum, n := 0.0, 0.0
	for i := range r.Comparisons {
		if c := &r.Comparisons[i]; c.OldSpeed > 0 && c.NewSpeed > 0 {
			sum += math.Log(c.NewSpeed / c.OldSpeed)
			n++
		}
	}
	if n == 0 {
		return ""
	}
	// The probe is a time: more of it is a slower machine.
	switch change := math.Exp(sum/n) - 1; {
	case change > 0.005:
		return fmt.Sprintf(", which was %s slower in the new run", Percent(change))
	case change < -0.005:
		return fmt.Sprintf(", which was %s faster in the new run", Percent(1/(1+change)-1))
	}
	return ", which was the same in both runs"
}
