package record

import (
	"bytes"
	"encoding/binary"
)

// search describes what stands at and behind off, where no valid record
// starts: nothing but zeros, which is how a preallocated file ends, or
// something. It looks at every offset for headers that were written there:
// records are not aligned, and the lengths in damaged ones say nothing.
//
// Finding one takes the file's 64-bit id and a checksum that binds the offset,
// and each candidate costs constant time, so that bytes made up to look like
// headers can neither forge one nor make the search slow.
func (s *scanner) search(off int64, reason string) error {
	var id [8]byte
	binary.LittleEndian.PutUint64(id[:], s.h.ID)
	clean := true
	for {
		n := int(min(s.win.size-off, windowBytes))
		b, err := s.win.at(off, n)
		if err != nil {
			return err
		}
		if !allZero(b) {
			clean = false
			s.searchIn(b, off, id[:])
		}
		if off+int64(n) == s.win.size {
			break
		}
		// A header may straddle two windows.
		off += int64(n) - (RecordHeaderLen - 1)
	}
	s.tail.CleanEnd = clean
	if !clean {
		s.tail.Reason = reason
	}
	return nil
}

// searchIn notes the valid headers that lie in b, found at offset off.
func (s *scanner) searchIn(b []byte, off int64, id []byte) {
	for at := 0; len(b)-at >= RecordHeaderLen; at++ {
		i := bytes.Index(b[at+recIDOff:], id)
		if i < 0 {
			return
		}
		at += i
		if len(b)-at < RecordHeaderLen {
			return
		}
		h, ok := decodeRecordHeader(b[at:], s.h, off+int64(at), &s.crc)
		if !ok {
			continue
		}
		s.tail.LaterValid = true
		s.tail.LaterSynced = max(s.tail.LaterSynced, h.synced)
		s.tail.MaxSynced = max(s.tail.MaxSynced, h.synced)
	}
}

// blank reports whether the file is zero from off on.
func blank(w *window, off int64) (bool, error) {
	for off < w.size {
		n := int(min(w.size-off, windowBytes))
		b, err := w.at(off, n)
		if err != nil {
			return false, err
		}
		if !allZero(b) {
			return false, nil
		}
		off += int64(n)
	}
	return true, nil
}

// zeros is what allZero compares with. It is never written.
var zeros [4096]byte

// allZero reports whether b is zero throughout.
func allZero(b []byte) bool {
	for len(b) > len(zeros) {
		if !bytes.Equal(b[:len(zeros)], zeros[:]) {
			return false
		}
		b = b[len(zeros):]
	}
	return bytes.Equal(b, zeros[:len(b)])
}
