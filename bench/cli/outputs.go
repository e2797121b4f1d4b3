package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// standardOutput is what names standard output instead of a file.
const standardOutput = "-"

// output is one file that a flag names. It is opened before anything is measured,
// so that a path that cannot be written to, or that holds something already, ends
// the run at once and not after minutes.
type output struct {
	flag    string // that named it, such as "-json"
	file    *os.File
	stdout  io.Writer // instead of file
	ours    bool      // did not exist before
	written bool
}

// outputs are all of them.
type outputs struct {
	all map[string]*output // by flag
}

// openOutputs opens what the flags name. On an error nothing new is left.
func (a *app) openOutputs(paths map[string]string, force bool) (*outputs, error) {
	o := &outputs{all: map[string]*output{}}
	seen := map[string]string{}
	for flag, path := range paths {
		if path == "" {
			continue
		}
		key := path
		if abs, err := filepath.Abs(path); err == nil && path != standardOutput {
			key = abs
		}
		if other, ok := seen[key]; ok {
			return nil, errors.Join(usageErrorf("%s and %s both write to %s", min(flag, other), max(flag, other), path), o.close())
		}
		seen[key] = flag
	}
	for flag, path := range paths {
		if path == "" {
			continue
		}
		out, err := a.openOutput(flag, path, force)
		if err != nil {
			return nil, errors.Join(err, o.close())
		}
		o.all[flag] = out
	}
	return o, nil
}

func (a *app) openOutput(flag, path string, force bool) (*output, error) {
	if path == standardOutput {
		return &output{flag: flag, stdout: a.stdout}, nil
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err == nil {
		return &output{flag: flag, file: file, ours: true}, nil
	}
	if !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("%s: %w", flag, err)
	}
	if info, statErr := os.Stat(path); statErr == nil && info.Mode().IsRegular() && !force {
		return nil, fmt.Errorf("%s: %s exists: choose another name, or add -force to overwrite it", flag, path)
	}
	// Not truncated before there is something to write: see write.
	if file, err = os.OpenFile(path, os.O_WRONLY, 0); err != nil {
		return nil, fmt.Errorf("%s: %w", flag, err)
	}
	return &output{flag: flag, file: file}, nil
}

// toStdout reports whether standard output is taken.
func (o *outputs) toStdout() bool {
	for _, out := range o.all {
		if out.stdout != nil {
			return true
		}
	}
	return false
}

// begin returns where to write an output, nil if its flag was not given. What
// the file held is gone from then on.
func (o *outputs) begin(flag string) (io.Writer, error) {
	out := o.all[flag]
	switch {
	case out == nil:
		return nil, nil
	case out.stdout != nil:
		return out.stdout, nil
	}
	out.written = true
	info, err := out.file.Stat()
	if err == nil && info.Mode().IsRegular() && info.Size() > 0 { // not of a pipe or a device
		err = out.file.Truncate(0)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", flag, err)
	}
	return out.file, nil
}

// write writes a whole output, if its flag was given.
func (o *outputs) write(flag string, body func(io.Writer) error) error {
	to, err := o.begin(flag)
	if to == nil || err != nil {
		return err
	}
	buffered := bufio.NewWriter(to)
	if err := errors.Join(body(buffered), buffered.Flush()); err != nil {
		return fmt.Errorf("%s: %w", flag, err)
	}
	return nil
}

// close closes the files, and removes those that were made for nothing.
func (o *outputs) close() error {
	var errs []error
	for _, out := range o.all {
		if out.file == nil {
			continue
		}
		if err := out.file.Close(); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", out.flag, err))
		}
		if out.ours && !out.written {
			errs = append(errs, os.Remove(out.file.Name()))
		}
	}
	return errors.Join(errs...)
}
