//go:build planted

package main

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestEveryMutationStillFitsTheEngine applies the list to the source and
// compiles what comes out.
func TestEveryMutationStillFitsTheEngine(t *testing.T) {
	root, err := findRoot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	all := mutations(regexp.MustCompile(""))
	if len(all) < 36 {
		t.Fatalf("%d mutations are too few", len(all))
	}
	seen := make(map[string]bool)
	packages := make(map[string]bool)
	name := regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	for _, m := range all {
		if seen[m.name] || !name.MatchString(m.name) {
			t.Errorf("mutation %q: the name is taken or malformed", m.name)
		}
		seen[m.name] = true
		if m.promise == "" || m.breaks == "" || !strings.HasSuffix(m.breaks, ".") && strings.Contains(m.breaks, "|") {
			t.Errorf("mutation %s: what does it break?", m.name)
		}
		for p := range strings.FieldsSeq(m.first) {
			if p, _, _ = strings.Cut(p, ":"); !slices.Contains(suite, p) {
				t.Errorf("mutation %s: %s is not in the suite", m.name, p)
			}
		}
		src, err := os.ReadFile(filepath.Join(root, m.file))
		if err != nil {
			t.Errorf("mutation %s: %v", m.name, err)
			continue
		}
		if _, err := plant(string(src), []mutation{m}); err != nil {
			t.Error(err)
		}
		packages["./"+m.dir()] = true
	}
	if t.Failed() {
		return
	}
	tr := &tree{root: root, work: t.TempDir(), mutants: all}
	overlay, err := tr.overlayFile()
	if err != nil {
		t.Fatal(err)
	}
	args := append([]string{"build", "-overlay=" + overlay}, slices.Sorted(maps.Keys(packages))...)
	if _, err := tr.goCommand(t.Context(), args...); err != nil {
		t.Fatal(err)
	}
}

// TestEveryPackageWithTestsIsInTheSuite: a new package of the engine, or of
// test, must not be forgotten.
func TestEveryPackageWithTestsIsInTheSuite(t *testing.T) {
	root, err := findRoot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	tr := &tree{root: root}
	out, err := tr.goCommand(t.Context(), "list", "-f", `{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{end}}`, "./...", "./test/isolation")
	if err != nil {
		t.Fatal(err)
	}
	outside := regexp.MustCompile(`^(cmd|examples)/|^internal/(archtest$|testkit)`)
	for p := range strings.FieldsSeq(string(out)) {
		p = strings.TrimPrefix(p, module+"/")
		if !outside.MatchString(p) && !slices.Contains(suite, p) {
			t.Errorf("%s has tests, and is not in the suite", p)
		}
	}
}

// TestWatcherTellsHowAProgramEnded feeds it what test programs print.
func TestWatcherTellsHowAProgramEnded(t *testing.T) {
	for _, c := range []struct{ printed, how, test string }{
		{"=== RUN   TestA\n--- PASS: TestA (0.00s)\nPASS", "pass", ""},
		{"=== RUN   TestA\n=== RUN   TestA/sub\n--- FAIL: TestA (0.10s)\n    --- FAIL: TestA/sub (0.00s)", "fail", "TestA"},
		{"=== RUN   TestB\n--- FAIL: TestB (0.00s)\npanic: index out of range [recovered]", "panic", "TestB"},
		{"panic: boom\n\ngoroutine 7 [running]:\nexample.org/x/db.TestC.func1(...)", "panic", "TestC"},
		{"panic: test timed out after 1m0s\n\trunning tests:\n\t\tTestD (1m0s)", "timeout", "TestD"},
	} {
		w := watcher{after: time.Minute} // never: what is printed has an end
		w.read(t.Context(), scan(strings.NewReader(c.printed)))
		if got := w.end(nil); got.How != c.how || got.Test != c.test {
			t.Errorf("%q: told as %s of %q, want %s of %q", c.printed, got.How, got.Test, c.how, c.test)
		}
	}
}
