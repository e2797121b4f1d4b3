package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestCommandLineThatMakesNoSense(t *testing.T) {
	for _, args := range [][]string{
		{}, {"-for", "1m", "-amount", "ci"}, {"-amount", "huge"}, {"-for", "1m", "-only", "models"}, {"-for", "-1m"},
		{"-for", "1m", "-jobs", "0"}, {"-for", "1m", "more"}, {"-for", "1m", "-fuzztime", "1ms"},
	} {
		var out, messages bytes.Buffer
		if status := run(t.Context(), args, &out, &messages); status != statusUnusable || messages.Len() == 0 {
			t.Errorf("%q: status %d, %q", args, status, messages.String())
		}
	}
}

func TestTimeIsSharedByWeight(t *testing.T) {
	jobs := []job{{weight: 3}, {weight: 1}}
	for _, c := range []struct {
		left    time.Duration
		workers int
		want    []time.Duration
	}{
		{5 * time.Second, 1, nil},
		{time.Minute, 1, []time.Duration{45 * time.Second, 15 * time.Second}},
		{time.Minute, 2, []time.Duration{90 * time.Second, 30 * time.Second}},
		{30 * time.Minute, 1, []time.Duration{15 * 45 * time.Second, 15 * 15 * time.Second}},
		{10 * time.Hour, 1, []time.Duration{15 * time.Minute, 5 * time.Minute}},
	} {
		if got := share(jobs, c.left, c.workers); !slices.Equal(got, c.want) {
			t.Errorf("%v left, %d workers: %v, want %v", c.left, c.workers, got, c.want)
		}
	}
}

// script makes a test program of a shell script.
func script(t *testing.T, text string) job {
	t.Helper()
	if _, err := os.Stat("/bin/sh"); err != nil {
		t.Skip("needs a shell for its test programs")
	}
	name := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(name, []byte("#!/bin/sh\n"+text), 0o755); err != nil {
		t.Fatal(err)
	}
	return job{check: "crash", name: "crash", binary: name, dir: t.TempDir(), run: "TestX", again: "go test", weight: 1}
}

// sumUp runs jobs in the amounts of CI and reads the summary as a machine would.
func sumUp(t *testing.T, s *settings, jobs ...job) (read *summary, shown string) {
	t.Helper()
	s.keep, s.jobs, s.seed = t.TempDir(), 1, 7
	sum := newSummary(s, &tree{root: t.TempDir()})
	var out bytes.Buffer
	sum.work(t.Context(), s, jobs, 2, &out)
	if len(s.only) > 0 {
		sum.verify(s)
	}
	if err := sum.print(&out); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	read = new(summary)
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), read); err != nil {
		t.Fatalf("the last line is no summary: %v\n%s", err, out.String())
	}
	return read, out.String()
}

func TestFiguresAreAddedUp(t *testing.T) {
	ok := script(t, `[ "$CORDWOOD_CI" = 1 ] && [ -n "$CORDWOOD_SEED" ] || exit 3
printf 'something\n\nfigure: crash images: 20000\n'; echo 'figure: recovery crash images: 2500'`)
	sum, shown := sumUp(t, &settings{amount: "ci"}, ok, ok)
	want := map[string]total{"crash images": {40000, 20000, 2000000}, "recovery crash images": {5000, 2000, 200000}}
	if sum.Result != "passed" || sum.Runs != 2 || len(sum.Failures) != 0 || len(sum.Figures) != 2 {
		t.Errorf("%+v\n%s", sum, shown)
	}
	for name, f := range want {
		if sum.Figures[name] != f {
			t.Errorf("%s: %+v, want %+v", name, sum.Figures[name], f)
		}
	}
}

func TestFailureIsKeptWithWhatRepeatsIt(t *testing.T) {
	sum, shown := sumUp(t, &settings{amount: "ci"}, script(t, "echo why it failed; exit 1"))
	if sum.Result != "failed" || len(sum.Failures) != 1 {
		t.Fatalf("%+v\n%s", sum, shown)
	}
	f := sum.Failures[0]
	kept, err := os.ReadFile(f.Output)
	if err != nil || string(kept) != "why it failed\n" {
		t.Errorf("kept %q, %v", kept, err)
	}
	if !strings.HasPrefix(f.Repeat, "CORDWOOD_CI=1 CORDWOOD_SEED=") || !strings.Contains(shown, f.Repeat) || !strings.Contains(shown, "why it failed") {
		t.Errorf("%+v\n%s", f, shown)
	}
}

func TestTooLittleIsAFailure(t *testing.T) {
	for text, want := range map[string]string{
		"echo 'figure: crash images: 19999'; echo 'figure: recovery crash images: 2000'": "crash images: 19999, not 20000",
		"echo 'figure: crash images: 20000'":                                             "recovery crash images: 0, not 2000",
	} {
		sum, shown := sumUp(t, &settings{amount: "ci", only: []string{"crash"}}, script(t, text))
		if len(sum.Failures) != 1 || sum.Failures[0].Error != want {
			t.Errorf("%q: %+v\n%s", text, sum, shown)
		}
	}
}

