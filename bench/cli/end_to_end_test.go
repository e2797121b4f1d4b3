package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cordwood-db/cordwood/bench/result"
	"github.com/cordwood-db/cordwood/bench/trace"
	"github.com/cordwood-db/cordwood/db"
)

// kvbench runs the program in a temporary folder of its own, which must be empty
// afterwards.
func kvbench(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	temp := t.TempDir()
	for _, name := range []string{"TMPDIR", "TMP", "TEMP"} {
		t.Setenv(name, temp)
	}
	t.Setenv(asProgram, "1")
	var out, errs bytes.Buffer
	a := &app{program: "kvbench", stdin: strings.NewReader(""), stdout: &out, stderr: &errs, getenv: os.Getenv}
	status = a.run(context.Background(), args)
	wantEntries(t, temp)
	return status, out.String(), errs.String()
}

// wantEntries checks what a folder holds.
func wantEntries(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if !slices.Equal(got, want) {
		t.Fatalf("%s holds %q, want %q", dir, got, want)
	}
}

func writeFile(t *testing.T, name, contents string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(contents), 0o666); err != nil {
		t.Fatal(err)
	}
}

func contentsOf(t *testing.T, name string) string {
	t.Helper()
	contents, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(contents)
}

// phasesIn are "set workload round" of the phases in a saved run.
func phasesIn(t *testing.T, path string) []string {
	t.Helper()
	r, err := result.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range r.Phases {
		if p.Failed != "" || p.Skipped != "" || p.Operations == 0 {
			t.Errorf("%s %s: %+v", p.Set, p.Workload, p)
		}
		names = append(names, p.Set+" "+p.Workload)
	}
	return names
}

func TestTheProgramWithoutACommandRunsTheStandardWorkloads(t *testing.T) {
	saved := filepath.Join(t.TempDir(), "run.json")
	status, out, errs := kvbench(t, "-n", "300", "-json", saved)
	if status != StatusOK {
		t.Fatalf("status %d\n%s\n%s", status, out, errs)
	}
	phases := phasesIn(t, saved)
	if len(phases) != 18 || phases[0] != "100 fillseq" || phases[17] != "1KiB readwhilewriting" {
		t.Errorf("phases: %q", phases)
	}
	for _, name := range []string{"fillseq", "seekrandom", "SET 100", "SET 1KiB"} {
		if !strings.Contains(out, name) {
			t.Errorf("the table lacks %s", name)
		}
	}
	if strings.Contains(errs, "\x1b") || strings.Count(errs, "\n") != 36 { // a start and an end of each
		t.Errorf("progress:\n%s", errs)
	}
}

func TestRunMakesEveryOutput(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	args := []string{"run", "-n", "200", "--value=64,1k", "-rounds", "2", "-threads", "1", "-quiet", "-title", "a title",
		"-json", path("run.json"), "-csv", path("run.csv"), "-gobench", path("run.txt"), "-html", path("run.html"), "fillrandom", "readrandom"}
	status, out, errs := kvbench(t, args...)
	if status != StatusOK || errs != "" || !strings.Contains(out, "a title") {
		t.Fatalf("status %d\n%s\n%s", status, out, errs)
	}
	if got := phasesIn(t, path("run.json")); len(got) != 8 {
		t.Errorf("phases: %q", got)
	}
	for name, want := range map[string]string{"run.csv": "readrandom", "run.txt": "Benchmark", "run.html": "<html"} {
		if !strings.Contains(contentsOf(t, path(name)), want) {
			t.Errorf("%s lacks %q", name, want)
		}
	}
	// A saved run makes the same.
	again := t.TempDir()
	status, out2, errs := kvbench(t, "report", "-csv", filepath.Join(again, "csv"), "-gobench", filepath.Join(again, "txt"),
		"-html", filepath.Join(again, "html"), "-json", filepath.Join(again, "json"), path("run.json"))
	if status != StatusOK || out2 != out {
		t.Errorf("status %d\n%s\n%s\nwant\n%s", status, errs, out2, out)
	}
	for name, as := range map[string]string{"run.csv": "csv", "run.txt": "txt", "run.json": "json"} {
		if contentsOf(t, path(name)) != contentsOf(t, filepath.Join(again, as)) {
			t.Errorf("%s differs when it is made of the saved run", name)
		}
	}
	// Nothing is overwritten, but with -force.
	before := contentsOf(t, path("run.csv"))
	for _, flag := range []string{"-json", "-csv", "-gobench", "-html"} {
		status, out, errs := kvbench(t, "run", "-n", "100", "-quiet", flag, path("run.csv"), "fillseq")
		if status != StatusFailed || out != "" || !strings.Contains(errs, "-force") {
			t.Errorf("%s: status %d\n%s\n%s", flag, status, out, errs)
		}
	}
	if contentsOf(t, path("run.csv")) != before {
		t.Error("a file was overwritten")
	}
	if status, _, errs := kvbench(t, "run", "-n", "100", "-quiet", "-force", "-csv", path("run.csv"), "fillseq"); status != StatusOK {
		t.Fatalf("status %d\n%s", status, errs)
	}
	if got := contentsOf(t, path("run.csv")); got == before || strings.Contains(got, "readrandom") {
		t.Errorf("with -force the file holds %q", got)
	}
}

