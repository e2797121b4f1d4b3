package process

import (
	"errors"
	"fmt"
	"io"
	"os"
	"testing"
	"time"

	"github.com/cordwood-db/cordwood/db"
)

// ownerChild opens the store, says what came of it, and holds it until its
// standard input ends.
func ownerChild(dir string) error {
	start := time.Now()
	store, err := db.Open(dir, options())
	if errors.Is(err, db.ErrLocked) {
		fmt.Println("locked", time.Since(start).Milliseconds())
		return nil
	}
	if err != nil {
		return err
	}
	fmt.Println("open")
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return err
	}
	return store.Close()
}

func TestOneOfTwoRacingProcessesGetsTheStore(t *testing.T) {
	const rounds, roundsMax = 5, 100
	quick := 0
	for round := 0; round < rounds || quick == 0 && round < roundsMax; round++ {
		dir := t.TempDir()
		a, b := startChild(t, "owner", dir, nil), startChild(t, "owner", dir, nil)
		lines := map[string]int{}
		for _, c := range []*child{a, b} {
			line := c.line()
			var ms int
			if n, _ := fmt.Sscanf(line, "locked %d", &ms); n == 1 {
				if line = "locked"; ms < 1000 {
					quick++
				}
			}
			lines[line]++
		}
		if lines["open"] != 1 || lines["locked"] != 1 {
			t.Fatalf("round %d: the processes said %v; %s%s", round, lines, a.err.String(), b.err.String())
		}
		if _, err := db.Open(dir, options()); !errors.Is(err, db.ErrLocked) {
			t.Fatalf("round %d: a third opener got %v", round, err)
		}
		for _, c := range []*child{a, b} {
			if err := c.stdin.Close(); err != nil {
				t.Error(err)
			}
			if err := c.cmd.Wait(); err != nil {
				t.Errorf("round %d: %v: %s", round, err, c.err.String())
			}
		}
	}
	if quick == 0 { // a busy machine may hold up some
		t.Error("it takes a second or more to say that the store is locked")
	}
}

func TestKilledOwnerLeavesNoLock(t *testing.T) {
	dir := t.TempDir()
	for range 3 {
		c := startChild(t, "owner", dir, nil)
		if line := c.line(); line != "open" {
			t.Fatalf("%q: %s", line, c.err.String())
		}
		if _, err := db.Open(dir, options()); !errors.Is(err, db.ErrLocked) {
			t.Fatalf("beside a living owner: %v", err)
		}
		c.kill()
		store, err := db.Open(dir, options())
		if err != nil {
			t.Fatal(err)
		}
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSecondHandleOfTheSameProcessIsLockedOut(t *testing.T) {
	dir := t.TempDir()
	store, err := db.Open(dir, options())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Open(dir, options()); !errors.Is(err, db.ErrLocked) {
		t.Fatal(err)
	}
	readOnly := options()
	readOnly.ReadOnly = true
	if _, err := db.Open(dir, readOnly); !errors.Is(err, db.ErrLocked) {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	// Readers share.
	a, err := db.Open(dir, readOnly)
	if err != nil {
		t.Fatal(err)
	}
	b, err := db.Open(dir, readOnly)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Open(dir, options()); !errors.Is(err, db.ErrLocked) {
		t.Fatal(err)
	}
	if err := errors.Join(a.Close(), b.Close()); err != nil {
		t.Fatal(err)
	}
}
