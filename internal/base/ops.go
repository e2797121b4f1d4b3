package base

import (
	"encoding/binary"
	"errors"
	"math"
)

// A commit in the WAL is a header and a run of encoded operations:
//
//	offset  size  meaning
//	0       8     sequence number of the first operation, little-endian
//	8       4     count of operations, little-endian
//	12      8     length of the operations that follow, little-endian
//	20      ...   operations
//
// An operation:
//
//	1 byte   kind with flags
//	uvarint  keyspace
//	uvarint  key length, then the key
//	uvarint  payload length, then the payload (for a range delete: the end)
//
// Operation i of a commit has sequence number first + i. A WAL record holds
// one or more commits back to back.

// CommitHeaderLen is the encoded length of a commit's header.
const CommitHeaderLen = 20

// CommitHeader starts a commit in a WAL record.
type CommitHeader struct {
	FirstSeq SeqNum
	Count    uint32
	OpsLen   uint64
}

// Append appends the encoded header to dst.
func (h CommitHeader) Append(dst []byte) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, uint64(h.FirstSeq))
	dst = binary.LittleEndian.AppendUint32(dst, h.Count)
	return binary.LittleEndian.AppendUint64(dst, h.OpsLen)
}

var (
	errBadCommit = errors.New("malformed commit header")
	errBadOp     = errors.New("malformed operation")
)

// DecodeCommit splits the first commit off b. ops and rest alias b.
func DecodeCommit(b []byte) (h CommitHeader, ops, rest []byte, err error) {
	if len(b) < CommitHeaderLen {
		return h, nil, nil, errBadCommit
	}
	h.FirstSeq = SeqNum(binary.LittleEndian.Uint64(b))
	h.Count = binary.LittleEndian.Uint32(b[8:])
	h.OpsLen = binary.LittleEndian.Uint64(b[12:])
	b = b[CommitHeaderLen:]
	if h.OpsLen > uint64(len(b)) || h.FirstSeq > SeqNumMax-SeqNum(h.Count) {
		return h, nil, nil, errBadCommit
	}
	return h, b[:h.OpsLen], b[h.OpsLen:], nil
}

// Op is one operation of a commit. Its slices alias the encoded form.
type Op struct {
	Kind     Kind
	Keyspace uint32
	Key      []byte
	Payload  []byte
}

// AppendOp appends an operation whose payload is given whole.
func AppendOp(dst []byte, op Op) []byte {
	dst = AppendOpKey(dst, op.Kind, op.Keyspace, op.Key)
	dst = binary.AppendUvarint(dst, uint64(len(op.Payload)))
	return append(dst, op.Payload...)
}

// AppendOpKey appends the part of an operation before its payload's length.
func AppendOpKey(dst []byte, kind Kind, keyspace uint32, key []byte) []byte {
	dst = append(dst, byte(kind))
	dst = binary.AppendUvarint(dst, uint64(keyspace))
	dst = binary.AppendUvarint(dst, uint64(len(key)))
	return append(dst, key...)
}

// OpIter walks the encoded operations of a commit.
// The zero value with B set is ready to use; not safe for concurrent use.
type OpIter struct {
	B []byte // what is left to decode
}

// Next decodes one operation. ok is false at the end and on an error.
func (it *OpIter) Next() (op Op, ok bool, err error) {
	if len(it.B) == 0 {
		return op, false, nil
	}
	op.Kind = Kind(it.B[0])
	if !op.Kind.Valid() {
		return op, false, errBadOp
	}
	b := it.B[1:]
	ks, n := binary.Uvarint(b)
	if n <= 0 || ks > math.MaxUint32 {
		return op, false, errBadOp
	}
	op.Keyspace = uint32(ks)
	if op.Key, b, ok = cutBytes(b[n:]); !ok {
		return op, false, errBadOp
	}
	if op.Payload, b, ok = cutBytes(b); !ok {
		return op, false, errBadOp
	}
	it.B = b
	return op, true, nil
}

// PeekKeyspace is the keyspace of the first of the encoded operations. It is an
// error if there is none; the rest of the operation is not checked.
func PeekKeyspace(ops []byte) (uint32, error) {
	if len(ops) == 0 || !Kind(ops[0]).Valid() {
		return 0, errBadOp
	}
	ks, n := binary.Uvarint(ops[1:])
	if n <= 0 || ks > math.MaxUint32 {
		return 0, errBadOp
	}
	return uint32(ks), nil
}

// cutBytes splits a length-prefixed byte string off b.
func cutBytes(b []byte) (s, rest []byte, ok bool) {
	l, n := binary.Uvarint(b)
	if n <= 0 || l > uint64(len(b)-n) {
		return nil, nil, false
	}
	b = b[n:]
	return b[:l:l], b[l:], true
}
