package db

import (
	"errors"
	"fmt"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/vfs"
)

// Errors of single calls: the store is well.
var (
	// ErrNotFound says that the key has no value.
	ErrNotFound = base.ErrNotFound
	// ErrKeyTooLarge says that a key is longer than MaxKeyBytes.
	ErrKeyTooLarge = base.ErrKeyTooLarge
	// ErrValueTooLarge says that a value is longer than MaxValueBytes.
	ErrValueTooLarge = base.ErrValueTooLarge
	// ErrBatchTooLarge says that a batch is larger than MaxBatchBytes.
	ErrBatchTooLarge = base.ErrBatchTooLarge
	// ErrNoMerge says that the store has no merge operator.
	ErrNoMerge = base.ErrNoMerge
	// ErrNoKeyspace says that there is no keyspace of that name.
	ErrNoKeyspace = errors.New("cordwood: no such keyspace")
	// ErrKeyspaceDropped says that the keyspace has been dropped.
	ErrKeyspaceDropped = errors.New("cordwood: keyspace is dropped")
	// ErrFeedBehind says that a feed asks for changes, or for the value of one,
	// that are not kept any more: see Options.FeedBytes. Start over from a
	// Snapshot and its Seq.
	ErrFeedBehind = errors.New("cordwood: feed fell behind what is kept")
	// ErrFeedAhead says that a feed is to resume at a position that the store
	// has not reached: that of another store, or of commits that were not durable
	// and are lost.
	ErrFeedAhead = errors.New("cordwood: feed position is ahead of the store")
	// ErrInvalidTTL says that a time to live is not positive or is too far.
	ErrInvalidTTL = errors.New("cordwood: invalid time to live")
	// ErrInvalidRange says that a range ends before it starts, or has no end
	// where one is needed.
	ErrInvalidRange = errors.New("cordwood: invalid range")
	// ErrInvalidToken says that a page token is damaged or not of this range.
	ErrInvalidToken = errors.New("cordwood: invalid page token")
)

// errForeignKeyspace is about a keyspace of another store.
var errForeignKeyspace = errors.New("cordwood: keyspace belongs to another store")

// Errors about the state of the store.
var (
	// ErrClosed says that the store, snapshot or cursor is closed.
	ErrClosed = base.ErrClosed
	// ErrReadOnly says that the store takes no writes: it was opened so, or a
	// background failure, which the error then wraps, made it so.
	ErrReadOnly = base.ErrReadOnly
	// ErrDiskFull says that there was no room for the write. Nothing of it is
	// visible. Writing goes on by itself when space returns.
	ErrDiskFull = errors.New("cordwood: disk full")
	// ErrLocked says that another process or handle has the directory open.
	ErrLocked = errors.New("cordwood: directory is locked by another owner")
	// ErrMergeOperator says that the store was written with another operator.
	ErrMergeOperator = errors.New("cordwood: merge operator differs from the stored one")
)

// CorruptionError says which file is damaged, and where.
type CorruptionError = base.CorruptionError

// MissingFileError names a file that the store needs and that is not there.
type MissingFileError = base.MissingFileError

// FormatError says that a file comes from a newer version of the format.
type FormatError = base.FormatError

// classify gives an error of the layers below its public face.
func classify(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrDiskFull):
		return err
	case vfs.IsNoSpace(err):
		return fmt.Errorf("%w: %w", ErrDiskFull, err)
	}
	return err
}

// isCorruption reports whether err is about damaged bytes or a missing file.
func isCorruption(err error) bool {
	var c *CorruptionError
	var m *MissingFileError
	return errors.As(err, &c) || errors.As(err, &m)
}
