package progress

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"
)

// example is an update with everything in it.
func example() Update {
	return Update{Engine: "pebble-valsep", Set: "1KiB", Workload: "readwhilewriting", Round: 2, Rounds: 3, Phase: 12, Phases: 27,
		State: "running", Fraction: 0.61, Overall: 0.43, Rate: 231_000, P99: 12_300, Elapsed: time.Minute, Left: 80 * time.Second}
}

func TestLinesAreNeverWiderThanTheTerminal(t *testing.T) {
	u := example()
	for columns := range 200 {
		for _, line := range []string{overallLine(u, columns), phaseLine(u, columns), fit(u.stall(), columns)} {
			if n := utf8.RuneCountInString(line); n > columns {
				t.Errorf("%d columns: %q has %d", columns, line, n)
			}
		}
	}
}

func TestLinesTellEverythingWhereThereIsRoom(t *testing.T) {
	u := example()
	want := "[=================                       ]  43%  phase 12 of 27, 1m20s left"
	if got := overallLine(u, 100); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	want = "pebble-valsep, 1KiB, readwhilewriting, round 2 of 3: running 61%, 231,000/s, p99 12.3µs"
	if got := phaseLine(u, 100); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	for columns, want := range map[int]string{
		70: "pebble-valsep readwhilewriting: running 61%, 231,000/s, p99 12.3µs",
		60: "readwhilewriting: running 61%, 231,000/s, p99 12.3µs",
		40: "running 61%, 231,000/s, p99 12.3µs",
		20: "running 61%, 231,0…",
	} {
		if got := phaseLine(u, columns); got != want && !(columns == 20 && strings.HasPrefix(got, "running 61%, 231")) {
			t.Errorf("%d columns: got %q, want %q", columns, got, want)
		}
	}
	if got := overallLine(u, 40); got != "43%  phase 12 of 27, 1m20s left" {
		t.Errorf("got %q", got)
	}
	u.Stalled, u.Busy = 1800*time.Millisecond, "L0 has 21 files"
	if got := u.stall(); got != "stalled for 1.8s: L0 has 21 files" || !u.stalled() {
		t.Errorf("got %q", got)
	}
}

func TestNumbers(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{rate(9.12), "9.1/s"}, {rate(231_000), "231,000/s"}, {rate(1e6), "1,000,000/s"},
		{latency(870), "870ns"}, {latency(12_340), "12.3µs"}, {latency(999_999), "999µs"}, {latency(1_250_000), "1.25ms"}, {latency(2 * time.Second), "2.00s"},
		{clock(7 * time.Second), "7s"}, {clock(80 * time.Second), "1m20s"}, {clock(2*time.Hour + 5*time.Minute), "2h05m"},
		{clock(59*time.Second + 700*time.Millisecond), "1m00s"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}

func TestPlainLinesAreFew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		d := New(&out, false, func(string) string { return "" })
		u := example()
		for range 100 { // 25 seconds
			d.Update(u)
			time.Sleep(250 * time.Millisecond)
		}
		u.Workload = "readrandom"
		d.Update(u)
		d.Print("done")
		d.Close()
		lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
		if len(lines) != 1+6+1+1 {
			t.Errorf("%d lines:\n%s", len(lines), out.String())
		}
		if strings.Contains(out.String(), "\x1b") || strings.Contains(out.String(), "\r") {
			t.Errorf("escape sequences in %q", out.String())
		}
		if lines[0] != "pebble-valsep, 1KiB, readwhilewriting, round 2 of 3 (phase 12 of 27, 1m20s left)" ||
			!strings.Contains(lines[1], "running 61%, 231,000/s, p99 12.3µs") || lines[len(lines)-1] != "done" {
			t.Errorf("lines:\n%s", out.String())
		}
	})
}

func TestQuietIsQuiet(t *testing.T) {
	var out bytes.Buffer
	d := New(&out, true, func(string) string { return "" })
	d.Update(example())
	d.Print("line")
	d.Close()
	if out.Len() > 0 {
		t.Errorf("it wrote %q", out.String())
	}
}
