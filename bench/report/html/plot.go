package html

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/cordwood-db/cordwood/bench/report"
	"github.com/cordwood-db/cordwood/bench/result"
)

// Limits of what one panel draws, so that long runs stay small files.
const (
	pointsMax      = 300 // of a throughput line; above, seconds are averaged
	shortestSecond = 0.2 // a last second that is shorter says nothing about the rate, unless it is all
)

// number is a float64 that is short in JSON: four digits, and null for what JSON
// cannot say.
type number float64

// MarshalJSON encodes the number.
func (n number) MarshalJSON() ([]byte, error) {
	f := float64(n)
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return []byte("null"), nil
	}
	return strconv.AppendFloat(nil, f, 'g', 4, 64), nil
}

// numbers is never null in JSON.
type numbers []number

// MarshalJSON encodes the numbers.
func (n numbers) MarshalJSON() ([]byte, error) {
	if n == nil {
		return []byte("[]"), nil
	}
	return json.Marshal([]number(n))
}

// plots is everything that the scripts know of the run.
type plots struct {
	Engines  []string     `json:"engines"`
	Percents []float64    `json:"percents"`
	Metrics  []plotMetric `json:"metrics"`
	// Ratios are those of each baseline, by engine, and of each panel: rows of
	// engine, metric, verdict, ratio and, unless the verdict is single, interval.
	Ratios [][][]numbers `json:"ratios"`
	Panels []plotPanel   `json:"panels"`
}

type plotMetric struct {
	Title  string `json:"title"`
	Higher bool   `json:"higher"`
}

type plotPanel struct {
	// Values are the medians of each engine by metric, as texts; empty: none.
	Values [][]string `json:"values"`
	Lines  []plotLine `json:"lines"`
	Kinds  []plotKind `json:"kinds"`
}

// plotLine is one engine and round over time. Times are the middles of their
// seconds; End is when the phase or its last stall ended.
type plotLine struct {
	Engine int         `json:"e"`
	Round  int         `json:"r"`
	Median bool        `json:"m,omitempty"`
	End    number      `json:"d"`
	Time   numbers     `json:"t"`
	Rate   numbers     `json:"v"`
	P99    numbers     `json:"p"` // µs
	Max    numbers     `json:"x"` // µs
	Stalls []plotStall `json:"s,omitempty"`
}

type plotStall struct {
	At      number `json:"t"`
	Seconds number `json:"d"`
	Busy    string `json:"b,omitempty"`
}

// plotKind is one kind of operation.
type plotKind struct {
	Name   string      `json:"name"`
	Curves []plotCurve `json:"curves"`
}

// plotCurve is the latency of one engine at each of plots.Percents, in µs: the
// median of the rounds, and the smallest and largest, which are left out if
// there is one round.
type plotCurve struct {
	Engine int     `json:"e"`
	Mid    numbers `json:"v"`
	Low    numbers `json:"l,omitempty"`
	Top    numbers `json:"h,omitempty"`
}

// percents are where curves are sampled: the body evenly, the tail evenly in
// nines, and the maximum.
var percents = func() []float64 {
	var all []float64
	for p := 0.0; p < 90; p += 2.5 {
		all = append(all, p)
	}
	for nines := 10; nines <= 40; nines++ {
		p := 100 - 100*math.Pow(10, -float64(nines)/10)
		all = append(all, math.Round(p*1e4)/1e4)
	}
	return append(all, 100)
}()

func (b *book) plots() plots {
	d := plots{Percents: percents}
	for _, e := range b.engines {
		d.Engines = append(d.Engines, e.Name)
	}
	for _, c := range compared {
		d.Metrics = append(d.Metrics, plotMetric{c.title, metricOf(c.metric).Better == result.Higher})
	}
	for _, ratios := range b.ratios {
		rows := make([][]numbers, len(b.panels))
		for i := range rows {
			rows[i] = []numbers{}
		}
		for _, r := range ratios {
			row := numbers{number(r.engine), number(r.metric), number(r.verdict), number(r.value)}
			if r.verdict != single {
				row = append(row, number(r.low), number(r.high))
			}
			rows[r.panel] = append(rows[r.panel], row)
		}
		d.Ratios = append(d.Ratios, rows)
	}
	for _, p := range b.panels {
		d.Panels = append(d.Panels, plotPanel{Values: values(p), Lines: lines(p), Kinds: kinds(p)})
	}
	return d
}

