package iterator

import "github.com/cordwood-db/cordwood/internal/base"

// Iterator walks internal keys in order: user keys ascending, and for one user
// key the newest version first.
//
// Rules for implementers:
//
//  1. A new Iterator is not positioned; one of First, Last, SeekGE, SeekLT
//     comes first.
//  2. Positioning methods report whether they stand on an entry. false means
//     the end in that direction or an error: the caller must look at Err.
//     After an error every positioning method returns false until the next
//     First, Last or Seek, which may try again.
//  3. Next after running off the front (Prev or SeekLT returned false without
//     error) goes to the first entry; Prev after running off the back goes to
//     the last.
//  4. Key and Value are valid until the next positioning call or Close.
//     Callers do not change them.
//  5. Range tombstones do not appear as entries; see package rangedel.
//  6. Close releases everything, may be called once, and returns Err if there
//     was one, joined with any error in closing.
//
// An Iterator is used by one goroutine at a time.
type Iterator interface {
	// First moves to the first entry.
	First() bool
	// Last moves to the last entry.
	Last() bool
	// SeekGE moves to the first entry at or after the internal key
	// (user, trailer). With base.SeekTrailer(seq) that is the newest version
	// of user visible at seq, or what follows.
	SeekGE(user []byte, trailer base.Trailer) bool
	// SeekLT moves to the last entry whose user key is less than user.
	SeekLT(user []byte) bool
	// Next moves to the following entry.
	Next() bool
	// Prev moves to the preceding entry.
	Prev() bool
	// Key is the current internal key.
	Key() base.InternalKey
	// Value is the current payload.
	Value() []byte
	// Err is the error that stopped the last positioning call, or nil.
	Err() error
	// Close releases the iterator.
	Close() error
}
