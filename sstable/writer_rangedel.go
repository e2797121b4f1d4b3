package sstable

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/rangedel"
)

// AddRangeDel adds a fragment of range tombstones, at any time before Finish.
// Fragments ascend and do not overlap; sequence numbers descend. Nothing of f
// is kept.
func (w *Writer) AddRangeDel(f rangedel.Fragment) error {
	if w.err != nil {
		return w.err
	}
	if err := w.checkRangeDel(f); err != nil {
		return w.fail(fmt.Errorf("sstable: add range delete to %s: %w", w.name, err))
	}
	for _, seq := range f.Seqs {
		w.rangeDels.add(f.Start, 0, base.MakeTrailer(seq, base.KindRangeDelete), f.End)
	}
	w.delEnd = append(w.delEnd[:0], f.End...)
	w.stats.fragment(f)
	return nil
}

func (w *Writer) checkRangeDel(f rangedel.Fragment) error {
	switch {
	// One byte more than a key: the successor of the longest key bounds a range.
	case len(f.Start) > keyBytesMax+1 || len(f.End) > keyBytesMax+1:
		return base.ErrKeyTooLarge
	case bytes.Compare(f.Start, f.End) >= 0:
		return fmt.Errorf("empty range [%q, %q)", f.Start, f.End)
	case len(f.Seqs) == 0:
		return errors.New("fragment without sequence numbers")
	case w.rangeDels.count > 0 && bytes.Compare(w.delEnd, f.Start) > 0:
		return fmt.Errorf("fragments out of order: %q starts before %q ends", f.Start, w.delEnd)
	case uint64(w.rangeDels.size())+uint64(len(f.Seqs))*uint64(len(f.Start)+len(f.End)+entryHeaderMax) > storedBytesMax/2:
		return errors.New("too many range deletes")
	}
	for i, seq := range f.Seqs {
		if seq > base.SeqNumMax || i > 0 && f.Seqs[i-1] <= seq {
			return errors.New("sequence numbers of a fragment do not descend")
		}
	}
	return nil
}
