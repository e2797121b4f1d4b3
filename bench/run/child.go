package run

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"syscall"
	"time"

	"github.com/cordwood-db/cordwood/bench/engine"
	"github.com/cordwood-db/cordwood/bench/result"
)

// Child is the whole life of a child: it reads its job from in, does it, and
// tells of it on out. The error is for a job that could not be done; the parent
// has been told.
func Child(ctx context.Context, in io.Reader, out io.Writer) error {
	requests := json.NewDecoder(bufio.NewReader(in))
	var first request
	if err := requests.Decode(&first); err != nil || first.Job == nil {
		return errors.Join(errors.New("this command is for kvbench itself: it is given a job on standard input"), err)
	}
	if out == io.Writer(os.Stdout) {
		os.Stdout = os.Stderr // an engine that prints must not spoil the messages
	}
	// A parent that dies closes the pipe. Its child has to live on for as long as it
	// takes to clean up.
	signal.Ignore(syscall.SIGPIPE)
	to := newSender(out)
	j := first.Job
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go obey(requests, j, cancel)
	err := j.do(ctx, to)
	if err != nil {
		return errors.Join(err, to.send(message{Error: err.Error()}))
	}
	return to.send(message{Done: true})
}

// obey waits for what the parent has to say after the job: stop, or nothing any
// more, when it has died. Then the child ends as if it had been told to stop, so
// that engine, victim and files go in their order; if it does not, by force.
func obey(requests *json.Decoder, j *job, stop func()) {
	for {
		var r request
		if err := requests.Decode(&r); err != nil {
			break
		}
		if r.Stop {
			stop()
		}
	}
	stop()
	if j.Task != victim { // a victim was to be killed anyway
		time.Sleep(orphanGrace)
		if j.Task == phases && !j.Keep {
			_ = removeAll(j.Dir)               // nobody is left to hear of a failure
			_ = os.Remove(filepath.Dir(j.Dir)) // the run's, if it is empty now
		}
	}
	os.Exit(1)
}

// orphanGrace is how long a child whose parent has died may take to end by itself.
const orphanGrace = 10 * time.Second

// do carries out the job.
func (j *job) do(ctx context.Context, to *sender) error {
	if j.Protocol != protocol {
		return fmt.Errorf("the parent speaks version %d of the protocol between kvbench and its children, this program version %d", j.Protocol, protocol)
	}
	e, ok := engine.Find(j.Engine)
	if !ok {
		return fmt.Errorf("this program has no engine %q", j.Engine)
	}
	switch j.Task {
	case describe:
		return to.send(message{Protocol: protocol, Engine: j.describe(e)})
	case phases:
		return j.profiled(func() error { return j.runPhases(ctx, e, to) })
	case victim:
		return j.runVictim(ctx, e, to)
	}
	return fmt.Errorf("unknown task %q", j.Task)
}

// describe tells what the results say about the engine.
func (j *job) describe(e *engine.Engine) *result.Engine {
	described := &result.Engine{Name: j.Label, Title: e.Title, Version: e.Version()}
	o := j.Settings.Options
	o.Sync, o.Threads = j.Settings.Sync, j.Settings.Threads
	for _, s := range e.Settings(o) {
		described.Settings = append(described.Settings, result.Setting(s))
	}
	return described
}

// profiled calls work with the profiles that the job asks for.
func (j *job) profiled(work func() error) (err error) {
	if j.CPUProfile != "" {
		file, err := os.Create(j.CPUProfile)
		if err != nil {
			return err
		}
		if err := pprof.StartCPUProfile(file); err != nil {
			return errors.Join(err, file.Close())
		}
		defer func() {
			pprof.StopCPUProfile()
			err = errors.Join(err, file.Close())
		}()
	}
	if j.MemProfile != "" {
		defer func() { err = errors.Join(err, writeAllocations(j.MemProfile)) }()
	}
	return work()
}

func writeAllocations(path string) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	runtime.GC() // so that the profile is up to date
	return errors.Join(pprof.Lookup("allocs").WriteTo(file, 0), file.Close())
}
