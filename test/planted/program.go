//go:build planted

package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// amount is how much the tests do, in the order in which they are tried.
type amount int

const (
	short amount = iota
	normal
	thorough // CI's
)

func (a amount) String() string { return [...]string{"short", "normal", "CI"}[a] }

// timeLimit is how long a program may run. It is far beyond what it takes on a
// busy machine, since what is over it is said to hang.
func (a amount) timeLimit() time.Duration {
	return [...]time.Duration{10 * time.Minute, 15 * time.Minute, 30 * time.Minute}[a]
}

// outcome is how a test program ended.
type outcome struct {
	How  string `json:"how"`  // "pass", "fail", "panic", "timeout" or "exit"
	Test string `json:"test"` // that noticed
	Took time.Duration
	tail []string // last lines of what it printed
}

func (o *outcome) caught() bool { return o.How != "" && o.How != "pass" }

// run runs tests with a bug, or with none, until the first fails. Tests of skip,
// a regular expression, do not take part.
func (t *tree) run(ctx context.Context, p probe, bug string, a amount, skip string) (outcome, error) {
	tmp, err := os.MkdirTemp(t.work, "run")
	if err != nil {
		return outcome{}, err
	}
	defer os.RemoveAll(tmp)
	if err := os.Chmod(tmp, 0o755); err != nil { // tests become users without rights
		return outcome{}, err
	}
	args := []string{"-test.failfast", "-test.v", "-test.timeout=" + a.timeLimit().String()}
	if p.only != "" {
		args = append(args, "-test.run="+p.only)
	}
	if skip != "" {
		args = append(args, "-test.skip="+skip)
	}
	if a == short {
		args = append(args, "-test.short")
	}
	ctx, cancel := context.WithTimeout(ctx, a.timeLimit()+time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, t.programs[p.pkg], args...)
	cmd.Dir = filepath.Join(t.root, filepath.FromSlash(p.pkg))
	cmd.Env = append(os.Environ(), "CORDWOOD_PLANTED="+bug, "TMPDIR="+tmp, "CORDWOOD_CI=")
	if a == thorough {
		cmd.Env = append(cmd.Env, "CORDWOOD_CI=1")
	}
	if t.seed != "" {
		cmd.Env = append(cmd.Env, "CORDWOOD_SEED="+t.seed)
	}
	asGroup(cmd)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return outcome{}, err
	}
	cmd.Stderr = cmd.Stdout
	cmd.WaitDelay = 10 * time.Second
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return outcome{}, err
	}
	w := watcher{start: start, after: afterFailure}
	w.read(ctx, scan(out))
	if w.o.caught() {
		_ = cmd.Cancel()
	}
	err = cmd.Wait()
	if w.o.Test == "" && context.Cause(ctx) == context.Canceled {
		return outcome{}, context.Canceled
	}
	return w.end(err), nil
}

// scan sends the lines that a program prints.
func scan(out io.Reader) <-chan string {
	c := make(chan string, 64)
	go func() {
		defer close(c)
		lines := bufio.NewScanner(out)
		lines.Buffer(nil, 16<<20)
		for lines.Scan() {
			c <- lines.Text()
		}
		_, _ = io.Copy(io.Discard, out) // what follows a line that is too long
	}()
	return c
}

// watcher reads what a test program prints.
type watcher struct {
	start   time.Time
	after   time.Duration // for how long lines behind a failure are awaited
	o       outcome
	running []string // tests that have begun and not ended
	listing bool     // what hangs follows
	panics  bool     // a panic was told; the lines behind it may say which test's
}

// afterFailure is for how long the lines behind a failure are awaited, unless the
// program ends: they say whether it is a panic.
const afterFailure = 300 * time.Millisecond

// read takes lines until the rest does not matter.
func (w *watcher) read(ctx context.Context, lines <-chan string) {
	for {
		select {
		case s, ok := <-lines:
			if !ok {
				return
			}
			if !w.line(s) {
				continue
			}
		case <-ctx.Done():
			return
		}
		break
	}
	go func() { // the program may print on until it is ended
		<-ctx.Done()
		for range lines {
		}
	}()
	late := time.After(w.after)
	for {
		select {
		case s, ok := <-lines:
			if !ok {
				return
			}
			w.keep(s)
			if strings.HasPrefix(s, "panic: ") {
				w.o.How = "panic"
			}
		case <-late:
			return
		}
	}
}

// linesKept is how much of the output a failure shows.
const linesKept = 60

// line takes a line, and reports whether the rest does not matter.
func (w *watcher) line(s string) (done bool) {
	w.keep(s)
	name := func(prefix string) (string, bool) {
		rest, ok := strings.CutPrefix(s, prefix)
		rest, _, _ = strings.Cut(rest, " (")
		return strings.TrimSpace(rest), ok
	}
	if test, ok := name("=== RUN "); ok && !strings.Contains(test, "/") {
		w.running = append(w.running, test)
	}
	for _, prefix := range []string{"--- PASS: ", "--- SKIP: "} {
		if test, ok := name(prefix); ok {
			w.forget(test)
		}
	}
	if test, ok := name("--- FAIL: "); ok {
		return w.found("fail", test)
	}
	switch {
	case w.listing:
		test, _ := name("\t\t")
		return w.found("timeout", test)
	case strings.TrimSpace(s) == "running tests:":
		w.listing = true
	case strings.HasPrefix(s, "panic: test timed out"):
		w.o.How = "timeout"
	case strings.HasPrefix(s, "panic: "), strings.HasPrefix(s, "fatal error: "), strings.HasPrefix(s, "SIGSEGV"):
		w.panics = w.o.How == ""
	case w.panics && strings.Contains(s, ".Test") && strings.Contains(s, "("):
		_, test, _ := strings.Cut(s, ".Test")
		end := strings.IndexAny(test, ".(")
		return w.found("panic", "Test"+test[:max(end, 0)])
	}
	return false
}

func (w *watcher) keep(s string) {
	if strings.HasPrefix(s, "=== ") || strings.HasPrefix(strings.TrimSpace(s), "--- PASS") {
		return
	}
	if w.o.tail = append(w.o.tail, s); len(w.o.tail) > linesKept {
		w.o.tail = w.o.tail[1:]
	}
}

func (w *watcher) forget(test string) {
	for i, r := range w.running {
		if r == test {
			w.running = append(w.running[:i], w.running[i+1:]...)
			return
		}
	}
}

func (w *watcher) found(how, test string) bool {
	if w.panics {
		how = "panic"
	}
	w.o.How, w.o.Test, w.o.Took = how, test, time.Since(w.start)
	return true
}

// end is called when the program is gone.
func (w *watcher) end(err error) outcome {
	switch {
	case w.o.Test != "":
	case err == nil:
		w.found("pass", "")
	default:
		how := "exit"
		if w.o.How == "timeout" {
			how = "timeout"
		}
		test := fmt.Sprintf("(%v)", err)
		if n := len(w.running); n > 0 {
			test = w.running[n-1]
		}
		w.found(how, test)
	}
	return w.o
}
