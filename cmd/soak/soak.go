package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// A soak by time makes rounds of about this length, if it is long enough: every
// check has its turn early, and again and again with new seeds.
const roundMax = 20 * time.Minute

// fuzzAtOnce is how many fuzz targets run, with an amount, in the place of one
// check. They take a time, not an amount of work: a share of the processor is
// enough for each to have all inputs that are known and to look farther.
const fuzzAtOnce = 4

// task is a run of a job that is to be made.
type task struct {
	*job
	seed  uint64
	slice time.Duration
}

// soak runs the checks that the settings name and sums up. An error means that
// it could not, not that a check has failed.
func soak(ctx context.Context, s *settings, out io.Writer) (sum *summary, err error) {
	bin, err := os.MkdirTemp("", "cordwood-soak-bin-*")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(bin)) }()
	if s.keep == "" {
		s.keep, err = os.MkdirTemp("", "cordwood-soak-*")
	} else {
		err = os.MkdirAll(s.keep, 0o755)
	}
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(out, "seed %d; what failing tests print goes to %s\nbuilding\n", s.seed, s.keep)
	t, err := findTree(ctx, bin, s.race)
	if err != nil {
		return nil, err
	}
	jobs, err := t.jobs(ctx, s)
	if err != nil {
		return nil, err
	}
	sum = newSummary(s, t)
	if s.amount == "" {
		sum.work(ctx, s, jobs, s.jobs, out)
		return sum, nil
	}
	targets := slices.IndexFunc(jobs, func(j job) bool { return j.fuzz })
	if targets < 0 {
		targets = len(jobs)
	}
	sum.work(ctx, s, jobs[:targets], s.jobs, out)
	if len(sum.Failures) == 0 || !s.failFast {
		sum.work(ctx, s, jobs[targets:], fuzzAtOnce*s.jobs, out)
	}
	sum.verify(s)
	for _, f := range sum.Failures {
		fmt.Fprintf(out, "FAILED %s: %s\n", f.Check, f.Error)
	}
	return sum, nil
}

// work gives out the tasks to workers.
func (sum *summary) work(ctx context.Context, s *settings, jobs []job, workers int, out io.Writer) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	tasks := make(chan task)
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for t := range tasks {
				o := t.start(ctx, s, t.seed, t.slice)
				fmt.Fprint(out, sum.add(&t, &o, s.amount))
				if o.err != nil && s.failFast {
					cancel()
				}
			}
		})
	}
	give(ctx, s, jobs, tasks)
	close(tasks)
	wg.Wait()
	sum.Seconds = time.Since(sum.start).Round(time.Second).Seconds()
}

// give makes tasks until there are enough.
func give(ctx context.Context, s *settings, jobs []job, tasks chan<- task) {
	r := rand.New(rand.NewPCG(s.seed, 0))
	start := time.Now()
	for ctx.Err() == nil {
		var shares []time.Duration
		if s.duration > 0 {
			shares = share(jobs, s.duration-time.Since(start), s.jobs)
		}
		if s.duration > 0 && shares == nil {
			return
		}
		for i := range jobs {
			t := task{job: &jobs[i], seed: r.Uint64() >> 1}
			if shares != nil {
				t.slice = shares[i]
			}
			select {
			case tasks <- t:
			case <-ctx.Done():
				return
			}
		}
		if s.duration == 0 {
			return
		}
	}
}

// share divides the time of a round, at most what is left, among jobs. It is
// nil when what is left is not worth beginning another round.
func share(jobs []job, left time.Duration, workers int) []time.Duration {
	if left < 10*time.Second {
		return nil
	}
	round := min(left, roundMax)
	if left < 2*roundMax {
		round = left // no crumbs
	}
	if round > roundMax {
		round /= 2
	}
	total := 0.0
	for _, j := range jobs {
		total += j.weight
	}
	shares := make([]time.Duration, len(jobs))
	for i, j := range jobs {
		shares[i] = max(time.Duration(float64(round)*float64(workers)*j.weight/total).Round(time.Second), time.Second)
	}
	return shares
}

// line is the line of progress after a run.
func (t *task) line(o *outcome, since time.Duration, figures string) string {
	state := "ok"
	if o.err != nil {
		state = "FAILED"
	}
	return strings.TrimRight(fmt.Sprintf("%8s  %-6s %-28s %6.1fs  %4d MiB  %s", since.Round(time.Second), state, t.name,
		o.took.Seconds(), o.rss>>20, figures), " ") + "\n"
}
