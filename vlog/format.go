package vlog

import (
	"encoding/binary"
	"hash/crc32"
	"math"

	"github.com/cordwood-db/cordwood/internal/base"
)

// All constants of this block are part of the file format.
const (
	fileMagic     = uint64(0x676f6c7664726f63) // "cordvlog"
	formatVersion = 2
	fileHeaderLen = 64

	flagRewritten = 1 << 0 // the file holds sections and ends in a footer

	recordHeaderLen = 48
	keyspaceLen     = 4                  // of the number before the key, where flagKeyspace is set
	recordMarker    = uint32(0xc7a39e51) // starts no string of text; has no border, so matches never overlap

	// KeyLenMax is the largest key, in bytes.
	KeyLenMax = 1 << 16
	// ValueLenMax is the largest value, in bytes.
	ValueLenMax = 1 << 30
	// OffsetMax bounds where a record may start in the file that it is first
	// written to. The owner seals files long before that.
	OffsetMax = math.MaxInt32

	recordLenMax = recordHeaderLen + keyspaceLen + KeyLenMax + ValueLenMax
)

// HeaderLen is where a file's first record starts, in bytes. Part of the file
// format.
const HeaderLen = fileHeaderLen

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// idSeed is the state of a header checksum after the file's id. Seeding costs
// nothing per record and makes a record of another file fail its checksum.
func idSeed(id uint64) uint32 {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], id)
	return crc32.Update(0, castagnoli, b[:])
}

// bodySum is the checksum of a record's keyspace, key and value.
func bodySum(keyspace uint32, key, value []byte) uint32 {
	return crc32.Update(crc32.Update(keyspaceSum(keyspace), castagnoli, key), castagnoli, value)
}

// keyspaceSum is the checksum of a keyspace as a record stores it. It goes byte
// by byte because a slice handed to package crc32 would cost an allocation.
func keyspaceSum(keyspace uint32) uint32 {
	if keyspace == 0 {
		return 0
	}
	sum := ^uint32(0)
	for range keyspaceLen {
		sum = castagnoli[byte(sum)^byte(keyspace)] ^ sum>>8
		keyspace >>= 8
	}
	return ^sum
}

// fileHeader is the first 64 bytes of a file.
type fileHeader struct {
	version   uint32
	rewritten bool
	id        uint64
	number    base.FileNum
}

// Offsets in the file header. Part of the file format. What is not named is
// zero.
const (
	fhMagic   = 0
	fhVersion = 8
	fhFlags   = 12
	fhID      = 16
	fhNumber  = 24
	fhSum     = 60
)

func (h fileHeader) encode() (b [fileHeaderLen]byte) {
	le := binary.LittleEndian
	le.PutUint64(b[fhMagic:], fileMagic)
	le.PutUint32(b[fhVersion:], h.version)
	if h.rewritten {
		le.PutUint32(b[fhFlags:], flagRewritten)
	}
	le.PutUint64(b[fhID:], h.id)
	le.PutUint64(b[fhNumber:], uint64(h.number))
	le.PutUint32(b[fhSum:], crc32.Checksum(b[:fhSum], castagnoli))
	return b
}

// decodeFileHeader checks b, the start of the file called name.
func decodeFileHeader(name string, b []byte) (h fileHeader, err error) {
	if len(b) < fileHeaderLen {
		return h, base.Corruptf(name, 0, "file of %d bytes is shorter than its header", len(b))
	}
	le := binary.LittleEndian
	b = b[:fileHeaderLen]
	if le.Uint64(b[fhMagic:]) != fileMagic {
		return h, base.Corruptf(name, 0, "not a value-log file")
	}
	if le.Uint32(b[fhSum:]) != crc32.Checksum(b[:fhSum], castagnoli) {
		return h, base.Corruptf(name, 0, "checksum mismatch in file header")
	}
	h.version = le.Uint32(b[fhVersion:])
	flags := le.Uint32(b[fhFlags:])
	if h.version == 0 {
		return h, base.Corruptf(name, 0, "format version 0")
	}
	if h.version > formatVersion {
		return h, &base.FormatError{File: name, Found: h.version, Known: formatVersion}
	}
	if flags&^flagRewritten != 0 {
		return h, base.Corruptf(name, 0, "unknown flags %#x in file header", flags)
	}
	h.rewritten = flags&flagRewritten != 0
	h.id = le.Uint64(b[fhID:])
	h.number = base.FileNum(le.Uint64(b[fhNumber:]))
	return h, nil
}

