package result

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Objective is one condition that a run has to meet (a service level objective),
// such as read.p99<=300us.
type Objective struct {
	Text             string // as it was given
	Engine, Workload string // empty: each
	// Scope is a class or kind of operation as in Phase.Scopes; empty: all.
	Scope   string
	Metric  string // "p99", "rate", … as in ParseObjectives
	AtLeast bool   // Limit is a lower bound
	Limit   float64
	// Unit is that of Limit and of what is measured, as in Metric.Unit.
	Unit string

	gauge gauge
}

// ObjectiveError says what is wrong with the text of objectives.
type ObjectiveError struct {
	Text     string // all of it
	Position int    // in Text, in bytes from 0, of what is wrong
	Problem  string
}

// Error names the place and the problem.
func (e *ObjectiveError) Error() string {
	return fmt.Sprintf("objectives %q: at position %d: %s", e.Text, e.Position+1, e.Problem)
}

// gauge is something that objectives can be set for.
type gauge struct {
	name    string
	unit    string
	scoped  bool
	atLeast bool
	percent float64 // of a percentile; otherwise 0
	// value pools rounds; it is nil for percentiles.
	value func([]*scope) (float64, bool)
}

// gauges are all but the percentiles, in the order in which to list them.
var gauges = []gauge{
	{name: "max", unit: "µs", scoped: true, value: func(s []*scope) (float64, bool) {
		return worst(s, func(s *scope) (float64, bool) { return float64(s.latency.Max()) / 1e3, s.latency.Count() > 0 })
	}},
	{name: "mean", unit: "µs", scoped: true, value: func(s []*scope) (float64, bool) {
		all := pooledLatency(s)
		return float64(all.Mean()) / 1e3, all.Count() > 0
	}},
	{name: "rate", unit: "ops/s", scoped: true, atLeast: true, value: func(s []*scope) (float64, bool) {
		return pooled(s, func(s *scope) (float64, float64) { return float64(s.operations), s.Seconds })
	}},
	{name: "mbps", unit: "MB/s", atLeast: true, value: func(s []*scope) (float64, bool) {
		return pooled(s, func(s *scope) (float64, float64) { return float64(s.Bytes) / 1e6, s.Seconds })
	}},
	{name: "cpu", unit: "µs", value: func(s []*scope) (float64, bool) {
		return pooledCost(s, func(s *scope) (float64, float64) { return float64(s.Costs.CPUNS) / 1e3, float64(s.operations) })
	}},
	{name: "allocs", value: func(s []*scope) (float64, bool) {
		return pooledCost(s, func(s *scope) (float64, float64) { return float64(s.Costs.Allocations), float64(s.operations) })
	}},
	{name: "memory", unit: "B", value: func(s []*scope) (float64, bool) {
		return worst(s, func(s *scope) (float64, bool) { return float64(s.Costs.PeakBytes), s.Costs.PeakBytes > 0 })
	}},
	{name: "written", value: func(s []*scope) (float64, bool) {
		return pooledCost(s, func(s *scope) (float64, float64) { return float64(s.Costs.WrittenBytes), float64(s.UserBytes) })
	}},
	{name: "space", value: func(s []*scope) (float64, bool) {
		return pooledCost(s, func(s *scope) (float64, float64) { return float64(s.Costs.DiskBytes), float64(s.LiveBytes) })
	}},
	{name: "settle", unit: "s", value: func(s []*scope) (float64, bool) {
		return worst(s, func(s *scope) (float64, bool) { return s.SettleSeconds, s.UserBytes > 0 })
	}},
	{name: "stall", unit: "s", value: func(s []*scope) (float64, bool) {
		return worst(s, func(s *scope) (float64, bool) {
			longest := 0.0
			for _, stall := range s.Stalls {
				longest = max(longest, stall.Seconds)
			}
			return longest, true
		})
	}},
	{name: "stalls", value: func(s []*scope) (float64, bool) {
		return worst(s, func(s *scope) (float64, bool) { return float64(len(s.Stalls)), true })
	}},
}

