package manifest

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/record"
	"github.com/cordwood-db/cordwood/vfs"
)

// Types of MANIFEST records. Part of the file format. Types from
// recordOptional on may be passed over by a reader that does not know them.
const (
	recordSnapshot = 1 // an edit that makes the whole state; the first record
	recordEdit     = 2
	recordProof    = 3 // empty: only its synced LSN matters

	recordOptional = 0x80
)

// scratchBytesMax bounds the buffer that is kept for encoding edits.
const scratchBytesMax = 1 << 20

// manifestLog is a MANIFEST that is open for appending.
type manifestLog struct {
	num      base.FileNum
	name     string
	file     vfs.File
	w        *record.Writer
	synced   uint64 // LSN behind the last record known to be durable
	rotateAt int64  // size from which on it is replaced
}

// appendEdit writes the edit to the end of the MANIFEST.
func (s *Set) appendEdit(edit *Edit, ch *change) error {
	l := s.log
	payload, err := readable(edit, s.scratch[:0])
	if err != nil {
		return err
	}
	if cap(payload) <= scratchBytesMax {
		s.scratch = payload
	}
	end, err := l.w.Append(l.synced, recordEdit, payload)
	if err == nil {
		err = l.file.Sync()
	}
	if err != nil {
		return s.uncertain(fmt.Errorf("manifest: write edit to %s: %w", l.name, err), ch)
	}
	s.reserved = max(s.reserved, edit.NextFile)
	s.prove(end)
	return nil
}

// readable encodes an edit into buf and makes sure that it decodes: a record that does
// not would cost the whole database at the next open.
func readable(edit *Edit, buf []byte) ([]byte, error) {
	payload := edit.Encode(buf)
	if _, err := DecodeEdit(payload); err != nil {
		return nil, fmt.Errorf("manifest: edit that could not be read again: %w", err)
	}
	return payload, nil
}

// prove writes, unsynced, that everything before synced is durable, so that a
// reader can tell damage to it from a torn tail. The edit itself is safe
// already: should this write fail, only the end of the file is unknown, and the
// next edit starts a new one.
func (s *Set) prove(synced uint64) {
	s.log.synced = synced
	if _, err := s.log.w.Append(synced, recordProof); err != nil {
		s.forgetLog()
	}
}

// rotate makes the state next durable, as the snapshot in a new MANIFEST.
// Failures before CURRENT is touched leave the old one as good as it was.
func (s *Set) rotate(ch *change, next *Version) error {
	num := s.NewFileNum()
	reserved := s.reserve()
	id := s.opts.NewID()
	l, err := s.writeSnapshot(num, id, next.snapshot(ch, reserved))
	if err != nil {
		return err
	}
	path := filepath.Join(s.opts.Dir, base.CurrentName)
	if err := vfs.WriteFileAtomic(s.opts.FS, path, marker{num, id}.encode()); err != nil {
		// A crash may bring back either MANIFEST.
		s.live.addManifest(num)
		err = fmt.Errorf("manifest: make %s current: %w", l.name, errors.Join(err, l.file.Close()))
		return s.uncertain(err, ch)
	}
	s.forgetLog()
	s.log = l
	s.live.settle(num)
	s.reserved = reserved
	s.durable.Store(true)
	s.prove(l.w.EndLSN())
	return nil
}

// writeSnapshot makes a MANIFEST that holds one snapshot. It is durable, name
// included, but nothing names it yet.
func (s *Set) writeSnapshot(num base.FileNum, id uint64, snapshot *Edit) (*manifestLog, error) {
	name := base.FileName(base.FileManifest, uint64(num))
	path := filepath.Join(s.opts.Dir, name)
	payload, err := readable(snapshot, nil)
	if err != nil {
		return nil, err
	}
	f, err := s.opts.FS.Create(path)
	if err != nil {
		// Nothing was written, so there is nothing to be unsure of.
		return nil, fmt.Errorf("manifest: create %s: %w", name, err)
	}
	l := &manifestLog{num: num, name: name, file: f}
	l.w, err = record.NewWriter(f, record.FileHeader{Kind: base.FileManifest, ID: id, Number: uint64(num)})
	if err == nil {
		_, err = l.w.Append(0, recordSnapshot, payload)
	}
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = s.opts.FS.SyncDir(s.opts.Dir)
	}
	if err != nil {
		err = fmt.Errorf("manifest: write %s: %w", name, err)
		s.fail(err)
		return nil, errors.Join(err, f.Close(), s.opts.FS.Remove(path))
	}
	l.rotateAt = max(s.opts.RotateBytes, 2*l.w.Offset())
	return l, nil
}

// fail notes a failed write or sync. Unless the disk was full, no edit is
// written after it: what a second attempt would find is anybody's guess.
func (s *Set) fail(err error) {
	if !vfs.IsNoSpace(err) && s.broken == nil {
		s.broken = err
	}
}

// uncertain notes that a change may or may not come back after a crash. Only a
// new MANIFEST can follow.
func (s *Set) uncertain(err error, ch *change) error {
	s.fail(err)
	s.forgetLog()
	s.live.doubt(ch.filesAdded)
	return &UncertainError{err}
}

// forgetLog closes a MANIFEST that is not written any more, because it failed
// or because another one has taken its place. In both cases an error of the
// close says nothing that matters.
func (s *Set) forgetLog() {
	if s.log != nil {
		_ = s.log.file.Close()
		s.log = nil
	}
}

// closeLog closes the MANIFEST, if one is open for writing.
func (s *Set) closeLog() error {
	if s.log == nil {
		return nil
	}
	err := s.log.file.Close()
	if err != nil {
		err = fmt.Errorf("manifest: close %s: %w", s.log.name, err)
	}
	s.log = nil
	return err
}
