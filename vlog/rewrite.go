package vlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/vfs"
)

// LogicalInfo is what a rewritten file holds of one logical file.
type LogicalInfo struct {
	Logical   base.FileNum
	LiveBytes uint64 // of its records, headers and keys included
	Records   uint64
	ExpiryMin uint64 // nanoseconds since the Unix epoch; 0 if no record expires
	ExpiryMax uint64 // likewise
	AllExpire bool   // every record expires
}

// RewriteInfo is what a rewritten file holds.
type RewriteInfo struct {
	Size     int64         // of the file, in bytes
	Bytes    uint64        // of all records
	Logicals []LogicalInfo // in the order of the file; logical files without records are not in it
}

// Rewriter writes a physical file of records that other files hold already. It
// keeps their logical pointers and their keyspaces, writes the newest version of
// the format whatever the version of their files was, and keeps 8 bytes of memory per record until Finish.
// Not safe for concurrent use.
//
// After an error the only useful call is Abort.
type Rewriter struct {
	fs     vfs.FS
	dir    string
	num    base.FileNum
	id     uint64
	a      *appender
	failed error
	closed bool // the file
	done   bool // finished or aborted

	sections []rewriteSection
	seen     map[base.FileNum]bool
}

// rewriteSection is a section in the making.
type rewriteSection struct {
	logical base.FileNum
	start   int64
	entries []byte // as in translation blocks, without checksums
	last    uint32 // logical offset of the latest record
	tally   tally
}

// NewRewriter creates value-log file num in dir; id is its random id.
func NewRewriter(fsys vfs.FS, dir string, num base.FileNum, id uint64) (*Rewriter, error) {
	a, err := createFile(fsys, dir, fileHeader{version: formatVersion, rewritten: true, id: id, number: num})
	if err != nil {
		return nil, err
	}
	return &Rewriter{fs: fsys, dir: dir, num: num, id: id, a: a, seen: make(map[base.FileNum]bool)}, nil
}

// Size is the length of the records so far, in bytes, with the file's header.
func (w *Rewriter) Size() int64 { return w.a.size() }

// Add copies a record as a scan delivered it. Records of one logical file come
// together, by ascending offset. rec's slices are not kept.
//
// A record whose bytes are no longer those that its checksum was made of is
// refused with a *base.CorruptionError.
func (w *Rewriter) Add(rec Record) error {
	if err := w.usable(); err != nil {
		return err
	}
	if err := w.add(rec); err != nil {
		w.failed = err
		return err
	}
	return nil
}

func (w *Rewriter) add(rec Record) error {
	if err := checkLimits(rec.Key, rec.Value); err != nil {
		return err
	}
	sum := bodySum(rec.Keyspace, rec.Key, rec.Value)
	if rec.stored && sum != rec.sum {
		return base.Corruptf(w.a.name, w.a.size(), "record of file %d at %d changed on its way here", rec.Pointer.File, rec.Pointer.Offset)
	}
	h := recordHeader{bodySum: sum, offset: rec.Pointer.Offset, file: rec.Pointer.File, seq: rec.Seq, expiry: rec.Expiry}
	h.keyLen, h.valueLen, h.keyspaced = uint32(len(rec.Key)), uint32(len(rec.Value)), rec.Keyspace != 0
	if h.pointer() != rec.Pointer || rec.Pointer.Offset > OffsetMax || rec.Seq > base.SeqNumMax {
		return fmt.Errorf("vlog: rewrite %s: record does not match its pointer %+v", w.a.name, rec.Pointer)
	}
	off := w.a.size()
	if off > rewriteOffsetMax {
		return errOffset(w.a.name, off)
	}
	s, err := w.section(rec.Pointer)
	if err != nil {
		return err
	}
	if err := w.a.add(&h, rec.Keyspace, rec.Key, rec.Value); err != nil {
		return err
	}
	s.entries = binary.LittleEndian.AppendUint32(s.entries, rec.Pointer.Offset)
	s.entries = binary.LittleEndian.AppendUint32(s.entries, uint32(off))
	s.last = rec.Pointer.Offset
	s.tally.add(h.size(), h.expiry)
	return nil
}

