package wal

import (
	"errors"
	"fmt"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/record"
	"github.com/cordwood-db/cordwood/vfs"
)

// ErrCutHere is returned, or wrapped, by the function that Replay calls, to say
// that the record it was given cannot be used and that the log is to be cut
// before it. The text around it becomes the reason of the cut.
var ErrCutHere = errors.New("wal: cut here")

// ReplayRecord is one record of the log.
type ReplayRecord struct {
	Segment base.SegmentNum
	LSN     uint64 // of its first byte
	EndLSN  uint64 // of the first byte behind it
	Proven  bool   // it was known to be durable, value log included
	Payload []byte // valid until the function that was called with it returns
}

// ReplayResult says what a replay found.
type ReplayResult struct {
	Segments    []base.SegmentNum // that make up the log, without lost ones
	EndLSN      uint64            // behind the last valid record; for Create
	Cut         *Cut              // nil if the log ends cleanly
	NextSegment base.SegmentNum   // for Create, after Repair if there is a Cut
	Records     int               // delivered, and not refused with ErrCutHere
}

// Cut is where a log had to be ended.
type Cut struct {
	Segment base.SegmentNum
	File    string // base name of the segment
	Offset  int64  // in it, of the first byte to go
	Reason  string
	// LostSegments are to be removed: everything behind Segment, or Segment
	// itself if it is the first of a new log and has no header yet.
	LostSegments []base.SegmentNum
}

// Replay calls fn with every record of the segments from minSeg on, in order.
// A nil fn only checks. An error of fn that is not ErrCutHere ends the replay
// and is returned as it is. Nothing is changed on disk.
//
// Segments below minSeg are not looked at: they may be retained, with gaps, or
// have come back after a crash.
//
// Segment minSeg must exist. Only if minSeg is 0 may there be no segments at
// all; the first one there is then starts the log, and must start at LSN 0.
// (So a database should record the number of its first segment as soon as that
// exists: the loss of an only segment shows from then on.)
//
// The log ends where no valid record follows. If that is neither the end of the
// last segment nor followed by nothing but zeros, the result has a Cut, for
// Repair. Errors:
//   - *base.CorruptionError: invalid bytes before a position that was proven
//     durable; fn refused a proven record; or what no power loss explains, such
//     as a damaged header of a segment that a seal leads to.
//   - *base.MissingFileError: a segment is not there, between others or behind
//     a seal.
//   - *base.FormatError: a segment was written by a newer version.
func Replay(fs vfs.FS, dir string, minSeg base.SegmentNum, fn func(ReplayRecord) error) (ReplayResult, error) {
	r := replay{fs: fs, dir: dir, minSeg: minSeg, fn: fn}
	if err := r.find(); err != nil {
		return ReplayResult{}, err
	}
	if len(r.segs) == 0 {
		return ReplayResult{NextSegment: 1}, nil
	}
	if err := r.findProven(); err != nil {
		return ReplayResult{}, err
	}
	if first := &r.segs[0]; first.unborn != nil {
		r.res.NextSegment = first.num
		r.cut(first, 0, first.unborn.Reason)
		r.res.Cut.LostSegments = []base.SegmentNum{first.num}
		return r.res, nil
	}
	for i := range r.segs {
		last, err := r.deliver(i)
		if err != nil {
			return r.res, err
		}
		if last {
			break
		}
	}
	return r.res, nil
}

// replay is one run of Replay.
type replay struct {
	fs     vfs.FS
	dir    string
	minSeg base.SegmentNum
	fn     func(ReplayRecord) error

	segs   []segmentFile // consecutive
	proven uint64        // the largest synced LSN of the log
	res    ReplayResult
}

// segmentFile is a segment found in the directory.
type segmentFile struct {
	num base.SegmentNum
	h   record.FileHeader
	// unborn is set if the file has no valid header, but nothing behind it
	// either: its creation was interrupted, or so it looks.
	unborn *base.CorruptionError
}

// find lists the segments, and checks that none is missing and that each has
// its header.
func (r *replay) find() error {
	nums, err := List(r.fs, r.dir)
	if err != nil {
		return err
	}
	for _, num := range nums {
		if num >= r.minSeg {
			r.segs = append(r.segs, segmentFile{num: num})
		}
	}
	want := r.minSeg
	if len(r.segs) == 0 {
		if want == 0 {
			return nil
		}
		return &base.MissingFileError{File: fileName(want)}
	}
	if want == 0 {
		want = r.segs[0].num
	}
	for i := range r.segs {
		s := &r.segs[i]
		if s.num != want {
			return &base.MissingFileError{File: fileName(want)}
		}
		want++
		if err := r.readHeader(s); err != nil {
			return err
		}
		// A segment is durable before it gets a successor, and before anybody
		// calls it the first to be replayed.
		if s.unborn != nil && (i < len(r.segs)-1 || s.num == r.minSeg) {
			return s.unborn
		}
	}
	if first := &r.segs[0]; r.minSeg == 0 && first.h.StartLSN != 0 {
		return &base.MissingFileError{File: fileName(first.num - 1)}
	}
	return nil
}

