package wal

import (
	"errors"
	"fmt"
	iofs "io/fs"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/record"
	"github.com/cordwood-db/cordwood/vfs"
)

// ErrGone is matched by errors that say that a segment which a reader needs is
// not there any more: it was too slow, or its start too old.
var ErrGone = errors.New("wal: removed")

// ErrAhead is matched by the error for a start that the log has not reached: of
// another log, or of one that has lost its end since.
var ErrAhead = errors.New("wal: position ahead of the log")

// errVanished says that a segment is not there.
var errVanished = errors.New("wal: no such segment")

// Position says where a Reader starts. The zero value is the start of the log,
// if that is still there.
type Position struct {
	// LSN is a border: what Reader.LSN or Record.EndLSN said, or an LSN that
	// was the log's end. 0 means that it is not known, and is found by Seq.
	//
	// It stays good over restarts only if everything before it was durable:
	// a log that lost its end in a crash gives the same LSNs to other records.
	LSN uint64
	// Seq passes over records, from LSN on, until the one that holds the
	// operation of this sequence number, or the first behind it. With an LSN
	// it may be 0, for all.
	Seq base.SeqNum
}

// Record is one record as a Reader delivers it.
type Record struct {
	Segment base.SegmentNum
	LSN     uint64 // of its first byte
	EndLSN  uint64 // of the first byte behind it
	Payload []byte // one or more commits; valid until the next call of the Reader
}

// ReaderOptions say where the log is.
type ReaderOptions struct {
	FS  vfs.FS
	Dir string
}

// Reader reads the records of a log in order while the Log goes on. It keeps no
// file open, pins no segment and never changes anything, so it needs no Close.
// It holds up to 8 MiB of memory, or twice the largest record while it is at
// it. Not safe for concurrent use; see the package comment for the rest.
type Reader struct {
	opts ReaderOptions
	rec  record.Reader

	// Where it is: at lsn, in segment seg.
	seg    base.SegmentNum
	lsn    uint64 // a border, or the start LSN of the segment:
	fresh  bool   // lsn is before the header
	loaded bool   // rec reads seg, which starts at LSN start
	start  uint64
	sealed bool   // a seal led here, and said that
	id     uint64 // is the segment's file id

	seq base.SeqNum // records with nothing from this on are passed over; 0: none are
}

// OpenReader returns a reader that starts at from. limit is as for Next: only
// what is before it is looked at to find the place.
//
// Errors: ErrGone if records from the start on may have been removed. To find
// out by sequence number takes an older record that is still there, or one of
// exactly that number; so who has had everything starts at the log's end, by
// its LSN. ErrAhead if from.LSN is behind limit. A *base.CorruptionError where
// the segments' headers or, on the way to a sequence number, records are
// damaged, or where from.LSN is no border. Those of the file system.
func OpenReader(opts ReaderOptions, from Position, limit uint64) (*Reader, error) {
	if from.LSN > limit {
		return nil, fmt.Errorf("%w: LSN %d, limit %d", ErrAhead, from.LSN, limit)
	}
	r := &Reader{opts: opts, seq: from.Seq}
	if err := r.seek(from, min(limit, record.LSNMax)); err != nil {
		return nil, err
	}
	return r, nil
}

// LSN is where the reader stands: all records before it have been delivered or
// passed over, none behind it. It is a Position to go on from.
func (r *Reader) LSN() uint64 { return r.lsn }

// Segment is the number of the segment in which the reader stands: those below
// it are not needed by it any more.
func (r *Reader) Segment() base.SegmentNum { return r.seg }

// Next returns the next record that ends at limit or before. ok is false if
// there is none yet: a later call, with a higher limit, goes on. limit must be
// an LSN that the log has reached; see the package comment. A lower one than
// that of an earlier call does no harm.
//
// Errors: ErrGone if the segment that comes next was removed (a segment that
// was lost otherwise looks the same); a *base.CorruptionError for what is not a
// valid record though it is before the limit; those of the file system. The
// reader then stands where it stood, and the call may be repeated.
func (r *Reader) Next(limit uint64) (rec Record, ok bool, err error) {
	limit = min(limit, record.LSNMax)
	for {
		raw, ok, err := r.next(limit)
		if errors.Is(err, errVanished) {
			if err := r.leap(); err != nil {
				return rec, false, err
			}
			continue
		}
		if err != nil || !ok {
			return rec, false, err
		}
		wanted, err := r.judge(raw)
		if err != nil {
			return rec, false, err
		}
		rec = Record{Segment: r.seg, LSN: raw.LSN, EndLSN: raw.EndLSN, Payload: raw.Payload}
		if err := r.pass(raw); err != nil {
			return Record{}, false, err
		}
		if wanted {
			r.seq = 0 // those behind it are newer
			return rec, true, nil
		}
	}
}

