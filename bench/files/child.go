package files

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/cordwood-db/cordwood/bench/engine"
)

// The child of Kill is told on standard input what to do: first a childJob, as one
// line of JSON; then which files to store, a line each: a ticket, a space, the path
// quoted as in Go. It answers on standard output with childOpen when the store is
// open, and with the ticket when a file's Put has returned. At the end of its input
// it closes the store and is done.
const childOpen = "open"

// childJob is the first line.
type childJob struct {
	Engine  string         `json:"engine"`
	Store   engine.Options `json:"store"`
	Root    string         `json:"root"` // of the tree
	Threads int            `json:"threads"`
}

// requestBytesMax is the longest line that a child takes.
const requestBytesMax = 1 << 20

// Child is the whole life of a process that Kill has started and is going to kill.
func Child(in io.Reader, out io.Writer) (err error) {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, requestBytesMax)
	if !lines.Scan() {
		return errors.Join(errors.New("child: started without a job; that is done by kvbench files -kill only"), lines.Err())
	}
	var job childJob
	if err := json.Unmarshal(lines.Bytes(), &job); err != nil {
		return fmt.Errorf("child: reading the job: %w", err)
	}
	e, ok := engine.Find(job.Engine)
	if !ok || job.Threads < 1 {
		return fmt.Errorf("child: no engine %q, or %d threads", job.Engine, job.Threads)
	}
	store, err := e.Open(job.Store)
	if err != nil {
		return fmt.Errorf("child: opening the store: %w", err)
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	if _, err := fmt.Fprintln(out, childOpen); err != nil {
		return err
	}
	c := &child{store: store, root: job.Root, out: out}
	return c.serve(lines, job.Threads)
}

// child stores files on request.
type child struct {
	store engine.Store
	root  string
	mu    sync.Mutex
	out   io.Writer // guarded by mu
}

// serve stores what is asked for until the input ends or a worker fails.
func (c *child) serve(lines *bufio.Scanner, threads int) error {
	requests := make(chan string)
	failed := make(chan struct{})
	var fail sync.Once
	errs := make([]error, threads)
	var workers sync.WaitGroup
	for i := range threads {
		workers.Go(func() {
			for request := range requests {
				if errs[i] = c.storeFile(request); errs[i] != nil {
					fail.Do(func() { close(failed) })
					return
				}
			}
		})
	}
reading:
	for lines.Scan() {
		select {
		case requests <- lines.Text():
		case <-failed:
			break reading
		}
	}
	close(requests)
	workers.Wait()
	return errors.Join(append(errs, lines.Err())...)
}

// storeFile serves one request.
func (c *child) storeFile(request string) error {
	ticket, quoted, _ := strings.Cut(request, " ")
	path, err := strconv.Unquote(quoted)
	if err != nil {
		return fmt.Errorf("child: request %q: %w", request, err)
	}
	contents, err := os.ReadFile(filepath.Join(c.root, filepath.FromSlash(path)))
	if err != nil {
		return err
	}
	if err := c.store.Put([]byte(path), contents); err != nil {
		return fmt.Errorf("child: putting %q: %w", path, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	// One write call, at once: from here on the parent knows.
	_, err = io.WriteString(c.out, ticket+"\n")
	return err
}