func TestADashIsStandardOutput(t *testing.T) {
	for flag, want := range map[string]string{"-json": `{"kvbench_format"`, "-gobench": "", "-csv": ""} {
		status, out, errs := kvbench(t, "run", "-n", "100", "-slo", "rate>=1", flag, "-", "fillseq")
		if status != StatusOK || !strings.HasPrefix(out, want) || strings.Contains(out, "SET ") || !strings.Contains(out, "fillseq") && flag != "-gobench" {
			t.Errorf("%s: status %d\n%s\n%s", flag, status, out, errs)
		}
	}
	status, _, errs := kvbench(t, "run", "-json", "-", "-csv", "-")
	if status != StatusUsage || !strings.Contains(errs, "-csv and -json both write to -") {
		t.Errorf("status %d: %s", status, errs)
	}
}

func TestFilesThatWereMadeForNothingAreRemoved(t *testing.T) {
	dir := t.TempDir()
	// The second one cannot be made: the first is not left empty.
	status, _, errs := kvbench(t, "run", "-csv", filepath.Join(dir, "a.csv"), "-html", filepath.Join(dir, "missing", "b.html"))
	if status != StatusFailed || !strings.Contains(errs, "-html") {
		t.Errorf("status %d: %s", status, errs)
	}
	wantEntries(t, dir)
}

func TestCompareMeasuresEnginesInTurn(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	saved := filepath.Join(t.TempDir(), "run.json")
	status, out, errs := kvbench(t, "compare", "-engine", "cordwood,cordwood@"+program, "-n", "200", "-rounds", "2", "-quiet", "-json", saved,
		"fillrandom", "readrandom")
	if status != StatusOK || !strings.Contains(out, "against cordwood") {
		t.Fatalf("status %d\n%s\n%s", status, out, errs)
	}
	r, err := result.ReadFile(saved)
	if err != nil {
		t.Fatal(err)
	}
	var order []string
	for _, p := range r.Phases {
		if p.Workload == "fillrandom" {
			order = append(order, strings.ReplaceAll(p.Engine, "@"+program, "@other"))
		}
	}
	if want := []string{"cordwood", "cordwood@other", "cordwood@other", "cordwood"}; !slices.Equal(order, want) {
		t.Errorf("order %q, want %q", order, want)
	}
	if status, _, errs := kvbench(t, "compare", "-baseline-engine", "pebble", "fillseq"); status != StatusUsage || !strings.Contains(errs, "not among") {
		t.Errorf("status %d: %s", status, errs)
	}
}

func TestMixesAreReadFromFiles(t *testing.T) {
	dir := t.TempDir()
	bad := filepath.Join(dir, "bad.toml")
	writeFile(t, bad, "nonsense = 1\n")
	for _, args := range [][]string{{"run", bad}, {"run", "-mix", bad}, {"run", filepath.Join(dir, "missing.toml")}} {
		if status, _, errs := kvbench(t, args...); status != StatusUsage || !strings.Contains(errs, ".toml") {
			t.Errorf("%q: status %d: %s", args, status, errs)
		}
	}
}

