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

// grace is how long a child that was told to stop, or that has said that it is
// done, may take before it is killed. Only tests change it.
var grace = 20 * time.Second

// lastWords is how long a child may live after it has closed its output.
const lastWords = 2 * time.Second

// process is a child at work.
type process struct {
	command  *exec.Cmd
	in       io.WriteCloser
	out      io.Closer
	requests *json.Encoder
	messages *json.Decoder
	errors   words
	stopOnce sync.Once
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
	p.command.WaitDelay = lastWords // others may have its standard error, and live on
	detach(p.command)
	var err error
	if p.in, err = p.command.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.command.StdoutPipe()
	if err != nil {
		return nil, errors.Join(err, p.in.Close())
	}
	p.out = out
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
// than the pipe does. A child that says what cannot be understood is killed: it
// would wait for ever for somebody to read the rest.
func (p *process) gone(cause error) error {
	silent := errors.Is(cause, io.EOF) || errors.Is(cause, io.ErrUnexpectedEOF)
	patience := lastWords
	if !silent {
		patience = 0
	}
	err := p.await(patience)
	if err == nil || !silent {
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
		// For a child that has ended, this does nothing.
		time.AfterFunc(grace, func() { _ = p.command.Process.Kill() })
		// If this fails, the child has died, which next tells.
		_ = p.requests.Encode(request{Stop: true})
	})
}

// await waits until the child has gone, and kills it if that takes too long.
func (p *process) await(patience time.Duration) error {
	defer time.AfterFunc(patience, func() { _ = p.command.Process.Kill() }).Stop()
	return p.command.Wait()
}

// wait waits until the child, which has said that it is done, has gone.
func (p *process) wait() error {
	err := p.await(grace)
	p.stopOnce.Do(func() {})
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
