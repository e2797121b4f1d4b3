package trace

import (
	"context"
	"errors"

	"github.com/cordwood-db/cordwood/db"
)

// Kind is what an operation is. The numbers are part of the file format.
type Kind uint8

// The kinds. Items of a batch, of a MultiGet and of a transaction are operations
// too.
const (
	KindGet            Kind = 1  // Get, AppendGet
	KindHas            Kind = 2  // Has
	KindMultiGet       Kind = 3  // MultiGet: its items are Gets
	KindScan           Kind = 4  // Scan, ReadPage
	KindWalk           Kind = 5  // a cursor from one positioning to the next, or to its end
	KindPut            Kind = 6  // Put
	KindPutTTL         Kind = 7  // PutTTL
	KindDelete         Kind = 8  // Delete
	KindDeleteRange    Kind = 9  // DeleteRange
	KindMerge          Kind = 10 // Merge
	KindBatch          Kind = 11 // Apply: its items are the writes
	KindPutIfAbsent    Kind = 12 // PutIfAbsent
	KindPutIfAbsentTTL Kind = 13 // PutIfAbsentTTL
	KindCompareAndSwap Kind = 14 // CompareAndSwap
	KindGetAndDelete   Kind = 15 // GetAndDelete
	KindAdd            Kind = 16 // Add
	KindTransaction    Kind = 17 // one try of a transaction: its items are its reads and writes
	KindGetForUpdate   Kind = 18 // GetForUpdate, in a transaction
	KindKeyspace       Kind = 19 // gives a keyspace its number
	KindDropKeyspace   Kind = 20 // DropKeyspace
	KindLost           Kind = 21 // operations that were not recorded

	kindMax = KindLost
)

var kindNames = [kindMax + 1]string{"", "get", "has", "multiget", "scan", "walk", "put", "put-ttl", "delete",
	"delete-range", "merge", "batch", "put-if-absent", "put-if-absent-ttl", "compare-and-swap",
	"get-and-delete", "add", "transaction", "get-for-update", "keyspace", "drop-keyspace", "lost"}

// String is the kind's name in lower case.
func (k Kind) String() string {
	if k == 0 || k > kindMax {
		return "unknown"
	}
	return kindNames[k]
}

// ErrorClass is why an operation failed, about. The numbers are part of the file
// format.
type ErrorClass uint8

// The classes. A key that is not there is an answer and no error.
const (
	ErrorNone      ErrorClass = 0
	ErrorClosed    ErrorClass = 1 // the store, snapshot, cursor or transaction had ended
	ErrorReadOnly  ErrorClass = 2
	ErrorDiskFull  ErrorClass = 3
	ErrorDamage    ErrorClass = 4 // damaged files
	ErrorConflict  ErrorClass = 5 // of a transaction
	ErrorTooLarge  ErrorClass = 6 // key, value or batch
	ErrorInvalid   ErrorClass = 7 // a bad argument
	ErrorNoMerge   ErrorClass = 8 // no merge operator
	ErrorKeyspace  ErrorClass = 9 // missing or dropped
	ErrorCancelled ErrorClass = 10
	ErrorOther     ErrorClass = 11

	errorMax = ErrorOther
)

var errorNames = [errorMax + 1]string{"none", "closed", "read-only", "disk full", "damage", "conflict", "too large",
	"invalid argument", "no merge operator", "no keyspace", "cancelled", "other"}

// String is the class in words.
func (c ErrorClass) String() string {
	if c > errorMax {
		return "unknown"
	}
	return errorNames[c]
}

// classes are tried in this order: a read-only store wraps what made it so.
var classes = []struct {
	err   error
	class ErrorClass
}{
	{db.ErrConflict, ErrorConflict}, {db.ErrTxTooOld, ErrorConflict},
	{db.ErrClosed, ErrorClosed}, {db.ErrTxDone, ErrorClosed},
	{db.ErrReadOnly, ErrorReadOnly}, {db.ErrTxReadOnly, ErrorReadOnly},
	{db.ErrDiskFull, ErrorDiskFull},
	{db.ErrKeyTooLarge, ErrorTooLarge}, {db.ErrValueTooLarge, ErrorTooLarge}, {db.ErrBatchTooLarge, ErrorTooLarge},
	{db.ErrInvalidTTL, ErrorInvalid}, {db.ErrInvalidRange, ErrorInvalid}, {db.ErrInvalidToken, ErrorInvalid},
	{db.ErrNoMerge, ErrorNoMerge},
	{db.ErrNoKeyspace, ErrorKeyspace}, {db.ErrKeyspaceDropped, ErrorKeyspace},
	{context.Canceled, ErrorCancelled}, {context.DeadlineExceeded, ErrorCancelled},
}

// classOf finds the class of an error. ErrNotFound is none.
func classOf(err error) ErrorClass {
	if err == nil || errors.Is(err, db.ErrNotFound) {
		return ErrorNone
	}
	for _, c := range classes {
		if errors.Is(err, c.err) {
			return c.class
		}
	}
	if _, ok := errors.AsType[*db.CorruptionError](err); ok {
		return ErrorDamage
	}
	return ErrorOther
}