// findGauge returns the gauge of a name. pNN is a percentile: the first two digits
// stand before the decimal point, so that p999 is 99.9%.
func findGauge(name string) (gauge, bool) {
	if digits, ok := strings.CutPrefix(name, "p"); ok && len(digits) >= 2 && len(digits) <= 6 && digits[0] != '0' &&
		strings.Trim(digits, "0123456789") == "" && !strings.HasPrefix(digits, "100") {
		percent, err := strconv.ParseFloat(digits[:2]+"."+digits[2:], 64)
		return gauge{name: name, unit: "µs", scoped: true, percent: percent}, err == nil
	}
	i := slices.IndexFunc(gauges, func(g gauge) bool { return g.name == name })
	if i < 0 {
		return gauge{}, false
	}
	return gauges[i], true
}

// ParseObjectives reads conditions separated by commas, each of the form
//
//	[ENGINE/][WORKLOAD:][SCOPE.]METRIC<=LIMIT
//
// such as read.p99<=300us, pebble/ycsb-a:update.p999<=5ms or all.rate>=100k.
// SCOPE is a class (read, write, scan, tx), a kind of operation or "all". METRIC
// and its limit is one of
//
//   - p50, p90, p95, p99, p999 (99.9%), p9999 or any other percentile, max, mean:
//     a latency, such as 300us, 1.5ms, 2s
//   - rate: operations per second at least, such as 100k, 1.5M, 2000
//   - mbps: million bytes of keys and values per second at least
//   - cpu: processor time per operation; allocs: heap allocations per operation
//   - memory: largest resident memory, such as 512MiB, 1.5GB
//   - written: bytes written to storage per byte put; space: bytes on disk per
//     byte alive; such as 3 or 1.2x
//   - settle: time until all is in its files; stall: the longest stall; stalls:
//     how many of them in a round
//
// The metrics from mbps on are of the whole process and take no scope but all.
// It fails with an *ObjectiveError.
func ParseObjectives(text string) ([]Objective, error) {
	var objectives []Objective
	for start := 0; ; {
		item, _, more := strings.Cut(text[start:], ",")
		o, err := parseObjective(item)
		if err != nil {
			err.Text, err.Position = text, err.Position+start
			return nil, err
		}
		objectives = append(objectives, o)
		if !more {
			return objectives, nil
		}
		start += len(item) + 1
	}
}

// parseObjective reads one. Positions of its error count from the item's start.
func parseObjective(item string) (Objective, *ObjectiveError) {
	o := Objective{Text: strings.TrimSpace(item)}
	if o.Text == "" {
		return o, problemAt(0, "an objective is missing, such as read.p99<=300us")
	}
	comparison := strings.IndexAny(item, "<>=")
	if comparison < 0 {
		return o, problemAt(len(item), "<= or >= and a limit are missing")
	}
	if err := o.parseSubject(item[:comparison]); err != nil {
		return o, err
	}
	operator := item[comparison : comparison+1]
	if strings.HasPrefix(item[comparison+1:], "=") {
		operator = item[comparison : comparison+2]
	}
	wanted, good := "<=", "low"
	if o.AtLeast {
		wanted, good = ">=", "high"
	}
	switch {
	case operator[0] == '=':
		return o, problemAt(comparison, "%s can be compared by %s only", o.Metric, wanted)
	case operator[0] != wanted[0]:
		return o, problemAt(comparison, "a good %s is a %s one: use %s", o.Metric, good, wanted)
	}
	right := item[comparison+len(operator):]
	limit, problem := parseLimit(strings.TrimSpace(right), o.Unit)
	if problem == "" && o.AtLeast && limit == 0 {
		problem = "a lower limit of 0 is always met"
	}
	if problem != "" {
		return o, problemAt(len(item)-len(strings.TrimLeft(right, " \t\r\n")), "%s", problem)
	}
	o.Limit = limit
	return o, nil
}

func problemAt(position int, format string, args ...any) *ObjectiveError {
	return &ObjectiveError{Position: position, Problem: fmt.Sprintf(format, args...)}
}

