package result

import (
	"slices"
	"strings"
)

// Better says which values of a metric are the good ones.
type Better int

// The directions.
const (
	Lower Better = iota
	Higher
)

// Metric is a figure of a phase.
type Metric struct {
	// Name is what summaries call it, such as "p99_us". Of a metric that is
	// Scoped there is, besides that over all operations, one for each class and
	// kind in the phase, such as "read.p99_us".
	Name   string
	Unit   string // "ops/s", "MB/s", "µs", "ns", "s", "B", or "" for plain numbers
	Title  string // for readers, such as "99% latency"
	Better Better
	Scoped bool
	value  func(*scope) (v float64, known bool)
}

// scope is a phase seen through one class or kind of operation, or all.
type scope struct {
	*Phase
	operations, items uint64
	latency           Histogram
}

// Metrics lists what is made of each phase, in the order in which to show it. The
// slice is the caller's.
func Metrics() []Metric { return slices.Clone(metrics) }

// FindMetric returns the metric of a name with or without a scope, such as
// "p99_us" or "read.p99_us", and the scope, "" for all operations.
func FindMetric(name string) (m Metric, scope string, ok bool) {
	if before, after, found := strings.Cut(name, "."); found {
		scope, name = before, after
	}
	i := slices.IndexFunc(metrics, func(m Metric) bool { return m.Name == name && (scope == "" || m.Scoped) })
	if i < 0 {
		return Metric{}, "", false
	}
	return metrics[i], scope, true
}

var metrics = []Metric{
	{"rate", "ops/s", "operations per second", Higher, true, func(s *scope) (float64, bool) {
		return quotient(float64(s.operations), s.Seconds)
	}},
	{"items_s", "/s", "entries per second", Higher, true, func(s *scope) (float64, bool) {
		return quotient(float64(s.items), s.Seconds)
	}},
	{"mb_s", "MB/s", "million bytes of keys and values per second", Higher, false, func(s *scope) (float64, bool) {
		return quotient(float64(s.Bytes)/1e6, s.Seconds)
	}},
	{"mean_us", "µs", "mean latency", Lower, true, func(s *scope) (float64, bool) {
		return float64(s.latency.Mean()) / 1e3, s.latency.Count() > 0
	}},
	percentile("p50_us", "50% latency", 50),
	percentile("p90_us", "90% latency", 90),
	percentile("p95_us", "95% latency", 95),
	percentile("p99_us", "99% latency", 99),
	percentile("p999_us", "99.9% latency", 99.9),
	percentile("p9999_us", "99.99% latency", 99.99),
	{"max_us", "µs", "longest latency", Lower, true, func(s *scope) (float64, bool) {
		return float64(s.latency.Max()) / 1e3, s.latency.Count() > 0
	}},
	{"cpu_us", "µs", "processor time per operation", Lower, false, func(s *scope) (float64, bool) {
		return perOperation(s, float64(s.Costs.CPUNS)/1e3)
	}},
	{"allocs", "", "heap allocations per operation", Lower, false, func(s *scope) (float64, bool) {
		return perOperation(s, float64(s.Costs.Allocations))
	}},
	{"alloc_bytes", "B", "bytes allocated per operation", Lower, false, func(s *scope) (float64, bool) {
		return perOperation(s, float64(s.Costs.AllocatedBytes))
	}},
	{"peak_bytes", "B", "largest resident memory", Lower, false, func(s *scope) (float64, bool) {
		return float64(s.Costs.PeakBytes), s.Costs.PeakBytes > 0
	}},
	{"client_bytes", "B", "resident memory before the store was opened", Lower, false, func(s *scope) (float64, bool) {
		return float64(s.Costs.ClientBytes), s.Costs.ClientBytes > 0
	}},
	{"written_per_byte", "", "bytes written to storage per byte put", Lower, false, func(s *scope) (float64, bool) {
		v, ok := quotient(float64(s.Costs.WrittenBytes), float64(s.UserBytes))
		return v, ok && s.Costs.WrittenBytes > 0
	}},
	{"written_bytes", "B", "bytes written to storage", Lower, false, func(s *scope) (float64, bool) {
		return float64(s.Costs.WrittenBytes), s.Costs.inOutKnown()
	}},
	{"read_bytes", "B", "bytes read from storage per operation", Lower, false, func(s *scope) (float64, bool) {
		v, ok := quotient(float64(s.Costs.ReadBytes), float64(s.operations))
		return v, ok && s.Costs.inOutKnown()
	}},
	{"disk_bytes", "B", "disk space at the end", Lower, false, func(s *scope) (float64, bool) {
		return float64(s.Costs.DiskBytes), s.Costs.DiskBytes > 0
	}},
	{"disk_per_live", "", "disk space per byte of live keys and values", Lower, false, func(s *scope) (float64, bool) {
		v, ok := quotient(float64(s.Costs.DiskBytes), float64(s.LiveBytes))
		return v, ok && s.Costs.DiskBytes > 0
	}},
	{"settle_s", "s", "time until all was in its files", Lower, false, func(s *scope) (float64, bool) {
		return s.SettleSeconds, s.UserBytes > 0
	}},
	{"stalls", "", "stretches of over 100 ms in which nothing ended", Lower, false, func(s *scope) (float64, bool) {
		return float64(len(s.Stalls)), true
	}},
	{"stall_s", "s", "length of all stalls", Lower, false, func(s *scope) (float64, bool) {
		return s.stalled(), true
	}},
	{"verify_ns", "ns", "client's time to check an answer", Lower, false, func(s *scope) (float64, bool) {
		return s.Costs.VerifyNS, s.Costs.VerifyNS > 0
	}},
	{"prepare_ns", "ns", "client's time to make keys and values", Lower, false, func(s *scope) (float64, bool) {
		return s.Costs.PrepareNS, s.Costs.PrepareNS > 0
	}},
}

