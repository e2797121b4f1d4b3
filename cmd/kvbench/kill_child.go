package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/cordwood-db/cordwood/db"
)

// The child of files -kill is this program again. It is told on standard input
// which files to store, a line each: a ticket, a space, the path quoted as in
// Go. It answers on standard output with childOpen when the store is open, and
// with the ticket when a file's Put has returned. At the end of its input it
// closes the store and exits with status 0.
const (
	childCommand = "files-child" // not in the help: for this program only
	childOpen    = "open"
)

// killOptions make stores of -kill small inside, so that kills also hit
// flushes, compactions and files of the value log being changed.
func killOptions(durability db.Durability) *db.Options {
	return &db.Options{Durability: durability, MemtableBytes: 128 << 10, TableBytes: 128 << 10, MemoryMax: 32 << 20}
}

// runChild is the child's whole life.
func runChild(args []string, in io.Reader, out io.Writer) (err error) {
	flags := flag.NewFlagSet(childCommand, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	sync := flags.Bool("sync", false, "")
	threads := flags.Int("threads", 2, "")
	if err := flags.Parse(args); err != nil || flags.NArg() != 2 || *threads < 1 {
		return usageErrorf("%s is started by files -kill only", childCommand)
	}
	options := killOptions(db.NoSync)
	if *sync {
		options.Durability = db.Sync
	}
	store, err := db.Open(flags.Arg(0), options)
	if err != nil {
		return fmt.Errorf("child: opening the store: %w", err)
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	if _, err := fmt.Fprintln(out, childOpen); err != nil {
		return err
	}
	c := &child{store: store, root: flags.Arg(1), out: out}
	return c.serve(in, *threads)
}

// child stores files on request.
type child struct {
	store points
	root  string
	mu    sync.Mutex
	out   io.Writer // guarded by mu
}

// serve stores what is asked for until the input ends or a worker fails.
func (c *child) serve(in io.Reader, threads int) error {
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
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<20)
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