// parseSubject reads what stands before the comparison.
func (o *Objective) parseSubject(text string) *ObjectiveError {
	at := len(text) - len(strings.TrimLeft(text, " \t\r\n")) // where left begins
	left := strings.TrimSpace(text)
	// An engine of another program has its path in its name: the last slash counts.
	if i := strings.LastIndexByte(left, '/'); i >= 0 {
		if o.Engine = left[:i]; o.Engine == "" {
			return problemAt(at, "the engine before / is missing")
		}
		left, at = left[i+1:], at+i+1
	}
	if workload, rest, ok := strings.Cut(left, ":"); ok {
		if o.Workload = workload; workload == "" {
			return problemAt(at, "the workload before : is missing")
		}
		left, at = rest, at+len(workload)+1
	}
	scope, metric, scoped := strings.Cut(left, ".")
	if !scoped {
		scope, metric = "all", left
	}
	g, ok := findGauge(metric)
	switch {
	case scope == "":
		return problemAt(at, "a class or kind of operation is missing before the point, such as read, or all")
	case metric == "":
		return problemAt(at+len(left), "what is measured is missing: %s", gaugeNames())
	case !ok:
		return problemAt(at+len(left)-len(metric), "%q is none of %s", metric, gaugeNames())
	case !g.scoped && scope != "all":
		return problemAt(at, "%s is of the whole process: write all.%s", metric, metric)
	}
	if scope != "all" {
		o.Scope = scope
	}
	o.Metric, o.AtLeast, o.Unit, o.gauge = metric, g.atLeast, g.unit, g
	return nil
}

func gaugeNames() string {
	names := "p50, p90, p95, p99, p999, p9999"
	for _, g := range gauges {
		names += ", " + g.name
	}
	return names
}

// parseLimit reads a limit in a unit of Metric.Unit. problem is empty if it is
// right.
func parseLimit(text, unit string) (limit float64, problem string) {
	if text == "" {
		return 0, "the limit is missing"
	}
	switch unit {
	case "µs", "s":
		d, err := time.ParseDuration(text)
		if err != nil || d < 0 {
			return 0, fmt.Sprintf("%q is not a time with its unit, such as 300us, 1.5ms or 2s", text)
		}
		if unit == "s" {
			return d.Seconds(), ""
		}
		return float64(d) / 1e3, ""
	case "ops/s":
		return scaled(strings.TrimSuffix(text, "/s"), text, "a number of operations per second, such as 2000, 100k or 1.5M",
			suffix{"k", 1e3}, suffix{"K", 1e3}, suffix{"M", 1e6}, suffix{"G", 1e9})
	case "MB/s":
		return scaled(strings.TrimSuffix(text, "MB/s"), text, "a number of million bytes per second, such as 250")
	case "B":
		return scaled(text, text, "a size, such as 512MiB or 1.5GB",
			suffix{"KiB", 1 << 10}, suffix{"MiB", 1 << 20}, suffix{"GiB", 1 << 30}, suffix{"TiB", 1 << 40},
			suffix{"KB", 1e3}, suffix{"MB", 1e6}, suffix{"GB", 1e9}, suffix{"TB", 1e12},
			suffix{"B", 1}, suffix{"K", 1 << 10}, suffix{"M", 1 << 20}, suffix{"G", 1 << 30})
	}
	return scaled(strings.TrimSuffix(text, "x"), text, "a number, such as 3 or 1.25")
}

// suffix is a unit behind a number.
type suffix struct {
	name   string
	factor float64
}

// scaled reads a number that may end in one of the suffixes.
func scaled(number, text, what string, suffixes ...suffix) (float64, string) {
	factor := 1.0
	for _, s := range suffixes {
		if rest, ok := strings.CutSuffix(number, s.name); ok {
			number, factor = rest, s.factor
			break
		}
	}
	v, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if err != nil || math.IsNaN(v) || math.IsInf(v*factor, 0) || v < 0 {
		return 0, fmt.Sprintf("%q is not %s", text, what)
	}
	return v * factor, ""
}
