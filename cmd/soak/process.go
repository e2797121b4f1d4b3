package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/cordwood-db/cordwood/internal/testkit"
)

// outcome is what came of a run of a test program.
type outcome struct {
	figures map[string]int
	rss     int64 // the most memory it had, in bytes; 0: not known
	took    time.Duration
	err     error
	ended   bool   // from outside, before it was done
	output  string // file with all that it printed; only after a failure
}

// grace is how much longer than its slice a test may take before it is ended:
// it finishes the piece of work that it has begun, on a machine under load.
const grace = 15 * time.Minute

// fuzzSeed sets the seed of Go's mutator. What is fuzzed repeats itself only in part
// then: which inputs are built upon depends on coverage, and that on the scheduler.
func fuzzSeed(seed uint64) string {
	flags := fmt.Sprintf("fuzzseed=%d", uint32(seed)>>1)
	if others := os.Getenv("GODEBUG"); others != "" {
		flags = others + "," + flags
	}
	return "GODEBUG=" + flags
}

// start runs a job with a seed: for a slice of time, or, if that is 0, in the
// amount of the settings.
func (j *job) start(ctx context.Context, s *settings, seed uint64, slice time.Duration) outcome {
	args := []string{"-test.timeout=0", "-test.count=1", "-test.paniconexit0"}
	env := append(os.Environ(), fmt.Sprintf("%s=%d", testkit.SeedEnv, seed), "GORACE=atexit_sleep_ms=0")
	limit := slice + grace
	switch {
	case j.fuzz:
		if slice == 0 {
			slice = s.fuzzTime
		}
		limit = slice + grace
		args = append(args, "-test.run=^$", "-test.fuzz=^"+j.run+"$", "-test.fuzztime="+slice.String(), "-test.parallel=1",
			"-test.fuzzminimizetime=20x", // else one input that is interesting may take a minute
			"-test.fuzzcachedir="+filepath.Join(filepath.Dir(j.binary), "corpus", strings.ReplaceAll(j.name, "/", "-")))
		env = append(env, fuzzSeed(seed))
	case slice > 0:
		env = append(env, testkit.SoakEnv+"="+slice.String())
		args = append(args, "-test.run=^"+j.run)
	case s.amount == "full":
		limit = math.MaxInt64
		env = append(env, testkit.SoakEnv+"=full")
		args = append(args, "-test.run=^"+j.run)
	default:
		env = append(env, testkit.CIEnv+"=1")
	}
	limited, cancel := context.WithTimeoutCause(ctx, limit, errors.New("it does not end"))
	defer cancel()
	o := j.wait(limited, s, args, env)
	if ctx.Err() != nil && o.err != nil {
		o.err, o.ended = nil, true
	}
	if j.fuzz && o.err != nil {
		if justEnded(o.output) {
			o.err = nil
		} else if err := j.keepInput(o.output); err != nil {
			o.err = errors.Join(o.err, err)
		}
	}
	return o
}

// failingInput is how a fuzz target names the file with what it failed on.
var failingInput = regexp.MustCompile(`(?m)^\s*Failing input written to (testdata\S+)$`)

// inputShownMax bounds how much of a failing input is printed.
const inputShownMax = 8 << 10

// keepInput adds the input that a fuzz target failed on to what it printed: the tree
// that it was written into may be a machine's that nobody gets to see.
func (j *job) keepInput(output string) error {
	text, err := os.ReadFile(output)
	if err != nil {
		return err
	}
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

// deadline is all that a fuzz target says when the engine of fuzzing takes the
// end of its time for a failure (golang.org/issue/75804, mended in Go 1.27).
var deadline = regexp.MustCompile(`(?m)^--- FAIL: Fuzz\w+ \(.*\)\n    context deadline exceeded\n(FAIL\n)+\z`)

// justEnded reports whether a fuzz target failed for no other reason than that
// its time was over.
func justEnded(output string) bool {
	text, err := os.ReadFile(output)
	return err == nil && deadline.Match(text)
}

// wait runs the program to its end and reads what it prints.
func (j *job) wait(ctx context.Context, s *settings, args, env []string) outcome {
	start := time.Now()
	o := outcome{figures: map[string]int{}}
	log, err := os.CreateTemp(s.keep, strings.ReplaceAll(j.name, "/", "-")+"-*.log")
	if err != nil {
		o.err = err
		return o
	}
	pipe, w := io.Pipe()
	cmd := exec.CommandContext(ctx, j.binary, args...)
	cmd.Dir, cmd.Env = j.dir, env
	cmd.Stdout, cmd.Stderr = w, w
	cmd.WaitDelay = 10 * time.Second
	read := make(chan error, 1)
	go func() { read <- o.read(pipe, log) }()
	o.err = cmd.Run()
	o.err = errors.Join(o.err, w.Close(), <-read, log.Close())
	if o.err != nil && ctx.Err() != nil {
		o.err = context.Cause(ctx)
	}
	o.took, o.rss = time.Since(start), peakMemory(cmd.ProcessState)
	if o.err != nil {
		o.output = log.Name()
	} else {
		o.err = os.Remove(log.Name())
	}
	return o
}

// executions finds how many inputs a fuzz target has had so far.
var executions = regexp.MustCompile(`^fuzz: elapsed: .*execs: (\d+) `)

// fuzzFigure is the name of that.
const fuzzFigure = "fuzz inputs"

// read copies what a program prints and notes its figures.
func (o *outcome) read(r io.Reader, log io.Writer) error {
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadString('\n')
		if _, e := io.WriteString(log, line); e != nil {
			err = e
		}
		if m := executions.FindStringSubmatch(line); m != nil {
			o.figures[fuzzFigure], _ = strconv.Atoi(m[1]) // digits
		}
		if rest, ok := strings.CutPrefix(line, testkit.FigurePrefix); ok {
			name, number, _ := strings.Cut(strings.TrimSpace(rest), ": ")
			n, e := strconv.Atoi(number)
			if e != nil {
				err = errors.Join(err, fmt.Errorf("figure %q: %w", line, e))
			}
			o.figures[name] += n
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			_, _ = io.Copy(io.Discard, r) // the program must not wait for a reader
			return err
		}
	}
}
