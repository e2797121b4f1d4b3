package process

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/cordwood-db/cordwood/db"
)

// limitEnv says which limit a child lives under.
const limitEnv = "CORDWOOD_TEST_LIMIT"

// limit is one that a child sets for itself.
type limit struct {
	resource int
	value    func() (uint64, error)
	causes   []error // of what the store then refuses
}

var limits = map[string]limit{
	"files": {syscall.RLIMIT_NOFILE, func() (uint64, error) {
		open, err := os.ReadDir("/proc/self/fd")
		return uint64(len(open)), err // one of them is that of ReadDir
	}, []error{syscall.EMFILE}},
	"bytes": {syscall.RLIMIT_FSIZE, func() (uint64, error) { return 100 << 10, nil }, []error{syscall.EFBIG}},
}

// limitedKeys is how many keys a limited child overwrites, in turn.
const limitedKeys = 200

func limitedKey(n int) []byte { return fmt.Appendf(nil, "limited/%04d", n%limitedKeys) }

// limitedChild writes, acknowledging each write, under a limit that it has set
// for a while. Whatever it is refused has to be an error that names the limit,
// and what it reads has to be right.
func limitedChild(dir string) error {
	l := limits[os.Getenv(limitEnv)]
	o := options()
	o.MemtableBytes, o.ValueThreshold = 1<<20, 600
	store, err := db.Open(dir, o)
	if err != nil {
		return err
	}
	c := &limited{store: store, limit: l}
	if err := c.writes(1000); err != nil {
		return err
	}
	if c.refused > 0 {
		return errors.New("refused without a limit")
	}
	var before syscall.Rlimit
	if err := syscall.Getrlimit(l.resource, &before); err != nil {
		return err
	}
	value, err := l.value()
	if err != nil {
		return err
	}
	if err := syscall.Setrlimit(l.resource, &syscall.Rlimit{Cur: value, Max: before.Max}); err != nil {
		return err
	}
	if err := c.writes(4000); err != nil {
		return err
	}
	if other, err := db.Open(dir+"-other", o); err == nil {
		err = other.Close() // files of nothing fit
		if err != nil {
			return err
		}
	} else if !c.typed(err) {
		return fmt.Errorf("another store: %w", err)
	}
	if err := syscall.Setrlimit(l.resource, &before); err != nil {
		return err
	}
	refused := c.refused
	if err := c.writes(1000); err != nil {
		return err
	}
	if refused == 0 {
		return errors.New("the limit did not matter")
	}
	if err := store.Close(); err != nil && !c.typed(err) {
		return err
	}
	return say("refused %d, afterwards %d, first %q", refused, c.refused-refused, c.first)
}

// limited is a store whose process lives under a limit.
type limited struct {
	store   *db.DB
	limit   limit
	n       int // writes
	last    [limitedKeys]int
	refused int
	first   string
}

// typed reports whether an error names the limit.
func (c *limited) typed(err error) bool {
	for _, cause := range c.limit.causes {
		if errors.Is(err, cause) {
			return true
		}
	}
	return false
}

// writes makes so many, and reads after each.
func (c *limited) writes(count int) error {
	for range count {
		n := c.n
		c.n++
		if err := c.store.Put(limitedKey(n), batchValue(9, n, 0)); err != nil {
			if !c.typed(err) {
				return fmt.Errorf("write %d: %w", n, err)
			}
			if c.refused++; c.first == "" {
				c.first = err.Error()
			}
		} else {
			c.last[n%limitedKeys] = n
			if err := say("ack %d", n); err != nil {
				return err
			}
		}
		k := n * 7 % min(limitedKeys, n+1)
		got, err := c.store.Get(limitedKey(k))
		if err != nil && !c.typed(err) {
			return fmt.Errorf("read of key %d: %w", k, err)
		}
		if err == nil && !bytes.Equal(got, batchValue(9, c.last[k], 0)) {
			return fmt.Errorf("key %d, written last by %d: %.20q", k, c.last[k], got)
		}
	}
	return nil
}

// A process that runs out of descriptors, or whose files may not grow, gets
// errors that say so, reads what is right, and loses nothing.
func TestLimitedProcessIsToldAndLosesNothing(t *testing.T) {
	for name := range limits {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir() + "/store"
			c := startChild(t, "limited", dir, func(cmd *exec.Cmd) { cmd.Env = append(cmd.Env, limitEnv+"="+name) })
			acked, summary := map[int]int{}, ""
			for line := c.line(); line != ""; line = c.line() {
				var n int
				if _, err := fmt.Sscanf(line, "ack %d", &n); err != nil {
					summary = line
				} else {
					acked[n%limitedKeys] = n
				}
			}
			if err := c.cmd.Wait(); err != nil || !strings.HasPrefix(summary, "refused") {
				t.Fatalf("%v, %q, %v", err, summary, c.complaint())
			}
			t.Log(summary)
			store, err := db.Open(dir, options())
			if err != nil {
				t.Fatal(err)
			}
			for k, n := range acked {
				got, err := store.Get(limitedKey(k))
				// A write that was refused may have been made nevertheless: then later.
				if err != nil || !bytes.Equal(got, batchValue(9, n, 0)) && !later(got, k, n) {
					t.Errorf("key %d, acknowledged %d: %.20q, %v", k, n, got, err)
				}
			}
			if err := store.Close(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// later reports whether a value is that of a write to key k after number n.
func later(got []byte, k, n int) bool {
	var m int
	_, err := fmt.Sscanf(string(got), "9/%d/", &m)
	return err == nil && m > n && m%limitedKeys == k && bytes.Equal(got, batchValue(9, m, 0))
}
