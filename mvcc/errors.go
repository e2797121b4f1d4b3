package mvcc

import (
	"errors"
	"fmt"

	"github.com/cordwood-db/cordwood/db"
)

// Errors of this package, besides those of package db.
var (
	// ErrDiscarded says that a timestamp is below the discard timestamp, or for
	// a write not above it.
	ErrDiscarded = errors.New("cordwood: timestamp is discarded")
	// ErrTimestamp says that a timestamp cannot be used for that.
	ErrTimestamp = errors.New("cordwood: invalid timestamp")
	// ErrNotVersioned says that the keyspace holds other data than versions.
	ErrNotVersioned = errors.New("cordwood: keyspace holds no versions")

	errKeysOnly = errors.New("cordwood: the range is walked without values")
	errNoItem   = errors.New("cordwood: cursor stands on no key")
)

// damaged is the error about a stored key, or its value, that makes no sense.
func (s *Space) damaged(stored []byte, err error) error {
	return &db.CorruptionError{File: keyspaceFile(s.Name()), Offset: -1,
		Reason: fmt.Sprintf("malformed version %x", stored), Err: err}
}
