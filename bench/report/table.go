package report

import (
	"cmp"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/cordwood-db/cordwood/bench/result"
)

// TableOptions say what a table shows.
type TableOptions struct {
	// Baseline is the engine that others are compared with; empty: the first of
	// the run. One that was not run leaves the comparison out.
	Baseline string
	// Confidence of the intervals; 0: 0.95.
	Confidence float64
	// Kinds adds a line for each class of operation where a workload has several.
	// A table of a single engine always has them.
	Kinds bool
	// Settings lists those of all engines, with the reasons.
	Settings bool
}

// The columns after the names fill a line of lineWidth.
var figures = []column{
	{"ops/s", 10}, {"MB/s", 5}, {"p50", 6}, {"p99", 6}, {"p99.9", 6}, {"max", 6}, {"CPU/op", 6},
	{"alloc", 5}, {"w/put", 5}, {"disk", 5}, {"peak", 5}, {"±", 4},
}

const nameWidth = 19

const notes = `Figures are medians over rounds; ± is how far the fastest and the slowest round are apart, in the
rate. Rates and latencies are of the calls; MB are a million bytes of keys and values. CPU/op and
alloc, the allocations per operation, are the whole process's, client and settling included. w/put
is bytes written to storage for each byte put, disk the bytes on disk for each byte alive, peak
the largest resident memory in MiB. A dash: not known, or nothing to say.
`

// table is a table in the making.
type table struct {
	*printer
	run       *result.Run
	options   TableOptions
	summaries []result.Summary
	ratios    []result.Ratio
	columns   []column
	single    bool // only one engine: workloads are rows, not blocks
	marked    bool // a row stands for fewer rounds than there should be
	kinds     bool // a line for a class was shown
}

// Table writes a run for people: where it was measured, a block for each set, in
// it the engines of each workload below each other, what could not be measured and
// why. Its error is that of w.
func Table(w io.Writer, run *result.Run, o TableOptions) error {
	t := &table{printer: newPrinter(w), run: run, options: o, summaries: result.Summaries(run)}
	engines := engineNames(t.summaries)
	t.single = len(engines) < 2
	t.options.Kinds = o.Kinds || t.single
	if t.options.Baseline == "" && len(engines) > 0 {
		t.options.Baseline = engines[0]
	}
	t.options.Confidence = cmp.Or(o.Confidence, 0.95)
	t.ratios = result.Ratios(t.summaries, t.options.Baseline, t.options.Confidence)
	t.columns = append([]column{{"", nameWidth}}, figures...)

	t.head()
	for i := 0; i < len(t.summaries); {
		n := 1
		for i+n < len(t.summaries) && t.summaries[i+n].Set == t.summaries[i].Set {
			n++
		}
		t.set(t.summaries[i : i+n])
		i += n
	}
	t.tail()
	return t.flush()
}

func engineNames(summaries []result.Summary) []string {
	var names []string
	seen := make(map[string]bool)
	for i := range summaries {
		if name := summaries[i].Engine; !seen[name] {
			seen[name] = true
			names = append(names, name)
		}
	}
	return names
}

// set prints the block of one set.
func (t *table) set(summaries []result.Summary) {
	t.printf("\n%s\n\n", setTitle(t.run, summaries[0].Set))
	t.columns[0].head = "engine"
	if t.single {
		t.columns[0].head = "workload"
	}
	t.printf("%s\n", heads(t.columns))
	for i := 0; i < len(summaries); {
		n := 1
		for i+n < len(summaries) && summaries[i+n].Workload == summaries[i].Workload {
			n++
		}
		t.workload(summaries[i : i+n])
		i += n
	}
}

// setTitle describes a set.
func setTitle(run *result.Run, name string) string {
	for _, s := range run.Sets {
		if s.Name != name {
			continue
		}
		return "SET " + name + ": " + shape(&s)
	}
	return "SET " + name
}

// shape describes a shape of data.
func shape(s *result.Set) string {
	values := s.Values
	if s.ValueBytesMean > 0 && strings.Trim(values, "0123456789 KMGiB") != "" { // not one length for all
		values += fmt.Sprintf(" (mean %s B)", Number(s.ValueBytesMean))
	}
	text := fmt.Sprintf("%s keys of %d bytes, values of %s", Count(uint64(max(s.Keys, 0))), s.KeyBytes, values)
	if s.Compressibility > 0 {
		text += ", compressible to " + Percent(s.Compressibility)
	}
	return text
}

// workload prints the rows of one workload on one set.
func (t *table) workload(summaries []result.Summary) {
	if !t.single {
		t.printf("%s\n", summaries[0].Workload)
	}
	for i := range summaries {
		s := &summaries[i]
		name := "  " + shorten(s.Engine, nameWidth-3)
		if t.single {
			name = s.Workload
		}
		t.summary(name, s)
	}
	if line := t.ratioLine(summaries[0].Set, summaries[0].Workload); line != "" {
		t.printf("%s", line)
	}
}