// readHeader fills in s.
func (r *replay) readHeader(s *segmentFile) error {
	return r.withFile(s.num, func(f vfs.File, name string) error {
		h, present, err := record.ReadHeader(f, name, base.FileWAL)
		var damage *base.CorruptionError
		switch {
		case errors.As(err, &damage):
		case err != nil:
			return err
		case !present:
			damage = base.Corruptf(name, 0, "segment has no header")
		case h.Number != uint64(s.num):
			return base.Corruptf(name, 0, "segment says that it is number %d", h.Number)
		default:
			s.h = h
			return nil
		}
		// Records are appended only after the header is durable, so a file
		// that holds any has lost its header to damage, not to a crash.
		blank, err := record.Blank(f, name, record.HeaderLen)
		if err != nil {
			return err
		}
		if !blank {
			return damage
		}
		s.unborn = damage
		return nil
	})
}

// findProven finds the largest synced LSN that anything in the log carries.
// Marks only grow, so it is in the newest segment that holds a record; only
// headers tell of those behind that.
func (r *replay) findProven() error {
	for i := len(r.segs) - 1; i >= 0; i-- {
		s := &r.segs[i]
		if s.unborn != nil {
			continue
		}
		var tail record.Tail
		err := r.withFile(s.num, func(f vfs.File, name string) (err error) {
			_, tail, err = record.Scan(f, name, base.FileWAL, nil)
			return err
		})
		if err != nil {
			return err
		}
		r.proven = max(r.proven, tail.MaxSynced)
		if tail.Offset > record.HeaderLen || tail.LaterValid {
			return nil
		}
	}
	return nil
}

// deliver replays segment i. last is true if the log ends there.
func (r *replay) deliver(i int) (last bool, err error) {
	s := &r.segs[i]
	r.res.Segments = append(r.res.Segments, s.num)
	r.res.NextSegment = s.num + 1
	d := delivery{r: r, s: s, name: fileName(s.num)}
	var tail record.Tail
	err = r.withFile(s.num, func(f vfs.File, name string) (err error) {
		_, tail, err = record.Scan(f, name, base.FileWAL, d.record)
		return err
	})
	if d.cutReason != "" && errors.Is(err, errCut) {
		r.res.EndLSN = s.h.StartLSN + uint64(d.cutOffset)
		r.cut(s, d.cutOffset, d.cutReason)
		return true, nil
	}
	if err != nil {
		return true, err
	}
	r.res.EndLSN = tail.EndLSN
	if d.sealed {
		return false, r.checkSuccessor(i, d.seal, tail.EndLSN)
	}
	if r.proven > tail.EndLSN {
		reason := tail.Reason
		if tail.CleanEnd {
			reason = "records are missing"
		}
		return true, base.Corruptf(d.name, tail.Offset,
			"%s, though everything before LSN %d was durable", reason, r.proven)
	}
	switch {
	case !tail.CleanEnd:
		r.cut(s, tail.Offset, tail.Reason)
	case i < len(r.segs)-1:
		r.cut(s, tail.Offset, fmt.Sprintf("nothing leads to segment %d", s.num+1))
	}
	return true, nil
}

// cut ends the log at offset off of s.
func (r *replay) cut(s *segmentFile, off int64, reason string) {
	c := &Cut{Segment: s.num, File: fileName(s.num), Offset: off, Reason: reason}
	for _, o := range r.segs {
		if o.num > s.num {
			c.LostSegments = append(c.LostSegments, o.num)
		}
	}
	r.res.Cut = c
}

// checkSuccessor checks that the segment behind number i of r.segs is the one
// that its seal, which ends at endLSN, leads to. It was durable, header and
// name, before the seal was written.
func (r *replay) checkSuccessor(i int, want seal, endLSN uint64) error {
	num := r.segs[i].num + 1
	if want.next != num {
		return base.Corruptf(fileName(num-1), int64(endLSN-r.segs[i].h.StartLSN)-sealRecordLen,
			"seal leads to segment %d", want.next)
	}
	if i+1 == len(r.segs) {
		return &base.MissingFileError{File: fileName(num)}
	}
	s := &r.segs[i+1]
	switch {
	case s.unborn != nil:
		return s.unborn
	case s.h.ID != want.id:
		return base.Corruptf(fileName(num), 0, "not the segment that the seal of its predecessor names")
	case s.h.StartLSN != endLSN:
		return base.Corruptf(fileName(num), 0, "starts at LSN %d, its predecessor ends at %d", s.h.StartLSN, endLSN)
	}
	return nil
}

// withFile calls fn with the open segment num and its base name.
func (r *replay) withFile(num base.SegmentNum, fn func(f vfs.File, name string) error) (err error) {
	name := fileName(num)
	f, err := r.fs.Open(filePath(r.dir, num))
	if err != nil {
		return fmt.Errorf("wal: open %s: %w", name, err)
	}
	defer func() {
		// An error of the caller's goes back as it is.
		if cerr := f.Close(); cerr != nil {
			err = errors.Join(err, fmt.Errorf("wal: close %s: %w", name, cerr))
		}
	}()
	return fn(f, name)
}