// next reads the record at which the reader stands, of whatever type.
func (r *Reader) next(limit uint64) (rec record.Record, ok bool, err error) {
	// Before anything is opened: a reader that has caught up asks often.
	if limit < r.lsn || limit-r.lsn < record.RecordHeaderLen {
		return rec, false, nil
	}
	if !r.loaded {
		if err := r.load(); err != nil {
			return rec, false, err
		}
	}
	off := max(r.lsn-r.start, record.HeaderLen)
	return r.rec.Next(int64(off), int64(limit-r.start))
}

// judge reports whether a record is to be delivered.
func (r *Reader) judge(rec record.Record) (wanted bool, err error) {
	switch rec.Type {
	case typeProof, typeSeal:
		return false, nil
	case typeCommits:
	default:
		return false, base.Corruptf(fileName(r.seg), int64(rec.LSN-r.start), "record of unknown type %d", rec.Type)
	}
	if r.seq == 0 {
		return true, nil
	}
	_, last, err := seqRange(rec.Payload)
	if err != nil {
		return false, r.undecodable(rec, err)
	}
	return last >= r.seq, nil
}

// pass goes behind a record, for a seal into the next segment.
func (r *Reader) pass(rec record.Record) error {
	if rec.Type != typeSeal {
		r.lsn, r.fresh = rec.EndLSN, false
		return nil
	}
	s, ok := decodeSeal(rec.Payload)
	switch off := int64(rec.LSN - r.start); {
	case !ok:
		return base.Corruptf(fileName(r.seg), off, "malformed seal")
	case s.next != r.seg+1:
		return base.Corruptf(fileName(r.seg), off, "seal leads to segment %d", s.next)
	}
	r.stand(s.next, rec.EndLSN)
	r.sealed, r.id = true, s.id
	return nil
}

// stand goes to the start of segment seg, which is to be loaded.
func (r *Reader) stand(seg base.SegmentNum, start uint64) {
	r.seg, r.lsn, r.fresh = seg, start, true
	r.loaded, r.sealed = false, false
}

// load turns to the segment in which the reader stands.
func (r *Reader) load() error {
	h, err := r.header(r.seg)
	if err != nil {
		return err
	}
	name := fileName(r.seg)
	off := int64(r.lsn - h.StartLSN)
	switch {
	case r.sealed && h.ID != r.id:
		return base.Corruptf(name, 0, "not the segment that the seal of its predecessor names")
	case r.sealed && off != 0:
		return base.Corruptf(name, 0, "starts at LSN %d, its predecessor ends at %d", h.StartLSN, r.lsn)
	case r.lsn < h.StartLSN || off > 0 && off < record.HeaderLen:
		return base.Corruptf(name, max(off, 0), "starts at LSN %d, and has no border at %d", h.StartLSN, r.lsn)
	}
	r.start, r.loaded, r.fresh = h.StartLSN, true, off == 0
	return nil
}

// header turns rec to a segment and returns its header. A segment that is not
// there gives errVanished.
func (r *Reader) header(seg base.SegmentNum) (record.FileHeader, error) {
	r.loaded = false
	name, path := fileName(seg), filePath(r.opts.Dir, seg)
	h, present, err := r.rec.Reset(name, base.FileWAL, func() (vfs.File, error) {
		f, err := r.opts.FS.Open(path)
		switch {
		case errors.Is(err, iofs.ErrNotExist):
			return nil, errVanished
		case err != nil:
			return nil, fmt.Errorf("wal: open %s: %w", name, err)
		}
		return f, nil
	})
	switch {
	case err != nil:
		return h, err
	case !present:
		return h, base.Corruptf(name, 0, "segment has no header")
	case h.Number != uint64(seg):
		return h, base.Corruptf(name, 0, "segment says that it is number %d", h.Number)
	}
	return h, nil
}

// undecodable is the error for a record whose checksums hold and whose contents
// make no sense.
func (r *Reader) undecodable(rec record.Record, err error) error {
	return &base.CorruptionError{File: fileName(r.seg), Offset: int64(rec.LSN - r.start),
		Reason: "record does not decode", Err: err}
}

// seqRange returns the sequence numbers of the first and the last operation of
// a record's commits. Without any operation last is before first.
func seqRange(payload []byte) (first, last base.SeqNum, err error) {
	for started := false; len(payload) > 0 || !started; started = true {
		var h base.CommitHeader
		if h, _, payload, err = base.DecodeCommit(payload); err != nil {
			return 0, 0, err
		}
		if !started {
			first = h.FirstSeq
		}
		if h.Count > 0 {
			last = max(last, h.FirstSeq+base.SeqNum(h.Count)-1)
		}
	}
	return first, last, nil
}
