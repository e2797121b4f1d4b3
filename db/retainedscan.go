package db

import (
	"fmt"
	"slices"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/wal"
)

// scanTriesMax is how often segments of earlier openings are read before those
// that cannot be are let go. Damage is not tried again.
const scanTriesMax = 3

// scanOldSegments learns, once, what the segments of earlier openings hold, from
// the newest down. One that cannot be read, and what is older, is not known
// then, and is let go.
func (db *DB) scanOldSegments(sizes []wal.SegmentSize) error {
	r := &db.retained
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.scanned {
		return nil
	}
	r.scans++
	old := slices.DeleteFunc(slices.Clone(sizes), func(s wal.SegmentSize) bool {
		_, noted := r.segments[s.Num]
		return noted
	})
	scan := oldSegments{db: db, end: r.openLSN, next: segmentStart{seq: r.openSeq + 1},
		starts: make(map[base.SegmentNum]segmentStart), lastSeqs: make(map[base.FileNum]base.SeqNum)}
	r.mu.Unlock()
	err := scan.run(old)
	r.mu.Lock()
	if err != nil {
		if !isCorruption(err) && r.scans < scanTriesMax {
			return err
		}
		db.opts.Logger.Warn("cannot read retained log segments: they are let go", "error", err)
	}
	r.scanned = true
	for segment, start := range scan.starts {
		r.segments[segment] = start
	}
	for file, seq := range scan.lastSeqs {
		r.lastSeqs[file] = seq
	}
	return nil
}

// oldSegments is what is known of the segments of earlier openings.
type oldSegments struct {
	db *DB

	// Of the segment that comes next, newer than those read so far. Value-log
	// bytes are counted back from what this opening began with, which is 0:
	// differences come out right.
	end  uint64 // LSN of its start
	next segmentStart

	starts   map[base.SegmentNum]segmentStart
	lastSeqs map[base.FileNum]base.SeqNum // of commits that point into value-log files
}

// run reads segments, which ascend, as far down as there is no gap.
func (o *oldSegments) run(segments []wal.SegmentSize) error {
	for i, s := range slices.Backward(segments) {
		if i < len(segments)-1 && s.Num+1 != segments[i+1].Num {
			return nil
		}
		if err := o.read(s.Num); err != nil {
			return fmt.Errorf("segment %d: %w", s.Num, err)
		}
	}
	return nil
}

// read reads one segment. One without commits begins as the next does.
func (o *oldSegments) read(segment base.SegmentNum) error {
	h, err := o.db.segmentHeader(segment)
	if err != nil {
		return err
	}
	start := o.next
	if h.StartLSN < o.end {
		if start, err = o.commits(h.StartLSN); err != nil {
			return err
		}
	}
	o.starts[segment], o.next, o.end = start, start, h.StartLSN
	return nil
}

// commits reads the commits of the segment that starts at an LSN.
func (o *oldSegments) commits(from uint64) (start segmentStart, err error) {
	start = o.next
	at := wal.Position{LSN: from}
	reader, err := wal.OpenReader(wal.ReaderOptions{FS: o.db.fs, Dir: o.db.dir}, at, o.end)
	if err != nil {
		return start, err
	}
	seen := false
	for {
		rec, ok, err := reader.Next(o.end)
		if err != nil || !ok {
			return start, err
		}
		err = eachOp(rec.Payload, 0, func(seq base.SeqNum, op base.Op) error {
			if !seen {
				seen, start.seq = true, seq
			}
			ptr, ok, err := pointerOf(base.InternalKey{User: op.Key, Trailer: base.MakeTrailer(seq, op.Kind)}, op.Payload)
			if ok {
				start.values -= uint64(ptr.Size)
				o.lastSeqs[ptr.File] = max(o.lastSeqs[ptr.File], seq)
			}
			return err
		})
		if err != nil {
			return start, err
		}
	}
}
