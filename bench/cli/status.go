package cli

import (
	"context"
	"errors"
	"fmt"
)

// The exit statuses. Part of the interface: scripts depend on them.
const (
	StatusOK          = 0
	StatusFailed      = 1   // a failure, or a wrong answer of an engine
	StatusUsage       = 2   // wrong flags or arguments
	StatusMissed      = 3   // an objective of -slo was missed
	StatusRegressed   = 4   // slower than the run of -baseline
	StatusInterrupted = 130 // by Ctrl-C or a signal; the results so far are there
)

// UsageError is a mistake on the command line.
type UsageError struct {
	Text    string
	Command string // whose help is of use, such as "kvbench run"
}

// Error is the text.
func (e *UsageError) Error() string { return e.Text }

func usageErrorf(format string, args ...any) error {
	return &UsageError{Text: fmt.Sprintf(format, args...)}
}

// Errors that were reported where they arose: they decide the exit status, and
// their text is short.
var (
	errMissed    = errors.New("an objective was missed")
	errRegressed = errors.New("slower than the baseline")
)

// statusOf is the exit status for what a command returned.
func statusOf(err error) int {
	switch {
	case err == nil:
		return StatusOK
	case errors.Is(err, context.Canceled):
		return StatusInterrupted
	case isUsage(err):
		return StatusUsage
	case onlyGates(err):
		if errors.Is(err, errMissed) {
			return StatusMissed
		}
		return StatusRegressed
	}
	return StatusFailed
}

func isUsage(err error) bool {
	_, ok := errors.AsType[*UsageError](err)
	return ok
}

// onlyGates reports whether nothing is wrong but what a gate found.
func onlyGates(err error) bool {
	if several, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range several.Unwrap() {
			if !onlyGates(e) {
				return false
			}
		}
		return true
	}
	return err == errMissed || err == errRegressed
}
