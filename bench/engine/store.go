package engine

import (
	"context"
	"errors"
	"time"
)

// ErrNotFound is what Get returns, as it is, for a key that is not there.
var ErrNotFound = errors.New("engine: not found")

// ErrBatchFull is what a write to a batch fails with, wrapped, when the engine
// can apply no more at once. The write is not in the batch; what was there before
// is, and can be committed.
var ErrBatchFull = errors.New("engine: the batch is full")

// Store is an open store. Keys and values that are passed in stay the caller's
// and may be changed once the call has returned.
type Store interface {
	// Get appends the value of key to dst and returns the extended slice. For a
	// key that is not there it returns dst and ErrNotFound.
	Get(dst, key []byte) ([]byte, error)
	// Put stores value under key, as durably as Options.Sync asks for.
	Put(key, value []byte) error
	// Delete removes key. One that is not there is no error.
	Delete(key []byte) error
	// NewBatch returns an empty batch.
	NewBatch() Batch
	// NewCursor opens a cursor on the store as it is now.
	NewCursor(CursorOptions) (Cursor, error)
	// Settle returns when everything written is in its files on disk, no
	// compaction is running or due, and, with a value log, no collection is due:
	// by the engine's own measures, as its users would wait for it. It does not
	// compact everything by hand. With a context that has ended it does nothing
	// and returns the context's error.
	Settle(ctx context.Context) error
	// Close releases everything. Cursors and batches are closed before.
	Close() error
}

// Batch collects writes that Commit applies atomically.
type Batch interface {
	// Put and Delete may fail with ErrBatchFull.
	Put(key, value []byte) error
	Delete(key []byte) error
	// Commit applies the writes as durably as Options.Sync asks for, and leaves
	// the batch empty, to be filled again.
	Commit() error
	// Close releases the batch, and drops writes that were not committed.
	Close() error
}

// CursorOptions say what a cursor is for.
type CursorOptions struct {
	// Lower is the first key that it may show, Upper the first above that it may
	// not. nil: no bound.
	Lower, Upper []byte
	// Reverse: it goes downwards.
	Reverse bool
	// Entries is how many entries will be read, about; 0: many. A hint.
	Entries int
}

// Cursor walks through entries in one direction. It is on no entry when opened,
// and sees the store as it was then.
type Cursor interface {
	// First goes to the first entry in the cursor's direction.
	First() bool
	// Seek goes to the first entry in the cursor's direction that is not before
	// key: the smallest one from key on, or the largest one up to key.
	Seek(key []byte) bool
	// Next goes on by one entry. It is called only after a move returned true.
	Next() bool
	// Key and Value are those of the entry. They stay valid until the next move.
	Key() []byte
	Value() ([]byte, error)
	// Err tells why a move returned false, nil if there are no more entries.
	Err() error
	Close() error
}

// Merger is a Store with Merge.
type Merger interface {
	// Merge appends operand to the value of key, which is empty if there is
	// none, without reading it first.
	Merge(key, operand []byte) error
}

// Expirer is a Store with TTL. An entry is found until its time is over and not
// found after, within a second of it either way.
type Expirer interface {
	PutTTL(key, value []byte, ttl time.Duration) error
}

// Transactor is a Store with Transactions that are at least snapshot isolated and
// lose no update.
type Transactor interface {
	// Update runs fn in a transaction and commits it. On a conflict it is run
	// again, as often as needed; retries tells how often.
	Update(fn func(Tx) error) (retries int, err error)
}

// Viewer is a Transactor with transactions that only read, which cost its users
// less. Without it such transactions are run by Update.
type Viewer interface {
	// View runs fn in a transaction that sees the store as it was at one moment,
	// and returns fn's error. Put and Delete of its Tx fail.
	View(fn func(Tx) error) error
}

// Tx is a transaction. It sees its own writes.
type Tx interface {
	// Get is as Store.Get.
	Get(dst, key []byte) ([]byte, error)
	Put(key, value []byte) error
	Delete(key []byte) error
}

// Collector is a Store with a ValueLog whose garbage collection can be asked for.
type Collector interface {
	// CollectGarbage gives back what the engine finds worth collecting.
	CollectGarbage(ctx context.Context) error
}

// MultiGetter is a Store that can read several keys in one call. Without it they
// are read one by one.
type MultiGetter interface {
	// MultiGet calls see for each key with its index; err is ErrNotFound if it is
	// not there. value is valid during the call only.
	MultiGet(keys [][]byte, see func(i int, value []byte, err error) error) error
}

// BulkLoader is a Store with a faster way of filling an empty store than
// batches of ascending keys, such as ingesting tables.
type BulkLoader interface {
	// BulkLoad stores what next returns, in ascending order of keys, until ok is
	// false. The slices are valid until the next call. Afterwards the data is as
	// durable as after Settle and Close.
	BulkLoad(ctx context.Context, next func() (key, value []byte, ok bool)) error
}

// Busier is a Store that tells what makes writers wait.
type Busier interface {
	// Busy names, in a few words, what holds writers back at this moment, such as
	// "L0 has 21 files" or "memtables full"; empty if nothing does. It is cheap
	// and called about every 10 ms while no operation ends.
	Busy() string
}

// Counter is a Store that has counters of its own.
type Counter interface {
	// Counters are figures to show beside the measured ones, by name, such as
	// "compactions". They only grow, but for names that end in "_now".
	Counters() map[string]float64
}
