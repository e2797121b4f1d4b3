package trace

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"time"
)

// Everything here is part of the file format: docs/format/trace.md.
const (
	// FormatVersion is the version of the files that Create makes.
	FormatVersion = 1

	magic     = "cwtrace\n"
	headerLen = 64

	flagHashed = 1 << 0 // of the file: keys are hashed

	blockHeaderLen = 32
	blockRecords   = 1 // type of a block
	blockEnd       = 2

	packingNone = 0
	packingZstd = 1

	// blockBytesMax bounds the contents of a block, unpacked.
	blockBytesMax = 4 << 20
	// recordKeyBytesMax bounds the keys of one record together.
	recordKeyBytesMax = 1 << 20
	// blockKeyBytesMax bounds the keys of one block together, so that a small file
	// is not much work.
	blockKeyBytesMax = 32 << 20
	// recordItemsMax bounds the items of one record.
	recordItemsMax = 1 << 16
	// keyBytesMax is the length of the longest key, valueBytesMax that of the
	// longest value: those of the store.
	keyBytesMax   = 64 << 10
	valueBytesMax = 1 << 30
	// nameBytesMax is the length of the longest name of a keyspace.
	nameBytesMax = 255
	// timeMax bounds times, so that sums don't overflow.
	timeMax = 1 << 61

	// A record's first byte: its kind and these.
	headKind  = 0x1f
	headExtra = 0x20 // a byte of extras follows
	headError = 0x40 // a byte with the class of the error follows
	headFound = 0x80

	extraClient   = 1 << 0 // the client's number follows
	extraKeyspace = 1 << 1 // the keyspace's number follows
	extraSnapshot = 1 << 2
	extraMax      = 1<<3 - 1

	boundLower    = 1 << 0
	boundUpper    = 1 << 1
	boundBackward = 1 << 2
	boundKeysOnly = 1 << 3
	boundMax      = 1<<4 - 1

	// A batch's or transaction's byte.
	txOutcomeBits = 3
	txReadOnly    = 1 << 2
	txSnapshot    = 1 << 3
	txSync        = 1 << 4
	txMax         = 1<<5 - 1
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// header is the beginning of a file.
type header struct {
	hashed  bool
	id      uint64
	started time.Time
	tick    time.Duration
}

func (h *header) encode() []byte {
	b := make([]byte, headerLen)
	copy(b, magic)
	le := binary.LittleEndian
	le.PutUint32(b[8:], FormatVersion)
	if h.hashed {
		le.PutUint32(b[12:], flagHashed)
	}
	le.PutUint64(b[16:], h.id)
	le.PutUint64(b[24:], uint64(h.started.UnixNano()))
	le.PutUint32(b[32:], uint32(h.tick))
	le.PutUint32(b[60:], crc32.Checksum(b[:60], castagnoli))
	return b
}

// VersionError says that a trace was written by a newer version.
type VersionError struct{ Version uint32 }

// Error says what there is and what is known.
func (e *VersionError) Error() string {
	return fmt.Sprintf("trace: format version %d is newer than %d, the newest that is known here", e.Version, FormatVersion)
}

// DamageError says that a file is no trace, or not one any more from some place on.
type DamageError struct {
	Offset  int64 // of the block, from the beginning of the file
	Problem string
}

// Error says where and what.
func (e *DamageError) Error() string {
	return fmt.Sprintf("trace: damaged at offset %d: %s", e.Offset, e.Problem)
}

func decodeHeader(b []byte) (header, error) {
	le := binary.LittleEndian
	if len(b) < headerLen || string(b[:8]) != magic {
		return header{}, &DamageError{0, "not a trace"}
	}
	if le.Uint32(b[60:]) != crc32.Checksum(b[:60], castagnoli) {
		return header{}, &DamageError{0, "checksum of the header"}
	}
	if v := le.Uint32(b[8:]); v != FormatVersion {
		return header{}, &VersionError{v}
	}
	h := header{
		hashed:  le.Uint32(b[12:])&flagHashed != 0,
		id:      le.Uint64(b[16:]),
		started: time.Unix(0, int64(le.Uint64(b[24:]))),
		tick:    time.Duration(le.Uint32(b[32:])),
	}
	if h.tick == 0 || le.Uint32(b[12:])&^flagHashed != 0 {
		return header{}, &DamageError{0, "header"}
	}
	return h, nil
}

// blockHeader is the beginning of a block.
type blockHeader struct {
	number  uint32
	kind    byte
	packing byte
	stored  uint32 // length of what follows
	raw     uint32 // length of it unpacked
	records uint32
}

// appendBlock appends a block whose payload is packed already.
func appendBlock(dst []byte, id uint64, h blockHeader, payload []byte) []byte {
	at := len(dst)
	dst = append(dst, make([]byte, blockHeaderLen)...)
	b := dst[at:]
	le := binary.LittleEndian
	le.PutUint32(b[4:], crc32.Checksum(payload, castagnoli))
	le.PutUint32(b[8:], h.number)
	b[12], b[13] = h.kind, h.packing
	le.PutUint32(b[16:], h.stored)
	le.PutUint32(b[20:], h.raw)
	le.PutUint32(b[24:], h.records)
	le.PutUint32(b[0:], headerSum(id, b))
	return append(dst, payload...)
}

// headerSum is the checksum of a block's header, which binds it to its file.
func headerSum(id uint64, b []byte) uint32 {
	var own [8]byte
	binary.LittleEndian.PutUint64(own[:], id)
	return crc32.Update(crc32.Checksum(own[:], castagnoli), castagnoli, b[4:blockHeaderLen])
}

// decodeBlockHeader decodes a block's header; problem is empty if it is well.
func decodeBlockHeader(id uint64, b []byte) (h blockHeader, sum uint32, problem string) {
	le := binary.LittleEndian
	if le.Uint32(b) != headerSum(id, b) {
		return h, 0, "checksum of a block's header"
	}
	h = blockHeader{number: le.Uint32(b[8:]), kind: b[12], packing: b[13], stored: le.Uint32(b[16:]),
		raw: le.Uint32(b[20:]), records: le.Uint32(b[24:])}
	switch {
	case h.kind != blockRecords && h.kind != blockEnd:
		problem = "unknown type of block"
	case h.packing > packingZstd || h.packing == packingNone && h.stored != h.raw:
		problem = "packing of a block"
	case h.raw > blockBytesMax || h.stored > h.raw:
		problem = "length of a block"
	case le.Uint16(b[14:]) != 0 || le.Uint32(b[28:]) != 0:
		problem = "reserved bytes of a block"
	}
	return h, le.Uint32(b[4:]), problem
}
