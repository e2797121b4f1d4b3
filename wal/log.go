package wal

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/record"
	"github.com/cordwood-db/cordwood/vfs"
)

// ErrFailed is matched by every error that leaves the log useless, and by all
// that follow it: what is on disk is not known any more, so the log must be
// opened again. Errors that do not match it leave the log as it was.
var ErrFailed = errors.New("wal: log failed")

// Options say where a log is and how it grows.
type Options struct {
	FS  vfs.FS
	Dir string

	// PreallocateBytes is how far ahead of the write position space is
	// reserved, in one step at a time; 0 or less reserves nothing.
	PreallocateBytes int64

	// NewID gives random file ids, which need not be secret. nil takes them
	// from the system.
	NewID func() uint64

	// Synced is the first mark: everything before it is known to be durable,
	// the value log included. At most the start LSN given to Create.
	// 0 claims nothing.
	Synced uint64
}

// Log is the active end of the write-ahead log. See the package comment for
// what may run beside what.
type Log struct {
	// Immutable.
	opts Options

	// The appender's. Readers take the copy in open.
	active   *segment
	leftover bool // the file of the next segment is there and has to go first

	// Atomic. mark <= durable <= end.
	end     atomic.Uint64 // everything before it is written
	durable atomic.Uint64 // everything before it is synced
	mark    atomic.Uint64 // and the value log too
	seg     atomic.Uint64 // number of the active segment
	bytes   atomic.Int64  // written to the active segment
	failure atomic.Pointer[error]

	syncMu sync.Mutex // held while files are synced or closed; before mu
	mu     sync.Mutex // held for a few instructions

	// Guarded by mu; removed from under syncMu and mu.
	open []*segment // oldest first; the last one is active

	// Guarded by syncMu.
	scratch  []*segment // what a Sync is about to sync
	closeErr error      // of segments closed on the way
	closed   bool
}

// Create starts segment seg behind the existing ones, for a log whose records
// end at startLSN (ReplayResult.EndLSN; 0 for a new one), and returns a Log
// that appends to it. The directory must be in the state in which Replay, and
// Repair if there was a cut, left it: the segment before seg, if there is one,
// ends at startLSN and holds nothing behind that.
//
// It first syncs the existing segments, retained ones too, since what a killed process wrote may
// not be durable yet, then makes the new segment durable, and then seals its
// predecessor. After an error that does not match ErrFailed nothing has
// changed, and Create may be called again.
func Create(opts Options, seg base.SegmentNum, startLSN uint64) (*Log, error) {
	if opts.Synced > startLSN {
		return nil, fmt.Errorf("wal: create %s: synced LSN %d is ahead of start LSN %d", fileName(seg), opts.Synced, startLSN)
	}
	if seg == 0 {
		return nil, errors.New("wal: segments are numbered from 1")
	}
	prev, err := openPredecessor(&opts, seg, startLSN)
	if err != nil {
		return nil, err
	}
	if prev == nil {
		s, retry, err := createSegment(&opts, seg, startLSN, opts.Synced)
		if err != nil {
			return nil, createError(retry, err)
		}
		return newLog(opts, s), nil
	}
	s, retry, err := createSegment(&opts, seg, startLSN+sealRecordLen, opts.Synced)
	if err == nil {
		if retry, err = sealWith(&opts, prev, s, opts.Synced); err == nil {
			if err = prev.f.Sync(); err != nil {
				err = errors.Join(prev.wrap(err), s.f.Close())
			}
		}
	}
	if err != nil {
		return nil, errors.Join(createError(retry, err), prev.f.Close())
	}
	if err := prev.f.Close(); err != nil {
		return nil, errors.Join(createError(false, err), s.f.Close())
	}
	return newLog(opts, s), nil
}

// createError marks err as one after which the directory is not as it was.
func createError(retry bool, err error) error {
	if retry {
		return err
	}
	return fmt.Errorf("%w: %w", ErrFailed, err)
}

func newLog(opts Options, s *segment) *Log {
	l := &Log{opts: opts, active: s, open: []*segment{s}}
	l.mark.Store(opts.Synced)
	l.durable.Store(s.w.EndLSN())
	l.setActive(s)
	return l
}

// setActive publishes the position of the active segment.
func (l *Log) setActive(s *segment) {
	l.active = s
	l.seg.Store(uint64(s.num))
	l.bytes.Store(s.w.Offset())
	l.end.Store(s.w.EndLSN())
}

