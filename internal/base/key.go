package base

import (
	"bytes"
	"cmp"
	"fmt"
)

// SeqNum is the position of an operation in the order of all commits. Only the
// low 56 bits are used. Zero is never given to an operation that a client
// committed; compaction gives it to entries that nothing can be older than.
type SeqNum uint64

// SeqNumMax is the largest sequence number. As a read position it sees
// everything.
const SeqNumMax SeqNum = 1<<56 - 1

// Kind is what an operation does to its key. Part of the file format.
type Kind uint8

const (
	// KindDelete removes the key. Its payload is empty.
	KindDelete Kind = 0
	// KindSet gives the key a value that the payload holds.
	KindSet Kind = 1
	// KindSetPointer gives the key a value that the value log holds; the
	// payload holds an encoded Pointer.
	KindSetPointer Kind = 2
	// KindMerge holds an operand for the keyspace's merge operator.
	KindMerge Kind = 3
	// KindRangeDelete removes every older key in [key, payload).
	KindRangeDelete Kind = 4

	kindMax = KindRangeDelete

	// FlagExpiry marks a KindSet or KindSetPointer whose payload starts with
	// eight bytes, little-endian: the expiry in nanoseconds since the Unix
	// epoch.
	FlagExpiry Kind = 0x80

	// kindSeek sorts before every kind of the same sequence number.
	kindSeek Kind = 0xff
)

// Op is the kind without flags.
func (k Kind) Op() Kind { return k &^ FlagExpiry }

// HasExpiry reports whether the payload starts with an expiry.
func (k Kind) HasExpiry() bool { return k&FlagExpiry != 0 }

// Valid reports whether k is a kind that this version of the format defines.
func (k Kind) Valid() bool {
	op := k.Op()
	return op <= kindMax && (!k.HasExpiry() || op == KindSet || op == KindSetPointer)
}

// String names the kind, for errors and the inspection tool.
func (k Kind) String() string {
	names := [...]string{"delete", "set", "set-pointer", "merge", "range-delete"}
	if !k.Valid() {
		return fmt.Sprintf("kind(%#x)", uint8(k))
	}
	if k.HasExpiry() {
		return names[k.Op()] + "+expiry"
	}
	return names[k]
}

// Trailer is a sequence number (high 56 bits) and a kind (low 8 bits).
type Trailer uint64

// TrailerLen is the encoded length of a trailer.
const TrailerLen = 8

// MakeTrailer packs seq and kind.
func MakeTrailer(seq SeqNum, kind Kind) Trailer {
	return Trailer(uint64(seq)<<8 | uint64(kind))
}

// SeekTrailer sorts before (is newer than) every operation with sequence
// number seq or less, and after every one above it.
func SeekTrailer(seq SeqNum) Trailer { return MakeTrailer(seq, kindSeek) }

// SeqNum is the sequence number in t.
func (t Trailer) SeqNum() SeqNum { return SeqNum(t >> 8) }

// Kind is the kind in t, flags included.
func (t Trailer) Kind() Kind { return Kind(t) }

// InternalKey is a user key and the trailer of one operation on it.
type InternalKey struct {
	User    []byte
	Trailer Trailer
}

// Compare orders by user key ascending, then trailer descending.
func (k InternalKey) Compare(o InternalKey) int {
	if c := bytes.Compare(k.User, o.User); c != 0 {
		return c
	}
	return cmp.Compare(o.Trailer, k.Trailer)
}

// Clone returns a copy that shares no memory with k.
func (k InternalKey) Clone() InternalKey {
	return InternalKey{User: bytes.Clone(k.User), Trailer: k.Trailer}
}

// String shows the key for errors and tests.
func (k InternalKey) String() string {
	return fmt.Sprintf("%q#%d,%s", k.User, k.Trailer.SeqNum(), k.Trailer.Kind())
}
