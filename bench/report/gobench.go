package report

import (
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/cordwood-db/cordwood/bench/result"
)

// benchPackage is what results name as the package that was measured.
const benchPackage = "github.com/cordwood-db/cordwood/bench"

// benchUnit is a figure of a line in Go's benchmark format. In a unit that begins
// or ends with ns as a word, tools show seconds.
type benchUnit struct {
	unit   string
	metric string
	factor float64 // from the metric's unit
	better string  // said in a line of its own; empty: tools know
}

var benchUnits = []benchUnit{
	{"MB/s", "mb_s", 1, ""},
	{"p50-ns/op", "p50_us", 1e3, "lower"},
	{"p99-ns/op", "p99_us", 1e3, "lower"},
	{"p99.9-ns/op", "p999_us", 1e3, "lower"},
	{"max-ns/op", "max_us", 1e3, "lower"},
	{"cpu-ns/op", "cpu_us", 1e3, "lower"},
	{"B/op", "alloc_bytes", 1, ""},
	{"allocs/op", "allocs", 1, ""},
	{"written-B/put-B", "written_per_byte", 1, "lower"},
	{"disk-B/live-B", "disk_per_live", 1, "lower"},
	{"peak-B", "peak_bytes", 1, "lower"},
}

// GoBench writes a run in Go's benchmark format (golang.org/design/14313-benchmark-format),
// which benchstat reads. Each phase that was run to its end is a line, so that
// rounds are samples:
//
//	BenchmarkReadrandom/set=1KiB/engine=pebble-2  1000000  1040 ns/op  2400 p99-ns/op …
//
// ns/op is the length of the phase divided by the number of operations of all
// clients. A phase with several kinds of operation has a line for each as well,
// marked /op=KIND. Its error is that of w.
func GoBench(w io.Writer, run *result.Run) error {
	p := newPrinter(w)
	m := &run.Machine
	for _, line := range [][2]string{{"goos", m.OS}, {"goarch", m.Arch}, {"pkg", benchPackage}, {"cpu", oneLine(m.CPU)}} {
		if line[1] != "" {
			p.printf("%s: %s\n", line[0], line[1])
		}
	}
	for _, u := range benchUnits {
		if u.better != "" {
			p.printf("Unit %s better=%s\n", u.unit, u.better)
		}
	}
	for i := range run.Phases {
		phase := &run.Phases[i]
		if phase.Skipped != "" || phase.Failed != "" || phase.Partial {
			continue
		}
		name := "Benchmark" + upperFirst(benchName(phase.Workload)) + "/set=" + benchName(phase.Set) + "/engine=" + benchName(phase.Engine)
		p.benchLine(name, m.Processors, phase.Operations, phase.Seconds, phase.Values())
		for j := range phase.Kinds {
			if k := &phase.Kinds[j]; len(phase.Kinds) > 1 {
				p.benchLine(name+"/op="+benchName(k.Name), m.Processors, k.Operations, phase.Seconds, kindValues(phase, k))
			}
		}
	}
	return p.flush()
}

// benchLine prints one line, none without operations.
func (p *printer) benchLine(name string, processors int, operations uint64, seconds float64, values map[string]float64) {
	if operations == 0 {
		return
	}
	if processors > 1 {
		name += "-" + strconv.Itoa(processors)
	}
	p.printf("%s\t%d\t%s ns/op", name, operations, sixDigits(seconds*1e9/float64(operations)))
	for _, u := range benchUnits {
		if v, ok := values[u.metric]; ok {
			p.printf("\t%s %s", sixDigits(v*u.factor), u.unit)
		}
	}
	p.printf("\n")
}

// benchName makes a text a part of a benchmark's name: without spaces, which end
// it, and slashes, which divide it.
func benchName(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '/' || unicode.IsSpace(r) || !unicode.IsPrint(r) {
			return '_'
		}
		return r
	}, text)
}

// upperFirst makes the first letter a capital: a benchmark's name may not go on
// with a small one.
func upperFirst(text string) string {
	r, n := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(r)) + text[n:]
}

// sixDigits writes a number with up to six digits, without an exponent.
func sixDigits(v float64) string {
	rounded, _ := strconv.ParseFloat(strconv.FormatFloat(v, 'e', 5, 64), 64)
	return decimal(rounded)
}
