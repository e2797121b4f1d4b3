package typed

import (
	"errors"
	"fmt"
)

// Errors of codecs.
var (
	// ErrMalformed says that bytes are not what a codec of this package writes.
	ErrMalformed = errors.New("typed: malformed encoding")
	// ErrNotEncodable says that a value has no encoding: a tuple with an element
	// of another type or nested too deeply, a time that is out of range.
	ErrNotEncodable = errors.New("typed: value has no encoding")
)

// malformed is an ErrMalformed that says what is wrong.
func malformed(what string) error { return fmt.Errorf("%w: %s", ErrMalformed, what) }

// notEncodable is an ErrNotEncodable that says why.
func notEncodable(what string) error { return fmt.Errorf("%w: %s", ErrNotEncodable, what) }
