package html

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/cordwood-db/cordwood/bench/report"
	"github.com/cordwood-db/cordwood/bench/result"
)

// stallsMax is how many stalls of a panel are listed one by one.
const stallsMax = 40

// panelView is one workload on one set.
type panelView struct {
	Index    int // in plots.Panels
	ID       string
	Set      string
	Workload string
	Engines  []panelEngine
	Rows     []figureRow // the most used
	More     []figureRow
	Bars     []barsView
	Stalls   []stallView
	// StallsMore is how many shorter stalls are not listed, StallsSum the length of all.
	StallsMore int
	StallsSum  string
	// Timed and Curved: there is something to plot over time, or by percentile.
	Timed, Curved bool
}

// panelEngine heads a column.
type panelEngine struct {
	Index  int
	Name   string
	Absent string
	Rounds int
}

// figureRow is a metric of all engines.
type figureRow struct {
	Scope, Title, Unit, Direction string // Unit only if the cells don't tell it
	Cells                         []figureCell
}

type figureCell struct {
	Median, Spread string // Spread is empty with one round
	Best           bool
}

// barsView is a metric drawn as bars from zero.
type barsView struct {
	Title, Long, Direction string
	Bars                   []bar
}

// bar has its lengths in percent of the widest.
type bar struct {
	Index            int
	Name             string
	Value, Spread    string
	Width            float64
	Low, Span        float64 // of the whisker
	Absent           string
	Whisker, Missing bool
}

type stallView struct {
	Index                           int
	Engine, At, Length, Busy, Round string
	seconds                         float64
}

func (b *book) panelView(p *panel, drawn plotPanel) panelView {
	v := panelView{Index: p.index, ID: p.id(), Set: p.set, Workload: p.workload,
		Timed: len(drawn.Lines) > 0, Curved: len(drawn.Kinds) > 0}
	for _, e := range p.entries {
		v.Engines = append(v.Engines, panelEngine{e.engine, b.engines[e.engine].Name, e.reason(), len(e.Phases)})
	}
	for _, m := range p.metrics() {
		if row := figureRowOf(p, m); m.scope == "" && slices.Contains(shown, m.Name) {
			v.Rows = append(v.Rows, row)
		} else {
			v.More = append(v.More, row)
		}
	}
	for _, c := range barred {
		if bars, ok := b.bars(p, metricOf(c.metric)); ok {
			bars.Title = c.title
			v.Bars = append(v.Bars, bars)
		}
	}
	b.stalls(p, &v)
	return v
}

// scoped is a metric over the operations of a scope, "" for all.
type scoped struct {
	result.Metric
	scope string
}

// name is what result.Summary calls it.
func (m *scoped) name() string {
	if m.scope == "" {
		return m.Name
	}
	return m.scope + "." + m.Name
}

// metrics lists those that an engine has figures of: in the order of
// package result, first over all operations, then by scope. With one kind of
// operation there is nothing to tell apart.
func (p *panel) metrics() []scoped {
	scopes := []string{""}
	for _, e := range p.entries {
		for _, ph := range e.Phases {
			for _, s := range ph.Scopes() {
				if len(ph.Kinds) > 1 && !slices.Contains(scopes, s) {
					scopes = append(scopes, s)
				}
			}
		}
	}
	var known []scoped
	for _, scope := range scopes {
		for _, metric := range result.Metrics() {
			m := scoped{metric, scope}
			if slices.ContainsFunc(p.entries, func(e *entry) bool { return e.Stats[m.name()].N > 0 }) {
				known = append(known, m)
			}
		}
	}
	return known
}

// figureRowOf makes the row of a metric.
func figureRowOf(p *panel, m scoped) figureRow {
	name := m.name()
	row := figureRow{Scope: m.scope, Title: m.Title, Direction: direction(m.Metric)}
	if !ownUnit(m.Unit) {
		row.Unit = m.Unit
	}
	var all []float64
	for _, e := range p.entries {
		var c figureCell
		if f := e.Stats[name]; f.N > 0 {
			all = append(all, f.Median)
			c.Median, c.Spread = cell(f.Median, m.Unit), spread(f, m.Unit)
		}
		row.Cells = append(row.Cells, c)
	}
	if len(all) < 2 || slices.Min(all) == slices.Max(all) {
		return row
	}
	best := slices.Min(all)
	if m.Better == result.Higher {
		best = slices.Max(all)
	}
	for i, e := range p.entries {
		row.Cells[i].Best = e.Stats[name].N > 0 && e.Stats[name].Median == best
	}
	return row
}

// spread is the range of the rounds; empty with one.
func spread(f result.Stat, unit string) string {
	if f.N < 2 {
		return ""
	}
	return cell(f.Min, unit) + " – " + cell(f.Max, unit)
}

func (b *book) bars(p *panel, m result.Metric) (barsView, bool) {
	v := barsView{Long: m.Title, Direction: direction(m)}
	widest := 0.0
	for _, e := range p.entries {
		widest = max(widest, e.Stats[m.Name].Max)
	}
	if widest <= 0 {
		return v, false
	}
	for _, e := range p.entries {
		f, ok := e.Stats[m.Name]
		one := bar{Index: e.engine, Name: b.engines[e.engine].Name, Missing: !ok, Absent: e.reason()}
		if ok {
			one.Value, one.Spread = cell(f.Median, m.Unit), spread(f, m.Unit)
			one.Width = 100 * f.Median / widest
			one.Low, one.Span = 100*f.Min/widest, 100*(f.Max-f.Min)/widest
			one.Whisker = f.N > 1
		}
		v.Bars = append(v.Bars, one)
	}
	return v, true
}

// stalls lists the longest stalls of a panel.
func (b *book) stalls(p *panel, v *panelView) {
	sum := 0.0
	for _, e := range p.entries {
		for _, ph := range e.Phases {
			for _, s := range ph.Stalls {
				v.Stalls = append(v.Stalls, b.stall(e, ph, s))
				sum += s.Seconds
			}
		}
	}
	slices.SortStableFunc(v.Stalls, func(x, y stallView) int { return cmp.Compare(y.seconds, x.seconds) })
	v.StallsSum = report.Value(sum, "s")
	if len(v.Stalls) > stallsMax {
		v.StallsMore = len(v.Stalls) - stallsMax
		v.Stalls = v.Stalls[:stallsMax]
	}
}

func (b *book) stall(e *entry, p *result.Phase, s result.Stall) stallView {
	return stallView{Index: e.engine, Engine: b.engines[e.engine].Name, At: fmt.Sprintf("%.1f s", s.At),
		Length: report.Value(s.Seconds, "s"), Busy: cmp.Or(s.Busy, "not told"), Round: fmt.Sprint(p.Round), seconds: s.Seconds}
}
