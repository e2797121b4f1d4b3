package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// asProgram makes the test binary behave as kvbench.
const asProgram = "KVBENCH_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	os.Exit(m.Run())
}

// kvbench runs the program as a process, with a temporary folder that must be
// empty afterwards.
func kvbench(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	temp := t.TempDir()
	command := exec.Command(os.Args[0], args...)
	command.Env = append(os.Environ(), asProgram+"=1", "TMPDIR="+temp, "TMP="+temp, "TEMP="+temp)
	var out, errs bytes.Buffer
	command.Stdout, command.Stderr = &out, &errs
	if err := command.Run(); err != nil && command.ProcessState == nil {
		t.Fatal(err)
	}
	if entries, err := os.ReadDir(temp); err != nil || len(entries) > 0 {
		t.Errorf("%q leaves %v behind, %v", args, entries, err)
	}
	return command.ProcessState.ExitCode(), out.String(), errs.String()
}

func TestTheStandardRunInSmall(t *testing.T) {
	status, out, errs := kvbench(t, "-n", "300")
	if status != 0 || !strings.Contains(errs, "readwhilewriting") {
		t.Fatalf("status %d\n%s\n%s", status, out, errs)
	}
	for _, want := range []string{"cordwood", "SET 100", "SET 1KiB", "fillseq", "readwhilewriting"} {
		if !strings.Contains(out, want) {
			t.Errorf("the table lacks %s:\n%s", want, out)
		}
	}
}

func TestATreeIsStoredWhileBeingKilled(t *testing.T) {
	root := t.TempDir()
	for _, name := range []string{"a", "b", "c d"} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(strings.Repeat(name, 500)), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	status, out, errs := kvbench(t, "files", "-kill", "-kills", "2", root)
	if status != 0 || !strings.Contains(out, "killed 2 times") {
		t.Fatalf("status %d\n%s\n%s", status, out, errs)
	}
}

func TestWrongFlagsHaveStatusTwo(t *testing.T) {
	status, out, errs := kvbench(t, "-treads", "3")
	if status != 2 || out != "" || !strings.Contains(errs, "did you mean -threads?") {
		t.Errorf("status %d\n%s\n%s", status, out, errs)
	}
}
