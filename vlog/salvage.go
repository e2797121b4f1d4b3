package vlog

import (
	"bytes"
	"encoding/binary"
	"errors"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/vfs"
)

// Salvage reads what can be read of file num, for repair tools: it calls fn, in
// order, for each record whose checksums hold, and damaged for each range of
// bytes between them. Unlike ScanFile it goes on behind damage, and needs neither
// the section index of a rewritten file nor, if expect is given, the file header:
// damage to those is reported like any other. Either call may be nil; an error
// of one ends the salvage and is returned.
//
// It returns an error where nothing can be said: the file is missing, cannot be
// read, is of a newer format, or has lost its header while expect is 0.
func Salvage(fsys vfs.FS, dir string, num base.FileNum, expect uint64,
	fn func(Record) error, damaged func(from, to int64, reason error) error) error {
	if fn == nil {
		fn = func(Record) error { return nil }
	}
	if damaged == nil {
		damaged = func(int64, int64, error) error { return nil }
	}
	s, err := openSalvage(fsys, dir, num, expect, damaged)
	if err != nil {
		return err
	}
	return s.close(s.salvage(fn, damaged))
}

// openSalvage opens a file of which any part may be damaged.
func openSalvage(fsys vfs.FS, dir string, num base.FileNum, expect uint64,
	damaged func(from, to int64, reason error) error) (*scanner, error) {
	f, err := openFile(fsys, dir, num)
	if err != nil {
		return nil, err
	}
	s := &scanner{f: f, name: fileName(num)}
	if err := s.loadDamaged(num, expect, damaged); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return s, nil
}

// loadDamaged makes the best of the file's header and footer.
func (s *scanner) loadDamaged(num base.FileNum, expect uint64, damaged func(from, to int64, reason error) error) error {
	var err error
	s.hdr, s.end, err = readFileHeader(s.f, s.name, num)
	if err == nil && expect != 0 && s.hdr.id != expect {
		err = base.Corruptf(s.name, 0, "another file is under this name: id %016x, want %016x", s.hdr.id, expect)
	}
	if err != nil {
		if !isCorruption(err) || expect == 0 {
			return err
		}
		s.anyPlace = true
		s.hdr = fileHeader{version: formatVersion, id: expect, number: num}
		if err := damaged(0, min(s.end, fileHeaderLen), err); err != nil {
			return err
		}
	}
	s.seed = idSeed(s.hdr.id)
	if !s.hdr.rewritten && !s.anyPlace {
		return nil
	}
	x, err := readSectionIndex(s.f, s.name, s.hdr.id, s.end)
	switch {
	case err == nil:
		s.sections, s.end = x, x.recordsEnd
	case !isCorruption(err):
		return err
	case s.hdr.rewritten:
		s.anyPlace = true
		return damaged(s.end, s.end, err)
	}
	return nil // without header and footer it was not rewritten, as far as can be known
}

func isCorruption(err error) bool {
	var c *base.CorruptionError
	return errors.As(err, &c)
}

// salvage walks the records. A record whose header is good is stepped over whole
// if its body is not: that keeps the work linear in the file's size, whatever a
// file holds.
func (s *scanner) salvage(fn func(Record) error, damaged func(from, to int64, reason error) error) error {
	for pos := min(fileHeaderLen, s.end); pos < s.end; {
		rec, size, err := s.next(pos, s.end)
		if err == nil {
			if err := fn(rec); err != nil {
				return err
			}
			pos += size
			continue
		}
		if !isCorruption(err) {
			return err
		}
		next := pos + size
		if size == 0 {
			var ioErr error
			if next, ioErr = s.resync(pos + 1); ioErr != nil {
				return ioErr
			}
		}
		if err := damaged(pos, next, err); err != nil {
			return err
		}
		pos = next
	}
	return nil
}

// resync returns the first offset from pos on that has a valid record header, or
// the end.
func (s *scanner) resync(pos int64) (int64, error) {
	marker := binary.LittleEndian.AppendUint32(nil, recordMarker)
	for s.end-pos >= recordHeaderLen {
		// A window of the usual size, or what is left of the file.
		n := min(scanBytes, s.end-pos)
		b, err := s.fill(pos, n, s.end)
		if err != nil {
			return 0, err
		}
		// Headers that start in the window but reach out of it belong to the
		// next one.
		for at := 0; ; at++ {
			i := bytes.Index(b[min(at+rhMarker, len(b)):], marker)
			if i < 0 || at+i+recordHeaderLen > len(b) {
				break
			}
			at += i
			var h recordHeader
			if s.judge(&h, b[at:], pos+int64(at), s.end) == "" {
				return pos + int64(at), nil
			}
		}
		if n == s.end-pos {
			break
		}
		pos += n - recordHeaderLen + 1
	}
	return s.end, nil
}
