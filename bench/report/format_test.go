package report

import (
	"errors"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/cordwood-db/cordwood/bench/result"
)

func TestNumbersHaveThreeDigits(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", 1: "1.00", 1.234: "1.23", 9.994: "9.99", 9.996: "10.0", 12.34: "12.3", 99.96: "100", 123.4: "123",
		999.4: "999", 999.6: "1,000", 1234: "1,230", 12345: "12,300", 1234567: "1,230,000", 0.5: "0.500",
		0.01234: "0.0123", 0.0001234: "0.000123", 1e-9: "1.00e-09", -1234: "-1,230", 1e20: "1.00e+20", 10: "10.0",
		100: "100", 1000: "1,000", math.Inf(1): "∞",
	} {
		if got := Number(v); got != want {
			t.Errorf("Number(%v) = %q, want %q", v, got, want)
		}
	}
	if got := Number(math.NaN()); got != "-" {
		t.Errorf("not a number is %q", got)
	}
}

func TestCountsHaveCommas(t *testing.T) {
	for n, want := range map[uint64]string{0: "0", 999: "999", 1000: "1,000", 123456: "123,456", 1234567: "1,234,567",
		math.MaxUint64: "18,446,744,073,709,551,615"} {
		if got := Count(n); got != want {
			t.Errorf("Count(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestDurationsAreShort(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0ns", 870: "870ns", 999: "999ns", 1000: "1.00µs", 1254: "1.25µs", 999_400: "999µs", 999_600: "1.00ms",
		13 * time.Millisecond: "13.0ms", 2500 * time.Millisecond: "2.50s", 95 * time.Second: "95.0s",
		12*time.Minute + 5*time.Second: "12m05s", time.Hour - time.Millisecond: "1h00m",
		3*time.Hour + 20*time.Minute: "3h20m", -2 * time.Second: "-2.00s", math.MinInt64: "-2562047h47m",
	} {
		if got := Duration(d); got != want {
			t.Errorf("Duration(%d) = %q, want %q", d, got, want)
		}
	}
}

func TestSizesAreBinary(t *testing.T) {
	for v, want := range map[float64]string{0: "0 B", 512: "512 B", 999: "999 B", 1000: "0.98 KiB", 1536: "1.50 KiB",
		64 << 20: "64.0 MiB", 5e12: "4.55 TiB", 1e30: "888,000,000,000,000 PiB", -2048: "-2.00 KiB"} {
		if got := Size(v); got != want {
			t.Errorf("Size(%v) = %q, want %q", v, got, want)
		}
	}
}

func TestPercentages(t *testing.T) {
	for v, want := range map[float64]string{0: "0.0%", 0.053: "5.3%", -0.031: "-3.1%", 0.5: "50%", 2.34: "234%", 123.4: "12,340%", math.Inf(1): "∞"} {
		if got := Percent(v); got != want {
			t.Errorf("Percent(%v) = %q, want %q", v, got, want)
		}
	}
}

func TestValuesHaveTheirUnit(t *testing.T) {
	for _, m := range result.Metrics() {
		want := map[string]string{"ops/s": "1,230 ops/s", "/s": "1,230 /s", "MB/s": "1,230 MB/s", "µs": "1.23ms", "ns": "1.23µs",
			"s": "20m34s", "B": "1.21 KiB", "": "1,230"}[m.Unit]
		if got := Value(1234, m.Unit); got != want {
			t.Errorf("%s: %q, want %q", m.Name, got, want)
		}
	}
}

func TestLongNamesLoseTheirMiddle(t *testing.T) {
	for _, c := range []struct {
		text  string
		width int
		want  string
	}{{"pebble", 6, "pebble"}, {"cordwood@./old-build/kvbench", 15, "cordwoo…kvbench"}, {"µµµµµµ", 5, "µµ…µµ"}, {"abcdef", 4, "ab…f"}} {
		if got := shorten(c.text, c.width); got != c.want {
			t.Errorf("shorten(%q, %d) = %q, want %q", c.text, c.width, got, c.want)
		}
	}
}

func TestPhaseLines(t *testing.T) {
	p := result.Phase{Engine: "e", Set: "1KiB", Workload: "w", Round: 2, Operations: 12345, Seconds: 2,
		Stalls: []result.Stall{{Seconds: 0.5}}, Kinds: []result.Kind{{Name: "read", Class: result.Read}}}
	p.Kinds[0].Latency.Record(10*time.Microsecond, 12345)
	for _, c := range []struct {
		change func()
		want   string
	}{
		{func() {}, "e 1KiB w, round 2: 6,170 ops/s, p50 10.0µs, p99 10.0µs, max 10.0µs, stalled for 500ms (12,345 in 2.00s)"},
		{func() { p.Stalls, p.Partial = nil, true }, "e 1KiB w, round 2: 6,170 ops/s, p50 10.0µs, p99 10.0µs, max 10.0µs (12,345 in 2.00s), interrupted"},
		{func() { p.Failed = "no\nspace" }, "e 1KiB w, round 2: FAILED: no space"},
		{func() { p.Skipped = "needs TTL" }, "e 1KiB w, round 2: skipped: needs TTL"},
	} {
		c.change()
		if got := PhaseLine(&p); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

// full is a writer without room.
type full struct{}

var errFull = errors.New("no space")

func (full) Write([]byte) (int, error) { return 0, errFull }

func TestErrorsOfWritingAreReturned(t *testing.T) {
	run := saved(t)
	for name, write := range map[string]func(io.Writer) error{
		"Table":       func(w io.Writer) error { return Table(w, run, TableOptions{}) },
		"CSV":         func(w io.Writer) error { return CSV(w, run) },
		"GoBench":     func(w io.Writer) error { return GoBench(w, run) },
		"Verdicts":    func(w io.Writer) error { return Verdicts(w, nil) },
		"Regressions": func(w io.Writer) error { return Regressions(w, new(result.Regressions)) },
	} {
		if err := write(full{}); !errors.Is(err, errFull) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestControlCharactersDoNotReachATerminal(t *testing.T) {
	run := &result.Run{Header: result.Header{Title: "\x1b]0;owned\x07"}, Phases: []result.Phase{
		{Engine: "\x1b[2Jx", Workload: "w\x9b", Set: "\r", Skipped: "\x1b[31m", Notes: []string{"\x1b"}}}}
	var b strings.Builder
	if err := Table(&b, run, TableOptions{Settings: true}); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(b.String(), "\x1b\x07\r\u009b") {
		t.Errorf("%q", b.String())
	}
}