// section returns the section that a record at ptr belongs to, a new one if ptr
// starts another logical file.
func (w *Rewriter) section(ptr base.Pointer) (*rewriteSection, error) {
	if n := len(w.sections); n > 0 && w.sections[n-1].logical == ptr.File {
		s := &w.sections[n-1]
		if ptr.Offset <= s.last {
			return nil, fmt.Errorf("vlog: rewrite %s: offset %d of file %d comes after %d", w.a.name, ptr.Offset, ptr.File, s.last)
		}
		return s, nil
	}
	if w.seen[ptr.File] {
		return nil, fmt.Errorf("vlog: rewrite %s: the records of file %d do not come together", w.a.name, ptr.File)
	}
	w.seen[ptr.File] = true
	w.sections = append(w.sections, rewriteSection{logical: ptr.File, start: w.a.size()})
	return &w.sections[len(w.sections)-1], nil
}

// Finish writes the translation and the footer, and makes the file durable. The
// file is closed then. It may hold no records at all.
func (w *Rewriter) Finish() (RewriteInfo, error) {
	if err := w.usable(); err != nil {
		return RewriteInfo{}, err
	}
	err := w.finish()
	if err == nil {
		err = w.close()
	}
	if err != nil {
		w.failed = err
		return RewriteInfo{}, err
	}
	w.done = true
	info := RewriteInfo{Size: w.a.written, Bytes: w.a.all.bytes}
	for i := range w.sections {
		t := &w.sections[i].tally
		info.Logicals = append(info.Logicals, LogicalInfo{
			Logical: w.sections[i].logical, LiveBytes: t.bytes, Records: t.records,
			ExpiryMin: t.expiryMin, ExpiryMax: t.expiryMax, AllExpire: t.allExpire(),
		})
	}
	return info, nil
}

// close closes the file unless that was tried already.
func (w *Rewriter) close() error {
	if w.closed {
		return nil
	}
	w.closed = true
	if err := w.a.f.Close(); err != nil {
		return fmt.Errorf("vlog: close %s: %w", w.a.name, err)
	}
	return nil
}

// finish writes everything after the records and syncs.
func (w *Rewriter) finish() error {
	recordsEnd := w.a.size()
	index := sectionIndex{recordsEnd: recordsEnd}
	for i := range w.sections {
		s, err := w.writeTranslation(&w.sections[i])
		if err != nil {
			return err
		}
		index.sections = append(index.sections, s)
	}
	off := w.a.size()
	b := index.encode(nil)
	t := footer{
		indexSum: sumAt(w.id, off, 0, b), indexOff: off, indexLen: int64(len(b)),
		recordsEnd: recordsEnd, sections: uint64(len(w.sections)),
	}
	end := t.encode(w.id)
	w.a.buf = append(append(w.a.buf, b...), end[:]...)
	if err := w.a.flush(); err != nil {
		return err
	}
	if err := w.a.f.Sync(); err != nil {
		return fmt.Errorf("vlog: sync %s: %w", w.a.name, err)
	}
	return nil
}

// writeTranslation writes the translation blocks of a section.
func (w *Rewriter) writeTranslation(r *rewriteSection) (section, error) {
	s := section{
		logical: r.logical, start: r.start, end: r.start + int64(r.tally.bytes),
		records: uint32(r.tally.records), blocks: w.a.size(),
		expiryMin: r.tally.expiryMin, expiryMax: r.tally.expiryMax, allExpire: r.tally.allExpire(),
	}
	for i := range blockCount(s.records) {
		off, n := s.blockAt(i)
		b := r.entries[i*blockEntriesMax*entryLen:][:n*entryLen]
		s.firsts = append(s.firsts, binary.LittleEndian.Uint32(b))
		w.a.buf = append(w.a.buf, b...)
		w.a.buf = binary.LittleEndian.AppendUint32(w.a.buf, sumAt(w.id, off, s.logical, b))
		if len(w.a.buf) >= bufferBytesMax {
			if err := w.a.flush(); err != nil {
				return s, err
			}
		}
	}
	return s, nil
}

// Abort closes and removes the file. After Finish returned nil it does nothing.
func (w *Rewriter) Abort() error {
	if w.done {
		return nil
	}
	w.done = true
	err := errors.Join(w.close(), w.fs.Remove(filepath.Join(w.dir, w.a.name)))
	if err != nil {
		return fmt.Errorf("vlog: abort %s: %w", w.a.name, err)
	}
	return nil
}

func (w *Rewriter) usable() error {
	if w.failed != nil {
		return w.failed
	}
	if w.done {
		return fmt.Errorf("vlog: %s: %w", w.a.name, base.ErrClosed)
	}
	return nil
}
