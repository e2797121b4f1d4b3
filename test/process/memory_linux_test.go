package process

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cordwood-db/cordwood/db"
	"github.com/cordwood-db/cordwood/internal/testkit"
)

// How a child is short of memory.
const (
	// cgroupEnv is the directory of the control group that it is to join.
	cgroupEnv = "CORDWOOD_TEST_CGROUP"
	// starveEnv makes it take all the memory that it can get; with the value
	// starveData, that is little more than it has by then.
	starveEnv  = "CORDWOOD_TEST_STARVE"
	starveData = "data"
)

// joinCgroup puts this process into the control group that it was given.
func joinCgroup() error {
	dir := os.Getenv(cgroupEnv)
	if dir == "" {
		return nil
	}
	return os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(strconv.Itoa(os.Getpid())), 0o644)
}

// newCgroup makes a control group that may have so many bytes of memory. A
// kernel may take minutes to end a process that has no more, which is why only
// a soak tries.
func newCgroup(t *testing.T, bytes int64) string {
	t.Helper()
	if os.Getenv(testkit.SoakEnv) == "" {
		t.Skip("runs in a soak")
	}
	dir := filepath.Join("/sys/fs/cgroup", fmt.Sprintf("cordwood-test-%d-%d", os.Getpid(), time.Now().UnixNano()))
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Skipf("no control group can be made: %v", err)
	}
	t.Cleanup(func() { _ = os.Remove(dir) })
	for file, value := range map[string]string{"memory.max": strconv.FormatInt(bytes, 10), "memory.oom.group": "1"} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(value), 0o644); err != nil {
			t.Skipf("no control group of version 2 for memory: %v", err)
		}
	}
	return dir
}

// starve lets this process run out of memory after a while, if it was told to.
func starve() error {
	how := os.Getenv(starveEnv)
	if how == "" {
		return nil
	}
	time.AfterFunc(rand.N(300*time.Millisecond), func() {
		if how == starveData {
			limitData(dataBytes() + 4<<20)
		}
		var taken [][]byte
		for {
			b := make([]byte, 1<<20)
			for i := 0; i < len(b); i += 1 << 10 {
				b[i] = 1
			}
			taken = append(taken, b)
			runtime.KeepAlive(taken)
		}
	})
	return nil
}

// dataBytes is what RLIMIT_DATA counts of this process.
func dataBytes() uint64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		panic(err) // of a child
	}
	_, rest, _ := strings.Cut(string(status), "VmData:")
	var kb uint64
	if _, err := fmt.Sscan(rest, &kb); err != nil {
		panic(err)
	}
	return kb << 10
}

func limitData(bytes uint64) {
	if err := syscall.Setrlimit(syscall.RLIMIT_DATA, &syscall.Rlimit{Cur: bytes, Max: bytes}); err != nil {
		panic(err)
	}
}

