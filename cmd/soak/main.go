package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// Exit statuses.
const (
	statusPassed = iota
	statusFailed
	statusUnusable
)

// settings are what the command line says.
type settings struct {
	duration time.Duration // 0: by amount
	amount   string        // ci or full, if duration is 0
	seed     uint64
	only     []string
	jobs     int
	fuzzTime time.Duration // of each target, with an amount
	race     bool
	keep     string
	failFast bool
}

func parse(args []string, messages io.Writer) (*settings, error) {
	s := new(settings)
	f := flag.NewFlagSet("soak", flag.ContinueOnError)
	f.SetOutput(messages)
	f.DurationVar(&s.duration, "for", 0, "run all checks in turn for this `duration`")
	f.StringVar(&s.amount, "amount", "", "run each check once, in the amounts of `ci` or full")
	f.Uint64Var(&s.seed, "seed", 0, "`number` that all randomness comes from; 0: from the clock")
	f.DurationVar(&s.fuzzTime, "fuzztime", 15*time.Second, "with -amount, the `duration` for each fuzz target")
	only := f.String("only", "", "the `checks` to run, separated by commas: "+strings.Join(names(), ", "))
	f.IntVar(&s.jobs, "jobs", max(1, runtime.NumCPU()/2), "how many test programs run at once; most use two processors")
	f.BoolVar(&s.race, "race", false, "build all with the race detector")
	f.StringVar(&s.keep, "keep", "", "`folder` for what failing tests print (default: a new temporary one)")
	f.BoolVar(&s.failFast, "failfast", false, "end at the first failure")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	switch {
	case f.NArg() > 0:
		return nil, fmt.Errorf("unknown argument %q", f.Arg(0))
	case (s.duration > 0) == (s.amount != ""):
		return nil, errors.New("give either -for or -amount")
	case s.duration < 0 || s.fuzzTime < time.Second || s.jobs < 1:
		return nil, errors.New("-for, -fuzztime and -jobs must be positive, -fuzztime a second at least")
	case s.amount != "" && s.amount != "ci" && s.amount != "full":
		return nil, fmt.Errorf("-amount %s is neither ci nor full", s.amount)
	}
	if s.seed == 0 {
		s.seed = uint64(time.Now().UnixNano())
	}
	if *only != "" {
		s.only = strings.Split(*only, ",")
	}
	return s, known(s.only)
}

// names are those of all checks.
func names() []string {
	var all []string
	for _, c := range checks {
		all = append(all, c.name)
	}
	return append(all, fuzzName)
}

func run(ctx context.Context, args []string, out, messages io.Writer) int {
	s, err := parse(args, messages)
	if errors.Is(err, flag.ErrHelp) {
		return statusPassed
	}
	var sum *summary
	if err == nil {
		sum, err = soak(ctx, s, out)
	}
	if err != nil {
		fmt.Fprintln(messages, "soak:", err)
		return statusUnusable
	}
	if err := sum.print(out); err != nil {
		fmt.Fprintln(messages, "soak:", err)
		return statusUnusable
	}
	if len(sum.Failures) > 0 {
		return statusFailed
	}
	return statusPassed
}