func percentile(name, title string, percent float64) Metric {
	return Metric{name, "µs", title, Lower, true, func(s *scope) (float64, bool) {
		return float64(s.latency.At(percent)) / 1e3, s.latency.Count() > 0
	}}
}

func quotient(a, b float64) (float64, bool) {
	if b <= 0 {
		return 0, false
	}
	return a / b, true
}

// perOperation shares a cost, of which zero means that it is not known, out
// between the operations.
func perOperation(s *scope, cost float64) (float64, bool) {
	v, ok := quotient(cost, float64(s.operations))
	return v, ok && cost > 0
}

// inOutKnown tells a phase that read or wrote nothing from a platform that
// cannot say: no process ends without any call.
func (c *Costs) inOutKnown() bool {
	return c.WrittenBytes > 0 || c.ReadBytes > 0 || c.WriteCalls > 0 || c.ReadCalls > 0
}

// stalled is the length of all stalls, in seconds.
func (p *Phase) stalled() float64 {
	sum := 0.0
	for _, s := range p.Stalls {
		sum += s.Seconds
	}
	return sum
}

// Scopes lists the classes of a phase and then its kinds that are not called
// like a class, each once. Together with "" for all operations they are what
// Latency and Values know.
func (p *Phase) Scopes() []string {
	var names []string
	add := func(name string) {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	for i := range p.Kinds {
		add(string(p.Kinds[i].Class))
	}
	for i := range p.Kinds {
		add(p.Kinds[i].Name)
	}
	return names
}

// isClass reports whether name is that of a class.
func isClass(name string) bool {
	return slices.Contains([]Class{Read, Write, Scan, Tx}, Class(name))
}

// in reports whether a kind belongs to a scope. A kind that is called like a
// class is seen in the class only: "read" is all that reads.
func (k *Kind) in(scope string) bool {
	return scope == "" || string(k.Class) == scope || k.Name == scope && !isClass(scope)
}

// Latency is the latencies of a scope, empty if the phase has none of that. It may
// share what it has counted with the phase: don't change it.
func (p *Phase) Latency(scope string) Histogram { return p.scoped(scope).latency }

// scoped looks at a phase through a scope.
func (p *Phase) scoped(name string) *scope {
	s := &scope{Phase: p}
	var in []*Kind
	for i := range p.Kinds {
		if k := &p.Kinds[i]; k.in(name) {
			in = append(in, k)
			s.operations += k.Operations
			s.items += k.Items
		}
	}
	switch len(in) {
	case 0:
	case 1:
		s.latency = in[0].Latency
	default:
		for _, k := range in {
			s.latency.Merge(k.Latency)
		}
	}
	if name == "" {
		s.operations = p.Operations
	}
	return s
}

// Values are the metrics of a phase by name, with scopes as FindMetric takes
// them. What is not known is missing.
func (p *Phase) Values() map[string]float64 {
	values := make(map[string]float64)
	if p.Skipped != "" {
		return values
	}
	for _, name := range append([]string{""}, p.Scopes()...) {
		s, prefix := p.scoped(name), ""
		if name != "" {
			prefix = name + "."
		}
		for i := range metrics {
			m := &metrics[i]
			if name != "" && !m.Scoped {
				continue
			}
			if v, ok := m.value(s); ok {
				values[prefix+m.Name] = v
			}
		}
	}
	return values
}
