//go:build unix

package process

import (
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/cordwood-db/cordwood/db"
)

// A process that is stopped goes on owning its store, and goes on with it.
func TestStoppedOwnerKeepsTheStore(t *testing.T) {
	dir := t.TempDir()
	c := startChild(t, "owner", dir, nil)
	if line := c.line(); line != "open" {
		t.Fatalf("%q: %v", line, c.complaint())
	}
	if err := c.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	for _, readOnly := range []bool{false, true} {
		o := options()
		o.ReadOnly = readOnly
		if _, err := db.Open(dir, o); !errors.Is(err, db.ErrLocked) {
			t.Errorf("beside a stopped owner, read-only %v: %v", readOnly, err)
		}
	}
	other := startChild(t, "owner", dir, nil)
	if line := other.line(); !strings.HasPrefix(line, "locked") {
		t.Errorf("another process beside a stopped owner: %q", line)
	}
	if err := c.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(c.stdin.Close(), c.cmd.Wait()); err != nil {
		t.Fatalf("%v: %v", err, c.complaint())
	}
	store, err := db.Open(dir, options())
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestOneOfManyRacingProcessesGetsTheStore(t *testing.T) {
	for range 3 {
		dir := t.TempDir()
		var racers []*child
		for range 10 {
			racers = append(racers, startChild(t, "owner", dir, nil))
		}
		open := 0
		for i, c := range racers {
			switch line := c.line(); {
			case line == "open":
				open++
			case !strings.HasPrefix(line, "locked"):
				t.Fatalf("racer %d: %q, %v", i, line, c.complaint())
			}
		}
		if open != 1 {
			t.Fatalf("%d processes own the store", open)
		}
		for i, c := range racers {
			if err := errors.Join(c.stdin.Close(), c.cmd.Wait()); err != nil {
				t.Errorf("racer %d: %v: %v", i, err, c.complaint())
			}
		}
	}
}

// Readers share a store with each other and never with a writer: whoever comes
// second is told that it is locked, and each reader reads all of it.
func TestReadersRaceAWriter(t *testing.T) {
	dir := t.TempDir()
	store, err := db.Open(dir, options())
	if err != nil {
		t.Fatal(err)
	}
	const n = 500
	for i := range n {
		if err := store.Put(batchKey(0, i, 0), batchValue(0, i, 0)); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	for round := range 4 {
		var readers []*child
		read := func() { readers = append(readers, startChild(t, "reader", dir, func(*exec.Cmd) {})) }
		read()
		read()
		writer := startChild(t, "owner", dir, nil)
		read()
		read()
		written := writer.line()
		if written != "open" && !strings.HasPrefix(written, "locked") {
			t.Fatalf("round %d, writer: %q, %v", round, written, writer.complaint())
		}
		refused := 0
		for i, c := range readers {
			line := c.line()
			err := c.cmd.Wait()
			if strings.Contains(c.err.String(), db.ErrLocked.Error()) {
				refused++
			} else if err != nil || !strings.HasPrefix(line, fmt.Sprintf("read %d ", n)) {
				t.Fatalf("round %d, reader %d: %q, %v, %v", round, i, line, err, c.complaint())
			}
		}
		if refused > 0 && written != "open" {
			t.Errorf("round %d: %d readers are refused, and so is the writer: %q", round, refused, written)
		}
		if err := errors.Join(writer.stdin.Close(), writer.cmd.Wait()); err != nil {
			t.Fatalf("round %d, writer: %v", round, writer.complaint())
		}
	}
}
