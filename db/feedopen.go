package db

import (
	"errors"
	"fmt"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/wal"
)

// open finds the place in the log. Registering comes first: what is there from
// then on is kept.
func (f *Feed) open() error {
	db := f.db
	db.retained.addFeed(f)
	var end uint64
	var given base.SeqNum
	err := db.pipeline.Exclusive(func() error {
		if err := db.openWAL(); err != nil {
			return err
		}
		f.after, end = base.SeqNum(db.visible.Load()), db.active.wal.EndLSN()
		given = db.w.seq
		f.sure = db.retained.holdFrom(f.after + 1)
		return nil
	})
	if err == nil {
		err = f.position(end, given)
	}
	if err != nil {
		db.retained.removeFeed(f)
	}
	return err
}

// position opens the reader. All up to f.after lies before end; what comes has
// numbers above given, of which some were given out in vain.
func (f *Feed) position(end uint64, given base.SeqNum) (err error) {
	o := wal.ReaderOptions{FS: f.db.fs, Dir: f.db.dir}
	after := base.SeqNum(f.opts.After)
	switch {
	case !f.opts.Resume:
		after = f.after
	case f.opts.After > uint64(given):
		return fmt.Errorf("%w: %d, the store is at %d", ErrFeedAhead, f.opts.After, f.after)
	}
	upToDate := after >= f.after
	f.after = after
	if upToDate {
		f.reader, err = wal.OpenReader(o, wal.Position{LSN: end}, end)
		return err
	}
	from := wal.Position{Seq: after + 1}
	for {
		f.reader, err = wal.OpenReader(o, from, end)
		if !errors.Is(err, wal.ErrGone) {
			return err
		}
		// The log need not go back to a record that is older. If all that was
		// flushed has been had, the segments that recovery needs are enough.
		flushed, segment := f.db.recoversFrom()
		if after < flushed || from.LSN != 0 {
			return fmt.Errorf("%w: %w", ErrFeedBehind, err)
		}
		h, err := f.db.segmentHeader(segment)
		_, now := f.db.recoversFrom()
		switch {
		case now != segment:
			continue // a flush came between
		case err != nil:
			return err
		}
		from = wal.Position{LSN: h.StartLSN, Seq: after + 1}
	}
}

// recoversFrom is up to where tables hold all commits, and the segment of the
// log that a recovery would begin with, as of one moment.
func (db *DB) recoversFrom() (flushed base.SeqNum, segment base.SegmentNum) {
	db.installMu.Lock()
	defer db.installMu.Unlock()
	return db.set.LastSeq(), db.set.MinSegment()
}