// openPredecessor syncs all segments before seg, with their names, and returns
// the one just before it, ready for its seal, or nil if there is none.
func openPredecessor(opts *Options, seg base.SegmentNum, startLSN uint64) (*segment, error) {
	nums, err := List(opts.FS, opts.Dir)
	if err != nil {
		return nil, err
	}
	var prev *segment
	for _, num := range nums {
		if num >= seg {
			break
		}
		f, err := opts.FS.OpenReadWrite(filePath(opts.Dir, num))
		if err != nil {
			return nil, fmt.Errorf("wal: open %s: %w", fileName(num), err)
		}
		if err = f.Sync(); err != nil {
			err = fmt.Errorf("%w: sync %s: %w", ErrFailed, fileName(num), err)
		} else if num+1 == seg {
			if prev, err = resume(f, num, startLSN); err == nil {
				continue // f stays open
			}
		}
		if err = errors.Join(err, f.Close()); err != nil {
			return nil, err
		}
	}
	if len(nums) > 0 {
		if err := syncDir(opts.FS, opts.Dir); err != nil {
			err = createError(false, err)
			if prev != nil {
				err = errors.Join(err, prev.f.Close())
			}
			return nil, err
		}
	}
	return prev, nil
}

// resume checks that segment num ends at endLSN and returns it for appending.
// It does not own f.
func resume(f vfs.File, num base.SegmentNum, endLSN uint64) (*segment, error) {
	name := fileName(num)
	h, present, err := record.ReadHeader(f, name, base.FileWAL)
	if err != nil {
		return nil, err
	}
	size, err := f.Size()
	if err != nil {
		return nil, fmt.Errorf("wal: size of %s: %w", name, err)
	}
	off := int64(endLSN - h.StartLSN)
	if !present || endLSN < h.StartLSN || off < record.HeaderLen || off > size {
		return nil, fmt.Errorf("wal: %s does not end at LSN %d", name, endLSN)
	}
	blank, err := record.Blank(f, name, off)
	if err != nil {
		return nil, err
	}
	if !blank {
		return nil, fmt.Errorf("wal: %s holds data behind LSN %d: repair the cut first", name, endLSN)
	}
	return &segment{num: num, f: f, w: record.ResumeWriter(f, h, off)}, nil
}

// Append writes one record whose payload is the concatenation of parts, in one
// write call (up to 4 MiB), and returns the LSN behind it. It syncs nothing.
// The parts are not kept.
//
// If space runs out (vfs.IsNoSpace), the record is taken back and will never be
// replayed; the log stays usable, and the append may be tried again, here or
// after a Rotate. Any other failure is final: ErrFailed.
func (l *Log) Append(parts ...[]byte) (endLSN uint64, err error) {
	return l.append(typeCommits, parts)
}

// WriteProof appends a record that carries nothing but the mark, so that what
// it proves does not wait for the next Append. It syncs nothing. Errors are
// those of Append.
func (l *Log) WriteProof() error {
	_, err := l.append(typeProof, nil)
	return err
}

func (l *Log) append(typ byte, parts [][]byte) (endLSN uint64, err error) {
	if err := l.err(); err != nil {
		return 0, err
	}
	s := l.active
	endLSN, retry, err := s.append(l.opts.PreallocateBytes, l.mark.Load(), typ, parts)
	if err != nil {
		if retry {
			return 0, err
		}
		return 0, l.fail(err)
	}
	l.bytes.Store(s.w.Offset())
	l.end.Store(endLSN)
	return endLSN, nil
}

// Segment returns the number of the active segment.
func (l *Log) Segment() base.SegmentNum { return base.SegmentNum(l.seg.Load()) }

// EndLSN returns the LSN behind the last record.
func (l *Log) EndLSN() uint64 { return l.end.Load() }

// SyncedLSN returns the mark: the largest LSN given to MarkSynced.
func (l *Log) SyncedLSN() uint64 { return l.mark.Load() }

// DurableLSN returns what the last successful Sync returned. It says nothing of
// the value log.
func (l *Log) DurableLSN() uint64 { return l.durable.Load() }

// SegmentBytes returns how many bytes of the active segment are written.
func (l *Log) SegmentBytes() int64 { return l.bytes.Load() }

// err returns the error that ended the log, or nil.
func (l *Log) err() error {
	if p := l.failure.Load(); p != nil {
		return *p
	}
	return nil
}

// fail ends the log, unless it has ended already, and returns why.
func (l *Log) fail(cause error) error {
	err := fmt.Errorf("%w: %w", ErrFailed, cause)
	l.failure.CompareAndSwap(nil, &err)
	return err
}
