//go:build unix

package cli

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cordwood-db/cordwood/bench/result"
)

// interrupted starts the program, sends it signals as soon as a line of its
// progress begins with after, and waits for its end.
func interrupted(t *testing.T, temp, after string, signals []syscall.Signal, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	command := exec.Command(os.Args[0], args...)
	command.Env = append(os.Environ(), "TMPDIR="+temp, asProgram+"=1")
	var out, errs bytes.Buffer
	command.Stdout = &out
	progress, err := command.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	sent := false
	for lines := bufio.NewScanner(progress); lines.Scan(); {
		errs.WriteString(lines.Text() + "\n")
		if strings.HasPrefix(lines.Text(), after) && !sent {
			sent = true
			time.Sleep(100 * time.Millisecond) // so that it is at work
			for _, s := range signals {
				if err := command.Process.Signal(s); err != nil {
					t.Fatal(err)
				}
				time.Sleep(20 * time.Millisecond) // or two would be one
			}
		}
	}
	// What is wrong with its end is told by the status.
	_ = command.Wait()
	return command.ProcessState.ExitCode(), out.String(), errs.String()
}

// wantEmptySoon checks that a folder gets empty: children end a little after their
// parent.
func wantEmptySoon(t *testing.T, dir string) {
	t.Helper()
	for range 1200 { // a minute
		if entries, err := os.ReadDir(dir); err == nil && len(entries) == 0 {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	wantEntries(t, dir)
}

func TestASignalEndsARunWithItsResults(t *testing.T) {
	signals := []syscall.Signal{syscall.SIGINT, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // as it is under nohup, and then by the program, too
		signals = append(signals, syscall.SIGHUP)
	}
	for _, signal := range signals {
		temp, saved := t.TempDir(), filepath.Join(t.TempDir(), "run.json")
		status, out, errs := interrupted(t, temp, "cordwood, 1KiB, readrandom", []syscall.Signal{signal},
			"run", "-n", "500", "-duration", "1m", "-limit", "0", "-slo", "read.p99<=1ns", "-json", saved, "fillseq", "readrandom", "readseq")
		if status != StatusInterrupted || !strings.Contains(errs, "kvbench: interrupted") || !strings.Contains(out, "fillseq") ||
			!strings.Contains(out, "readrandom") || strings.Contains(out, "1ns") {
			t.Errorf("%v: status %d\n%s\n%s", signal, status, out, errs)
		}
		wantEntries(t, temp)
		r, err := result.ReadFile(saved)
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Phases) != 2 || r.Phases[0].Partial || !r.Phases[1].Partial || r.Footer == nil || !r.Footer.Partial || r.Footer.Error != "interrupted" {
			t.Errorf("%v: saved %+v, %+v", signal, r.Phases, r.Footer)
		}
	}
}

func TestASecondSignalEndsItAtOnce(t *testing.T) {
	temp := t.TempDir()
	began := time.Now()
	status, _, errs := interrupted(t, temp, "cordwood, 1KiB, fillrandom", []syscall.Signal{syscall.SIGINT, syscall.SIGINT}, "run", "-n", "1M", "fillrandom")
	if status != StatusInterrupted {
		t.Errorf("status %d after %v\n%s", status, time.Since(began), errs)
	}
	wantEmptySoon(t, temp)
}

func TestASignalEndsFiles(t *testing.T) {
	root := t.TempDir()
	for _, name := range []string{"a", "b", "c"} {
		writeFile(t, filepath.Join(root, name), strings.Repeat(name, 1000))
	}
	temp := t.TempDir()
	status, out, errs := interrupted(t, temp, "cordwood, files-kill", []syscall.Signal{syscall.SIGINT}, "files", "-kill", "-kills", "10000", root)
	if status != StatusInterrupted || !strings.Contains(out, "killed ") || strings.Contains(out, "every acknowledged") {
		t.Errorf("status %d\n%s\n%s", status, out, errs)
	}
	wantEntries(t, temp)
}
