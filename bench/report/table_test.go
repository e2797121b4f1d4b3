package report

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/cordwood-db/cordwood/bench/result"
)

var update = flag.Bool("update", false, "write the golden files")

// saved is a run of three engines, with skipped and failed phases and stalls.
func saved(t *testing.T) *result.Run {
	t.Helper()
	run, err := result.ReadFile(filepath.Join("..", "result", "testdata", "run-v1.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	return run
}

// golden compares what was written with a file under testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want = bytes.ReplaceAll(want, []byte("\r\n"), []byte("\n"))
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs (write it with -update and look at the difference):\n%s", path, got)
	}
}

// only leaves the phases that keep wants.
func filtered(run *result.Run, keep func(*result.Phase) bool) *result.Run {
	part := *run
	part.Phases = nil
	for i := range run.Phases {
		if keep(&run.Phases[i]) {
			part.Phases = append(part.Phases, run.Phases[i])
		}
	}
	return &part
}

func TestTables(t *testing.T) {
	run := saved(t)
	for i := range run.Phases {
		if p := &run.Phases[i]; p.Workload == "readrandom" && p.Engine != "bbolt" {
			p.Notes = []string{"the data fits into the page cache"}
		}
	}
	one := filtered(run, func(p *result.Phase) bool { return p.Engine == "cordwood" && p.Round == 1 })
	one.Engines, one.Rounds, one.Footer = run.Engines[:1], 1, &result.Footer{}
	cut := filtered(run, func(p *result.Phase) bool { return p.Set == "100" && p.Round == 1 })
	cut.Footer = nil
	for i := range cut.Phases {
		if p := &cut.Phases[i]; p.Workload == "readrandom" && p.Engine == "pebble" {
			p.Partial = true
		}
	}
	cases := []struct {
		name    string
		run     *result.Run
		options TableOptions
	}{
		{"compare.txt", run, TableOptions{Settings: true}},
		{"kinds.txt", run, TableOptions{Baseline: "pebble", Confidence: 0.9, Kinds: true}},
		{"single.txt", one, TableOptions{}},
		{"cut.txt", cut, TableOptions{}},
		{"empty.txt", &result.Run{}, TableOptions{}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var b bytes.Buffer
			if err := Table(&b, c.run, c.options); err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(b.String()) {
				if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > lineWidth {
					t.Errorf("%d columns: %s", n, line)
				}
				if strings.HasSuffix(line, " \n") {
					t.Errorf("spaces at the end: %q", line)
				}
			}
			golden(t, c.name, b.Bytes())
		})
	}
}
