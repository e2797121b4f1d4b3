package trace

import (
	"bytes"
	"slices"
	"time"
)

// Op is one operation of a trace. Which fields mean something depends on its
// kind; the others are zero.
type Op struct {
	Kind Kind
	// Client is the number of the DB.Client that did it. Items have that of
	// their operation.
	Client uint32
	// Keyspace is the number that a KindKeyspace has announced; 0: the default.
	Keyspace uint32
	// Start is when it began, from the beginning of the recording, and Took how
	// long it took: that of a scan with the loop's body, that of a transaction
	// with all that the application did meanwhile. Zero in items.
	Start, Took time.Duration
	// Error is why it failed.
	Error ErrorClass
	// Found: a read found a value, a conditional write was done.
	Found bool
	// Snapshot: it was read from a Snapshot.
	Snapshot bool

	Key []byte
	// Length of the value that was written, or found; of a merge, its operand.
	Length int
	// TTL of what was written, in whole milliseconds.
	TTL time.Duration
	// Removes: the CompareAndSwap was to delete the key.
	Removes bool

	// Range of a scan, a walk or a DeleteRange.
	Range Bounds
	// Walk is how a cursor was moved.
	Walk Walk
	// Entries that a scan or walk has shown; how many operations were lost.
	Entries uint64
	// Bytes of their keys and values.
	Bytes uint64

	// Items are those of a batch, a MultiGet or a transaction, and Cut how many
	// more there were: too many for a record.
	Items []Op
	Cut   uint64
	// Sync: the batch or transaction asked for durability.
	Sync bool
	Tx   TxInfo

	// Name of a keyspace; empty in traces with hashed keys.
	Name string
}

// Bounds are a range of keys and a direction.
type Bounds struct {
	Lower, Upper       []byte // inclusive, exclusive; nil: none
	Backward, KeysOnly bool
}

// Position is where a cursor's walk began. The numbers are part of the file
// format.
type Position uint8

// The positions.
const (
	PositionFresh  Position = 0 // nowhere: a fresh cursor, moved by Next or Prev
	PositionFirst  Position = 1 // First
	PositionLast   Position = 2 // Last
	PositionSeekGE Position = 3 // SeekGE of Op.Key
	PositionSeekLT Position = 4 // SeekLT of Op.Key

	positionMax = PositionSeekLT
)

// Walk is how a cursor was moved: to a position, then forward and backward by
// so many calls of Next and Prev, in whatever order.
type Walk struct {
	Position          Position
	Forward, Backward uint64
}

// TxOutcome is how a transaction ended. The numbers are part of the file format.
type TxOutcome uint8

// The outcomes.
const (
	TxCommitted TxOutcome = 0
	TxConflict  TxOutcome = 1 // not committed; Update may have tried again
	TxDiscarded TxOutcome = 2 // by the application
	TxFailed    TxOutcome = 3 // Op.Error says why
)

// TxInfo is what is known of one try of a transaction.
type TxInfo struct {
	Outcome           TxOutcome
	ReadOnly          bool
	SnapshotIsolation bool
	Try               uint64 // of Update, from 0
}

// Clone is a copy that shares no memory with op.
func (op *Op) Clone() Op {
	c := *op
	c.Key = bytes.Clone(op.Key)
	c.Range.Lower, c.Range.Upper = bytes.Clone(op.Range.Lower), bytes.Clone(op.Range.Upper)
	c.Items = slices.Clone(op.Items)
	for i := range c.Items {
		c.Items[i] = c.Items[i].Clone()
	}
	return c
}

// End is when the operation ended, from the beginning of the recording.
func (op *Op) End() time.Duration { return op.Start + op.Took }

// hasItems reports whether operations of a kind have items.
func (k Kind) hasItems() bool {
	return k == KindMultiGet || k == KindBatch || k == KindTransaction
}

// mayBeItem reports whether k may be an item of an operation of kind outer.
func (k Kind) mayBeItem(outer Kind) bool {
	switch outer {
	case KindMultiGet:
		return k == KindGet
	case KindBatch:
		return k >= KindPut && k <= KindMerge
	case KindTransaction:
		return k != 0 && k <= KindGetForUpdate && !k.hasItems()
	}
	return false
}
