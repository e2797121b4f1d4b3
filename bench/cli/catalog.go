package cli

import (
	"fmt"

	"github.com/cordwood-db/cordwood/bench/result"
	"github.com/cordwood-db/cordwood/bench/workload"
)

// entry is one line of a list: a name, or how to write it, and what it is.
type entry struct{ name, text string }

// sizes are the lengths of values that workload.ParseSizes reads.
var sizes = []entry{
	{"100", "all of 100 bytes; 4KiB, 1MiB and so on"},
	{"100..2000", "evenly spread from 100 to 2000 bytes"},
	{"normal:400,80", "normal, with that mean and standard deviation"},
	{"pareto:25,0.26", "generalized Pareto, with that scale and shape"},
	{"list:100x90,1KiBx9,64KiB", "of those lengths, with those weights"},
	{"etc", "Facebook's memcached pool ETC (SIGMETRICS 2012)"},
	{"zippydb", "Facebook's ZippyDB on RocksDB (FAST 2020)"},
	{"udb", "Facebook's UDB on RocksDB (FAST 2020)"},
	{"up2x", "Facebook's UP2X on RocksDB (FAST 2020)"},
}

// choosers are the ways of choosing keys that workload.ParseChooser reads.
var choosers = []entry{
	{"uniform", "each key as often as any other"},
	{"zipfian:0.99", "the first keys most often, by a power law"},
	{"scrambled:0.99", "the same, spread over all keys: YCSB's zipfian"},
	{"latest:0.99", "the newest keys most often"},
	{"sequential", "one key after the other"},
	{"shuffled", "every key once, in random order"},
	{"hotspot:0.2,0.8", "a fifth of the keys take four fifths of the operations"},
	{"exponential:95,0.86", "the newest keys most often, falling off exponentially"},
	{"keyranges", "hot ranges of keys, as in ZippyDB (FAST 2020)"},
}

// objectives are what -slo can be about; the metrics of result.ParseObjectives.
var objectives = []entry{
	{"p50, p99, p999, ...", "a percentile of latencies, p999 is 99.9%: read.p99<=300us"},
	{"max, mean", "the longest and the mean latency: write.max<=50ms"},
	{"rate", "operations per second at least: read.rate>=100k"},
	{"mbps", "million bytes of keys and values per second at least: mbps>=250"},
	{"cpu", "processor time per operation: cpu<=5us"},
	{"allocs", "heap allocations per operation: allocs<=2"},
	{"memory", "largest resident memory: memory<=512MiB"},
	{"written", "bytes written to storage per byte put: fillrandom:written<=4"},
	{"space", "bytes on disk per byte alive: space<=1.2"},
	{"settle", "time until all is in its files: settle<=2s"},
	{"stall, stalls", "the longest stall, and how many in a round: stall<=500ms"},
}

func (a *app) listEntries(entries []entry) {
	width := 0
	for _, e := range entries {
		width = max(width, len(e.name))
	}
	for _, e := range entries {
		fmt.Fprintf(a.stdout, "  %-*s  %s\n", width, e.name, e.text)
	}
}

func (a *app) listWorkloads(bool) error {
	standard := map[string]bool{}
	for _, w := range workload.Standard() {
		standard[w.Name] = true
	}
	group, width := "", 0
	for _, w := range workload.All() {
		width = max(width, len(w.Name))
	}
	for i, w := range workload.All() {
		if w.Group != group || i == 0 {
			group = w.Group
			fmt.Fprintf(a.stdout, "  %s\n", group)
		}
		mark, needs := " ", ""
		if standard[w.Name] {
			mark = "*"
		}
		if w.Needs != 0 {
			needs = " (needs " + w.Needs.String() + ")"
		}
		for j, line := range wrap(w.Summary+needs, helpColumns-width-6) {
			name := w.Name
			if j > 0 {
				name, mark = "", " "
			}
			fmt.Fprintf(a.stdout, "   %s%-*s  %s\n", mark, width, name, line)
		}
	}
	fmt.Fprintf(a.stdout, "\n  * %s without arguments runs these.\n", a.program)
	return nil
}

func (a *app) listSizes(bool) error {
	a.listEntries(sizes)
	return nil
}

func (a *app) listChoosers(bool) error {
	a.listEntries(choosers)
	return nil
}

func (a *app) listMetrics(bool) error {
	a.listEntries(objectives)
	fmt.Fprint(a.stdout, `
  Before a metric may stand a class (read, write, scan, tx) or kind of operation, and before
  that a workload and an engine: pebble/ycsb-a:update.p999<=5ms

Metrics, in CSV and reports

`)
	var entries []entry
	for _, m := range result.Metrics() {
		text, better := m.Title, "lower is better"
		if m.Better == result.Higher {
			better = "higher is better"
		}
		if m.Unit != "" {
			text += ", " + m.Unit
		}
		entries = append(entries, entry{m.Name, text + "; " + better})
	}
	a.listEntries(entries)
	return nil
}

// sizeNames completes -value.
func sizeNames() []string {
	var names []string
	for _, e := range sizes {
		names = append(names, e.name)
	}
	return names
}

// metricNames completes -slo.
func metricNames() []string {
	var names []string
	latencies := []string{"p50", "p90", "p95", "p99", "p999", "p9999", "max", "mean"}
	for _, class := range []result.Class{result.Read, result.Write, result.Scan, result.Tx} {
		for _, metric := range latencies {
			names = append(names, string(class)+"."+metric+"<=")
		}
		names = append(names, string(class)+".rate>=")
	}
	for _, metric := range append(latencies, "cpu", "allocs", "memory", "written", "space", "settle", "stall", "stalls") {
		names = append(names, metric+"<=")
	}
	return append(names, "rate>=", "mbps>=")
}
