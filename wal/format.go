package wal

import (
	"encoding/binary"
	"path/filepath"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/record"
)

// Types of record. Part of the file format.
const (
	typeCommits = 1 // the payload is one or more commits (base/ops.go)
	typeProof   = 2 // no payload: the record is there for its synced LSN
	typeSeal    = 3 // the segment ends here; see seal
)

// sealLen is the length of a seal's payload. Part of the file format.
const sealLen = 16

// sealRecordLen is the length of the whole record.
const sealRecordLen = record.RecordHeaderLen + sealLen

// seal names the segment that follows the one it ends. The successor's start
// LSN is the LSN behind the seal.
type seal struct {
	next base.SegmentNum // uint64 at offset 0
	id   uint64          // the successor's file id, at offset 8
}

// encode returns the payload.
func (s seal) encode() (b [sealLen]byte) {
	binary.LittleEndian.PutUint64(b[0:], uint64(s.next))
	binary.LittleEndian.PutUint64(b[8:], s.id)
	return b
}

// decodeSeal undoes encode.
func decodeSeal(b []byte) (s seal, ok bool) {
	if len(b) != sealLen {
		return s, false
	}
	s.next = base.SegmentNum(binary.LittleEndian.Uint64(b[0:]))
	s.id = binary.LittleEndian.Uint64(b[8:])
	return s, true
}

// fileName is the base name of a segment.
func fileName(seg base.SegmentNum) string {
	return base.FileName(base.FileWAL, uint64(seg))
}

// filePath is where a segment is.
func filePath(dir string, seg base.SegmentNum) string {
	return filepath.Join(dir, fileName(seg))
}