// A process whose memory is too small dies, by its runtime or by the kernel, at
// whatever it is doing. That is a kill like any other.
func TestProcessOutOfMemoryLosesNothingItAcknowledged(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector takes memory of its own")
	}
	for name, prepare := range map[string]func(*testing.T, *exec.Cmd){
		"by the runtime": func(_ *testing.T, cmd *exec.Cmd) { cmd.Env = append(cmd.Env, starveEnv+"="+starveData) },
		"by the kernel": func(t *testing.T, cmd *exec.Cmd) {
			cmd.Env = append(cmd.Env, starveEnv+"=all", cgroupEnv+"="+newCgroup(t, 100<<20))
		},
	} {
		t.Run(name, func(t *testing.T) {
			budget := testkit.Amount{Short: 1, Normal: 2, CI: 10, Full: 200}.Budget(t)
			seed := testkit.Seed(t)
			for n := 0; budget.More(n); n++ {
				l := newLife(t.TempDir(), seed+uint64(n))
				for range 3 {
					if err := l.starveOne(func(cmd *exec.Cmd) { prepare(t, cmd) }); err != nil {
						t.Fatalf("%s=%d: %v", testkit.SeedEnv, l.seed, err)
					}
					if err := l.check(); err != nil {
						t.Fatalf("%s=%d: %v", testkit.SeedEnv, l.seed, err)
					}
				}
				if err := os.RemoveAll(l.root); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// starveOne starts a child that runs out of memory, and waits for its end.
func (l *life) starveOne(prepare func(*exec.Cmd)) error {
	c, err := l.start(prepare)
	if err != nil {
		return err
	}
	defer c.kill()
	if err := l.listen(c, make(chan string, 16)); err != nil {
		return err
	}
	err = c.cmd.Wait()
	// The runtime has many ways to say it, depending on what it needed memory
	// for: a heap, a thread, one of C. It is no panic of Go code, though, and no
	// error that the child has told.
	const ofTheRuntime = 2
	exit, ok := errors.AsType[*exec.ExitError](err)
	if ok && (exit.Sys().(syscall.WaitStatus).Signaled() || exit.ExitCode() == ofTheRuntime) && !strings.Contains(c.err.String(), "panic: ") {
		return nil
	}
	return fmt.Errorf("the child has ended with %w, %v", err, c.complaint())
}

// What a bounded child keeps to: what the options say, as much again for the
// collector, and what docs/internals/time-and-memory.md does not count: the
// buffers of two compactions, what the cursor fetches ahead, and the stacks of
// threads.
const (
	boundedMemoryMax = 16 << 20
	boundedBytes     = 2*boundedMemoryMax + 32<<20
)

// boundedChild loads more than fits into memory, and reads it back, with no more
// memory than it should need.
func boundedChild(dir string) error {
	if err := joinCgroup(); err != nil {
		return err
	}
	if os.Getenv(cgroupEnv) == "" {
		limitData(dataBytes() + boundedBytes)
	}
	debug.SetMemoryLimit(boundedMemoryMax + boundedMemoryMax/2) // as the documentation advises
	store, err := db.Open(dir, &db.Options{MemoryMax: boundedMemoryMax, CompactionsMax: 2})
	if err != nil {
		return err
	}
	keys, err := strconv.Atoi(os.Getenv(limitEnv))
	if err != nil {
		return err
	}
	value := func(i int) []byte {
		v := fmt.Appendf(nil, "%d:", i)
		r := rand.New(rand.NewPCG(uint64(i), 0))
		for range 10 + i%90 + i%50/49*500 { // some of 4 KiB
			v = strconv.AppendUint(v, r.Uint64(), 36)
		}
		return v
	}
	for i := range keys {
		if err := store.Put(batchKey(i%7, i, 0), value(i)); err != nil {
			return err
		}
	}
	if err := store.Compact(context.Background(), db.All()); err != nil {
		return err
	}
	n := 0
	for item, err := range store.Scan(db.All()) {
		if err != nil {
			return err
		}
		v, err := item.Value()
		if err != nil {
			return err
		}
		var w, i int
		if _, err := fmt.Sscanf(string(item.Key()), "batch/%d/%d/", &w, &i); err != nil || string(v) != string(value(i)) {
			return fmt.Errorf("key %q, %w", item.Key(), err)
		}
		n++
	}
	if n != keys {
		return fmt.Errorf("%d keys, want %d", n, keys)
	}
	return errors.Join(store.Close(), say("bounded, %d MiB of data", dataBytes()>>20))
}

// smallStacks starts the command with threads that have small stacks: of a
// program with C in it each counts as 8 MiB of data otherwise, used or not.
func smallStacks(cmd *exec.Cmd) {
	cmd.Args = append([]string{"sh", "-c", `ulimit -s 256 && exec "$0" "$@"`, cmd.Path}, cmd.Args[1:]...)
	cmd.Path = "/bin/sh"
}

func TestStoreWorksInsideTheMemoryThatItsOptionsSay(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector takes memory of its own")
	}
	for name, prepare := range map[string]func(*testing.T, *exec.Cmd){
		"by RLIMIT_DATA": func(*testing.T, *exec.Cmd) {},
		"by a control group": func(t *testing.T, cmd *exec.Cmd) {
			cmd.Env = append(cmd.Env, cgroupEnv+"="+newCgroup(t, boundedBytes+40<<20)) // with the program's own
		},
	} {
		t.Run(name, func(t *testing.T) {
			keys := testkit.Amount{Short: 20_000, Normal: 40_000, CI: 80_000, Full: 2_000_000}.Budget(t).Want()
			c := startChild(t, "bounded", filepath.Join(t.TempDir(), "store"), func(cmd *exec.Cmd) {
				cmd.Env = append(cmd.Env, fmt.Sprintf("%s=%d", limitEnv, keys))
				smallStacks(cmd)
				prepare(t, cmd)
			})
			line := c.line()
			if err := c.cmd.Wait(); err != nil || !strings.HasPrefix(line, "bounded") {
				t.Fatalf("%v, %q: %v", err, line, c.complaint())
			}
			t.Log(line)
		})
	}
}
