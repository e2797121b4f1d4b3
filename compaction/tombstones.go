package compaction

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/rangedel"
)

// survivingTombstones thins out each fragment to the newest sequence number of
// each stripe, and joins neighbours that became alike: "delete everything
// before t", said again and again, becomes one fragment.
func survivingTombstones(s *rangedel.Set, st stripes) (*rangedel.Set, error) {
	var out []rangedel.Fragment
	for _, f := range s.Fragments() {
		f.Seqs = newestOfStripes(f.Seqs, st)
		if n := len(out); n > 0 && bytes.Equal(out[n-1].End, f.Start) && slices.Equal(out[n-1].Seqs, f.Seqs) {
			out[n-1].End = f.End
			continue
		}
		out = append(out, f)
	}
	set, ok := rangedel.FromFragments(out)
	if !ok {
		return nil, fmt.Errorf("compaction: range tombstones of the input are out of order")
	}
	return set, nil
}

// newestOfStripes returns the newest number of each stripe; seqs descends and
// is not changed.
func newestOfStripes(seqs []base.SeqNum, st stripes) []base.SeqNum {
	if len(seqs) <= 1 {
		return seqs
	}
	out := make([]base.SeqNum, 0, min(len(seqs), len(st.snapshots)+1))
	stripe := -1
	for _, seq := range seqs {
		if s := st.of(seq); s != stripe {
			out = append(out, seq)
			stripe = s
		}
	}
	return out
}

// placeable cuts the tombstones in set down to [lower, upper) and leaves out
// what is no longer needed: numbers that every snapshot sees, where nothing
// older lies below. A nil upper is infinity.
func placeable(set *rangedel.Set, lower, upper []byte, st stripes, bottomRange func(start, end []byte) bool) []rangedel.Fragment {
	var out []rangedel.Fragment
	for _, f := range set.Truncate(lower, upper).Fragments() {
		n := len(f.Seqs) - 1
		if st.of(f.Seqs[n]) == 0 && bottomRange != nil && bottomRange(f.Start, f.End) {
			f.Seqs = f.Seqs[:n:n]
		}
		if len(f.Seqs) > 0 {
			out = append(out, f)
		}
	}
	return out
}
