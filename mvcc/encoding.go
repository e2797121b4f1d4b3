package mvcc

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/cordwood-db/cordwood/db"
)

// Timestamp orders versions. What it counts is up to the caller. 0 is before
// all versions: it can be read at, not written at.
type Timestamp uint64

// TimestampMax is the last timestamp. Reading at it reads the newest versions.
const TimestampMax = Timestamp(math.MaxUint64)

// Limits on keys and values. They are checked before anything is written.
const (
	// MaxKeyBytes is the length of the longest key: one that still fits if each
	// of its bytes has to be escaped.
	MaxKeyBytes = (db.MaxKeyBytes - keyOverhead) / 2
	// MaxValueBytes is the length of the longest value.
	MaxValueBytes = db.MaxValueBytes - 1
)

// Stored keys: the user's key escaped, an end, the inverted timestamp. Part of
// the file format; see docs/format/mvcc.md. The escapes are those of strings in
// tuples.
const (
	keyEnd    = 0x00 // ends the user's key, and occurs nowhere in it
	keyEscape = 0x01 // before the code of a byte that cannot stand for itself

	codeOfEnd    = 0x01 // 00 in the user's key
	codeOfEscape = 0x02 // 01 in the user's key

	timestampLen = 8
	keyOverhead  = 1 + timestampLen
)

// Stored values: nothing for a deletion, otherwise a kind and the value. Part of
// the file format.
const valuePlain = 0x01

// The record under the empty key, which marks the keyspace. Part of the file
// format.
const (
	headerMagic   = "cwmv"
	headerVersion = 1
	headerLen     = len(headerMagic) + 1 + timestampLen
)

// headerKey is the key of the header, before all stored keys.
var headerKey = []byte{}

// appendPrefix appends what the stored keys of all versions of key begin with,
// and no others.
func appendPrefix(dst, key []byte) []byte {
	for len(key) > 0 {
		n := 0
		for n < len(key) && key[n] > keyEscape {
			n++
		}
		dst = append(dst, key[:n]...)
		if n == len(key) {
			break
		}
		code := byte(codeOfEnd)
		if key[n] == keyEscape {
			code = codeOfEscape
		}
		dst = append(dst, keyEscape, code)
		key = key[n+1:]
	}
	return append(dst, keyEnd)
}

// appendPrefixEnd appends the first key after all those that begin with prefix.
func appendPrefixEnd(dst, prefix []byte) []byte {
	dst = append(dst, prefix...)
	dst[len(dst)-1] = keyEnd + 1
	return dst
}

// appendTimestamp appends ts so that newer ones come first.
func appendTimestamp(dst []byte, ts Timestamp) []byte {
	return binary.BigEndian.AppendUint64(dst, ^uint64(ts))
}

// split takes a stored key apart: the prefix that all versions of the user's
// key share, which aliases stored, and the timestamp. It does not look at the
// escapes.
func split(stored []byte) (prefix []byte, ts Timestamp, ok bool) {
	n := len(stored) - timestampLen
	if n < 1 || bytes.IndexByte(stored, keyEnd) != n-1 {
		return nil, 0, false
	}
	ts = Timestamp(^binary.BigEndian.Uint64(stored[n:]))
	return stored[:n:n], ts, ts != 0
}

var errEscape = errors.New("unknown escape")

// appendUserKey appends the user's key that a prefix stands for.
func appendUserKey(dst, prefix []byte) ([]byte, error) {
	rest := prefix[:len(prefix)-1]
	for {
		n := bytes.IndexByte(rest, keyEscape)
		if n < 0 {
			return append(dst, rest...), nil
		}
		if n+1 == len(rest) {
			return dst, errEscape
		}
		dst = append(dst, rest[:n]...)
		switch rest[n+1] {
		case codeOfEnd:
			dst = append(dst, keyEnd)
		case codeOfEscape:
			dst = append(dst, keyEscape)
		default:
			return dst, errEscape
		}
		rest = rest[n+2:]
	}
}

// decodeKey is the user's key and the timestamp of a stored key. Every pair has
// one encoding; all other bytes are refused.
func decodeKey(stored []byte) (key []byte, ts Timestamp, err error) {
	prefix, ts, ok := split(stored)
	if !ok {
		return nil, 0, errors.New("no timestamp behind its end")
	}
	key, err = appendUserKey(make([]byte, 0, len(prefix)), prefix)
	if err == nil && len(key) > MaxKeyBytes {
		err = db.ErrKeyTooLarge
	}
	return key, ts, err
}

// decodeValue is the user's value in a stored value that is no deletion.
func decodeValue(stored []byte) ([]byte, error) {
	if len(stored) == 0 || stored[0] != valuePlain {
		return nil, errors.New("unknown kind of value")
	}
	return stored[1:], nil
}

// encodeHeader is the value of the header.
func encodeHeader(discard Timestamp) []byte {
	b := append(make([]byte, 0, headerLen), headerMagic...)
	b = append(b, headerVersion)
	return binary.LittleEndian.AppendUint64(b, uint64(discard))
}

// decodeHeader is the discard timestamp in the value of the header.
func decodeHeader(keyspace string, b []byte) (Timestamp, error) {
	file := keyspaceFile(keyspace)
	if len(b) <= len(headerMagic) || string(b[:len(headerMagic)]) != headerMagic {
		return 0, fmt.Errorf("%w: %q", ErrNotVersioned, keyspace)
	}
	if version := b[len(headerMagic)]; version > headerVersion {
		return 0, &db.FormatError{File: file, Found: uint32(version), Known: headerVersion}
	}
	if len(b) != headerLen || b[len(headerMagic)] == 0 {
		return 0, &db.CorruptionError{File: file, Offset: -1, Reason: "malformed header"}
	}
	return Timestamp(binary.LittleEndian.Uint64(b[len(headerMagic)+1:])), nil
}

// keyspaceFile is how errors name a keyspace.
func keyspaceFile(keyspace string) string { return fmt.Sprintf("keyspace %q", keyspace) }
