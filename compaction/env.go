package compaction

import (
	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/iterator"
	"github.com/cordwood-db/cordwood/internal/rangedel"
	"github.com/cordwood-db/cordwood/manifest"
	"github.com/cordwood-db/cordwood/sstable"
	"github.com/cordwood-db/cordwood/vfs"
)

// Env is what writing tables needs from outside. It is not changed and may
// serve any number of runs at once, as far as its functions allow that.
type Env struct {
	FS  vfs.FS
	Dir string // full path of the database directory

	// NewFileNum gives out file numbers that never repeat, NewID random ids
	// that bind a table's checksums.
	NewFileNum func() base.FileNum
	NewID      func() uint64

	// LastFileNum is the newest number that NewFileNum has given out. An entry that
	// is dropped and points at a newer value-log file, or at file 0, is damage. nil:
	// nobody knows.
	LastFileNum func() base.FileNum

	// Keyspace is whose tables WriteTables makes. Run goes by its tree instead.
	Keyspace uint32

	// Tables opens input tables; only Run needs it.
	Tables *sstable.TableCache

	// Writer is how tables are written; its ID is set from NewID, its Keyspace
	// from the one above.
	Writer sstable.WriterOptions

	// Merge combines merge operands; nil leaves them as they are.
	Merge base.MergeOperator

	// Filter is the user's say about values; nil: none. A reader whose sequence
	// number is not among the snapshots of a run with a filter, and which shall
	// see the same before and after the run, must stay with the version from
	// before: see invariant 19.
	Filter Filter

	// FilterAbove lets the filter decide about values that snapshots of the run
	// see, if they are newer than this sequence number: readers at snapshots
	// above it must stay with the version from before. nil: the newest of the
	// run's snapshots; so no snapshot's reader has to.
	FilterAbove *base.SeqNum

	// ReadValue reads a value for the filter from the value log, as of the
	// version that the run works on, and into memory that it does not use
	// again. Damage is a *base.CorruptionError. nil: then a filter that wants a
	// value from there fails the run.
	ReadValue func(key []byte, seq base.SeqNum, p base.Pointer) ([]byte, error)

	// Separate moves a value of at least ValueThreshold bytes to the value log
	// and returns its pointer, which must be durable before the tables are
	// used. nil keeps all values inline. Compactions leave it nil. When the run
	// fails, what it has taken is garbage that nothing points to.
	Separate       func(key []byte, seq base.SeqNum, expiry uint64, value []byte) (base.Pointer, error)
	ValueThreshold int

	// OnDrop is called for each value-log pointer that will be gone once the
	// result is applied. Plans with DeleteOnly do not know theirs: they only
	// count bytes in Discards. nil: nobody wants to know.
	OnDrop func(base.Pointer)

	// OnDamage is called for each damaged table of a dropped keyspace that is
	// dropped without knowing what it refers to in the value log; see Run. nil:
	// nobody wants to know.
	OnDamage func(t *manifest.TableMeta, err error)

	// Pace is told now and then how many bytes of entries, and of values for
	// the filter, were read since the last call, and may sleep. nil: never.
	Pace func(n int)

	// Cancel is asked as often; an error ends the run with it. nil: never.
	Cancel func() error

	// ZeroSeqNums allows invariant 9: better compression of keys at the bottom,
	// for databases that never ask for "everything since sequence number n".
	ZeroSeqNums bool
}

// Input is what WriteTables merges.
type Input struct {
	// Iter has the entries, newest first per key. The caller closes it.
	Iter iterator.Iterator
	// RangeDels are the range tombstones that belong to the input: they drop
	// entries and are written out where they are still needed.
	RangeDels *rangedel.Set
	// Hide are range tombstones that live elsewhere, durably, and stay there.
	// They only drop entries.
	Hide *rangedel.Set
}

// WriteParams says what may be dropped and where tables are cut.
type WriteParams struct {
	// Snapshots are the sequence numbers at which someone may read the output,
	// in any order; "everything" is always readable.
	Snapshots []base.SeqNum
	// Now is the time that decides about expiry, in nanoseconds since 1970. It
	// must not be later than what any reader with a clock of its own uses.
	Now uint64
	// TargetTableBytes is where tables of level 1 and deeper are cut; 0 never.
	// A table of level 0 is cut only at l0TableTargets times that.
	TargetTableBytes uint64
	// Bottom reports that no version of key older than the input's can exist
	// anywhere. It is called with ascending keys. nil: never the case.
	Bottom func(key []byte) bool
	// BottomRange is the same for all keys of [start, end). nil: never.
	BottomRange func(start, end []byte) bool
	// Grandparents are the tables of the level below the output level, in
	// order. Outputs are cut so that each overlaps a bounded part of them.
	Grandparents []*manifest.TableMeta
	// LevelHint is the level that the output is for.
	LevelHint int

	filterRun *FilterRun // set by Run; nil: a flush
}

// Output is what WriteTables made.
type Output struct {
	// Tables are synced, closed, ascending and disjoint.
	Tables []*manifest.TableMeta
	// Discards are value-log bytes whose pointers are gone, by logical file.
	Discards map[base.FileNum]uint64
	// ExpiryHorizon is the largest expiry of a value that was dropped because
	// of it, 0 if none: readers' clocks must not fall behind it.
	ExpiryHorizon uint64
	Stats         Stats
}

// Stats counts what a run did. EntriesIn = EntriesOut + Dropped().
type Stats struct {
	EntriesIn, EntriesOut uint64
	BytesIn               uint64 // of entries: keys, payloads, trailers
	BytesOut              uint64 // of table files

	// Entries that are gone:
	Shadowed   uint64 // a newer version in the same stripe hides them
	Covered    uint64 // a range tombstone hides them, or their keyspace was dropped
	Tombstones uint64 // point tombstones with nothing left to hide
	Merged     uint64 // went into a value or another operand

	Expired        uint64 // values that became tombstones
	Filtered       uint64 // values that became tombstones because Env.Filter said so
	Changed        uint64 // values that Env.Filter replaced
	MergeErrors    uint64 // times that the merge operator failed
	Separated      uint64 // values moved to the value log
	SeparatedBytes uint64 // of value-log records

	TablesIn, TablesOut int
	TableBytesIn        uint64 // of input table files, as far as they were read
}

// Dropped is the number of entries that went in and did not come out.
func (s Stats) Dropped() uint64 { return s.Shadowed + s.Covered + s.Tombstones + s.Merged }
