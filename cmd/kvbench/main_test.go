package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// asProgram makes the test binary behave as kvbench, which the child of
// files -kill and the tests of signals need.
const asProgram = "KVBENCH_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	os.Exit(m.Run())
}

// kvbench runs the program in a temporary folder of its own, which must be
// empty afterwards.
func kvbench(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	temp := t.TempDir()
	for _, name := range []string{"TMPDIR", "TMP", "TEMP"} {
		t.Setenv(name, temp)
	}
	t.Setenv(asProgram, "1")
	var out, errs bytes.Buffer
	status = run(context.Background(), args, strings.NewReader(""), &out, &errs)
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
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Fatalf("%s holds %q, want %q", dir, got, want)
	}
}

func writeFile(t *testing.T, name string, contents []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, contents, 0o666); err != nil {
		t.Fatal(err)
	}
}

func TestHelpNamesEveryPhaseAndFlag(t *testing.T) {
	for _, args := range [][]string{{"help"}, {"-h"}, {"--help"}, {"files", "-h"}} {
		status, out, errs := kvbench(t, args...)
		if status != 0 || errs != "" {
			t.Fatalf("%q: status %d, stderr %q", args, status, errs)
		}
		want := []string{"-threads", "-value", "-only", "-json", "-cpuprofile", "-memprofile", "-kills", "-sync", "-dir", "-n "}
		for _, p := range standardPhases {
			want = append(want, p.name)
		}
		for _, w := range want {
			if !strings.Contains(out, w) {
				t.Errorf("%q: help lacks %s", args, w)
			}
		}
	}
}

func TestWrongFlagsAreUsageErrors(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"-nonsense", "nonsense"},
		{"nonsense", `unknown command "nonsense"`},
		{"-n 10 extra", `unexpected argument "extra"`},
		{"-n -1", "-n -1"},
		{"-n many", "many"},
		{"-threads 0", "-threads 0"},
		{"-value 15", "at least"},
		{"-value 15", "16"},
		{"-value 100,huge", "huge"},
		{"-value 2GiB", "2GiB"},
		{"-only fillseq,readall", `"readall"`},
		{"-writerate 0", "-writerate 0"},
		{"-limit -1s", "-limit"},
		{"-memory 1000", "-memory"},
		{"-force", "-dir"},
		{"files -kills 3", "-kill"},
		{"files -kill -kills 0", "-kills 0"},
		{"files a b", `"b"`},
		{"files -only fillseq", "only"},
		{"files-child", "files -kill"},
	} {
		status, out, errs := kvbench(t, strings.Fields(c.args)...)
		if c.want == "at least" {
			c.want = "from 16 bytes"
		}
		if status != exitUsage || out != "" || !strings.Contains(errs, c.want) || !strings.Contains(errs, "kvbench help") {
			t.Errorf("kvbench %s: status %d, stdout %q, stderr %q; want %q in it", c.args, status, out, errs, c.want)
		}
	}
}

func TestFailuresOfTheMachineHaveStatusOne(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing", "file")
	for _, args := range [][]string{
		{"files", missing},
		{"files", t.TempDir()}, // no files in it
		{"-n", "100", "-value", "100", "-only", "fillseq", "-json", missing},
		{"-n", "100", "-cpuprofile", missing},
		{"-n", "100", "-value", "100", "-only", "fillseq", "-memprofile", missing},
	} {
		status, _, errs := kvbench(t, args...)
		if status != exitFailed || !strings.HasPrefix(lastLine(errs), "kvbench: ") {
			t.Errorf("%q: status %d, stderr %q", args, status, errs)
		}
	}
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return lines[len(lines)-1]
}
