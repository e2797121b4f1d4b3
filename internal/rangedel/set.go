package rangedel

import (
	"bytes"
	"slices"
	"sort"

	"github.com/cordwood-db/cordwood/internal/base"
)

// Tombstone deletes every version of a key in [Start, End) that is older than
// Seq. A tombstone whose End is not above its Start deletes nothing.
type Tombstone struct {
	Start, End []byte
	Seq        base.SeqNum
}

// Fragment is a stretch [Start, End) of keys that the same tombstones cover.
// Seqs are their sequence numbers, newest first. Fragments of a Set share
// memory: callers change neither the keys nor Seqs.
type Fragment struct {
	Start, End []byte
	Seqs       []base.SeqNum
}

// newest is the newest sequence number in f that visible sees, 0 if none.
func (f *Fragment) newest(visible base.SeqNum) base.SeqNum {
	if f.Seqs[0] <= visible {
		return f.Seqs[0]
	}
	i := sort.Search(len(f.Seqs), func(i int) bool { return f.Seqs[i] <= visible })
	if i == len(f.Seqs) {
		return 0
	}
	return f.Seqs[i]
}

// Set is an immutable set of range tombstones. A nil Set is empty.
// Safe for concurrent use.
type Set struct {
	frags []Fragment

	// tombs are what frags were made of, sorted by Start, for merging without
	// unpicking the fragments. nil if frags came first; see tombstones.
	tombs []Tombstone

	stackBytes int64 // memory of all Seqs, shared ones once
}

// Memory of one element, for Bytes. Keys are not counted: they are not ours.
const (
	fragmentBytes  = 72
	tombstoneBytes = 56
	seqBytes       = 8
)

// FromFragments returns the Set of fragments that are known to be in order, as
// a table stores them. ok is false if they break an invariant of a Set (other
// than that two which touch may be alike), as hostile bytes may.
// The Set keeps frags.
func FromFragments(frags []Fragment) (s *Set, ok bool) {
	if len(frags) == 0 {
		return nil, true
	}
	s = &Set{frags: frags}
	for i := range frags {
		f := &frags[i]
		if bytes.Compare(f.Start, f.End) >= 0 || len(f.Seqs) == 0 ||
			i > 0 && bytes.Compare(frags[i-1].End, f.Start) > 0 {
			return nil, false
		}
		for j := 1; j < len(f.Seqs); j++ {
			if f.Seqs[j-1] <= f.Seqs[j] {
				return nil, false
			}
		}
		s.stackBytes += int64(cap(f.Seqs)) * seqBytes
	}
	return s, true
}

// Empty reports whether s deletes nothing.
func (s *Set) Empty() bool { return s == nil || len(s.frags) == 0 }

// Len is the number of fragments.
func (s *Set) Len() int {
	if s == nil {
		return 0
	}
	return len(s.frags)
}

// Bytes is roughly the memory that s holds, keys excluded.
func (s *Set) Bytes() int64 {
	if s == nil {
		return 0
	}
	return int64(cap(s.frags))*fragmentBytes + int64(cap(s.tombs))*tombstoneBytes + s.stackBytes
}

// Fragments returns the fragments in order. Callers do not change them.
func (s *Set) Fragments() []Fragment {
	if s == nil {
		return nil
	}
	return s.frags
}

// after is the index of the first fragment that ends above key: the one that
// contains key, or the next one behind it.
func (s *Set) after(key []byte) int {
	lo, hi := 0, len(s.frags)
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if bytes.Compare(s.frags[mid].End, key) <= 0 {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

// At returns the fragment that contains key. ok is false if none does.
// Its memory is the Set's.
func (s *Set) At(key []byte) (f Fragment, ok bool) {
	if s.Empty() {
		return Fragment{}, false
	}
	i := s.after(key)
	if i == len(s.frags) || bytes.Compare(s.frags[i].Start, key) > 0 {
		return Fragment{}, false
	}
	return s.frags[i], true
}

// CoveringSeq is the sequence number of the newest tombstone that covers key
// and that visible sees (its number is at most visible), or 0 if there is none.
// Versions of key below it are deleted.
func (s *Set) CoveringSeq(key []byte, visible base.SeqNum) base.SeqNum {
	if s.Empty() {
		return 0
	}
	i := s.after(key)
	if i == len(s.frags) || bytes.Compare(s.frags[i].Start, key) > 0 {
		return 0
	}
	return s.frags[i].newest(visible)
}

// Covers reports whether every key in [start, end], end included, is covered
// by a tombstone above sequence number above that visible sees. With above the
// newest sequence number of a table with these bounds, it says that the whole
// table is deleted for a reader at visible.
func (s *Set) Covers(start, end []byte, above, visible base.SeqNum) bool {
	if s.Empty() || bytes.Compare(start, end) > 0 {
		return false
	}
	for i, from := s.after(start), start; i < len(s.frags); i++ {
		f := &s.frags[i]
		if bytes.Compare(f.Start, from) > 0 || f.newest(visible) <= above {
			return false
		}
		if bytes.Compare(f.End, end) > 0 {
			return true
		}
		from = f.End
	}
	return false
}

// Truncate returns the part of s within [start, end). A nil end is infinity.
// The result shares memory with s.
func (s *Set) Truncate(start, end []byte) *Set {
	if s.Empty() || end != nil && bytes.Compare(start, end) >= 0 {
		return nil
	}
	lo, hi := s.after(start), len(s.frags)
	if end != nil {
		hi = lo + sort.Search(hi-lo, func(i int) bool {
			return bytes.Compare(s.frags[lo+i].Start, end) >= 0
		})
	}
	if lo == hi {
		return nil
	}
	if lo == 0 && hi == len(s.frags) && bytes.Compare(start, s.frags[0].Start) <= 0 &&
		(end == nil || bytes.Compare(s.frags[hi-1].End, end) <= 0) {
		return s
	}
	out := &Set{frags: slices.Clone(s.frags[lo:hi])}
	first, last := &out.frags[0], &out.frags[hi-lo-1]
	if bytes.Compare(first.Start, start) < 0 {
		first.Start = start
	}
	if end != nil && bytes.Compare(last.End, end) > 0 {
		last.End = end
	}
	for _, f := range out.frags {
		out.stackBytes += int64(len(f.Seqs)) * seqBytes
	}
	return out
}
