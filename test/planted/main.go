//go:build planted

package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"sync"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := command(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "planted:", err)
		os.Exit(1)
	}
}

// settings are the command's flags.
type settings struct {
	run       *regexp.Regexp
	jobs      int
	seed      string
	verbose   bool
	thorough  bool
	near      bool
	noControl bool
	most      amount
	bin       string
	json      string
	table     string
}

func parse() (s settings, err error) {
	run := flag.String("run", "", "only mutations whose name matches this regular `expression`")
	flag.IntVar(&s.jobs, "jobs", 1, "mutations to run at once")
	flag.StringVar(&s.seed, "seed", "", "CORDWOOD_SEED of all runs; empty: each test draws its own")
	flag.BoolVar(&s.verbose, "v", false, "show what the tests that fail print")
	flag.BoolVar(&s.thorough, "thorough", false, "go on after the first catch: who else catches it?")
	flag.BoolVar(&s.near, "near", false, "ask only the tests that the list names, or else those beside the file")
	flag.BoolVar(&s.noControl, "nocontrol", false, "leave out the run without a bug")
	most := flag.Int("amount", int(thorough), "how much to try at most: 0 short, 1 normal, 2 CI's")
	flag.StringVar(&s.bin, "bin", "", "keep the test programs in this `folder`, and do not build what is there")
	flag.StringVar(&s.json, "json", "", "write all verdicts to this `file`, beside those of other mutations that are there")
	flag.StringVar(&s.table, "table", "", "write the table of verdicts, in Markdown, to this `file`")
	flag.Parse()
	if flag.NArg() > 0 || s.jobs < 1 {
		return s, errors.New("takes flags only, and -jobs from 1")
	}
	s.most = amount(min(max(*most, 0), int(thorough)))
	s.run, err = regexp.Compile(*run)
	return s, err
}

// report is the last line.
type report struct {
	Mutations int      `json:"mutations"`
	Caught    int      `json:"caught"`
	Slipped   []string `json:"slipped"`
	Control   []string `json:"control"` // what fails without a bug
	Build     float64  `json:"build"`   // seconds
	Seconds   float64  `json:"seconds"` // in all
}

var errSlipped = errors.New("not every bug was caught, or a test fails without one")

func command(ctx context.Context) error {
	s, err := parse()
	if err != nil {
		return err
	}
	start := time.Now()
	root, err := findRoot(ctx)
	if err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "planted")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	if err := os.Chmod(work, 0o755); err != nil {
		return err
	}
	// The programs hold all of them, whatever is run: their order does not change
	// what is compiled, and the build is found in the cache.
	t := &tree{root: root, work: work, mutants: mutations(regexp.MustCompile("")), bin: s.bin, near: s.near, verbose: s.verbose, seed: s.seed}
	if err := t.build(ctx); err != nil {
		return err
	}
	r := report{Build: time.Since(start).Seconds(), Slipped: []string{}, Control: []string{}}
	fmt.Printf("built %d test programs with %d mutations in %.0fs\n", len(t.programs), len(t.mutants), r.Build)
	if !s.noControl {
		failed, err := t.control(ctx)
		if err != nil {
			return err
		}
		for _, f := range failed {
			fmt.Println("FAILS WITHOUT A BUG:", f)
		}
		r.Control = append(r.Control, failed...)
	}
	verdicts, err := t.judgeAll(ctx, mutations(s.run), &s)
	if err != nil {
		return err
	}
	for _, v := range verdicts {
		if r.Mutations++; v.Caught {
			r.Caught++
		} else {
			r.Slipped = append(r.Slipped, v.Mutation)
		}
	}
	r.Seconds = time.Since(start).Seconds()
	return r.finish(&s, verdicts)
}

// finish writes what is asked for, and the last line.
func (r *report) finish(s *settings, verdicts []verdict) (err error) {
	if s.json != "" {
		if verdicts, err = withEarlier(s.json, verdicts); err != nil {
			return err
		}
		b, err := json.MarshalIndent(verdicts, "", "\t")
		if err == nil {
			err = os.WriteFile(s.json, append(b, '\n'), 0o666)
		}
		if err != nil {
			return err
		}
	}
	if s.table != "" {
		if err := os.WriteFile(s.table, table(verdicts), 0o666); err != nil {
			return err
		}
	}
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	fmt.Printf("%s\n", line)
	if len(r.Slipped)+len(r.Control) > 0 || r.Mutations == 0 {
		return errSlipped
	}
	return nil
}

// withEarlier adds the verdicts of an earlier run that are not among the new ones.
func withEarlier(file string, verdicts []verdict) ([]verdict, error) {
	b, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return verdicts, nil
	}
	if err != nil {
		return nil, err
	}
	var earlier []verdict
	if err := json.Unmarshal(b, &earlier); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	for _, v := range earlier {
		if !slices.ContainsFunc(verdicts, func(n verdict) bool { return n.Mutation == v.Mutation }) {
			verdicts = append(verdicts, v)
		}
	}
	return verdicts, nil
}

// judgeAll judges mutations, some at once, and prints each verdict.
func (t *tree) judgeAll(ctx context.Context, list []mutation, s *settings) ([]verdict, error) {
	verdicts := make([]verdict, len(list))
	errs := make([]error, len(list))
	next := make(chan int)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range s.jobs {
		wg.Go(func() {
			for i := range next {
				verdicts[i], errs[i] = t.judge(ctx, &list[i], s)
				mu.Lock()
				fmt.Println(verdicts[i].line())
				mu.Unlock()
			}
		})
	}
	for i := range list {
		if ctx.Err() != nil {
			break
		}
		next <- i
	}
	close(next)
	wg.Wait()
	return verdicts, errors.Join(append(errs, ctx.Err())...)
}
