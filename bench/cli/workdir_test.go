package cli

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cordwood-db/cordwood/bench/result"
)

func TestAFolderWithSomethingInItIsLeftAlone(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "precious"), "data")
	args := []string{"-n", "50", "-value", "64", "-only", "fillseq", "-quiet", "-dir", dir}
	status, out, errs := kvbench(t, args...)
	if status != StatusFailed || out != "" || !strings.Contains(errs, "-force") {
		t.Fatalf("status %d\n%s\n%s", status, out, errs)
	}
	wantEntries(t, dir, "precious")
	if status, _, errs := kvbench(t, append(args, "-force")...); status != StatusOK {
		t.Fatalf("with -force: status %d\n%s", status, errs)
	}
	wantEntries(t, dir, "precious")
}

func TestAFolderThatWasMadeIsRemoved(t *testing.T) {
	parent := t.TempDir()
	args := []string{"-n", "50", "-value", "64", "-only", "fillseq", "-quiet", "-dir"}
	if status, _, errs := kvbench(t, append(args, filepath.Join(parent, "a", "b"))...); status != StatusOK {
		t.Fatalf("status %d\n%s", status, errs)
	}
	wantEntries(t, parent)
	empty := filepath.Join(parent, "empty")
	if err := os.Mkdir(empty, 0o777); err != nil {
		t.Fatal(err)
	}
	if status, _, errs := kvbench(t, append(args, empty)...); status != StatusOK {
		t.Fatalf("status %d\n%s", status, errs)
	}
	wantEntries(t, parent, "empty") // not ours: it stays
	wantEntries(t, empty)
}

func TestKeepKeepsTheData(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "kept")
	status, _, errs := kvbench(t, "-n", "50", "-value", "64", "-only", "fillseq", "-dir", dir, "-keep")
	if status != StatusOK || !strings.Contains(errs, "The data is in "+dir) {
		t.Fatalf("status %d\n%s", status, errs)
	}
	files := 0
	err := filepath.WalkDir(dir, func(_ string, entry os.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			files++
		}
		return err
	})
	if err != nil || files == 0 {
		t.Fatalf("%d files kept, %v", files, err)
	}
}

func TestNothingIsLeftAfterAFailure(t *testing.T) {
	temp := t.TempDir()
	for _, name := range []string{"TMPDIR", "TMP", "TEMP"} {
		t.Setenv(name, temp)
	}
	broken := errors.New("broken")
	a := &app{stdout: &bytes.Buffer{}, stderr: &bytes.Buffer{}, getenv: os.Getenv}
	_, err := a.inWorkDir(context.Background(), &settings{quiet: true}, &outputs{}, func(_ context.Context, w *session) (*result.Run, error) {
		writeFile(t, filepath.Join(w.dir, "store", "file"), "data")
		return nil, broken
	})
	if !errors.Is(err, broken) {
		t.Fatal(err)
	}
	wantEntries(t, temp)
}

func TestProfilesAreWrittenAndNotOverwritten(t *testing.T) {
	dir := t.TempDir()
	cpu, mem := filepath.Join(dir, "cpu.out"), filepath.Join(dir, "mem.out")
	args := []string{"-n", "50", "-value", "64", "-only", "fillseq", "-quiet", "-cpuprofile", cpu, "-memprofile", mem}
	if status, _, errs := kvbench(t, args...); status != StatusOK {
		t.Fatalf("status %d\n%s", status, errs)
	}
	wantEntries(t, dir, "cpu.out", "mem.out")
	status, _, errs := kvbench(t, args...)
	if status != StatusFailed || !strings.Contains(errs, "-force") {
		t.Errorf("status %d\n%s", status, errs)
	}
	// Of several children, each has its own.
	if status, _, errs = kvbench(t, append(args, "-rounds", "2", "-force")...); status != StatusOK {
		t.Fatalf("status %d\n%s", status, errs)
	}
	wantEntries(t, dir, "cpu-cordwood-64-1.out", "cpu-cordwood-64-2.out", "cpu.out", "mem-cordwood-64-1.out", "mem-cordwood-64-2.out", "mem.out")
	tree := t.TempDir()
	writeFile(t, filepath.Join(tree, "file"), "contents")
	if status, _, errs := kvbench(t, "files", "-quiet", "-cpuprofile", filepath.Join(dir, "files.out"), tree); status != StatusOK {
		t.Errorf("status %d\n%s", status, errs)
	}
}

