package vlog

import (
	"errors"
	"fmt"
	"hash/crc32"
	"slices"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/vfs"
)

// scanBytes is the buffer of a sequential scan. Reads fill what the last record
// left free of it, so they are of 256 KiB at least while records are smaller
// than that.
const scanBytes = 512 << 10

// Record is one record as a scan finds it.
type Record struct {
	Pointer  base.Pointer // logical: what the LSM tree holds
	Offset   int64        // of the record in the physical file
	Keyspace uint32
	Seq      base.SeqNum
	Expiry   uint64 // nanoseconds since the Unix epoch, 0 for never
	// Key and Value are valid during the call that delivers the record, and
	// are not to be changed.
	Key, Value []byte

	// sum is the checksum of the body as it is stored, if stored is set:
	// a rewrite carries it on, so that it protects from commit to read.
	sum    uint32
	stored bool
}

// ScanFile reads file num in order and calls fn for each record in the physical
// range [from, to). from must be where a record starts; 0 means the first. to 0
// means the end of the records. expect is the id that the file must have, 0 for
// any. On a rewritten file, records carry their logical pointers.
//
// validEnd is the offset up to which all is well: the end of the last record
// for which fn returned nil. The error is fn's; or a *base.CorruptionError where
// bytes before to are not a whole valid record or the file ends before to; or
// one of opening and reading the file. The owner of an active file takes a
// CorruptionError at or after what was durable for a torn tail, see [Recover].
func ScanFile(fsys vfs.FS, dir string, num base.FileNum, expect uint64, from, to int64,
	fn func(Record) error) (validEnd int64, err error) {
	s, err := openScanner(fsys, dir, num, expect)
	if err != nil {
		return 0, err
	}
	validEnd, err = s.run(from, to, fn)
	return validEnd, s.close(err)
}

// scanner reads a file in order.
type scanner struct {
	f    vfs.File
	name string
	hdr  fileHeader
	seed uint32
	// end is where records end: the end of the file, or of the records of a
	// rewritten one.
	end      int64
	sections *sectionIndex // of a rewritten file
	anyPlace bool          // salvage of a file whose header is lost

	// buf holds the bytes of the file from bufOff on.
	buf    []byte
	bufOff int64
}

func openScanner(fsys vfs.FS, dir string, num base.FileNum, expect uint64) (*scanner, error) {
	f, err := openFile(fsys, dir, num)
	if err != nil {
		return nil, err
	}
	s := &scanner{f: f, name: fileName(num)}
	s.hdr, s.end, err = readFileHeader(f, s.name, num)
	if err == nil && expect != 0 && s.hdr.id != expect {
		err = base.Corruptf(s.name, 0, "another file is under this name: id %016x, want %016x", s.hdr.id, expect)
	}
	if err == nil && s.hdr.rewritten {
		s.sections, err = readSectionIndex(f, s.name, s.hdr.id, s.end)
		if err == nil {
			s.end = s.sections.recordsEnd
		}
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	s.seed = idSeed(s.hdr.id)
	return s, nil
}

// close closes the file and returns err, joined with an error in closing.
func (s *scanner) close(err error) error {
	if c := s.f.Close(); c != nil {
		return errors.Join(err, fmt.Errorf("vlog: close %s: %w", s.name, c))
	}
	return err
}

// run is ScanFile on an open file.
func (s *scanner) run(from, to int64, fn func(Record) error) (validEnd int64, err error) {
	limit := s.end
	if to > 0 {
		limit = min(to, s.end)
	}
	pos := max(from, fileHeaderLen)
	if pos > s.end {
		return s.end, base.Corruptf(s.name, s.end, "records end here, want them from %d", pos)
	}
	for pos < limit {
		rec, size, err := s.next(pos, limit)
		if err == nil {
			err = fn(rec)
		}
		if err != nil {
			return pos, err
		}
		pos += size
	}
	if to > pos {
		return pos, base.Corruptf(s.name, pos, "records end here, want them up to %d", to)
	}
	return pos, nil
}

// next checks and returns the record at pos, which must end at limit or before.
// size is the record's length in bytes; where only the body is damaged it is
// given with the error, else it is 0 then.
func (s *scanner) next(pos, limit int64) (rec Record, size int64, err error) {
	if limit-pos < recordHeaderLen {
		return rec, 0, base.Corruptf(s.name, pos, "record header cut short")
	}
	b, err := s.fill(pos, recordHeaderLen, limit)
	if err != nil {
		return rec, 0, err
	}
	var h recordHeader
	if wrong := s.judge(&h, b, pos, limit); wrong != "" {
		return rec, 0, base.Corruptf(s.name, pos, "%s", wrong)
	}
	size = h.size()
	if b, err = s.fill(pos, size, limit); err != nil {
		return rec, 0, err
	}
	b = b[recordHeaderLen:]
	if crc32.Checksum(b, castagnoli) != h.bodySum {
		return rec, size, base.Corruptf(s.name, pos, "checksum mismatch in key and value")
	}
	keyspace, key, value, wrong := h.split(b)
	if wrong != "" {
		return rec, size, base.Corruptf(s.name, pos, "%s", wrong)
	}
	return Record{
		Pointer: h.pointer(), Offset: pos, Keyspace: keyspace, Seq: h.seq, Expiry: h.expiry,
		Key: key, Value: value, sum: h.bodySum, stored: true,
	}, size, nil
}

// judge decodes the record header in b and says what is wrong with a record of
// that header at pos, or "".
func (s *scanner) judge(h *recordHeader, b []byte, pos, limit int64) (wrong string) {
	if wrong := h.decode(b, s.seed, s.hdr.version); wrong != "" {
		return wrong
	}
	switch {
	case h.size() > limit-pos:
		return "record cut short"
	case s.anyPlace:
		return ""
	case !s.hdr.rewritten:
		if h.file != s.hdr.number || int64(h.offset) != pos {
			return "record of another place"
		}
	case s.sections != nil:
		sec := s.sections.find(h.file)
		if sec == nil || pos < sec.start || pos+h.size() > sec.end {
			return "record of another section"
		}
	}
	return ""
}

// fill returns n bytes of the file from pos on, which end at limit or before.
// They are valid until the next call.
func (s *scanner) fill(pos, n, limit int64) ([]byte, error) {
	if pos < s.bufOff || pos > s.bufOff+int64(len(s.buf)) {
		s.buf, s.bufOff = s.buf[:0], pos
	}
	if have := s.bufOff + int64(len(s.buf)) - pos; have < n {
		rest := s.buf[pos-s.bufOff:]
		size := max(n, min(scanBytes, limit-pos))
		if int64(cap(s.buf)) < size {
			s.buf = append(make([]byte, 0, size), rest...)
		} else {
			s.buf = s.buf[:copy(s.buf[:len(rest)], rest)]
		}
		s.bufOff = pos
		// A buffer that grew for a large record is filled no further than usual:
		// the next record need not be large.
		grown := s.buf[:size]
		if err := readFull(s.f, s.name, grown[len(s.buf):], pos+int64(len(s.buf))); err != nil {
			return nil, err
		}
		s.buf = grown
	}
	return slices.Clip(s.buf[pos-s.bufOff:][:n]), nil
}
