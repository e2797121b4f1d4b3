package main

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
)

func TestAFolderWithSomethingInItIsLeftAlone(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "precious"), []byte("data"))
	args := []string{"-n", "50", "-value", "64", "-only", "fillseq", "-quiet", "-dir", dir}
	status, out, errs := kvbench(t, args...)
	if status != exitFailed || out != "" {
		t.Fatalf("status %d\n%s\n%s", status, out, errs)
	}
	wantEntries(t, dir, "precious")
	if status, _, errs := kvbench(t, append(args, "-force")...); status != 0 {
		t.Fatalf("with -force: status %d\n%s", status, errs)
	}
	wantEntries(t, dir, "precious")
}

func TestAFolderThatWasMadeIsRemoved(t *testing.T) {
	parent := t.TempDir()
	status, _, errs := kvbench(t, "-n", "50", "-value", "64", "-only", "fillseq", "-dir", filepath.Join(parent, "a", "b"))
	if status != 0 {
		t.Fatalf("status %d\n%s", status, errs)
	}
	wantEntries(t, parent)
	empty := filepath.Join(parent, "empty")
	if err := os.Mkdir(empty, 0o777); err != nil {
		t.Fatal(err)
	}
	if status, _, errs = kvbench(t, "-n", "50", "-value", "64", "-only", "fillseq", "-dir", empty); status != 0 {
		t.Fatalf("status %d\n%s", status, errs)
	}
	wantEntries(t, parent, "empty") // not ours: it stays
	wantEntries(t, empty)
}

func TestKeepKeepsTheData(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "kept")
	if status, _, errs := kvbench(t, "-n", "50", "-value", "64", "-only", "fillseq", "-dir", dir, "-keep"); status != 0 {
		t.Fatalf("status %d\n%s", status, errs)
	}
	if n, err := diskBytes(dir); err != nil || n == 0 {
		t.Fatalf("%d bytes kept, %v", n, err)
	}
}

func TestNothingIsLeftAfterAFailure(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	t.Setenv("TMP", temp)
	t.Setenv("TEMP", temp)
	broken := errors.New("broken")
	err := inWorkDir(context.Background(), &config{quiet: true}, io.Discard, io.Discard,
		func(_ context.Context, s *session) ([]result, error) {
			writeFile(t, filepath.Join(s.dir, "store", "file"), []byte("data"))
			return nil, broken
		})
	if !errors.Is(err, broken) {
		t.Fatal(err)
	}
	wantEntries(t, temp)
}

func TestACancelledRunStopsAndLeavesNothing(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	t.Setenv("TMP", temp)
	t.Setenv("TEMP", temp)
	t.Setenv(asProgram, "1")
	tree := writeTree(t, 50)
	for _, args := range [][]string{{}, {"files", tree}, {"files", "-kill", tree}} {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if status := run(ctx, args, nil, io.Discard, io.Discard); status != exitInterrupted {
			t.Errorf("%q: status %d", args, status)
		}
	}
	wantEntries(t, temp)
}