func TestAWrongAnswerFailsTheRun(t *testing.T) {
	saved := filepath.Join(t.TempDir(), "run.json")
	status, out, errs := kvbench(t, "run", "-engine", "liar,cordwood", "-n", "200", "-quiet", "-json", saved, "-slo", "read.p99<=1ns",
		"fillseq", "readrandom", "readseq")
	if status != StatusFailed || !strings.Contains(errs, "WRONG ANSWER") || !strings.Contains(errs, "liar") || !strings.Contains(out, "cordwood") {
		t.Fatalf("status %d\n%s\n%s", status, out, errs)
	}
	r, err := result.ReadFile(saved)
	if err != nil {
		t.Fatal(err)
	}
	var wrong, good int
	for _, p := range r.Phases {
		switch {
		case p.Wrong:
			wrong++
		case p.Failed == "" && p.Skipped == "":
			good++
		}
	}
	// The other engine was measured all the same.
	if wrong != 1 || good != 4 || r.Footer == nil || r.Footer.Error == "" {
		t.Errorf("%d wrong, %d good phases; %+v", wrong, good, r.Footer)
	}
}

func TestGatesDecideTheStatus(t *testing.T) {
	dir := t.TempDir()
	saved := filepath.Join(dir, "run.json")
	args := []string{"run", "-n", "100", "-quiet", "-rounds", "3", "fillseq", "-slo"}
	status, out, errs := kvbench(t, append(args, "write.p99<=10m,rate>=1", "-json", saved)...)
	if status != StatusOK || !strings.Contains(out, "write.p99<=10m") {
		t.Fatalf("status %d\n%s\n%s", status, out, errs)
	}
	if status, out, errs = kvbench(t, append(args, "write.p99<=1ns")...); status != StatusMissed || errs != "" || !strings.Contains(out, "write.p99<=1ns") {
		t.Errorf("status %d\n%s\n%s", status, out, errs)
	}
	if status, out, errs = kvbench(t, "report", "-baseline", saved, saved); status != StatusOK || errs != "" {
		t.Errorf("against itself: status %d\n%s\n%s", status, out, errs)
	}
	// A run that is a hundred times as slow.
	r, err := result.ReadFile(saved)
	if err != nil {
		t.Fatal(err)
	}
	for i := range r.Phases {
		r.Phases[i].Seconds *= 100
		r.Phases[i].Costs.CPUNS *= 100
	}
	var slow bytes.Buffer
	if err := result.WriteRun(&slow, r); err != nil {
		t.Fatal(err)
	}
	slower := filepath.Join(dir, "slow.json")
	writeFile(t, slower, slow.String())
	if status, out, errs = kvbench(t, "report", "-baseline", saved, slower); status != StatusRegressed || errs != "" {
		t.Errorf("slower: status %d\n%s\n%s", status, out, errs)
	}
	if status, out, errs = kvbench(t, "report", "-baseline", saved, "-slo", "rate>=1G", slower); status != StatusMissed || errs != "" {
		t.Errorf("slower and missed: status %d\n%s\n%s", status, out, errs)
	}
	if status, out, errs = kvbench(t, "report", "-baseline-engine", "cordwood@run.json", saved, slower); status != StatusOK || !strings.Contains(out, "cordwood@slow.json") ||
		!strings.Contains(out, "not measured in turn") {
		t.Errorf("both: status %d\n%s\n%s", status, out, errs)
	}
}
