package vfs

import "fmt"

// OpKind says what an operation does.
type OpKind uint8

// The operations of FS and File. Closing a lock is an OpClose too.
const (
	OpCreate OpKind = iota
	OpOpen
	OpOpenRW
	OpRead
	OpWrite
	OpSync
	OpPreallocate
	OpTruncate
	OpFlush
	OpClose
	OpRemove
	OpRename
	OpLink
	OpMkdir
	OpList
	OpStat
	OpSyncDir
	OpLock
	OpSize
	OpFree
	opKinds // how many there are
)

var opNames = [opKinds]string{
	OpCreate: "create", OpOpen: "open", OpOpenRW: "openrw", OpRead: "read", OpWrite: "write",
	OpSync: "sync", OpPreallocate: "preallocate", OpTruncate: "truncate", OpFlush: "flush",
	OpClose: "close", OpRemove: "remove", OpRename: "rename", OpLink: "link", OpMkdir: "mkdir",
	OpList: "list", OpStat: "stat", OpSyncDir: "syncdir", OpLock: "lock", OpSize: "size", OpFree: "free",
}

// String returns the operation's name in fault scripts, such as "write".
func (k OpKind) String() string {
	if k < opKinds {
		return opNames[k]
	}
	return fmt.Sprintf("OpKind(%d)", uint8(k))
}

// Mutates says whether the operation can change what a later crash leaves:
// bytes, sizes, names, or the durability of any of them. A lock counts, since
// it may create its file.
func (k OpKind) Mutates() bool {
	switch k {
	case OpCreate, OpWrite, OpSync, OpPreallocate, OpTruncate, OpRemove, OpRename, OpLink, OpMkdir, OpSyncDir, OpLock:
		return true
	}
	return false
}

// Op is one operation about to be done.
type Op struct {
	Kind OpKind
	Path string // as given; for a File's operation as it was opened; for OpRename and OpLink the new path

	OldPath string // OpRename, OpLink

	Offset int64 // OpRead, OpWrite, OpPreallocate, OpFlush: bytes; OpTruncate: the new size
	Len    int   // OpRead, OpWrite, OpPreallocate, OpFlush: bytes
	Index  int64 // 1-based count of all operations of the file system
}
