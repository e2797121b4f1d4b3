package wal

import (
	"cmp"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/record"
	"github.com/cordwood-db/cordwood/vfs"
)

// segment is an open segment of a Log.
type segment struct {
	num      base.SegmentNum
	f        vfs.File
	w        *record.Writer // the appender's
	reserved int64          // the appender's: preallocated up to here, or not worth asking
}

// createSegment makes a segment durable: the file with its header, and its
// name. If that fails, retry says whether the directory is as it was, so that
// the same call may be made again. It is false after a failed sync, which is
// never repeated, and if the file could not be taken away again.
func createSegment(opts *Options, num base.SegmentNum, startLSN, synced uint64) (s *segment, retry bool, err error) {
	path := filePath(opts.Dir, num)
	f, err := opts.FS.Create(path)
	if err != nil {
		return nil, true, fmt.Errorf("wal: create %s: %w", fileName(num), err)
	}
	s = &segment{num: num, f: f}
	s.w, err = record.NewWriter(f, record.FileHeader{
		Kind:     base.FileWAL,
		ID:       newID(opts),
		Number:   uint64(num),
		StartLSN: startLSN,
		Synced:   synced,
	})
	if err == nil {
		err = s.reserve(opts.PreallocateBytes, 0)
	}
	if err != nil {
		err = fmt.Errorf("wal: create %s: %w", fileName(num), err)
		if uerr := discardSegment(opts, s); uerr != nil {
			return nil, false, errors.Join(err, uerr)
		}
		return nil, true, err
	}
	err = f.Sync()
	if err == nil {
		err = opts.FS.SyncDir(opts.Dir)
	}
	if err != nil {
		return nil, false, errors.Join(fmt.Errorf("wal: sync new %s: %w", fileName(num), err), f.Close())
	}
	return s, false, nil
}

// discardSegment takes back a segment to which nothing was appended, durably.
func discardSegment(opts *Options, s *segment) error {
	err := errors.Join(s.f.Close(), opts.FS.Remove(filePath(opts.Dir, s.num)))
	if err == nil {
		err = opts.FS.SyncDir(opts.Dir)
	}
	if err != nil {
		return fmt.Errorf("wal: take back %s: %w", fileName(s.num), err)
	}
	return nil
}

// reserve sees to it that n more bytes are preallocated, in steps of step
// bytes, so that a sync need not write the file's size each time. Lack of space
// is not an error: the write itself may still succeed, or will say so.
func (s *segment) reserve(step, n int64) error {
	end := s.w.Offset() + n
	if step <= 0 || end <= s.reserved {
		return nil
	}
	from := max(s.reserved, s.w.Offset())
	if err := s.f.Preallocate(from, end+step-from); err != nil && !vfs.IsNoSpace(err) {
		return fmt.Errorf("preallocate: %w", err)
	}
	s.reserved = end + step
	return nil
}

// append appends one record. If that fails for lack of space, the segment is
// as it was before, and retry is true.
func (s *segment) append(step int64, mark uint64, typ byte, parts [][]byte) (endLSN uint64, retry bool, err error) {
	n := int64(record.RecordHeaderLen)
	for _, p := range parts {
		n += int64(len(p))
	}
	if err := s.reserve(step, n); err != nil {
		return 0, false, s.wrap(err)
	}
	endLSN, err = s.w.Append(mark, typ, parts...)
	switch {
	case err == nil:
		return endLSN, false, nil
	case errors.Is(err, record.ErrPayloadTooLarge):
		return 0, true, s.wrap(err)
	case !vfs.IsNoSpace(err):
		return 0, false, s.wrap(err)
	}
	// The write was short, so what is there is no record. Take it away even so:
	// the next append may be of a different length.
	if terr := s.f.Truncate(s.w.Offset()); terr != nil {
		return 0, false, s.wrap(errors.Join(err, fmt.Errorf("truncate: %w", terr)))
	}
	s.reserved = s.w.Offset()
	return 0, true, s.wrap(err)
}

func (s *segment) wrap(err error) error {
	return fmt.Errorf("wal: append to %s: %w", fileName(s.num), err)
}

// newID returns a file id, which is never zero.
func newID(opts *Options) uint64 {
	if opts.NewID != nil {
		return cmp.Or(opts.NewID(), 1)
	}
	var b [8]byte
	rand.Read(b[:]) // never fails: see its documentation
	return cmp.Or(binary.LittleEndian.Uint64(b[:]), 1)
}
