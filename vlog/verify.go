package vlog

import (
	"encoding/binary"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/vfs"
)

// VerifyFile checks every byte of file num up to physical offset to (0: all):
// its records as ScanFile does, and in a rewritten file also that the translation
// leads to each record and nowhere else. It returns the first thing wrong, with
// what was found sound until then. fn is called for each record; it may be nil.
func VerifyFile(fsys vfs.FS, dir string, num base.FileNum, expect uint64, to int64,
	fn func(Record) error) (validEnd int64, err error) {
	s, err := openScanner(fsys, dir, num, expect)
	if err != nil {
		return 0, err
	}
	v := verifier{h: handle{f: s.f, name: s.name, id: s.hdr.id, sections: s.sections}}
	validEnd, err = s.run(0, to, func(r Record) error {
		if s.sections != nil {
			if err := v.check(r); err != nil {
				return err
			}
		}
		if fn == nil {
			return nil
		}
		return fn(r)
	})
	if err == nil && to == 0 && s.sections != nil {
		err = v.end(validEnd)
	}
	return validEnd, s.close(err)
}

// verifier compares the translation of a rewritten file with its records, both
// in order.
type verifier struct {
	h       handle
	section int    // index of the current section
	entry   int    // in the section
	block   []byte // entries of the current block that are not compared yet
}

// check compares the next entry with record r.
func (v *verifier) check(r Record) error {
	x := v.h.sections
	if v.section < len(x.sections) && v.entry == int(x.sections[v.section].records) {
		v.section, v.entry = v.section+1, 0
	}
	if v.section == len(x.sections) {
		return base.Corruptf(v.h.name, r.Offset, "record that no section counts")
	}
	s := &x.sections[v.section]
	if v.entry%blockEntriesMax == 0 {
		off, n := s.blockAt(v.entry / blockEntriesMax)
		b, err := v.h.loadBlock(s, off, n)
		if err != nil {
			return err
		}
		v.block = append(v.block[:0], b.Bytes()[:n*entryLen]...)
		b.Release()
		if s.firsts[v.entry/blockEntriesMax] != binary.LittleEndian.Uint32(v.block) {
			return base.Corruptf(v.h.name, off, "section index does not match the translation block")
		}
	}
	le := binary.LittleEndian
	logical, physical := le.Uint32(v.block), le.Uint32(v.block[4:])
	if s.logical != r.Pointer.File || logical != r.Pointer.Offset || int64(physical) != r.Offset {
		return base.Corruptf(v.h.name, r.Offset, "record of file %d at %d where the translation says file %d at %d, offset %d",
			r.Pointer.File, r.Pointer.Offset, s.logical, logical, physical)
	}
	v.entry++
	v.block = v.block[entryLen:]
	return nil
}

// end checks that no entry is left over.
func (v *verifier) end(at int64) error {
	x := v.h.sections
	last := len(x.sections) - 1
	if last >= 0 && (v.section != last || v.entry != int(x.sections[last].records)) {
		return base.Corruptf(v.h.name, at, "sections count more records than there are")
	}
	return nil
}