func TestFilesStoresATree(t *testing.T) {
	root, saved := t.TempDir(), filepath.Join(t.TempDir(), "run.json")
	for _, name := range []string{"a", "b/c", "b/d"} {
		writeFile(t, filepath.Join(root, filepath.FromSlash(name)), strings.Repeat(name, 100))
	}
	status, out, errs := kvbench(t, "files", "-json", saved, root)
	if status != StatusOK || !strings.Contains(out, "files-scan") || !strings.Contains(out, "every byte of every file was compared") {
		t.Fatalf("status %d\n%s\n%s", status, out, errs)
	}
	if got := phasesIn(t, saved); len(got) != 4 {
		t.Errorf("phases: %q", got)
	}
	status, out, errs = kvbench(t, "files", "-kill", "-kills", "2", "-seed", "3", root)
	if status != StatusOK || !strings.Contains(out, "killed 2 times") || !strings.Contains(out, "every acknowledged file was there") {
		t.Fatalf("status %d\n%s\n%s", status, out, errs)
	}
	if status, _, errs = kvbench(t, "files", filepath.Join(root, "missing")); status != StatusFailed || !strings.Contains(errs, "missing") {
		t.Errorf("status %d: %s", status, errs)
	}
}

// recorded makes a trace of an application that puts and gets.
func recorded(t *testing.T) (path string) {
	t.Helper()
	store, err := db.Open(t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "app.trace")
	recorder, err := trace.Create(path, trace.Options{})
	if err != nil {
		t.Fatal(err)
	}
	app := trace.Wrap(store, recorder)
	for i := range 50 {
		key := fmt.Appendf(nil, "key-%02d", i)
		if err := app.Put(key, make([]byte, 100)); err != nil {
			t.Fatal(err)
		}
		if _, err := app.Get(key); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(recorder.Close(), store.Close()); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestATraceIsReplayed(t *testing.T) {
	saved := filepath.Join(t.TempDir(), "run.json")
	status, out, errs := kvbench(t, "replay", "-quiet", "-json", saved, "-slo", "rate>=1", recorded(t))
	if status != StatusOK || errs != "" || !strings.Contains(out, "app.trace") {
		t.Fatalf("status %d\n%s\n%s", status, out, errs)
	}
	r, err := result.ReadFile(saved)
	if err != nil || len(r.Phases) != 1 || r.Phases[0].Operations != 100 {
		t.Errorf("%+v, %v", r, err)
	}
	if status, _, errs := kvbench(t, "replay", saved+".missing"); status != StatusFailed || !strings.Contains(errs, ".missing") {
		t.Errorf("status %d: %s", status, errs)
	}
	if status, _, errs := kvbench(t, "replay", saved); status != StatusFailed || !strings.Contains(errs, "run.json") {
		t.Errorf("status %d: %s", status, errs)
	}
}

func TestATraceTellsWhatItHolds(t *testing.T) {
	path := recorded(t)
	status, out, errs := kvbench(t, "replay", "-info", path)
	if status != StatusOK || errs != "" {
		t.Fatalf("status %d\n%s\n%s", status, out, errs)
	}
	for _, want := range []string{"100, 0 lost; 0 failed", "6 B each", "50 values, 100 B each", "50 keys, 50 of them found", "  put  ", "  get  "} {
		if !strings.Contains(out, want) {
			t.Errorf("it lacks %q:\n%s", want, out)
		}
	}
	contents := contentsOf(t, path)
	writeFile(t, path, contents[:len(contents)-30])
	if status, out, errs := kvbench(t, "replay", "-info", path); strings.Contains(out+errs, "panic") || !strings.Contains(out+errs, "cut off") {
		t.Errorf("a cut trace: status %d\n%s\n%s", status, out, errs)
	}
	if status, _, errs := kvbench(t, "replay", "-info", path+".missing"); status != StatusFailed || !strings.Contains(errs, ".missing") {
		t.Errorf("status %d: %s", status, errs)
	}
}

func TestFlagsComeBeforeTheShapeInAMix(t *testing.T) {
	mix, saved := filepath.Join(t.TempDir(), "mix.toml"), filepath.Join(t.TempDir(), "run.json")
	writeFile(t, mix, "name = \"own\"\nkeys = 3000\nkey_bytes = 24\nvalues = \"200\"\n[shares]\nread = 1\n")
	status, out, errs := kvbench(t, "run", "-quiet", "-n", "500", "-key", "32", "-json", saved, mix)
	if status != StatusOK || !strings.Contains(out, "500 keys of 32 bytes, values of 200") {
		t.Fatalf("status %d\n%s\n%s", status, out, errs)
	}
	r, err := result.ReadFile(saved)
	if err != nil {
		t.Fatal(err)
	}
	if p := r.Phases[0]; p.Shape == nil || p.Shape.Keys != 500 || p.Shape.KeyBytes != 32 || p.Shape.Values != "200" {
		t.Errorf("shape %+v", p.Shape)
	}
}

func TestListShowsWhatThereIs(t *testing.T) {
	status, out, errs := kvbench(t, "list")
	if status != StatusOK || errs != "" {
		t.Fatalf("status %d: %s", status, errs)
	}
	for _, want := range []string{"cordwood", "readwhilewriting", "ycsb-f", "zippydb", "zipfian", "p999", "written_per_byte"} {
		if !strings.Contains(out, want) {
			t.Errorf("it lacks %s", want)
		}
	}
	_, plain, _ := kvbench(t, "list", "engines")
	_, settings, _ := kvbench(t, "list", "-settings", "engines")
	if len(settings) <= len(plain) || strings.Contains(plain, "ycsb") || !strings.Contains(settings, " = ") {
		t.Errorf("engines:\n%s\nwith settings:\n%s", plain, settings)
	}
	if status, out, _ := kvbench(t, "version"); status != StatusOK || !strings.Contains(out, "cordwood") || !strings.HasPrefix(out, "kvbench ") {
		t.Errorf("version: %d, %q", status, out)
	}
}

func TestCompletionScriptsAreWellFormed(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		status, out, errs := kvbench(t, "completion", shell)
		if status != StatusOK || len(out) < 1000 || errs != "" {
			t.Errorf("%s: status %d, %d bytes, %s", shell, status, len(out), errs)
		}
		path, err := exec.LookPath(shell)
		if err != nil || shell == "powershell" {
			continue
		}
		check := exec.Command(path, "-n")
		check.Stdin = strings.NewReader(out)
		if said, err := check.CombinedOutput(); err != nil {
			t.Errorf("%s -n: %v: %s", shell, err, said)
		}
	}
}

func TestCompletionsOfArguments(t *testing.T) {
	for _, c := range []struct{ args, want, not string }{
		{"run read", "readrandom", "fillseq\n"}, // shells filter, cobra does too
		{"run -eng", "-engine", "--engine"},
		{"run --eng", "--engine", "\n-engine"},
		{"run -engine ", "cordwood", ""},
		{"run -engine=c", "cordwood", ""},
		{"run -engine cordwood,", "", "cordwood,cordwood"},
		{"run -only fillseq,", "fillseq,readrandom", "fillseq,fillseq"},
		{"run -slo read.", "read.p99<=", "write.p99"},
		{"run -compression ", "none", ""},
		{"compl", "completion", "compare"},
		{"help ", "replay", "_child"},
		{"completion ", "fish", ""},
		{"list ", "metrics", ""},
		{"", "compare", "_child"},
	} {
		_, out, _ := kvbench(t, append([]string{"__complete"}, strings.Split(c.args, " ")...)...)
		if !strings.Contains(out, c.want) || c.not != "" && strings.Contains(out, c.not) {
			t.Errorf("%q: %q, want %q, not %q", c.args, out, c.want, c.not)
		}
	}
}
