package rangedel

import (
	"bytes"
	"slices"

	"github.com/cordwood-db/cordwood/internal/base"
)

// Build returns the Set of ts, which it does not change and may be in any
// order. The Set keeps the keys of ts, not ts itself.
//
// It takes O(n log n) time besides what it copies of sequence numbers. Windows
// that slide, grow or shrink ("delete all before t", again and again) share
// their numbers, so that they cost O(n) memory; only tombstones that overlap
// in no order at all cost up to O(n) each.
func Build(ts []Tombstone) *Set {
	kept := make([]Tombstone, 0, len(ts))
	for _, t := range ts {
		if bytes.Compare(t.Start, t.End) < 0 {
			kept = append(kept, t)
		}
	}
	slices.SortStableFunc(kept, byStart)
	return sweep(kept)
}

// Merge returns the union of sets, any of which may be nil. The result shares
// memory with them; with only one that is not empty, it is that one.
func Merge(sets ...*Set) *Set {
	var only *Set
	total, nonEmpty := 0, 0
	for _, s := range sets {
		if !s.Empty() {
			only = s
			nonEmpty++
			total += max(len(s.tombs), len(s.frags))
		}
	}
	if nonEmpty < 2 {
		return only
	}
	all := make([]Tombstone, 0, total)
	for _, s := range sets {
		if !s.Empty() {
			all = append(all, s.tombstones()...)
		}
	}
	slices.SortStableFunc(all, byStart)
	return sweep(all)
}

func byStart(a, b Tombstone) int { return bytes.Compare(a.Start, b.Start) }

// tombstones returns what s is made of, sorted by Start. Where s was made of
// fragments, a number that goes on from one fragment to the next is one
// tombstone.
func (s *Set) tombstones() []Tombstone {
	if s.tombs != nil {
		return s.tombs
	}
	out := make([]Tombstone, 0, len(s.frags))
	var open, next []int // indexes into out that reach the end of the last fragment
	for i := range s.frags {
		f := &s.frags[i]
		next = next[:0]
		touches := i > 0 && bytes.Equal(s.frags[i-1].End, f.Start)
		j := 0
		for _, seq := range f.Seqs {
			for touches && j < len(open) && out[open[j]].Seq > seq {
				j++
			}
			if touches && j < len(open) && out[open[j]].Seq == seq {
				out[open[j]].End = f.End
				next = append(next, open[j])
				continue
			}
			next = append(next, len(out))
			out = append(out, Tombstone{Start: f.Start, End: f.End, Seq: seq})
		}
		open, next = next, open
	}
	return out
}

// sweep makes the Set of ts, which is sorted by Start, has no empty tombstone,
// and belongs to the Set from then on. It walks all bounds in order with the
// stack of numbers that cover the keys between one bound and the next.
func sweep(ts []Tombstone) *Set {
	if len(ts) == 0 {
		return nil
	}
	ends := make([]int32, len(ts))
	for i := range ends {
		ends[i] = int32(i)
	}
	slices.SortFunc(ends, func(a, b int32) int { return bytes.Compare(ts[a].End, ts[b].End) })

	s := &Set{tombs: ts}
	var st stack
	var from []byte // start of the fragment that is open while st is not empty
	for i, j := 0, 0; j < len(ends); {
		at := ts[ends[j]].End
		if i < len(ts) && bytes.Compare(ts[i].Start, at) < 0 {
			at = ts[i].Start
		}
		before := st.handOut()
		for j < len(ends) && bytes.Equal(ts[ends[j]].End, at) {
			st.remove(ts[ends[j]].Seq)
			j++
		}
		for i < len(ts) && bytes.Equal(ts[i].Start, at) {
			st.add(ts[i].Seq)
			i++
		}
		if slices.Equal(before, st.live()) {
			continue // a repeated tombstone, or one that was cut in two
		}
		if len(before) > 0 {
			s.frags = append(s.frags, Fragment{Start: from, End: at, Seqs: before})
		}
		from = at
	}
	s.stackBytes = st.bytes
	return s
}

// stack holds the numbers that cover the sweep's position, newest first. What
// handOut returned is never overwritten, and the following states share memory
// with it where they only differ at the ends.
type stack struct {
	buf    []base.SeqNum
	lo, hi int // live numbers: buf[lo:hi]

	// buf[outLo:outHi] has been handed out.
	outLo, outHi int

	// repeats counts numbers that were added while already there.
	repeats map[base.SeqNum]int

	bytes int64 // of all buffers so far
}

func (st *stack) live() []base.SeqNum { return st.buf[st.lo:st.hi] }

// handOut returns the live numbers for good.
func (st *stack) handOut() []base.SeqNum {
	if st.lo == st.hi {
		return nil
	}
	if st.outLo == st.outHi {
		st.outLo, st.outHi = st.lo, st.hi
	}
	st.outLo, st.outHi = min(st.outLo, st.lo), max(st.outHi, st.hi)
	return st.buf[st.lo:st.hi:st.hi]
}

// find is the position in the live numbers where seq is or belongs.
func (st *stack) find(seq base.SeqNum) (int, bool) {
	return slices.BinarySearchFunc(st.live(), seq, func(a, b base.SeqNum) int {
		switch {
		case a > b:
			return -1
		case a < b:
			return 1
		}
		return 0
	})
}

func (st *stack) add(seq base.SeqNum) {
	p, found := st.find(seq)
	if found {
		if st.repeats == nil {
			st.repeats = make(map[base.SeqNum]int)
		}
		st.repeats[seq]++
		return
	}
	n := st.hi - st.lo
	switch {
	case p == 0 && st.free(st.lo-1):
		st.lo--
		st.buf[st.lo] = seq
	case p == n && st.free(st.hi):
		st.buf[st.hi] = seq
		st.hi++
	default:
		st.own(1)
		st.hi++
		copy(st.buf[st.lo+p+1:st.hi], st.buf[st.lo+p:st.hi-1])
		st.buf[st.lo+p] = seq
	}
}

func (st *stack) remove(seq base.SeqNum) {
	if c := st.repeats[seq]; c > 0 {
		st.repeats[seq] = c - 1
		return
	}
	p, _ := st.find(seq)
	switch n := st.hi - st.lo; p {
	case 0:
		st.lo++
	case n - 1:
		st.hi--
	default:
		st.own(0)
		copy(st.buf[st.lo+p:st.hi], st.buf[st.lo+p+1:st.hi])
		st.hi--
	}
}

// free reports whether buf[i] may be written: it exists and was not handed out.
func (st *stack) free(i int) bool {
	return i >= 0 && i < len(st.buf) && (i < st.outLo || i >= st.outHi)
}

// own makes the live numbers, and room for more behind them, writable.
func (st *stack) own(more int) {
	overlap := st.lo < st.outHi && st.outLo < st.hi
	if !overlap && st.hi+more <= len(st.buf) && (st.hi+more <= st.outLo || st.hi >= st.outHi) {
		return
	}
	// Room at both ends that grows with what there is, so that neither one
	// deep stack nor many shallow ones are copied often.
	n := st.hi - st.lo
	room := max(n/4, min(len(st.buf), 64)) + 1
	buf := make([]base.SeqNum, n+2*room)
	copy(buf[room:], st.live())
	st.bytes += int64(len(buf)) * seqBytes
	st.buf, st.lo, st.hi = buf, room, room+n
	st.outLo, st.outHi = 0, 0
}
