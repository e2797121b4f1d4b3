package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// workDir is the folder that a run works in and that it removes at the end.
// Everything is made inside a new folder, so that nothing of the user's can be
// touched, whatever -dir names. Safe for concurrent use.
type workDir struct {
	mu      sync.Mutex
	path    string   // the folder with our data; empty before make
	parents []string // folders above it that make created, innermost first
	keep    bool
}

// errNotEmpty is for a -dir that holds something.
var errNotEmpty = errors.New("the folder is not empty: choose another, or add -force to work in a new folder inside it")

// make creates the folder: below the system's temporary folder if dir is empty,
// otherwise inside dir.
func (w *workDir) make(dir string, force, keep bool) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.keep = keep
	if dir != "" {
		if err := w.makeParents(dir, force); err != nil {
			return err
		}
	}
	path, err := os.MkdirTemp(dir, "kvbench-")
	if err != nil {
		return err
	}
	w.path, err = filepath.Abs(path)
	return err
}

func (w *workDir) makeParents(dir string, force bool) error {
	entries, err := os.ReadDir(dir)
	if err == nil {
		if len(entries) > 0 && !force {
			return &fs.PathError{Op: "-dir", Path: dir, Err: errNotEmpty}
		}
		return nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return err
	}
	for parent := dir; ; parent = filepath.Dir(parent) {
		if _, err := os.Stat(parent); err == nil {
			break
		}
		w.parents = append(w.parents, parent)
	}
	return os.MkdirAll(dir, 0o777)
}

// remove deletes the folder and what make created above it. Calling it again
// is allowed.
func (w *workDir) remove() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.keep && w.path != "" {
		return nil
	}
	if w.path != "" {
		if err := os.RemoveAll(w.path); err != nil {
			return fmt.Errorf("removing the temporary data: %w", err)
		}
		w.path = ""
	}
	for _, parent := range w.parents {
		if os.Remove(parent) != nil {
			break // somebody else has put something into it: not ours any more
		}
	}
	w.parents = nil
	return nil
}

// How often removeAtOnce tries again, and after which pause.
const (
	removals     = 40
	removalPause = 50 * time.Millisecond
)

// removeAtOnce is remove while children are still writing: a folder that gets a
// new file in between cannot be removed, so it tries again. The children end
// when this process does.
func (w *workDir) removeAtOnce() (err error) {
	for range removals {
		if err = w.remove(); err == nil {
			return nil
		}
		time.Sleep(removalPause)
	}
	return err
}

// catchInterrupts returns a context that the first Ctrl-C (or SIGTERM, or the
// end of the terminal) ends, so that the run stops in good order. A second one
// removes the data and exits at once, for a run that does not stop. A reader of
// the output that goes away ends nothing: the data would stay behind.
func catchInterrupts(parent context.Context, w *workDir) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancel(parent)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) { // as under nohup
		signal.Notify(signals, syscall.SIGHUP)
	}
	signal.Ignore(syscall.SIGPIPE)
	done := make(chan struct{})
	go func() {
		select {
		case <-signals:
			cancel()
		case <-done:
			return
		}
		select {
		case <-signals:
			if err := w.removeAtOnce(); err != nil {
				fmt.Fprintln(os.Stderr, strings.TrimSpace(err.Error()))
			}
			os.Exit(StatusInterrupted)
		case <-done:
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(done)
		cancel()
	}
}
