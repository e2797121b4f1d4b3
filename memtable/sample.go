package memtable

import (
	"bytes"
	"slices"
	"sort"

	"github.com/cordwood-db/cordwood/internal/base"
)

// A sample is a part of a memtable's entries that stands for all of them in
// Estimate: those whose sequence number has a hash below a bound. The bound
// halves whenever the sample is full, which leaves a sample by the lower bound;
// so which entries are in it depends neither on their keys nor on the order in
// which they came.
const (
	sampleFirstEntries = 1024 // memtables with fewer have no sample
	sampleFirstShift   = 2
	sampleMax          = 2048 // entries
	sampleTail         = 128  // newest entries that wait to be sorted in
)

type sample struct {
	// Guarded by the memtable's mu; only the applying goroutine changes them.
	run   []sampled // ascending
	tail  []sampled // the newest, in no order
	shift uint      // one entry in 1<<shift is in the sample

	// Used by the applying goroutine only.
	spare []sampled // becomes run
	fresh []sampled // tail, being sorted
}

// sampled is an entry of the sample.
type sampled struct {
	item  item
	bytes uint64 // of its key and payload; in run, with those of all before it
}

// sampleHash scatters sequence numbers over all 64 bits. What ascends by a
// constant, as operations on one of several keyspaces do, must not come out in
// a pattern.
func sampleHash(seq base.SeqNum) uint64 {
	h := uint64(seq) * 0x9e3779b97f4a7c15
	h = (h ^ h>>32) * 0xbb67ae8584caa73b
	return h ^ h>>29
}

// takes reports whether a sample of one entry in 1<<shift has that with this
// trailer.
func takes(t base.Trailer, shift uint) bool {
	return sampleHash(t.SeqNum())>>(64-shift) == 0
}

// newSample samples what the tree holds, into the tail.
func newSample(b *body) *sample {
	s := &sample{shift: sampleFirstShift}
	b.tree.Ascend(func(it item) bool {
		s.add(b, it)
		return true
	})
	return s
}

// add adds an entry if it belongs to the sample.
func (s *sample) add(b *body, it item) {
	if takes(it.trailer, s.shift) {
		s.tail = append(s.tail, sampled{it, b.entryBytes(it)})
	}
}

// entryBytes is the length of an entry's key and payload.
func (b *body) entryBytes(it item) uint64 {
	return uint64(it.keyLen) + uint64(len(b.arena.payload(it.pos, it.keyLen)))
}

// settleSample begins the sample once the memtable is large enough, and sorts
// the tail into the run once it is long.
func (m *Memtable) settleSample(b *body) {
	s := m.sample
	if s == nil {
		if b.tree.Len() < sampleFirstEntries {
			return
		}
		s = newSample(b)
		m.mu.Lock()
		m.sample = s
		m.mu.Unlock()
	}
	if len(s.tail) < sampleTail {
		return
	}
	s.fresh = append(s.fresh[:0], s.tail...)
	slices.SortFunc(s.fresh, func(x, y sampled) int {
		if b.less(x.item, y.item) {
			return -1
		}
		return 1
	})
	run, shift := mergeSamples(b, s.spare[:0], s.run, s.fresh), s.shift
	for len(run) > sampleMax {
		shift++
		run = thinned(run, shift)
	}
	m.mu.Lock()
	s.run, s.spare = run, s.run
	s.tail, s.shift = s.tail[:0], shift
	m.mu.Unlock()
}

// mergeSamples appends the entries of run and of fresh, which is sorted, to dst
// as a run. fresh is much the shorter one.
func mergeSamples(b *body, dst, run, fresh []sampled) []sampled {
	dst = slices.Grow(dst, len(run)+len(fresh))
	last, added := uint64(0), uint64(0) // bytes of run copied so far, and of fresh
	take := func(n int) {
		for _, e := range run[:n] {
			dst = append(dst, sampled{e.item, e.bytes + added})
			last = e.bytes
		}
		run = run[n:]
	}
	for _, e := range fresh {
		take(sort.Search(len(run), func(i int) bool { return b.less(e.item, run[i].item) }))
		added += e.bytes
		dst = append(dst, sampled{e.item, last + added})
	}
	take(len(run))
	return dst
}

// thinned leaves in run what one in 1<<shift takes.
func thinned(run []sampled, shift uint) []sampled {
	kept, last, bytes := run[:0], uint64(0), uint64(0)
	for _, e := range run {
		if takes(e.item.trailer, shift) {
			bytes += e.bytes - last
			kept = append(kept, sampled{e.item, bytes})
		}
		last = e.bytes
	}
	return kept
}

// reskip gives the items of the sample the prefixes of another skip.
func (s *sample) reskip(b *body, next skip) {
	for _, part := range [][]sampled{s.run, s.tail} {
		for i := range part {
			it := &part[i].item
			it.prefix = next.prefix(b.arena.key(it.pos, it.keyLen))
		}
	}
}

// bound is an end of a range.
type bound struct {
	key    []byte // nil: open
	prefix uint64 // of key, by the skip
}

// after reports whether the bound lies behind the user key of it.
func (b *body) after(k bound, it item) bool {
	if it.prefix != k.prefix {
		return it.prefix < k.prefix
	}
	return bytes.Compare(b.arena.key(it.pos, it.keyLen), k.key) < 0
}

// sampleSum is a number of entries and their bytes.
type sampleSum struct{ entries, bytes uint64 }

// all is the sum of the whole sample.
func (s *sample) all() sampleSum {
	sum := s.upTo(len(s.run))
	for _, e := range s.tail {
		sum.add(e.bytes)
	}
	return sum
}

// between is the sum of the sample's entries in [lower, upper).
func (s *sample) between(b *body, lower, upper bound) sampleSum {
	i, j := 0, len(s.run)
	if lower.key != nil {
		i = sort.Search(len(s.run), func(n int) bool { return !b.after(lower, s.run[n].item) })
	}
	if upper.key != nil {
		j = sort.Search(len(s.run), func(n int) bool { return !b.after(upper, s.run[n].item) })
	}
	from, sum := s.upTo(i), s.upTo(max(i, j))
	sum.entries, sum.bytes = sum.entries-from.entries, sum.bytes-from.bytes
	for _, e := range s.tail {
		if (lower.key == nil || !b.after(lower, e.item)) && (upper.key == nil || b.after(upper, e.item)) {
			sum.add(e.bytes)
		}
	}
	return sum
}

// upTo is the sum of the first n entries of the run.
func (s *sample) upTo(n int) sampleSum {
	if n == 0 {
		return sampleSum{}
	}
	return sampleSum{uint64(n), s.run[n-1].bytes}
}

func (s *sampleSum) add(bytes uint64) {
	s.entries++
	s.bytes += bytes
}
