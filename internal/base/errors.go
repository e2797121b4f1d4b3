package base

import (
	"errors"
	"fmt"
)

// What a caller can act on. Package db gives them their public names.
var (
	ErrNotFound      = errors.New("cordwood: not found")
	ErrClosed        = errors.New("cordwood: closed")
	ErrReadOnly      = errors.New("cordwood: read-only")
	ErrKeyTooLarge   = errors.New("cordwood: key too large")
	ErrValueTooLarge = errors.New("cordwood: value too large")
	ErrBatchTooLarge = errors.New("cordwood: batch too large")
	ErrNoMerge       = errors.New("cordwood: no merge operator configured")
)

// CorruptionError says that stored bytes are not what was written. The data
// around the damage stays readable.
type CorruptionError struct {
	File   string // base name, or path where more than one directory is involved
	Offset int64  // of the damaged block or record; -1 if it has none
	Reason string // what did not hold
	Err    error  // cause, may be nil
}

// Error implements error.
func (e *CorruptionError) Error() string {
	s := fmt.Sprintf("cordwood: corruption in %s", e.File)
	if e.Offset >= 0 {
		s += fmt.Sprintf(" at offset %d", e.Offset)
	}
	s += ": " + e.Reason
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *CorruptionError) Unwrap() error { return e.Err }

// Corruptf makes a CorruptionError.
func Corruptf(file string, offset int64, format string, args ...any) *CorruptionError {
	return &CorruptionError{File: file, Offset: offset, Reason: fmt.Sprintf(format, args...)}
}

// MissingFileError says that a file which the database needs is not there.
type MissingFileError struct {
	File string
}

// Error implements error.
func (e *MissingFileError) Error() string {
	return fmt.Sprintf("cordwood: missing file %s", e.File)
}

// FormatError says that a file was written by a version of the format that
// this one does not know. The file is left as it is.
type FormatError struct {
	File  string
	Found uint32 // version in the file
	Known uint32 // newest version known here
}

// Error implements error.
func (e *FormatError) Error() string {
	return fmt.Sprintf("cordwood: %s has format version %d, newer than %d, the newest known here",
		e.File, e.Found, e.Known)
}
