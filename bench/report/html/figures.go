package html

import (
	"github.com/cordwood-db/cordwood/bench/result"
)

// confidence is that of the intervals.
const confidence = 0.95

// compared are the metrics of the summary, in the order of its columns, with
// titles that fit above one.
var compared = []struct{ metric, title string }{
	{"rate", "throughput"},
	{"cpu_us", "CPU per operation"},
	{"p99_us", "p99 latency"},
	{"p999_us", "p99.9 latency"},
	{"written_per_byte", "written per byte put"},
	{"disk_per_live", "disk per live byte"},
}

// barred are the metrics that are drawn as bars, with titles that fit above them.
var barred = []struct{ metric, title string }{
	{"written_per_byte", "written per byte put"},
	{"disk_per_live", "disk per live byte"},
	{"cpu_us", "CPU per operation"},
	{"peak_bytes", "peak memory"},
}

// shown are the metrics that a panel's table shows at once; it has the others
// when it is unfolded.
var shown = []string{"rate", "mb_s", "p50_us", "p99_us", "p999_us", "p9999_us", "max_us", "cpu_us", "allocs",
	"peak_bytes", "written_per_byte", "disk_per_live", "settle_s", "stalls"}

// metricOf is the metric of a name without a scope, one of the lists above.
func metricOf(name string) result.Metric {
	m, _, ok := result.FindMetric(name)
	if !ok {
		panic("html: no metric " + name) // the lists above are fixed: any test finds it
	}
	return m
}

// ratio compares an engine with the baseline in one panel by one metric.
type ratio struct {
	panel, engine, metric int     // indexes of book.panels, book.engines, compared
	value, low, high      float64 // low and high only if it is judged
	verdict               verdict
}

// verdict is what a ratio and its interval say. The scripts know them by number.
type verdict int

const (
	unclear verdict = iota // the interval holds 1
	better
	worse
	single // no interval: one round
)

// compare fills in the ratios to each baseline.
func (b *book) compare(summaries []result.Summary, engines map[string]int) {
	type place struct{ set, workload string }
	panels := make(map[place]int)
	for i, p := range b.panels {
		panels[place{p.set, p.workload}] = i
	}
	columns := make(map[string]int)
	for i, c := range compared {
		columns[c.metric] = i
	}
	b.ratios = make([][]ratio, len(b.engines))
	for i, baseline := range b.engines {
		for _, r := range result.Ratios(summaries, baseline.Name, confidence) {
			column, ok := columns[r.Metric]
			if !ok || r.Engine == baseline.Name || !(r.Mean > 0) {
				continue
			}
			one := ratio{panel: panels[place{r.Set, r.Workload}], engine: engines[r.Engine], metric: column,
				value: r.Mean, verdict: single}
			if r.Interval {
				one.low, one.high = r.Low, r.High
				one.verdict = judge(r.Low, r.High, metricOf(r.Metric).Better)
			}
			b.ratios[i] = append(b.ratios[i], one)
		}
	}
}

func judge(low, high float64, good result.Better) verdict {
	switch {
	case low <= 1 && high >= 1:
		return unclear
	case (low > 1) == (good == result.Higher):
		return better
	default:
		return worse
	}
}