// summary prints the rows of one engine.
func (t *table) summary(name string, s *result.Summary) {
	if len(s.Phases) == 0 {
		t.printf("%s\n", shortenEnd(fmt.Sprintf("%-*s %s", nameWidth, name, lostText(s.Lost)), lineWidth))
		return
	}
	if s.Partial || len(s.Lost) > 0 {
		name += "!"
		t.marked = true
	}
	t.printf("%s\n", row(t.columns, cells(name, s)))
	if scopes := s.Phases[0].Scopes(); t.options.Kinds && len(s.Phases[0].Kinds) > 1 {
		t.kinds = true
		for _, scope := range scopes {
			if only(s.Phases[0], scope) {
				t.printf("%s\n", row(t.columns, scopedCells("    "+scope, s, scope)))
			}
		}
	}
}

// only reports whether a scope deserves a line: a kind, or a class that is the
// only name of a kind.
func only(p *result.Phase, scope string) bool {
	for i := range p.Kinds {
		if p.Kinds[i].Name == scope {
			return true
		}
	}
	return false
}

// cells are the figures of a summary.
func cells(name string, s *result.Summary) []string {
	of := func(metric string, format func(float64) string) string { return figure(s, metric, format) }
	spread := unknown
	if rate := s.Stats["rate"]; rate.N > 1 {
		spread = fmt.Sprintf("%.0f%%", min(999, 100*rate.Spread()))
	}
	return append(scopedCells(name, s, "")[:7], of("cpu_us", micros), of("allocs", compact),
		of("written_per_byte", compact), of("disk_per_live", compact), of("peak_bytes", mebibytes), spread)
}

// scopedCells are those that a class or kind has; the others are empty.
func scopedCells(name string, s *result.Summary, scope string) []string {
	prefix := ""
	if scope != "" {
		prefix = scope + "."
	}
	of := func(metric string, format func(float64) string) string { return figure(s, prefix+metric, format) }
	rate := ""
	if scope == "" {
		rate = of("mb_s", compact)
	}
	return []string{name, of("rate", Number), rate, of("p50_us", micros), of("p99_us", micros), of("p999_us", micros),
		of("max_us", micros), "", "", "", "", "", ""}
}

func figure(s *result.Summary, metric string, format func(float64) string) string {
	stat, ok := s.Stats[metric]
	if !ok {
		return unknown
	}
	return format(stat.Median)
}

// compact fits into five columns up to 99,999.
func compact(v float64) string {
	if v < 999.5 {
		return plain(v)
	}
	return strings.ReplaceAll(Number(v), ",", "")
}

func mebibytes(v float64) string { return strconv.FormatInt(int64(v/(1<<20)+0.5), 10) }

// ratioLine compares rates with the baseline's.
func (t *table) ratioLine(set, workload string) string {
	var parts []string
	for _, r := range t.ratios {
		if r.Set == set && r.Workload == workload && r.Metric == "rate" {
			parts = append(parts, fmt.Sprintf("%s\u00a0%s", r.Engine, ratioText(r)))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	line := wrapped("  ", fmt.Sprintf("rate against %s: %s", t.options.Baseline, strings.Join(parts, ", ")), 4)
	return strings.ReplaceAll(line, "\u00a0", " ")
}

// ratioText writes a ratio with its interval: 1.23 [1.10–1.38].
func ratioText(r result.Ratio) string {
	if !r.Interval {
		return plain(r.Mean)
	}
	return fmt.Sprintf("%s\u00a0[%s–%s]", plain(r.Mean), plain(r.Low), plain(r.High))
}

// lostText tells why a summary has no figures.
func lostText(lost []result.Lost) string {
	for _, l := range lost {
		if !l.Skipped {
			return "failed: " + oneLine(l.Reason)
		}
	}
	if len(lost) == 0 {
		return "nothing measured"
	}
	return "skipped: " + oneLine(lost[0].Reason)
}

// oneLine removes what would break a table.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

func shortenEnd(text string, width int) string {
	if runes := []rune(text); len(runes) > width {
		return string(runes[:width-1]) + "…"
	}
	return text
}

// PhaseLine is one line about a phase that has just ended, for progress on
// something that is no terminal.
func PhaseLine(p *result.Phase) string {
	name := fmt.Sprintf("%s %s %s, round %d: ", p.Engine, p.Set, p.Workload, p.Round)
	switch {
	case p.Skipped != "":
		return name + "skipped: " + oneLine(p.Skipped)
	case p.Failed != "":
		return name + "FAILED: " + oneLine(p.Failed)
	}
	latency := p.Latency("")
	v := p.Values()
	line := fmt.Sprintf("%s%s ops/s, p50 %s, p99 %s, max %s", name, Number(v["rate"]), Duration(latency.At(50)),
		Duration(latency.At(99)), Duration(latency.Max()))
	if n := len(p.Stalls); n > 0 {
		line += fmt.Sprintf(", stalled for %s", seconds(v["stall_s"]))
	}
	line += fmt.Sprintf(" (%s in %s)", Count(p.Operations), Duration(time.Duration(p.Seconds*1e9)))
	if p.Partial {
		line += ", interrupted"
	}
	return line
}