// recordHeader is the first 48 bytes of a record.
type recordHeader struct {
	bodySum   uint32
	keyLen    uint32
	valueLen  uint32
	offset    uint32 // logical
	file      base.FileNum
	seq       base.SeqNum
	keyspaced bool   // a keyspace other than 0 stands before the key
	expiry    uint64 // 0: never
}

// Offsets in a record header. Part of the file format.
const (
	rhSum      = 0
	rhBodySum  = 4
	rhMarker   = 8
	rhKeyLen   = 12
	rhValueLen = 16
	rhOffset   = 20
	rhFile     = 24
	rhSeq      = 32 // 56 bits; the 8 above are flags, all zero in version 1
	rhExpiry   = 40
)

// flagKeyspace is the flag, in the word at rhSeq, of a record whose keyspace
// stands before its key: any but 0. Part of the file format, from version 2 on.
const flagKeyspace = uint64(1) << 56

// prefixLen is the length of what a record of a keyspace has before its key.
func prefixLen(keyspace uint32) int {
	if keyspace == 0 {
		return 0
	}
	return keyspaceLen
}

// prefixLen is the length of what stands between header and key.
func (h *recordHeader) prefixLen() int {
	if h.keyspaced {
		return keyspaceLen
	}
	return 0
}

// size is the length of the whole record, in bytes.
func (h *recordHeader) size() int64 {
	return recordHeaderLen + int64(h.prefixLen()) + int64(h.keyLen) + int64(h.valueLen)
}

// split takes keyspace and key off body, which holds what follows the header,
// or the start of it with the whole key. It says what is wrong, or "".
func (h *recordHeader) split(body []byte) (keyspace uint32, key, rest []byte, wrong string) {
	if h.keyspaced {
		keyspace = binary.LittleEndian.Uint32(body)
		body = body[keyspaceLen:]
		if keyspace == 0 {
			return 0, nil, nil, "record spells out keyspace 0"
		}
	}
	return keyspace, body[:h.keyLen:h.keyLen], body[h.keyLen:], ""
}

func (h *recordHeader) encode(b *[recordHeaderLen]byte, seed uint32) {
	le := binary.LittleEndian
	le.PutUint32(b[rhBodySum:], h.bodySum)
	le.PutUint32(b[rhMarker:], recordMarker)
	le.PutUint32(b[rhKeyLen:], h.keyLen)
	le.PutUint32(b[rhValueLen:], h.valueLen)
	le.PutUint32(b[rhOffset:], h.offset)
	le.PutUint64(b[rhFile:], uint64(h.file))
	word := uint64(h.seq)
	if h.keyspaced {
		word |= flagKeyspace
	}
	le.PutUint64(b[rhSeq:], word)
	le.PutUint64(b[rhExpiry:], h.expiry)
	le.PutUint32(b[rhSum:], crc32.Update(seed, castagnoli, b[rhBodySum:]))
}

// decode checks the header that starts b, in a file of the given version. It
// returns what is wrong with it, or "". Its lengths are within the format's
// limits if nothing is.
func (h *recordHeader) decode(b []byte, seed, version uint32) (wrong string) {
	if len(b) < recordHeaderLen {
		return "record header cut short"
	}
	b = b[:recordHeaderLen]
	le := binary.LittleEndian
	if le.Uint32(b[rhMarker:]) != recordMarker {
		return "no record here"
	}
	if le.Uint32(b[rhSum:]) != crc32.Update(seed, castagnoli, b[rhBodySum:]) {
		return "checksum mismatch in record header"
	}
	h.bodySum = le.Uint32(b[rhBodySum:])
	h.keyLen = le.Uint32(b[rhKeyLen:])
	h.valueLen = le.Uint32(b[rhValueLen:])
	h.offset = le.Uint32(b[rhOffset:])
	h.file = base.FileNum(le.Uint64(b[rhFile:]))
	word := le.Uint64(b[rhSeq:])
	h.keyspaced = word&flagKeyspace != 0 && version >= 2
	if h.keyspaced {
		word &^= flagKeyspace
	}
	h.seq = base.SeqNum(word)
	h.expiry = le.Uint64(b[rhExpiry:])
	switch {
	case h.seq > base.SeqNumMax:
		return "unknown flags in record header"
	case h.keyLen > KeyLenMax || h.valueLen > ValueLenMax:
		return "record larger than the format allows"
	case h.offset > OffsetMax:
		return "record offset larger than the format allows"
	}
	return ""
}

// pointer is the pointer that names this record.
func (h *recordHeader) pointer() base.Pointer {
	return base.Pointer{File: h.file, Offset: h.offset, Size: uint32(h.size()), ValueLen: h.valueLen}
}

// fileName is the base name of value-log file num.
func fileName(num base.FileNum) string { return base.FileName(base.FileVlog, uint64(num)) }
