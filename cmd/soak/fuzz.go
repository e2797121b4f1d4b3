package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cordwood-db/cordwood/internal/testkit"
)

// fuzzLonger is by how much a fuzz target's time may grow until one of its inputs
// is tried.
const fuzzLonger = 64

// fuzzing runs a fuzz target for a slice of time, or, if that is 0, for the time of
// the settings. On a machine that is slow, or busy, all of that may go into the
// inputs that are known: then it gets twice the time, until it has tried others.
func (j *job) fuzzing(ctx context.Context, s *settings, seed uint64, slice time.Duration) outcome {
	if slice > 0 {
		return j.fuzzFor(ctx, s, seed, slice)
	}
	start := time.Now()
	for slice = s.fuzzTime; ; slice *= 2 {
		o := j.fuzzFor(ctx, s, seed, slice)
		o.took = time.Since(start)
		if o.err != nil || o.ended || o.figures[fuzzFigure] > o.known {
			return o
		}
		if slice >= fuzzLonger*s.fuzzTime {
			o.err = fmt.Errorf("in %v it tries no input", slice)
			return o
		}
	}
}

// fuzzFor runs a fuzz target for some time.
func (j *job) fuzzFor(ctx context.Context, s *settings, seed uint64, slice time.Duration) outcome {
	args := append(slices.Clone(always), "-test.run=^$", "-test.fuzz=^"+j.run+"$", "-test.fuzztime="+slice.String(), "-test.parallel=1",
		"-test.fuzzminimizetime=20x", // else one input that is interesting may take a minute
		"-test.fuzzcachedir="+filepath.Join(filepath.Dir(j.binary), "corpus", strings.ReplaceAll(j.name, "/", "-")))
	env := append(os.Environ(), fmt.Sprintf("%s=%d", testkit.SeedEnv, seed), fuzzSeed(seed))
	o := j.limited(ctx, s, slice+grace, args, env)
	if o.err == nil {
		return o
	}
	text, err := os.ReadFile(o.output)
	switch {
	case err != nil:
		o.err = errors.Join(o.err, err)
	case deadline.Match(text):
		o.err = nil // its time was over
	case tookLong(text) && j.passesAlone(ctx, text):
		o.err = nil
	default:
		if err := j.keepInput(o.output, text); err != nil {
			o.err = errors.Join(o.err, err)
		}
	}
	return o
}

// fuzzSeed sets the seed of Go's mutator. What is fuzzed repeats itself only in part
// then: which inputs are built upon depends on coverage, and that on the scheduler.
func fuzzSeed(seed uint64) string {
	flags := fmt.Sprintf("fuzzseed=%d", uint32(seed)>>1)
	if others := os.Getenv("GODEBUG"); others != "" {
		flags = others + "," + flags
	}
	return "GODEBUG=" + flags
}

// deadline is all that a fuzz target says when the engine of fuzzing takes the
// end of its time for a failure (golang.org/issue/75804, mended in Go 1.27).
var deadline = regexp.MustCompile(`(?m)^--- FAIL: Fuzz\w+ \(.*\)\n    context deadline exceeded\n(FAIL\n)+\z`)

// failingInput is how a fuzz target names the file with what it failed on.
var failingInput = regexp.MustCompile(`(?m)^\s*Failing input written to (testdata\S+)$`)

// inputShownMax bounds how much of a failing input is printed.
const inputShownMax = 8 << 10

// keepInput adds the input that a fuzz target failed on to the text that it printed:
// the tree that it was written into may be a machine's that nobody gets to see.
func (j *job) keepInput(output string, text []byte) error {
	m := failingInput.FindSubmatch(text)
	if m == nil {
		return nil
	}
	input, err := os.ReadFile(filepath.Join(j.dir, string(m[1])))
	if err != nil {
		return err
	}
	text = append(text, input[:min(len(input), inputShownMax)]...)
	return os.WriteFile(output, text, 0o666)
}

// progress is what a fuzz target prints every few seconds, and at the end.
var progress = regexp.MustCompile(`(?m)^fuzz: elapsed: (\w+), (.*?: \d+)`)

// stillMax is for how long a fuzz target always gets on. The engine of fuzzing takes
// an input that needs more than 10 seconds for one that hangs, and ends the process;
// what was done before that is told only after 3 seconds, or more.
const stillMax = 5 * time.Second

// tookLong reports whether a fuzz target may have failed only because an input has
// taken too long: the process has ended, and for so long nothing had got on.
func tookLong(text []byte) bool {
	if !strings.Contains(string(text), "fuzzing process hung or terminated unexpectedly: exit status 2") {
		return false
	}
	var since time.Duration
	var at, last string
	for _, m := range progress.FindAllSubmatch(text, -1) {
		if last != string(m[2]) {
			at, last = string(m[1]), string(m[2])
		}
		first, err := time.ParseDuration(at)
		now, err2 := time.ParseDuration(string(m[1]))
		if err != nil || err2 != nil {
			return false
		}
		since = now - first
	}
	return since >= stillMax
}

// seedInput is how a fuzz target names an input that it had before, on which it failed.
var seedInput = regexp.MustCompile(`(?m)^failure while testing seed corpus entry: \w+/(\S+)$`)

// aloneTimes is how often an input that took long has to pass.
const aloneTimes = 20

// passesAlone reports whether the input that a fuzz target took too long for passes
// when it is run without a limit that only a fast machine keeps. It is no failure
// then, and not kept.
func (j *job) passesAlone(ctx context.Context, text []byte) bool {
	file, name := "", ""
	if m := failingInput.FindSubmatch(text); m != nil {
		file = filepath.Join(j.dir, filepath.FromSlash(string(m[1])))
		name = filepath.Base(file)
	} else if m := seedInput.FindSubmatch(text); m != nil {
		name = string(m[1])
	} else {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	args := append(slices.Clone(always), "-test.v", "-test.run=^"+j.run+"$/^"+regexp.QuoteMeta(name)+"$")
	for range aloneTimes {
		cmd := exec.CommandContext(ctx, j.binary, args...)
		cmd.Dir = j.dir
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "--- PASS: "+j.run+"/"+name) {
			return false
		}
	}
	return file == "" || os.Remove(file) == nil
}

// executions finds how many inputs a fuzz target has had so far.
var executions = regexp.MustCompile(`^fuzz: elapsed: .*execs: (\d+) `)

// fuzzFigure is the name of that.
const fuzzFigure = "fuzz inputs"

// knownInputs finds how many it begins with.
var knownInputs = regexp.MustCompile(`^fuzz: elapsed: .* (?:baseline coverage|seed corpus): \d+/(\d+) completed`)

// count notes how many inputs a fuzz target has had, if the line says so.
func (o *outcome) count(line string) {
	if m := executions.FindStringSubmatch(line); m != nil {
		o.figures[fuzzFigure], _ = strconv.Atoi(m[1]) // digits
	} else if m := knownInputs.FindStringSubmatch(line); m != nil {
		o.known, _ = strconv.Atoi(m[1])
	}
}
