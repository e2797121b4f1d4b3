//go:build unix

package main

import (
	"bufio"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestCtrlCStopsAndLeavesNothing interrupts a real process as soon as it works.
func TestCtrlCStopsAndLeavesNothing(t *testing.T) {
	tree := writeTree(t, 400)
	for _, c := range []struct {
		args  []string
		after string
	}{
		{[]string{"-n", "500000"}, "fillseq"},
		{[]string{"files", "-kill", "-kills", "1000", tree}, "killing"},
	} {
		temp := t.TempDir()
		command := exec.Command(os.Args[0], c.args...)
		command.Env = append(os.Environ(), "TMPDIR="+temp, asProgram+"=1")
		progress, err := command.StderrPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := command.Start(); err != nil {
			t.Fatal(err)
		}
		for lines := bufio.NewScanner(progress); lines.Scan(); {
			if strings.HasPrefix(lines.Text(), c.after) {
				time.Sleep(100 * time.Millisecond)
				if err := command.Process.Signal(syscall.SIGINT); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := command.Wait(); command.ProcessState.ExitCode() != exitInterrupted {
			t.Errorf("%q: %v", c.args, err)
		}
		wantEntries(t, temp)
	}
}
