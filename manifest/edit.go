package manifest

import (
	"fmt"

	"github.com/cordwood-db/cordwood/internal/base"
)

// Edit is the difference between a version and the next one. The zero value
// changes nothing. Slices, maps and metas pass to the Set with [Set.Apply].
type Edit struct {
	// KeyspacesDropped sets the names of keyspaces free; their trees stay until
	// KeyspacesRemoved takes them away, which needs an earlier edit that
	// dropped them, and no tables left after this one. KeyspacesAdded brings
	// new ones, whose numbers ascend, also from edit to edit. KeyspacesChanged
	// changes facts. They act in the order dropped, added, changed, and removed
	// after what the edit does to tables.
	KeyspacesAdded   []Keyspace
	KeyspacesDropped []uint32
	KeyspacesRemoved []uint32
	KeyspacesChanged []KeyspaceChange

	// Added tables go into the tree of their Meta.Keyspace, which may be a
	// dropped one. A table in both lists changes its level.
	Added   []AddedTable
	Deleted []DeletedTable

	// VlogAdded adds logical files, VlogSealed closes them with their final
	// facts, VlogSynced raises the known-durable length, VlogMoved is the
	// result of garbage collection, VlogRemoved drops logical files.
	VlogAdded   []VlogMeta
	VlogSealed  []VlogSeal
	VlogSynced  []VlogSync
	VlogMoved   []VlogMove
	VlogRemoved []base.FileNum

	// Discards is garbage found by compaction: bytes by logical file. A file
	// that was removed meanwhile is passed over; a sum above the size of a
	// sealed file is cut to it.
	Discards map[base.FileNum]uint64

	// MinSegment is the oldest WAL segment that recovery needs, LastSeq a
	// sequence number that is used up, ExpiryHorizon a time up to which
	// expired data may be gone. A value below the present one has no effect.
	//
	// MinSegmentID is the random id of the file of MinSegment, 0 if it is not
	// given; it belongs to MinSegment and has no effect without it.
	MinSegment    *base.SegmentNum
	MinSegmentID  uint64
	LastSeq       *base.SeqNum
	ExpiryHorizon *uint64

	// NextFile is the lowest file number not given out. The Set fills it in.
	NextFile base.FileNum

	// NextKeyspace is the lowest keyspace number not used by any edit, 0 if it
	// is not given. A value below the present one has no effect. The Set keeps
	// count by itself; a copy of a database starts with that of the original.
	NextKeyspace uint32
}

// KeyspaceChange says what changes about a keyspace. Each fact is changed at
// most once in an edit.
type KeyspaceChange struct {
	Num           uint32  // 0 is the default keyspace
	MergeOperator *string // nil: as it is
	Settings      []byte  // nil: as they are
}

// AddKeyspaces makes the facts of all keyspaces, dropped ones included, part of
// an edit that makes a whole state out of nothing: a snapshot, or the Initial
// edit of a copy. trees are those of a version, next is [Set.NextKeyspace].
// Their strings and settings are shared.
func (e *Edit) AddKeyspaces(trees []*Tree, next uint32) {
	first := &trees[0].Keyspace // is there always, so only its facts are set
	e.KeyspacesChanged = append(e.KeyspacesChanged, KeyspaceChange{MergeOperator: &first.MergeOperator})
	if len(first.Settings) > 0 {
		e.KeyspacesChanged = append(e.KeyspacesChanged, KeyspaceChange{Settings: first.Settings})
	}
	for _, t := range trees[1:] {
		e.KeyspacesAdded = append(e.KeyspacesAdded, t.Keyspace)
	}
	if next > 1 {
		e.NextKeyspace = next
	}
}

// AddedTable puts a table into a level.
type AddedTable struct {
	Level int
	Meta  *TableMeta
}

// DeletedTable takes a table out of a level.
type DeletedTable struct {
	Level int
	Num   base.FileNum
}

// VlogSeal says that a logical file will not grow any more, and what it holds.
type VlogSeal struct {
	Logical              base.FileNum
	Bytes                uint64 // of records
	SyncedTo             uint64 // durable length of the physical file
	ExpiryMin, ExpiryMax uint64
	AllExpire            bool
}

// VlogSync says that a prefix of a logical file's physical file is durable.
type VlogSync struct {
	Logical base.FileNum
	To      uint64 // in bytes from the start of the file
}

// VlogMove says that garbage collection has copied the live records of a
// sealed logical file from one physical file to another.
//
// The copy left out DeadBytes; garbage that was recorded while it ran stays on
// the books: Discarded becomes max(0, Discarded-DeadBytes), at most Bytes. The
// edit is refused if the records are not in From any more.
type VlogMove struct {
	Logical  base.FileNum
	From, To base.FileNum // physical
	ToID     uint64       // random id of To

	Bytes     uint64 // of records copied
	DeadBytes uint64 // of records left out

	// Facts about the copied records. Left zero they are safe: the file is
	// then not dropped by expiry.
	ExpiryMin, ExpiryMax uint64
	AllExpire            bool
}

// EditError says that an edit does not fit the version it was meant for.
// Nothing was written; the Set stays usable.
type EditError struct {
	Reason string
}

// Error implements error.
func (e *EditError) Error() string { return "manifest: edit does not fit: " + e.Reason }

func editErrorf(format string, args ...any) error {
	return &EditError{Reason: fmt.Sprintf(format, args...)}
}

// UncertainError says that writing an edit failed in a way that leaves open
// whether the next open will find it. The edit has no effect until then. The
// files it added must be neither removed nor named in another edit: the Set
// reports them in [Set.Obsolete] once it is certain that nothing names them.
type UncertainError struct {
	Err error // the failure
}

// Error implements error.
func (e *UncertainError) Error() string {
	return "manifest: edit may or may not be durable: " + e.Err.Error()
}

// Unwrap returns the failure.
func (e *UncertainError) Unwrap() error { return e.Err }
