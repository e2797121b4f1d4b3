package memtable

import (
	"bytes"
	"math"
)

// estimateExactMax is up to how many entries of a range Estimate counts one by
// one.
const estimateExactMax = cursorItemsMax

// Estimate is about how many entries have keys in [lower, upper), and how many
// bytes their keys and payloads have; nil is an open end. All versions of a key
// count, deletes too; range deletes do not, neither as entries nor in what they
// delete. It takes microseconds and is safe for concurrent use until Release.
//
// Both are exact if the range holds up to 256 entries, if the memtable holds up
// to 2,048, or if the range is open at both ends. Else they come from a sample
// of 1,024 to 2,048 entries, of which k are in the range: the number of entries
// then has a standard error of 1/√k or less: 3 % for a range with all but few
// of the entries, 10 % for a tenth of them, 31 % for a hundredth; it is never
// below 256. The bytes are off by as much, and by more where a few large entries
// make up most of them.
func (m *Memtable) Estimate(lower, upper []byte) (entries, bytes uint64) {
	b := m.body.Load()
	if b == nil {
		return 0, 0
	}
	if lower == nil && upper == nil {
		m.mu.RLock()
		defer m.mu.RUnlock()
		return uint64(b.tree.Len()), m.dataBytes
	}
	box := cursorPool.Get().(*[estimateExactMax + 1]item)
	defer cursorPool.Put(box)
	items := box[:0]
	collect := func(it item) bool {
		items = append(items, it)
		return len(items) <= estimateExactMax
	}
	slot, pos := b.probes.take(lower)
	m.mu.RLock()
	estimate, known := m.estimateBySample(b, lower, upper)
	if !known {
		b.tree.AscendGreaterOrEqual(b.probe(pos, lower, beforeAll), collect)
	}
	m.mu.RUnlock()
	slot.giveBack()
	if known {
		return estimate.entries, estimate.bytes
	}
	counted := b.countBelow(items, upper)
	if counted.entries <= estimateExactMax {
		return counted.entries, counted.bytes
	}
	return max(estimate.entries, counted.entries), max(estimate.bytes, counted.bytes)
}

// countBelow sums up the items before upper.
func (b *body) countBelow(items []item, upper []byte) sampleSum {
	var sum sampleSum
	for _, it := range items {
		if upper != nil && bytes.Compare(b.arena.key(it.pos, it.keyLen), upper) >= 0 {
			break
		}
		sum.add(b.entryBytes(it))
	}
	return sum
}

// estimateBySample is what the sample says about a range. known is true if it
// need not be counted: the sample holds all entries, or more of the range than
// are counted one by one. The caller holds the lock.
func (m *Memtable) estimateBySample(b *body, lower, upper []byte) (sum sampleSum, known bool) {
	all := sampleSum{uint64(b.tree.Len()), m.dataBytes}
	if m.sample == nil {
		return all, false // a few more than are counted, if that
	}
	in := m.sample.between(b, m.boundAt(b, lower), m.boundAt(b, upper))
	if m.sample.shift == 0 {
		return in, true
	}
	of := m.sample.all()
	return sampleSum{
		entries: scale(all.entries, in.entries, of.entries),
		bytes:   scale(all.bytes, in.bytes, of.bytes),
	}, in.entries > estimateExactMax
}

func (m *Memtable) boundAt(b *body, key []byte) bound {
	return bound{key: key, prefix: b.skip.prefix(key)}
}

// scale is n * part / whole, 0 if whole is.
func scale(n, part, whole uint64) uint64 {
	if whole == 0 {
		return 0
	}
	return min(n, uint64(math.Round(float64(n)*(float64(part)/float64(whole)))))
}
