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
	dirty    bool           // the appender's: there may be bytes to take back behind the last record
}

// errLeftover says that a segment could not be taken back for lack of space,
// and has to be before another of its number is made.
var errLeftover = errors.New("wal: left over")

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
	return errors.Join(s.f.Close(), discardFile(opts, s.num))
}

// discardFile removes a segment durably. Where removing takes space, as on file
// systems that copy on write, it may have to be done later: errLeftover.
func discardFile(opts *Options, num base.SegmentNum) error {
	if err := removeFile(opts.FS, opts.Dir, num); err != nil {
		if vfs.IsNoSpace(err) {
			return fmt.Errorf("%w: %w", errLeftover, err)
		}
		return err
	}
	return syncDir(opts.FS, opts.Dir)
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
	if err := s.clean(); err != nil {
		return 0, vfs.IsNoSpace(err), s.wrap(err)
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
	// a replay should not find a torn tail where nothing was lost. If that has
	// to wait for space too, the next append does it.
	s.dirty = true
	if cerr := s.clean(); cerr != nil && !vfs.IsNoSpace(cerr) {
		return 0, false, s.wrap(errors.Join(err, cerr))
	}
	return 0, true, s.wrap(err)
}

// clean takes back what a failed append left behind the last record.
func (s *segment) clean() error {
	if !s.dirty {
		return nil
	}
	if err := s.f.Truncate(s.w.Offset()); err != nil {
		return fmt.Errorf("truncate: %w", err)
	}
	s.reserved, s.dirty = s.w.Offset(), false
	return nil
}

// trim takes back what was preallocated behind the last record.
func (s *segment) trim() error {
	if s.reserved <= s.w.Offset() {
		return nil
	}
	if err := s.f.Truncate(s.w.Offset()); err != nil {
		return fmt.Errorf("wal: trim %s: %w", fileName(s.num), err)
	}
	return nil
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
