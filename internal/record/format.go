package record

import (
	"encoding/binary"
	"errors"
	"hash/crc32"

	"github.com/cordwood-db/cordwood/internal/base"
)

// Sizes and limits. Part of the file format.
const (
	// Version is the newest version of the format that this package knows, and
	// the one it writes.
	Version = 1

	// HeaderLen is the length of a file header in bytes. The first record of a
	// file starts there.
	HeaderLen = 64

	// RecordHeaderLen is the length of a record's header in bytes.
	RecordHeaderLen = 32

	// PayloadLenMax is the largest length of a payload in bytes.
	PayloadLenMax = 1<<48 - 1

	// LSNMax bounds every LSN, so that no sum of an LSN and a file's size
	// overflows.
	LSNMax = 1<<62 - 1
)

// Layout of the file header. Part of the file format.
const (
	fileMagic = "CWRECORD"

	fileMagicOff   = 0  // 8 bytes
	fileKindOff    = 8  // 1 byte, then 3 reserved
	fileVersionOff = 12 // uint32
	fileIDOff      = 16 // uint64
	fileNumberOff  = 24 // uint64
	fileStartOff   = 32 // uint64
	fileSyncedOff  = 40 // uint64, then 12 bytes reserved
	fileCRCOff     = 60 // uint32 over everything before it
)

// Kinds of file. Part of the file format, unlike base.FileKind's values.
const (
	fileKindWAL      = 1
	fileKindManifest = 2
)

