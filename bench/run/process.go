package run

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// ChildCommand is the argument that makes kvbench a child: it has to call Child.
const ChildCommand = "_child"

// grace is how long a child that was told to stop may take before it is killed.
const grace = 20 * time.Second

// process is a child at work.
type process struct {
	command  *exec.Cmd
	in       io.WriteCloser
	requests *json.Encoder
	messages *json.Decoder
	errors   words
	stopOnce sync.Once
	killer   *time.Timer
}

// start starts a child of program, empty for this one, with its job.
func start(program string, j *job) (*process, error) {
	if program == "" {
		var err error
		if program, err = os.Executable(); err != nil {
			return nil, err
		}
	}
	p := &process{command: exec.Command(program, ChildCommand)}
	p.command.Stderr = &p.errors
	detach(p.command)
	var err error
	if p.in, err = p.command.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.command.StdoutPipe()
	if err != nil {
		return nil, errors.Join(err, p.in.Close())
	}
	if err := p.command.Start(); err != nil {
		return nil, errors.Join(err, p.in.Close())
	}
	p.requests = json.NewEncoder(p.in)
	p.messages = json.NewDecoder(bufio.NewReaderSize(out, 1<<16))
	if err := p.requests.Encode(request{Job: j}); err != nil {
		return nil, errors.Join(p.gone(err), p.kill())
	}
	return p, nil
}

// next waits for the child's next message. An error says that the child has gone
// without having done its job.
func (p *process) next() (message, error) {
	var m message
	if err := p.messages.Decode(&m); err != nil {
		return m, p.gone(err)
	}
	if m.Error != "" {
		return m, errors.New(m.Error)
	}
	return m, nil
}

// gone tells why the child does not speak any more. Its own last words say more
// than the pipe does.
func (p *process) gone(cause error) error {
	err := p.command.Wait()
	if err == nil {
		err = cause
	}
	if words := p.errors.String(); words != "" {
		return fmt.Errorf("the child process died (%w): %s", err, words)
	}
	return fmt.Errorf("the child process died: %w", err)
}

// stop asks the child to end soon, with what it has; it is killed if it does not.
// It may be called at any time, from any goroutine, more than once.
func (p *process) stop() {
	p.stopOnce.Do(func() {
		// If this fails, the child has died, which next tells.
		_ = p.requests.Encode(request{Stop: true})
		p.killer = time.AfterFunc(grace, func() { _ = p.command.Process.Kill() })
	})
}

// wait waits until the child, which has said that it is done, has gone.
func (p *process) wait() error {
	err := p.command.Wait()
	p.stopOnce.Do(func() {})
	if p.killer != nil {
		p.killer.Stop()
	}
	return errors.Join(err, ignoreClosed(p.in.Close()))
}

// kill ends the child at once and waits for it.
func (p *process) kill() error {
	if err := p.command.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	// Wait says that the child was killed, or was waited for before.
	_ = p.command.Wait()
	return ignoreClosed(p.in.Close())
}

// ignoreClosed is for pipes that Wait may have closed already.
func ignoreClosed(err error) error {
	if errors.Is(err, os.ErrClosed) {
		return nil
	}
	return err
}

// words keeps the first and the last bytes that were written to it: a panic says
// first what it is, and last where. Safe for concurrent use.
type words struct {
	mu          sync.Mutex
	first, last []byte
	left        int // out between them
}

const wordsBytes = 2 << 10 // of each

func (w *words) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := min(len(p), wordsBytes-len(w.first))
	w.first = append(w.first, p[:n]...)
	w.last = append(w.last, p[n:]...)
	if over := len(w.last) - wordsBytes; over > 0 {
		w.last = append(w.last[:0], w.last[over:]...)
		w.left += over
	}
	return len(p), nil
}

func (w *words) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	between := ""
	if w.left > 0 {
		between = fmt.Sprintf("\n[%d bytes left out]\n", w.left)
	}
	return strings.TrimSpace(string(w.first) + between + string(w.last))
}
