package manifest

import (
	"bytes"

	"github.com/cordwood-db/cordwood/internal/base"
)

// NumLevels is the count of levels of the tree. Part of the file format.
const NumLevels = 7

// TableMeta is what the MANIFEST knows about a table. It is immutable once it
// is part of an edit given to [Set.Apply] (Compacting apart), and shared by
// all versions that hold the table, whatever its level.
type TableMeta struct {
	Num  base.FileNum
	Size uint64 // of the file, in bytes
	ID   uint64 // random; binds every checksum in the table

	Keyspace uint32 // whose tree the table is in

	// Smallest and Largest bound the user keys, range tombstones included.
	// Largest is part of the range unless LargestExclusive is set, which says
	// that it is only the end of a range tombstone.
	Smallest, Largest []byte
	LargestExclusive  bool

	// SeqMin and SeqMax bound the sequence numbers. SeqMin is 0 where
	// compaction has set sequence numbers to zero.
	SeqMin, SeqMax base.SeqNum

	Entries   uint64 // of all kinds, range tombstones excluded
	Deletes   uint64 // point tombstones
	Merges    uint64 // merge operands
	RangeDels uint64 // range tombstones

	KeyBytes   uint64 // sum of user key lengths
	ValueBytes uint64 // sum of values and pointers in the table
	VlogBytes  uint64 // sum of the value-log records that its pointers name

	Expiring             uint64 // entries with an expiry
	ExpiryMin, ExpiryMax uint64 // of those, in nanoseconds since 1970

	// Compacting is set while a compaction uses the table. Not persisted;
	// guarded by the engine's mutex, never touched by this package.
	Compacting bool
}

// Contains reports whether key is in the table's range.
func (t *TableMeta) Contains(key []byte) bool {
	return bytes.Compare(t.Smallest, key) <= 0 && !t.endsBefore(key)
}

// Overlaps reports whether the table's range meets [start, end], both
// inclusive. A nil start or end is unbounded.
func (t *TableMeta) Overlaps(start, end []byte) bool {
	if end != nil && bytes.Compare(t.Smallest, end) > 0 {
		return false
	}
	return start == nil || !t.endsBefore(start)
}

// endsBefore reports whether every key of the table's range is below key.
func (t *TableMeta) endsBefore(key []byte) bool {
	c := bytes.Compare(t.Largest, key)
	return c < 0 || (c == 0 && t.LargestExclusive)
}

// VlogMeta is what the MANIFEST knows about a logical value-log file. Values
// that are part of a version are immutable.
type VlogMeta struct {
	Logical    base.FileNum // what pointers name
	Physical   base.FileNum // the file that now holds the records
	PhysicalID uint64       // random id of the physical file
	Rewritten  bool         // garbage collection has moved the records
	Sealed     bool         // nothing will be appended any more

	// Bytes is the size of this logical file's records in Physical; 0 until
	// it is sealed. Discarded is how much of it is known to be garbage.
	Bytes, Discarded uint64

	// SyncedTo is the length of the prefix of the physical file that is known
	// to have been durable, in bytes.
	SyncedTo uint64

	// ExpiryMin and ExpiryMax bound the expiry times of records that have one,
	// in nanoseconds since 1970. AllExpire says that every record has one, so
	// that the file may be dropped whole after ExpiryMax.
	ExpiryMin, ExpiryMax uint64
	AllExpire            bool
}