func TestSoakGoesOnUntilItsTimeIsOver(t *testing.T) {
	j := script(t, `sleep 1; echo "figure: kills: 1"; [ -n "$CORDWOOD_SOAK" ]`)
	// What is left after the first run may be another, shorter, slice. On a machine
	// that stalls there may be too little left for the first.
	var sum *summary
	for d := 11 * time.Second; (sum == nil || sum.Runs < 1) && d < 10*time.Minute; d *= 2 {
		var shown string
		sum, shown = sumUp(t, &settings{duration: d}, j)
		if sum.Figures["kills"].Done != sum.Runs || len(sum.Failures) > 0 {
			t.Errorf("%+v\n%s", sum, shown)
		}
	}
	if sum.Runs < 1 {
		t.Error("nothing was run")
	}
}

func TestFailFastEndsTheOthers(t *testing.T) {
	sum, shown := sumUp(t, &settings{amount: "ci", failFast: true}, script(t, "exit 1"), script(t, "exec sleep 600"))
	if sum.Result != "failed" || sum.Seconds > 300 || len(sum.Failures) != 1 {
		t.Errorf("%+v\n%s", sum, shown)
	}
}

func TestInputsOfFuzzTargetsAreCounted(t *testing.T) {
	j := script(t, `echo 'fuzz: elapsed: 0s, gathering baseline coverage: 0/3 completed'
echo 'fuzz: elapsed: 3s, execs: 1234 (411/sec), new interesting: 0 (total: 3)'
echo 'fuzz: elapsed: 6s, execs: 5678 (1481/sec), new interesting: 1 (total: 4)'`)
	j.fuzz = true
	sum, shown := sumUp(t, &settings{amount: "ci", fuzzTime: time.Second}, j)
	if sum.Figures[fuzzFigure].Done != 5678 {
		t.Errorf("%+v\n%s", sum, shown)
	}
}

// A machine that runs what is submitted may keep nothing but what was printed.
func TestFailingInputIsPrinted(t *testing.T) {
	j := script(t, `mkdir -p testdata/fuzz/FuzzX; echo "inputs of $GODEBUG" > testdata/fuzz/FuzzX/1
printf '%s\n' '--- FAIL: FuzzX (2.13s)' '    x_test.go:3: wrong' '    Failing input written to testdata/fuzz/FuzzX/1' FAIL; exit 1`)
	j.fuzz = true
	t.Setenv("GODEBUG", "other=1")
	sum, shown := sumUp(t, &settings{amount: "ci", fuzzTime: time.Second}, j)
	if len(sum.Failures) != 1 || !strings.Contains(shown, "\ninputs of other=1,fuzzseed=") {
		t.Errorf("%+v\n%s", sum, shown)
	}
}

// tried is what a fuzz target prints that has tried inputs.
const tried = "fuzz: elapsed: 2s, execs: 5 (2/sec), new interesting: 0 (total: 4)\n"

// On a slow machine all the time may go into the inputs that a target begins with.
func TestFuzzTargetGetsTimeUntilItHasTriedSomething(t *testing.T) {
	for times, failed := range map[string]bool{"3": false, "100": true} {
		j := script(t, `echo "$*" | sed 's/.*fuzztime=\([^ ]*\).*/\1/' >>times
echo 'fuzz: elapsed: 1s, gathering baseline coverage: 4/4 completed, now fuzzing with 1 workers'
[ $(wc -l <times) -lt `+times+` ] && echo 'fuzz: elapsed: 1s, execs: 4 (0/sec)' || echo 'fuzz: elapsed: 1s, execs: 5 (0/sec)'`)
		j.fuzz = true
		sum, shown := sumUp(t, &settings{amount: "ci", fuzzTime: time.Second}, j)
		given, err := os.ReadFile(filepath.Join(j.dir, "times"))
		if (len(sum.Failures) == 1) != failed || !strings.HasPrefix(string(given), "1s\n2s\n4s\n") || err != nil {
			t.Errorf("%q, %v: %+v\n%s", given, err, sum, shown)
		}
	}
}

