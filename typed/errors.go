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

// Errors of views and indexes.
var (
	// ErrReadOnlyView says that a view of a snapshot was written to.
	ErrReadOnlyView = errors.New("typed: a view of a snapshot takes no writes")
	// ErrBound says that a call that runs transactions of its own was made
	// on a view or index that is bound to a transaction or snapshot.
	ErrBound = errors.New("typed: not on a view of a transaction or snapshot")
	// ErrIndexName says that an index has no name, one with a slash, or that of
	// another index of the view.
	ErrIndexName = errors.New("typed: invalid name of an index")
	// ErrIndexMismatch says that an index was made with another answer to
	// whether it is unique, or by a newer version.
	ErrIndexMismatch = errors.New("typed: index was made differently")
	// ErrIndexIncomplete says that an index does not have all items yet, because
	// it was added when there were some already: Rebuild completes it.
	ErrIndexIncomplete = errors.New("typed: index is incomplete, and needs a Rebuild")
	// ErrRebuildOvertaken says that another Rebuild of the same index began
	// while one was running. The later one goes on.
	ErrRebuildOvertaken = errors.New("typed: another rebuild of the index has begun")
)

// DecodeError says that a stored key or value is not what the codec of the
// view writes. The store itself is well: something else wrote it, or the codec
// has changed. Err wraps [ErrMalformed] if the codec is of this package.
type DecodeError struct {
	Keyspace string
	Key      []byte // as stored, a copy
	Part     string // what was decoded: "key", "value" or "entry" (of an index)
	Err      error
}

// Error leaves out the key, which may be confidential.
func (e *DecodeError) Error() string {
	return fmt.Sprintf("typed: %s in keyspace %q: %v", e.Part, e.Keyspace, e.Err)
}

// Unwrap is what the codec returned.
func (e *DecodeError) Unwrap() error { return e.Err }

// UniqueError says that a write would have given an index key of a unique index
// to a second item. Nothing was written, and a transaction it happened in may go
// on.
type UniqueError struct {
	Index string // name of the index
	Entry []byte // the index key, encoded as an element
	Owner []byte // the key of the item that has it, encoded
}

// Error leaves out the keys, which may be confidential.
func (e *UniqueError) Error() string {
	return fmt.Sprintf("typed: another item has this key in the unique index %q", e.Index)
}
