package files

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"
)

// stuckAfter is how long a child may go without acknowledging anything. It is
// then asked for its stacks, and the run fails.
const stuckAfter = 60 * time.Second

// victim is a child at work, seen from the parent.
type victim struct {
	command *exec.Cmd
	in      io.WriteCloser
	out     io.ReadCloser
	errors  bytes.Buffer // complete after wait
	killed  atomic.Bool
	stuck   atomic.Bool
}

// start starts a child on the store.
func (f *run) start(ctx context.Context) (*victim, error) {
	if err := os.MkdirAll(f.storeDir, 0o777); err != nil {
		return nil, err
	}
	o := f.Store
	o.Dir = f.storeDir
	job, err := json.Marshal(childJob{Engine: f.Engine.Name, Store: o, Root: f.Tree.root, Threads: f.Threads})
	if err != nil {
		return nil, err
	}
	v := &victim{command: exec.CommandContext(ctx, f.Child[0], f.Child[1:]...)}
	v.command.Stderr = &v.errors
	if v.in, err = v.command.StdinPipe(); err != nil {
		return nil, err
	}
	if v.out, err = v.command.StdoutPipe(); err != nil {
		return nil, err
	}
	if err := v.command.Start(); err != nil {
		return nil, err
	}
	// A child that is gone already cannot take it: wait tells.
	_, _ = v.in.Write(append(job, '\n'))
	return v, nil
}

// kill ends the child as SIGKILL does.
func (v *victim) kill() {
	v.killed.Store(true)
	// It may have ended by itself just now; wait tells.
	_ = v.command.Process.Kill()
}

// abandon is for a child that is stuck: on Unix its stacks go to errors first.
func (v *victim) abandon() {
	v.stuck.Store(true)
	if v.command.Process.Signal(syscall.SIGQUIT) != nil {
		v.kill()
		return
	}
	time.AfterFunc(5*time.Second, v.kill)
}

// feed sends requests until the child is gone or next returns false, and then
// ends the child's input.
func (v *victim) feed(paths []string, next func() (ticket int, ok bool)) {
	for {
		ticket, ok := next()
		if !ok {
			break
		}
		if _, err := fmt.Fprintf(v.in, "%d %s\n", ticket, strconv.Quote(paths[ticket])); err != nil {
			break // killed: what matters is what it acknowledged
		}
	}
	_ = v.in.Close() // it may be closed already
}

// listen calls opened and acknowledged for what the child says, until the last
// of it has been read: also what it said before it was killed.
func (v *victim) listen(tickets int, opened func(), acknowledged func(ticket int)) error {
	watchdog := time.AfterFunc(stuckAfter, v.abandon)
	defer watchdog.Stop()
	lines := bufio.NewReader(v.out)
	for {
		line, err := lines.ReadString('\n')
		if err != nil { // an incomplete line acknowledges nothing
			return nil
		}
		watchdog.Reset(stuckAfter)
		line = line[:len(line)-1]
		if line == childOpen {
			opened()
			continue
		}
		ticket, err := strconv.Atoi(line)
		if err != nil || ticket < 0 || ticket >= tickets {
			return fmt.Errorf("the child said %q", line)
		}
		acknowledged(ticket)
	}
}

// wait waits for the end of the child, after listen. It is an error if the
// child ended by itself, unless it did so in good order. What an engine writes to
// standard error is told with an error, and is none.
func (v *victim) wait() error {
	err := v.command.Wait()
	switch {
	case v.stuck.Load():
		return fmt.Errorf("the child acknowledged nothing for %v:\n%s", stuckAfter, v.errors.Bytes())
	case err == nil:
		return nil
	}
	exit, ok := errors.AsType[*exec.ExitError](err)
	switch {
	case !ok:
		return err
	case v.killed.Load() && !exit.Exited():
		return nil
	case v.killed.Load() && v.errors.Len() == 0: // where a kill looks like an exit
		return nil
	}
	return fmt.Errorf("the child failed (%w):\n%s", err, v.errors.Bytes())
}
