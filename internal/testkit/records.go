package testkit

import (
	"encoding/binary"
	"hash/crc32"
)

// The lengths and places of docs/format/record.md.
const (
	recordFileHeaderLen = 64
	recordHeaderLen     = 32
)

// ResealRecords makes all checksums of a record file, a WAL segment or a
// MANIFEST, right again, in place, so that what is tried on its bytes gets
// behind them. It goes from record to record by their lengths and stops where
// one does not fit. It follows docs/format/record.md, not the code under test.
func ResealRecords(b []byte) {
	if len(b) < recordFileHeaderLen {
		return
	}
	le, table := binary.LittleEndian, crc32.MakeTable(crc32.Castagnoli)
	copy(b, "CWRECORD")
	le.PutUint32(b[60:], crc32.Checksum(b[:60], table))
	id := le.Uint64(b[16:])
	for at := recordFileHeaderLen; len(b)-at >= recordHeaderLen; {
		head := b[at : at+recordHeaderLen]
		length := le.Uint64(head[24:]) & (1<<48 - 1)
		room := uint64(len(b) - at - recordHeaderLen)
		if length == 0 && head[30] == 0 {
			return // preallocated space
		}
		payload := b[at+recordHeaderLen:][:min(length, room)]
		le.PutUint32(head[4:], crc32.Checksum(payload, table))
		le.PutUint64(head[8:], id)
		head[31] = 0
		sum := crc32.Checksum(head[4:], table)
		le.PutUint32(head, crc32.Update(sum, table, le.AppendUint64(nil, uint64(at))))
		if length > room {
			return
		}
		at += recordHeaderLen + int(length)
	}
}