func values(p *panel) [][]string {
	all := make([][]string, len(p.entries))
	for i, e := range p.entries {
		for _, c := range compared {
			all[i] = append(all[i], e.value(c.metric))
		}
	}
	return all
}

// value is the median of a metric as a text; empty if there is none.
func (e *entry) value(metric string) string {
	f, ok := e.Stats[metric]
	if !ok {
		return ""
	}
	return report.Value(f.Median, metricOf(metric).Unit)
}

func lines(p *panel) []plotLine {
	all := []plotLine{}
	for _, e := range p.entries {
		median := e.medianRound()
		for _, ph := range e.Phases {
			l := line(ph)
			l.Engine, l.Median = e.engine, ph.Round == median
			if len(l.Time) > 0 || len(l.Stalls) > 0 {
				all = append(all, l)
			}
		}
	}
	return all
}

// line makes the line of one phase, merging seconds if there are many.
func line(p *result.Phase) plotLine {
	l := plotLine{Round: p.Round}
	step := (len(p.Timeline) + pointsMax - 1) / pointsMax
	begin := 0.0
	for chunk := range slices.Chunk(p.Timeline, max(step, 1)) {
		end := chunk[len(chunk)-1].At
		if seconds := end - begin; seconds >= shortestSecond || begin == 0 && seconds > 0 {
			var operations uint64
			var p99, longest int64
			for _, s := range chunk {
				operations += s.Operations
				p99, longest = max(p99, s.P99NS), max(longest, s.MaxNS)
			}
			l.End = number(end)
			l.Time = append(l.Time, number((begin+end)/2))
			l.Rate = append(l.Rate, number(float64(operations)/seconds))
			l.P99 = append(l.P99, microseconds(p99, operations))
			l.Max = append(l.Max, microseconds(longest, operations))
		}
		begin = end
	}
	for _, s := range p.Stalls {
		l.End = max(l.End, number(s.At+s.Seconds))
		l.Stalls = append(l.Stalls, plotStall{number(s.At), number(s.Seconds), s.Busy})
	}
	return l
}

// microseconds is a latency for plotting; none if there was no operation.
func microseconds(ns int64, operations uint64) number {
	if operations == 0 {
		return number(math.NaN())
	}
	return number(float64(ns) / 1e3)
}

// kinds makes the curves of each kind of operation. In an open loop there are two
// of each: from when an operation was due, and from when it began.
func kinds(p *panel) []plotKind {
	all := []plotKind{}
	for _, name := range kindNames(p) {
		due := plotKind{Name: name}
		service := plotKind{Name: name + ", from its beginning"}
		for _, e := range p.entries {
			var latency, began []result.Histogram
			for _, ph := range e.Phases {
				for _, k := range ph.Kinds {
					if k.Name != name {
						continue
					}
					latency = append(latency, k.Latency)
					if k.Service != nil {
						began = append(began, *k.Service)
					}
				}
			}
			due.add(e.engine, latency)
			service.add(e.engine, began)
		}
		if len(service.Curves) > 0 {
			due.Name += ", from when it was due"
		}
		for _, k := range []plotKind{due, service} {
			if len(k.Curves) > 0 {
				all = append(all, k)
			}
		}
	}
	return all
}

// kindNames lists the kinds of a panel, in the order of the phases.
func kindNames(p *panel) []string {
	var names []string
	for _, e := range p.entries {
		for _, ph := range e.Phases {
			for _, k := range ph.Kinds {
				if !slices.Contains(names, k.Name) {
					names = append(names, k.Name)
				}
			}
		}
	}
	return names
}

// add adds the curve of one engine, of its rounds' histograms.
func (k *plotKind) add(engine int, rounds []result.Histogram) {
	rounds = slices.DeleteFunc(rounds, func(h result.Histogram) bool { return h.Count() == 0 })
	if len(rounds) == 0 {
		return
	}
	c := plotCurve{Engine: engine}
	for _, p := range percents {
		at := make([]time.Duration, len(rounds))
		for i, h := range rounds {
			at[i] = h.At(p)
			if p == 100 {
				at[i] = h.Max()
			}
		}
		slices.Sort(at)
		mid := (at[(len(at)-1)/2] + at[len(at)/2]) / 2
		c.Mid = append(c.Mid, number(float64(mid)/1e3))
		if len(at) > 1 {
			c.Low = append(c.Low, number(float64(at[0])/1e3))
			c.Top = append(c.Top, number(float64(at[len(at)-1])/1e3))
		}
	}
	k.Curves = append(k.Curves, c)
}
