package wal

import (
	"errors"
	"fmt"

	"github.com/cordwood-db/cordwood/internal/base"
)

// Sync makes everything appended before the call durable, older segments
// first, and returns the LSN behind it. It returns at once if there is nothing
// to sync. Concurrent calls wait for each other. It does not advance the mark:
// the caller may have to sync the value log first; see MarkSynced.
//
// A failure is final, since the kernel may have dropped the pages that it
// could not write: ErrFailed.
func (l *Log) Sync() (durableLSN uint64, err error) {
	l.syncMu.Lock()
	defer l.syncMu.Unlock()
	if err := l.err(); err != nil {
		return 0, err
	}
	l.mu.Lock()
	l.scratch = append(l.scratch[:0], l.open...)
	end := l.end.Load()
	l.mu.Unlock()
	defer func() { clear(l.scratch) }()

	if end == l.durable.Load() {
		return end, nil
	}
	for _, s := range l.scratch {
		if err := s.f.Sync(); err != nil {
			return 0, l.fail(fmt.Errorf("sync %s: %w", fileName(s.num), err))
		}
	}
	l.durable.Store(end)
	l.closeOldest(len(l.scratch) - 1)
	return end, nil
}

// MarkSynced says that everything before lsn is durable, the value log
// included. Records written from now on carry it as proof. It never moves
// back, and never ahead of what Sync has returned.
func (l *Log) MarkSynced(lsn uint64) {
	lsn = min(lsn, l.durable.Load())
	for {
		old := l.mark.Load()
		if lsn <= old || l.mark.CompareAndSwap(old, lsn) {
			return
		}
	}
}

// Retire lets go of segments below before, all of whose records are durable
// elsewhere, so that they need not be synced and their files can be removed on
// every platform. The active segment stays. It waits for a running Sync. Who
// keeps the files for a Reader after a restart calls Sync first: what is let go
// of unsynced may not outlive a power loss.
func (l *Log) Retire(before base.SegmentNum) {
	l.syncMu.Lock()
	defer l.syncMu.Unlock()
	l.mu.Lock()
	n := 0
	for n < len(l.open)-1 && l.open[n].num < before {
		n++
	}
	l.mu.Unlock()
	l.closeOldest(n)
}

// closeOldest closes the n oldest open segments. Called with syncMu. Their
// fate is settled, so an error of theirs is only remembered for Close.
func (l *Log) closeOldest(n int) {
	if n <= 0 {
		return
	}
	l.mu.Lock()
	old := append([]*segment(nil), l.open[:n]...)
	kept := copy(l.open, l.open[n:])
	clear(l.open[kept:])
	l.open = l.open[:kept]
	l.mu.Unlock()
	for _, s := range old {
		if err := s.f.Close(); err != nil {
			l.closeErr = errors.Join(l.closeErr, fmt.Errorf("wal: close %s: %w", fileName(s.num), err))
		}
	}
}

// Close gives back the space that is preallocated and not used, and closes the
// files. It syncs nothing. Further calls do nothing; other methods return
// base.ErrClosed from now on.
func (l *Log) Close() error {
	l.syncMu.Lock()
	defer l.syncMu.Unlock()
	if l.closed {
		return nil
	}
	l.closed = true
	if l.failure.Load() == nil {
		l.closeErr = errors.Join(l.closeErr, l.active.trim())
	}
	err := fmt.Errorf("wal: %w", base.ErrClosed)
	l.failure.Store(&err)
	l.closeOldest(len(l.open))
	return l.closeErr
}
