package process

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/cordwood-db/cordwood/db"
)

// childEnv names the role that a process started by a test plays.
const childEnv = "CORDWOOD_TEST_CHILD"

func TestMain(m *testing.M) {
	roles := map[string]func(dir string) error{
		"writers": writersChild, "owner": ownerChild, "reader": readerChild, "huge": hugeChild,
		"filler": fillerChild, "limited": limitedChild, "bounded": boundedChild,
	}
	role := os.Getenv(childEnv)
	if role == "" {
		os.Exit(m.Run())
	}
	if err := roles[role](os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// child is a process that plays a role.
type child struct {
	cmd   *exec.Cmd
	stdin io.Closer
	out   *bufio.Scanner
	err   strings.Builder
}

// startChild starts a process in a role on dir. prepare may change the command.
func startChild(t *testing.T, role, dir string, prepare func(*exec.Cmd)) *child {
	t.Helper()
	c, err := start(role, dir, prepare)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.kill)
	return c
}

// start is startChild without a test to end it.
func start(role, dir string, prepare func(*exec.Cmd)) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := &child{cmd: exec.Command(self, dir)}
	c.cmd.Env = append(os.Environ(), childEnv+"="+role)
	c.cmd.Stderr = &c.err
	if prepare != nil {
		prepare(c.cmd)
	}
	stdin, err := c.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	c.stdin, c.out = stdin, bufio.NewScanner(stdout)
	return c, c.cmd.Start()
}

// kill ends the process at whatever it is doing, if it has not ended yet.
func (c *child) kill() {
	if c.cmd.ProcessState == nil {
		_ = c.cmd.Process.Kill()
		_ = c.cmd.Wait()
	}
}

// line is the next line that the process prints, "" at the end.
func (c *child) line() string {
	if !c.out.Scan() {
		return ""
	}
	return c.out.Text()
}

// options are those of every store here: small files, so that flushes,
// compactions and collections are always under way.
func options() *db.Options {
	return &db.Options{
		MemoryMax: 8 << 20, MemtableBytes: 64 << 10, TableBytes: 64 << 10, ValueThreshold: 512,
		SyncInterval: 20 * time.Millisecond,
	}
}