// The engine of fuzzing ends a process that is busy with one input for 10 seconds.
// That input must pass by itself, and take as long as it likes.
func TestInputThatTakesLongIsTriedAlone(t *testing.T) {
	const (
		hung   = "exec: fuzzing process hung or terminated unexpectedly: exit status 2"
		file   = "testdata/fuzz/FuzzX/1"
		begun  = "fuzz: elapsed: 2s, execs: 5 (2/sec), new interesting: 0 (total: 4)\nfuzz: elapsed: 5s, execs: 7 (1/sec), new interesting: 0 (total: 4)\n"
		still  = "fuzz: elapsed: 8s, execs: 7 (0/sec), new interesting: 0 (total: 4)\nfuzz: elapsed: 13s, execs: 7 (0/sec), new interesting: 0 (total: 4)\n"
		wrote  = "--- FAIL: FuzzX (13.13s)\n    " + hung + "\n    Failing input written to " + file + "\nFAIL\n"
		seed   = "failure while testing seed corpus entry: FuzzX/seed#1\n--- FAIL: FuzzX (13.13s)\n    " + hung + "\nFAIL\n"
		passes = "--- PASS: FuzzX/1 (0.1s)\n"
	)
	for _, c := range []struct {
		name, fuzzing, alone string
		status               int
		failed               bool
	}{
		{"passes", begun + still + wrote, passes, 0, false},
		{"of the seeds", begun + still + seed, "--- PASS: FuzzX/seed#1 (0.1s)\n", 0, false},
		{"fails", begun + still + wrote, "", 1, true},
		{"is not found", begun + still + wrote, "testing: warning: no tests to run\n", 0, true},
		{"ended at once", begun + wrote, passes, 0, true},
		{"another failure", begun + still + strings.ReplaceAll(wrote, hung, "wrong"), passes, 0, true},
	} {
		j := script(t, fmt.Sprintf(`case "$*" in
*-test.fuzz=*) mkdir -p testdata/fuzz/FuzzX; echo input >%s; cat <<'E'
%sE
exit 1 ;;
*) printf '%%s' '%s'; exit %d ;;
esac`, file, c.fuzzing, c.alone, c.status))
		j.fuzz, j.run = true, "FuzzX"
		sum, shown := sumUp(t, &settings{amount: "ci", fuzzTime: time.Second}, j)
		_, err := os.Stat(filepath.Join(j.dir, file))
		if kept := err == nil; (len(sum.Failures) == 1) != c.failed || c.name == "passes" && kept || c.failed && !kept {
			t.Errorf("%s: kept %v, %+v\n%s", c.name, kept, sum, shown)
		}
	}
}

// The engine of fuzzing now and then takes the end of its time for a failure.
func TestEndOfFuzzingIsNoFailure(t *testing.T) {
	for text, failed := range map[string]bool{
		"--- FAIL: FuzzX (2.13s)\n    context deadline exceeded\nFAIL\n":                                                                  false,
		"--- FAIL: FuzzX (2.13s)\n    panic: boom\nFAIL\n":                                                                                true,
		"--- FAIL: FuzzX (2.13s)\n    x_test.go:3: context deadline exceeded\n    Failing input written to testdata/fuzz/FuzzX/1\nFAIL\n": true,
	} {
		j := script(t, "cat <<'E'\n"+tried+text+"E\nexit 1")
		j.fuzz = true
		sum, shown := sumUp(t, &settings{amount: "ci", fuzzTime: time.Second}, j)
		if (len(sum.Failures) == 1) != failed {
			t.Errorf("%q: %+v\n%s", text, sum, shown)
		}
	}
}

// Every check is a test that exists, and so is every package of fuzz targets;
// no fuzz target of this module is left out.
func TestChecksExist(t *testing.T) {
	root := filepath.Join("..", "..")
	for _, c := range checks {
		files, err := filepath.Glob(filepath.Join(root, c.module, c.pkg, "*_test.go"))
		if err != nil || len(files) == 0 {
			t.Errorf("%s: no tests, %v", c.name, err)
		}
		found := c.run == ""
		for _, f := range files {
			text, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			found = found || strings.Contains(string(text), "func "+c.run+"(t *testing.T)")
		}
		if !found {
			t.Errorf("%s: no test %s", c.name, c.run)
		}
	}
	folders, err := os.ReadDir(filepath.Join(root, "test"))
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range folders {
		dir := "test/" + d.Name()
		if !slices.ContainsFunc(checks, func(c check) bool { return path.Join(c.module, c.pkg) == dir }) &&
			!slices.Contains([]string{"test/fuzz", "test/planted"}, dir) {
			t.Errorf("%s is left out", dir)
		}
	}
	packages := map[string]bool{}
	err = filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if d.IsDir() && (rel == "bench" || rel == ".git") {
			return filepath.SkipDir
		}
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		if strings.Contains("\n"+string(text), "\nfunc Fuzz") {
			packages[filepath.ToSlash(filepath.Dir(rel))] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for pkg := range packages {
		if !slices.Contains(fuzzPackages, pkg) {
			t.Errorf("the fuzz targets of %s are left out", pkg)
		}
	}
	for _, pkg := range fuzzPackages {
		if !packages[pkg] {
			t.Errorf("%s has no fuzz targets", pkg)
		}
	}
}