// Layout of a record's header. Part of the file format.
const (
	recHeaderCRCOff  = 0  // uint32 over the rest of the header, then the offset
	recPayloadCRCOff = 4  // uint32
	recIDOff         = 8  // uint64
	recSyncedOff     = 16 // uint64
	recLengthOff     = 24 // uint48
	recTypeOff       = 30 // 1 byte
	recReservedOff   = 31 // 1 byte, zero
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// FileHeader starts a file of records.
type FileHeader struct {
	Kind     base.FileKind // base.FileWAL or base.FileManifest
	Version  uint32        // of the format; NewWriter takes 0 for Version
	ID       uint64        // random, not zero; binds every record to this file
	Number   uint64        // segment or file number
	StartLSN uint64        // LSN of the file's first byte, at most LSNMax
	// Synced says that everything before this LSN was known to be durable when
	// the file was created. At most StartLSN; 0 says nothing.
	Synced uint64
}

var (
	errKind   = errors.New("record: files of this kind hold no records")
	errID     = errors.New("record: file id is zero")
	errLSN    = errors.New("record: LSN out of range")
	errWriter = errors.New("record: unknown format version")
)

// append encodes h.
func (h FileHeader) append(dst []byte) ([]byte, error) {
	kind, ok := kindByte(h.Kind)
	switch {
	case !ok:
		return nil, errKind
	case h.ID == 0:
		return nil, errID
	case h.StartLSN > LSNMax || h.Synced > h.StartLSN:
		return nil, errLSN
	case h.Version != Version:
		return nil, errWriter
	}
	var b [HeaderLen]byte
	copy(b[fileMagicOff:], fileMagic)
	b[fileKindOff] = kind
	binary.LittleEndian.PutUint32(b[fileVersionOff:], h.Version)
	binary.LittleEndian.PutUint64(b[fileIDOff:], h.ID)
	binary.LittleEndian.PutUint64(b[fileNumberOff:], h.Number)
	binary.LittleEndian.PutUint64(b[fileStartOff:], h.StartLSN)
	binary.LittleEndian.PutUint64(b[fileSyncedOff:], h.Synced)
	binary.LittleEndian.PutUint32(b[fileCRCOff:], crc32.Checksum(b[:fileCRCOff], castagnoli))
	return append(dst, b[:]...), nil
}

// decodeFileHeader decodes b, which holds HeaderLen bytes of the named file.
func decodeFileHeader(b []byte, name string, kind base.FileKind) (FileHeader, error) {
	if string(b[fileMagicOff:fileMagicOff+len(fileMagic)]) != fileMagic {
		return FileHeader{}, base.Corruptf(name, 0, "file header has no magic number")
	}
	if binary.LittleEndian.Uint32(b[fileCRCOff:]) != crc32.Checksum(b[:fileCRCOff], castagnoli) {
		return FileHeader{}, base.Corruptf(name, 0, "file header fails its checksum")
	}
	h := FileHeader{
		Kind:     kind,
		Version:  binary.LittleEndian.Uint32(b[fileVersionOff:]),
		ID:       binary.LittleEndian.Uint64(b[fileIDOff:]),
		Number:   binary.LittleEndian.Uint64(b[fileNumberOff:]),
		StartLSN: binary.LittleEndian.Uint64(b[fileStartOff:]),
		Synced:   binary.LittleEndian.Uint64(b[fileSyncedOff:]),
	}
	if h.Version > Version {
		return FileHeader{}, &base.FormatError{File: name, Found: h.Version, Known: Version}
	}
	want, ok := kindByte(kind)
	if !ok {
		return FileHeader{}, errKind
	}
	switch {
	case h.Version == 0:
		return FileHeader{}, base.Corruptf(name, 0, "file header has version 0")
	case b[fileKindOff] != want:
		return FileHeader{}, base.Corruptf(name, 0, "file header is of kind %d, not %d", b[fileKindOff], want)
	case h.ID == 0:
		return FileHeader{}, base.Corruptf(name, 0, "file header has no file id")
	case h.StartLSN > LSNMax || h.Synced > h.StartLSN:
		return FileHeader{}, base.Corruptf(name, 0, "file header has an LSN out of range")
	}
	return h, nil
}

func kindByte(k base.FileKind) (b byte, ok bool) {
	switch k {
	case base.FileWAL:
		return fileKindWAL, true
	case base.FileManifest:
		return fileKindManifest, true
	}
	return 0, false
}

// recordHeader is the decoded header of a record.
type recordHeader struct {
	payloadCRC uint32
	synced     uint64
	length     int64
	typ        byte
}

// put encodes h into the first RecordHeaderLen bytes of b, as the header of the
// record at offset off of the file with the given id.
func (h recordHeader) put(b []byte, id uint64, off int64, x *crcScratch) {
	binary.LittleEndian.PutUint32(b[recPayloadCRCOff:], h.payloadCRC)
	binary.LittleEndian.PutUint64(b[recIDOff:], id)
	binary.LittleEndian.PutUint64(b[recSyncedOff:], h.synced)
	// The type overwrites the top two bytes, which a valid length leaves zero.
	binary.LittleEndian.PutUint64(b[recLengthOff:], uint64(h.length))
	b[recTypeOff] = h.typ
	binary.LittleEndian.PutUint32(b[recHeaderCRCOff:], headerCRC(b, off, x))
}

// crcScratch is where headerCRC gathers its input. It has to be on the heap,
// where whatever is handed to package crc32 ends up, so it is kept and reused.
type crcScratch [RecordHeaderLen - recPayloadCRCOff + 8]byte

// headerCRC is the checksum of the record header b at offset off: of b without
// its first four bytes, followed by the offset as a uint64.
func headerCRC(b []byte, off int64, x *crcScratch) uint32 {
	n := copy(x[:], b[recPayloadCRCOff:RecordHeaderLen])
	binary.LittleEndian.PutUint64(x[n:], uint64(off))
	return crc32.Checksum(x[:], castagnoli)
}

// decodeRecordHeader decodes the RecordHeaderLen bytes at b, found at offset
// off of the file that h starts. ok is false if they are not a header written
// there.
func decodeRecordHeader(b []byte, h FileHeader, off int64, x *crcScratch) (rh recordHeader, ok bool) {
	// What is cheap to check goes first: a search may meet many candidates.
	if binary.LittleEndian.Uint64(b[recIDOff:]) != h.ID || b[recReservedOff] != 0 ||
		binary.LittleEndian.Uint32(b[recHeaderCRCOff:]) != headerCRC(b, off, x) {
		return rh, false
	}
	rh = recordHeader{
		payloadCRC: binary.LittleEndian.Uint32(b[recPayloadCRCOff:]),
		synced:     binary.LittleEndian.Uint64(b[recSyncedOff:]),
		length:     int64(binary.LittleEndian.Uint64(b[recLengthOff:]) & PayloadLenMax),
		typ:        b[recTypeOff],
	}
	// A record cannot know that it is durable itself.
	return rh, rh.synced <= h.StartLSN+uint64(off)
}
