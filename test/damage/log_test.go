package damage

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
)

// The parts of the format of docs/format/record.md that the oracle of the log
// stands on. It is written anew here, so that it does not share mistakes with
// the engine.
const (
	fileHeaderBytes   = 64
	recordHeaderBytes = 32
	lengthAt          = 24 // in a record: 6 bytes
	typeAt            = 30 // likewise: 1 byte
	typeCommit        = 1
)

// record is a record of the live log, or the header of a segment.
type record struct {
	file       string
	start, end int
	commits    int // of States that are there once this record has been replayed
	header     bool
}

// segments are the names of the WAL's segments, ascending.
func (s *Store) segments() (names []string) {
	for _, f := range s.Files {
		if strings.HasSuffix(f.Name, ".wal") {
			names = append(names, f.Name)
		}
	}
	return names
}

// newestSegment is the last one, empty if there is none.
func (s *Store) newestSegment() string {
	if names := s.segments(); len(names) > 0 {
		return names[len(names)-1]
	}
	return ""
}

// liveFrom is the oldest segment that a recovery needs.
func (s *Store) liveFrom() string {
	if len(s.log) == 0 {
		return ""
	}
	return s.log[0].file
}

// readLog finds the newest segments that hold the commits of States, and their
// records.
func (s *Store) readLog() error {
	s.log = nil
	if s.Live == 0 {
		return nil
	}
	names := s.segments()
	commits := 0
	var parts [][]record
	for i := len(names) - 1; i >= 0 && commits < s.Live; i-- {
		part := recordsOf(names[i], s.byName[names[i]].Data)
		for _, r := range part {
			commits += r.commits
		}
		parts = append(parts, part)
	}
	if commits != s.Live {
		return fmt.Errorf("%d commits in the log, want %d", commits, s.Live)
	}
	for i := len(parts) - 1; i >= 0; i-- {
		s.log = append(s.log, parts[i]...)
	}
	for i := range s.log {
		if i > 0 {
			s.log[i].commits += s.log[i-1].commits
		}
	}
	if last := s.log[len(s.log)-1]; len(parts) < 3 || last.end-last.start != recordHeaderBytes {
		return fmt.Errorf("%d live segments, the last record has %d bytes: want three, and a proof at the end",
			len(parts), last.end-last.start)
	}
	return nil
}

// recordsOf are the records of a segment that is whole, and its header.
func recordsOf(name string, data []byte) []record {
	all := []record{{file: name, end: fileHeaderBytes, header: true}}
	for at := fileHeaderBytes; at+recordHeaderBytes <= len(data); {
		if len(bytes.Trim(data[at:at+recordHeaderBytes], "\x00")) == 0 {
			break
		}
		var n [8]byte
		copy(n[:6], data[at+lengthAt:])
		r := record{file: name, start: at, end: at + recordHeaderBytes + int(binary.LittleEndian.Uint64(n[:]))}
		if data[at+typeAt] == typeCommit {
			r.commits = 1
		}
		all = append(all, r)
		at = r.end
	}
	return all
}

// lowest is the oldest state that a store with this damage may show: the newest
// one, unless the log has lost its last whole record and the proof behind it.
// Each commit of the log was synced before the next one was made: so the header
// of a record, or of a segment, proves all that lies before it.
func (s *Store) lowest(c *Case) int {
	newest := len(s.States) - 1
	whole, proven, unbroken := 0, 0, true
	for i := range s.log {
		r := &s.log[i]
		data, touched := c.Files[r.file]
		same := func(from, to int) bool {
			return !touched || to <= len(data) && bytes.Equal(data[from:to], s.byName[r.file].Data[from:to])
		}
		if same(r.start, min(r.end, r.start+recordHeaderBytes+r.headerRest())) {
			proven = before(s.log, i)
		}
		if unbroken = unbroken && same(r.start, r.end); unbroken {
			whole = r.commits
		}
	}
	return min(max(whole, proven), newest)
}

// headerRest is how much longer than a record's the header is.
func (r *record) headerRest() int {
	if r.header {
		return fileHeaderBytes - recordHeaderBytes
	}
	return 0
}

// before is how many commits lie before the i-th record.
func before(log []record, i int) int {
	if i == 0 {
		return 0
	}
	return log[i-1].commits
}

// endsClean reports whether the log ends, but for zeros, where one of its
// records does: then it looks like a log that never was longer.
func (s *Store) endsClean(c *Case) bool {
	data, ok := c.Files[s.newestSegment()]
	if !ok || len(c.Files) > 1 {
		return false
	}
	data = bytes.TrimRight(data, "\x00")
	return slices.ContainsFunc(s.log, func(r record) bool {
		whole := s.byName[r.file].Data[:r.end]
		return r.file == s.newestSegment() && bytes.HasPrefix(whole, data) &&
			len(bytes.TrimRight(whole, "\x00")) == len(data)
	})
}
