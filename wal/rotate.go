package wal

import (
	"errors"
	"fmt"

	"github.com/cordwood-db/cordwood/internal/base"
)

// Rotate goes on in segment next, which must be the one after the active one.
// The steps, each of which leaves a log that Replay accepts:
//
//  1. Create next with its header, sync it, sync the directory. Until step 2 a
//     replay sees a segment that nothing leads to, and drops it.
//  2. Append the seal to the old segment. It is written after next is durable,
//     so a seal without a successor is proof of a missing file.
//  3. Append to next. The old segment stays open until a Sync has synced it,
//     before next.
//
// A failure other than that of a sync is undone: the log goes on where it was,
// and Rotate may be called again. If it cannot be undone, or a sync fails, the
// log ends: ErrFailed.
func (l *Log) Rotate(next base.SegmentNum) error {
	if err := l.err(); err != nil {
		return err
	}
	old := l.active
	if next != old.num+1 {
		return fmt.Errorf("wal: segment %d cannot follow %d", next, old.num)
	}
	s, retry, err := l.follow(old, next)
	if errors.Is(err, errLeftover) {
		l.leftover, retry = true, true
	}
	if err != nil {
		if retry {
			return err
		}
		return l.fail(err)
	}
	l.mu.Lock()
	l.open = append(l.open, s)
	l.setActive(s)
	l.mu.Unlock()
	return nil
}

// follow makes segment next and seals old. retry is as for createSegment.
func (l *Log) follow(old *segment, next base.SegmentNum) (s *segment, retry bool, err error) {
	if l.leftover {
		if err := discardFile(&l.opts, next); err != nil {
			return nil, false, err
		}
		l.leftover = false
	}
	mark := l.mark.Load()
	s, retry, err = createSegment(&l.opts, next, old.w.EndLSN()+sealRecordLen, mark)
	if err == nil {
		retry, err = sealWith(&l.opts, old, s, mark)
	}
	return s, retry, err
}

// sealWith ends old with a seal that names s. If that fails s is discarded;
// retry says whether everything is as it was.
func sealWith(opts *Options, old, s *segment, mark uint64) (retry bool, err error) {
	payload := seal{next: s.num, id: s.w.Header().ID}.encode()
	_, retry, err = old.append(0, mark, typeSeal, [][]byte{payload[:]})
	if err == nil {
		return false, nil
	}
	if !retry {
		// The seal may be on disk: its successor must stay.
		return false, errors.Join(err, s.f.Close())
	}
	if uerr := discardSegment(opts, s); uerr != nil {
		return false, errors.Join(err, uerr)
	}
	return true, err
}
