package manifest

import (
	"fmt"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/invariants"
)

// Apply makes an edit durable, and then the newest version out of the newest
// version and the edit. It returns that version with a reference that the
// caller gives back with Unref. One edit is applied at a time.
//
// prepare, if not nil, is called when the edit's turn has come, with the
// version that it will be applied to; it may still change the edit, which it
// must get at by itself. Its error refuses the edit and is returned as it is.
//
// Errors:
//   - *EditError: the edit does not fit. Nothing was written.
//   - *UncertainError: the edit has no effect now, but may after the next open.
//   - others: the edit has no effect.
//
// In all three cases the version is nil. After a failed write or sync every
// later edit is refused, with the first failure as the cause, until the
// database is opened anew. A full disk is the exception: the next edit then
// tries to start a new MANIFEST, which, if it succeeds, settles all doubts.
func (s *Set) Apply(edit *Edit, prepare func(*Version) error) (*Version, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, base.ErrClosed
	}
	if s.broken != nil {
		return nil, fmt.Errorf("manifest: no edit after a failure: %w", s.broken)
	}
	now := s.current.Load() // stays: only this function replaces it
	if prepare != nil {
		if err := prepare(now); err != nil {
			return nil, err
		}
	}
	s.stamp(edit)
	ch, err := s.catalog.check(edit, s.given())
	if err != nil {
		return nil, err
	}
	if err := s.live.checkDoubts(ch.filesAdded); err != nil {
		return nil, err
	}
	next, err := now.patch(ch)
	if err != nil {
		return nil, err
	}
	if invariants.Enabled {
		err := next.Check()
		invariants.Check(err == nil, "manifest: edit passed its checks: %v", err)
	}
	if err := s.persist(edit, ch, next); err != nil {
		return nil, err
	}
	s.install(ch, now, next)
	return next, nil
}

// given says which numbers an edit may use.
func (s *Set) given() given {
	return given{base.FileNum(s.nextFile.Load()), s.NextKeyspace()}
}

// stamp puts the counters into the edit.
func (s *Set) stamp(edit *Edit) {
	edit.NextFile = 0
	if base.FileNum(s.nextFile.Load())+fileNumsReserved/2 > s.reserved {
		edit.NextFile = s.reserve()
	}
	seq := s.LastSeq()
	if edit.LastSeq != nil {
		seq = max(seq, *edit.LastSeq)
	}
	if seq > s.catalog.lastSeq {
		edit.LastSeq = &seq
	}
}

// reserve is a number to which file numbers are reserved by the next record.
func (s *Set) reserve() base.FileNum {
	return min(base.FileNum(s.nextFile.Load())+fileNumsReserved, fileNumMax)
}

// install makes next the newest version. It is durable.
func (s *Set) install(ch *change, now, next *Version) {
	s.catalog.commit(ch)
	s.live.install(next, ch.filesAdded, ch.filesRemoved)
	next.Ref() // for the caller
	s.publish(next)
	now.Unref()
}

// persist makes an edit durable: at the end of the MANIFEST, or as part of a
// snapshot in a new one.
func (s *Set) persist(edit *Edit, ch *change, next *Version) error {
	if s.log == nil || s.log.w.Offset() >= s.log.rotateAt {
		err := s.rotate(ch, next)
		if err == nil || s.log == nil || s.broken != nil {
			return err
		}
		// There is no room for a snapshot, or no descriptor for its file. The
		// old MANIFEST is still good: go on with it, and try again later.
		s.log.rotateAt = s.log.w.Offset() + s.opts.RotateBytes/8
	}
	return s.appendEdit(edit, ch)
}
