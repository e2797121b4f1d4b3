package html

import "github.com/cordwood-db/cordwood/bench/result"

// summaryView is the comparison on one set, with the first engine as the baseline.
// The scripts draw it anew for the baseline that the reader chooses.
type summaryView struct {
	Set    string
	Panels []ratioPanel
}

// ratioPanel is one workload's rows.
type ratioPanel struct {
	Index    int // in plots.Panels
	ID       string
	Workload string
	Rows     []ratioRow
}

// ratioRow is one engine's.
type ratioRow struct {
	Index    int
	Name     string
	Baseline bool
	Absent   string // why there are no figures
	Cells    []ratioCell
}

// ratioCell is one metric's: of the baseline its own value, in Ratio. It is empty
// if one of the two engines has no figure.
type ratioCell struct{ Ratio, Interval, Verdict, Class string }

// columnView is a metric of the summary.
type columnView struct {
	Index                  int
	Title, Long, Direction string
}

func columns() []columnView {
	var all []columnView
	for i, c := range compared {
		m := metricOf(c.metric)
		all = append(all, columnView{i, c.title, m.Title, direction(m)})
	}
	return all
}

// direction says in words which values are good.
func direction(m result.Metric) string {
	return either(m.Better == result.Higher, "more is better", "less is better")
}

func (b *book) summary() []summaryView {
	if len(b.engines) < 2 {
		return nil
	}
	var all []summaryView
	for _, set := range b.sets {
		s := summaryView{Set: set}
		for _, p := range b.panels {
			if p.set == set {
				s.Panels = append(s.Panels, b.ratioPanel(p))
			}
		}
		all = append(all, s)
	}
	return all
}

func (b *book) ratioPanel(p *panel) ratioPanel {
	v := ratioPanel{Index: p.index, ID: p.id(), Workload: p.workload}
	for _, e := range p.entries {
		row := ratioRow{Index: e.engine, Name: b.engines[e.engine].Name, Baseline: e.engine == 0, Absent: e.reason(),
			Cells: make([]ratioCell, len(compared))}
		if row.Baseline {
			for i, c := range compared {
				row.Cells[i].Ratio = e.value(c.metric)
			}
		}
		for _, r := range b.ratios[0] {
			if r.panel == p.index && r.engine == e.engine {
				row.Cells[r.metric] = r.cell()
			}
		}
		v.Rows = append(v.Rows, row)
	}
	return v
}

func (r *ratio) cell() ratioCell {
	c := ratioCell{Ratio: factor(r.value), Verdict: verdictWords[r.verdict], Class: verdictClasses[r.verdict]}
	if r.verdict != single {
		c.Interval = bound(r.low) + "–" + bound(r.high)
	}
	return c
}

// The scripts have the same words and classes.
var (
	verdictWords   = []string{unclear: "unclear", better: "better", worse: "worse", single: "one round"}
	verdictClasses = []string{unclear: "unclear", better: "better", worse: "worse", single: "unclear"}
)
