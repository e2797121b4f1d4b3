package manifest

import (
	"errors"
	"fmt"
	iofs "io/fs"
	"path/filepath"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/record"
	"github.com/cordwood-db/cordwood/vfs"
)

// LoadInfo tells what Load has found.
type LoadInfo struct {
	Manifest base.FileNum // the MANIFEST that was read
	Bytes    int64        // of it that are valid
	Edits    int          // in it, the snapshot apart

	// Cut is set if the end of the MANIFEST is torn: an edit was being written
	// when the power failed, and is not part of the state. CutOffset is where
	// the valid part ends, CutReason what is wrong there.
	Cut       bool
	CutOffset int64
	CutReason string

	// Durable is what Set.Durable says after Load.
	Durable bool
}

// Load reads the database in a directory. It writes nothing at all: the first
// edit starts a new MANIFEST.
//
// Errors: fs.ErrNotExist if there is no database; *base.MissingFileError if
// CURRENT, the MANIFEST or (with CheckFiles) another file is not there;
// *base.CorruptionError if one is damaged or too short, where a torn end of the
// MANIFEST that was never proven durable is no damage; *base.FormatError if
// newer software has written it.
func Load(opts Options) (*Set, LoadInfo, error) {
	s, info, err := load(opts)
	if err != nil {
		return nil, LoadInfo{}, err
	}
	return s, info, nil
}

func load(opts Options) (*Set, LoadInfo, error) {
	m, err := readCurrent(opts.FS, opts.Dir)
	if err != nil {
		return nil, LoadInfo{}, err
	}
	s := newSet(opts)
	r := replay{
		catalog: s.catalog,
		name:    base.FileName(base.FileManifest, uint64(m.manifest)),
	}
	if err := r.run(opts, m); err != nil {
		return nil, LoadInfo{}, err
	}
	v := s.catalog.version()
	if err := v.Check(); err != nil {
		return nil, LoadInfo{}, base.Corruptf(r.name, -1, "%v", err)
	}
	infos, err := opts.FS.List(opts.Dir)
	if err != nil {
		return nil, LoadInfo{}, fmt.Errorf("manifest: list %s: %w", opts.Dir, err)
	}
	if opts.CheckFiles {
		if err := checkFiles(v, infos); err != nil {
			return nil, LoadInfo{}, err
		}
	}
	s.nextFile.Store(uint64(max(s.catalog.nextFile, nextFileAbove(infos))))
	s.nextKeyspace.Store(uint64(s.catalog.nextKeyspace))
	s.live.addManifest(m.manifest)
	s.durable.Store(r.info.Durable)
	s.start(v)
	r.info.Manifest = m.manifest
	return s, r.info, nil
}

// replay reads a MANIFEST into a catalog.
type replay struct {
	catalog *catalog
	name    string
	records int
	lastEnd uint64 // LSN behind the last edit
	info    LoadInfo
}

func (r *replay) run(opts Options, m marker) error {
	f, err := opts.FS.Open(filepath.Join(opts.Dir, r.name))
	if errors.Is(err, iofs.ErrNotExist) {
		return &base.MissingFileError{File: r.name}
	}
	if err != nil {
		return fmt.Errorf("manifest: open %s: %w", r.name, err)
	}
	h, tail, err := record.Scan(f, r.name, base.FileManifest, r.record)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if h.ID != m.id || h.Number != uint64(m.manifest) || h.StartLSN != 0 {
		return base.Corruptf(r.name, 0, "not the file that CURRENT names")
	}
	return r.judge(tail)
}

// judge decides what the end of the file means.
func (r *replay) judge(tail record.Tail) error {
	reason := tail.Reason
	if tail.CleanEnd {
		reason = "file ends"
	}
	if r.records == 0 {
		// The snapshot was durable before CURRENT named the file.
		return base.Corruptf(r.name, tail.Offset, "no snapshot: %s", reason)
	}
	if tail.MaxSynced > tail.EndLSN {
		return base.Corruptf(r.name, tail.Offset, "%s, before offset %d, up to which all was durable",
			reason, tail.MaxSynced)
	}
	r.info.Bytes = tail.Offset
	r.info.Durable = tail.MaxSynced >= r.lastEnd
	if !tail.CleanEnd {
		r.info.Cut, r.info.CutOffset, r.info.CutReason = true, tail.Offset, tail.Reason
	}
	return nil
}

// record applies one record.
func (r *replay) record(rec record.Record) error {
	first := r.records == 0
	r.records++
	switch {
	case rec.Type == recordProof && !first:
		return nil
	case (rec.Type == recordSnapshot) != first:
		return r.corrupt(rec, fmt.Errorf("record of type %d where it cannot be", rec.Type))
	case rec.Type == recordSnapshot, rec.Type == recordEdit:
		return r.edit(rec)
	case rec.Type >= recordOptional:
		return nil
	}
	return fmt.Errorf("manifest: %s: record of type %d at offset %d: %w",
		r.name, rec.Type, rec.LSN, NewerFormat(r.name))
}

func (r *replay) edit(rec record.Record) error {
	e, err := DecodeEdit(rec.Payload)
	var ch *change
	if err == nil {
		ch, err = r.catalog.check(e, givenAny)
	}
	if err != nil {
		return r.corrupt(rec, err)
	}
	r.catalog.commit(ch)
	r.lastEnd = rec.EndLSN
	if rec.Type == recordEdit {
		r.info.Edits++
	}
	return nil
}

// corrupt says what err, found in a record whose checksum is right, means.
func (r *replay) corrupt(rec record.Record, err error) error {
	_, field := errors.AsType[*FieldError](err)
	if field {
		return fmt.Errorf("manifest: %s: record at offset %d: %w: %w", r.name, rec.LSN, err, NewerFormat(r.name))
	}
	return &base.CorruptionError{File: r.name, Offset: int64(rec.LSN), Reason: "bad record", Err: err}
}

// NewerFormat is the error for something in a MANIFEST of that name that only newer
// software can have written.
func NewerFormat(name string) *base.FormatError {
	return &base.FormatError{File: name, Found: FormatVersion + 1, Known: FormatVersion}
}

// checkFiles looks whether the files of v are there and not too short.
func checkFiles(v *Version, infos []vfs.FileInfo) error {
	sizes := make(map[FileRef]int64, len(infos))
	for _, info := range infos {
		if kind, num := base.ParseFileName(info.Name); !info.IsDir {
			sizes[FileRef{kind, base.FileNum(num)}] = info.Size
		}
	}
	for _, t := range v.Tables() {
		if err := checkSize(sizes, FileRef{base.FileTable, t.Num}, t.Size); err != nil {
			return err
		}
	}
	physical := make(map[base.FileNum]uint64)
	for _, m := range v.Vlogs {
		physical[m.Physical] = max(addCapped(physical[m.Physical], m.Bytes), m.SyncedTo)
	}
	for _, m := range v.Vlogs {
		if err := checkSize(sizes, FileRef{base.FileVlog, m.Physical}, physical[m.Physical]); err != nil {
			return err
		}
	}
	return nil
}

func checkSize(sizes map[FileRef]int64, f FileRef, atLeast uint64) error {
	name := base.FileName(f.Kind, uint64(f.Num))
	size, ok := sizes[f]
	switch {
	case !ok:
		return &base.MissingFileError{File: name}
	case uint64(size) < atLeast:
		return base.Corruptf(name, size, "file ends early: it was at least %d bytes long", atLeast)
	}
	return nil
}
