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
	"slices"
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
	known   int    // inputs that a fuzz target begins with
}

// grace is how much longer than its slice a test may take before it is ended:
// it finishes the piece of work that it has begun, on a machine under load.
const grace = 15 * time.Minute

// amountMax is how long the amount of a submission may take. That is minutes, but
// for what hangs.
const amountMax = 2 * time.Hour

// start runs a job with a seed: for a slice of time, or, if that is 0, in the
// amount of the settings.
func (j *job) start(ctx context.Context, s *settings, seed uint64, slice time.Duration) outcome {
	if j.fuzz {
		return j.fuzzing(ctx, s, seed, slice)
	}
	args := slices.Clone(always)
	env := append(os.Environ(), fmt.Sprintf("%s=%d", testkit.SeedEnv, seed), "GORACE=atexit_sleep_ms=0")
	limit := slice + grace
	switch {
	case slice > 0:
		env = append(env, testkit.SoakEnv+"="+slice.String())
		args = append(args, "-test.run=^"+j.run)
	case s.amount == "full":
		limit = math.MaxInt64
		env = append(env, testkit.SoakEnv+"=full")
		args = append(args, "-test.run=^"+j.run)
	default:
		limit = amountMax
		env = append(env, testkit.CIEnv+"=1")
	}
	return j.limited(ctx, s, limit, args, env)
}

// always are the flags of all test programs.
var always = []string{"-test.timeout=0", "-test.count=1", "-test.paniconexit0"}

// limited runs the program to its end, or until a time is over.
func (j *job) limited(ctx context.Context, s *settings, limit time.Duration, args, env []string) outcome {
	limited, cancel := context.WithTimeoutCause(ctx, limit, errors.New("it does not end"))
	defer cancel()
	o := j.wait(limited, s, args, env)
	if ctx.Err() != nil && o.err != nil {
		o.err, o.ended = nil, true
	}
	return o
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
	cmd.WaitDelay = time.Minute
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

// read copies what a program prints and notes its figures.
func (o *outcome) read(r io.Reader, log io.Writer) error {
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadString('\n')
		if _, e := io.WriteString(log, line); e != nil {
			err = e
		}
		o.count(line)
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
