package sstable

import (
	"bytes"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/rangedel"
)

// openRangeDels reads the range tombstones.
func (r *Reader) openRangeDels() error {
	h := r.sections[sectionRangeDels]
	if h.length == 0 {
		return nil
	}
	contents, err := r.readSection(h)
	if err != nil {
		return err
	}
	frags, ok := decodeRangeDels(contents)
	if !ok {
		return r.corrupt(h.offset, "malformed range tombstones")
	}
	set, ok := rangedel.FromFragments(frags)
	if !ok {
		return r.corrupt(h.offset, "range tombstones out of order")
	}
	r.rangeDels = set
	r.delBytes = set.Bytes() + int64(len(contents))
	return nil
}

// decodeRangeDels decodes the fragments in contents, and aliases it. They are
// stored as a data block with one entry for each sequence number of each
// fragment, start as the key and end as the payload. Keys share no prefixes,
// so that few bytes cannot stand for many.
func decodeRangeDels(contents []byte) ([]rangedel.Fragment, bool) {
	b, ok := parseBlock(contents)
	if !ok {
		return nil, false
	}
	var frags []rangedel.Fragment
	var cur rangedel.Fragment
	seqs := make([]base.SeqNum, 0, b.n)
	from := 0 // of the current fragment's numbers in seqs
	for at := (place{}); at.key < len(b.keys); {
		e, ok := b.entry(at)
		if !ok || e.shared != 0 || e.trailer.Kind() != base.KindRangeDelete {
			return nil, false
		}
		start, end := b.suffix(&e), b.value(&e)
		if at.key > 0 && !(bytes.Equal(start, cur.Start) && bytes.Equal(end, cur.End)) {
			cur.Seqs = seqs[from:len(seqs):len(seqs)]
			frags = append(frags, cur)
			from = len(seqs)
		}
		cur.Start, cur.End = start, end
		seqs = append(seqs, e.trailer.SeqNum())
		at = e.next
	}
	cur.Seqs = seqs[from:len(seqs):len(seqs)]
	return append(frags, cur), true
}
