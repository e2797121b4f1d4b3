package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cordwood-db/cordwood/internal/testkit"
)

// summary is what a soak has done. Its JSON form is the last line of output.
type summary struct {
	Type     string           `json:"type"` // summary
	Result   string           `json:"result"`
	Seed     uint64           `json:"seed"`
	Seconds  float64          `json:"seconds"`
	Revision string           `json:"revision"` // of the tree; + at its end: with changes
	Go       string           `json:"go"`
	Runs     int              `json:"runs"`
	Figures  map[string]total `json:"figures"`
	Failures []failure        `json:"failures"`

	mu          sync.Mutex
	start       time.Time
	interrupted bool
}

// total is the sum of a figure, and what the contract asks for.
type total struct {
	Done int `json:"done"`
	CI   int `json:"ci,omitempty"`
	Full int `json:"full,omitempty"`
}

// failure is a run that has failed.
type failure struct {
	Check  string `json:"check"`
	Error  string `json:"error"`
	Repeat string `json:"repeat,omitempty"` // a command
	Output string `json:"output,omitempty"` // a file
}

func newSummary(s *settings, t *tree) *summary {
	return &summary{Type: "summary", Seed: s.seed, Go: runtime.Version(), Revision: revision(t.root), start: time.Now(),
		Figures: map[string]total{}, Failures: []failure{}}
}

// revision is the commit of a tree, if that is known.
func revision(root string) string {
	git := func(args ...string) string {
		out, err := exec.Command("git", append([]string{"-C", root}, args...)...).Output()
		if err != nil {
			return ""
		}
		return string(bytes.TrimSpace(out))
	}
	commit := git("rev-parse", "--short=12", "HEAD")
	if commit != "" && git("status", "--porcelain", "-uno") != "" {
		commit += "+"
	}
	return commit
}

// add counts a run and returns the line of progress about it.
func (sum *summary) add(t *task, o *outcome, amount string) string {
	sum.mu.Lock()
	defer sum.mu.Unlock()
	sum.Runs++
	if o.ended {
		sum.interrupted = true
	}
	var shown []string
	for _, name := range slices.Sorted(maps.Keys(o.figures)) {
		f := sum.Figures[name]
		f.Done += o.figures[name]
		f.CI, f.Full = asked(name)
		sum.Figures[name] = f
		shown = append(shown, fmt.Sprintf("%s %d", name, o.figures[name]))
	}
	if o.err != nil {
		sum.Failures = append(sum.Failures, failure{Check: t.name, Error: o.err.Error(), Output: o.output, Repeat: t.repeat(amount)})
		shown = append(shown, o.err.Error(), t.repeat(amount), "\n"+tail(o.output))
	}
	return t.line(o, time.Since(sum.start), strings.Join(shown, "  "))
}

// verify notes what did less than it was asked for, in the amounts of CI.
func (sum *summary) verify(s *settings) {
	if s.amount != "ci" || sum.interrupted || len(sum.Failures) > 0 {
		return
	}
	for _, c := range checks {
		for _, f := range c.figures {
			if done := sum.Figures[f.name].Done; s.wants(c.name) && done < f.ci {
				sum.Failures = append(sum.Failures, failure{Check: c.name, Error: fmt.Sprintf("%s: %d, not %d", f.name, done, f.ci)})
			}
		}
	}
}

// asked is how much of a figure the contract asks for.
func asked(name string) (ci, full int) {
	for _, c := range checks {
		for _, f := range c.figures {
			if f.name == name {
				return f.ci, f.full
			}
		}
	}
	return 0, 0
}

// repeat is the command that repeats a run.
func (t *task) repeat(amount string) string {
	switch {
	case t.fuzz:
		return t.again
	case amount == "ci":
		return fmt.Sprintf("%s=1 %s=%d %s", testkit.CIEnv, testkit.SeedEnv, t.seed, t.again)
	case amount == "full":
		return fmt.Sprintf("%s=full %s=%d %s", testkit.SoakEnv, testkit.SeedEnv, t.seed, t.again)
	}
	return fmt.Sprintf("%s=%v %s=%d %s", testkit.SoakEnv, t.slice, testkit.SeedEnv, t.seed, t.again)
}

// tailBytes is how much of what a failing test printed is shown.
const tailBytes = 16 << 10

// tail is the end of a file.
func tail(name string) string {
	if name == "" {
		return ""
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return err.Error()
	}
	if len(b) > tailBytes {
		b = append([]byte("...\n"), b[len(b)-tailBytes:]...)
	}
	return string(b)
}

// print prints a table of the figures, and the summary as JSON.
func (sum *summary) print(out io.Writer) error {
	switch {
	case len(sum.Failures) > 0:
		sum.Result = "failed"
	case sum.interrupted:
		sum.Result = "interrupted"
	default:
		sum.Result = "passed"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\n%-24s %14s %14s %14s\n", "figure", "done", "asked in CI", "asked in full")
	for _, name := range slices.Sorted(maps.Keys(sum.Figures)) {
		f := sum.Figures[name]
		fmt.Fprintf(&b, "%-24s %14d %14d %14d\n", name, f.Done, f.CI, f.Full)
	}
	line, err := json.Marshal(sum)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%s%s\n", b.String(), line)
	return err
}
