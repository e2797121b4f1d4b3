package memtable

import (
	"bytes"
	"math"
)

// estimateExactMax is up to how many entries of a range Estimate counts one by
// one where there is a sample.
const estimateExactMax = 256

// Estimate is about how many entries have keys in [lower, upper), and how many
// bytes their keys and payloads have; nil is an open end. All versions of a key
// count, deletes too; range deletes do not, neither as entries nor in what they
// delete. It takes microseconds and is safe for concurrent use until Release.
//
// Both are exact if the range holds up to 256 entries, if the memtable holds
// fewer than 1,024, or if the range is open at both ends. Else they come from a
// sample of which k entries are in the range: the number of entries then has a
// standard error of 1/√k or less, and is above 256. The sample is a quarter of
// the entries, until that makes 2,048, and then has 1,024 to 2,048: an error of
// 3 % for a range with nearly all entries, 10 % for a tenth of them, 31 % for a
// hundredth. The bytes are off by as much, and by more where a few large entries
// make up most of them.
func (m *Memtable) Estimate(lower, upper []byte) (entries, bytes uint64) {
	b := m.body.Load()
	if b == nil {
		return 0, 0
	}
	for {
		estimate, kind := m.estimateBySample(b, lower, upper)
		limit := uint64(estimateExactMax)
		switch kind {
		case certain:
			return estimate.entries, estimate.bytes
		case unsampled:
			limit = 2 * sampleFirstEntries
		}
		counted := m.count(lower, upper, limit)
		if counted.entries <= limit {
			return counted.entries, counted.bytes
		}
		if kind == sampledFew {
			return max(estimate.entries, counted.entries), max(estimate.bytes, counted.bytes)
		}
		// Entries came while they were counted, and the sample with them.
	}
}

// count counts the entries in [lower, upper) one by one, up to one more than
// limit.
func (m *Memtable) count(lower, upper []byte, limit uint64) sampleSum {
	var sum sampleSum
	it := m.NewIter()
	defer it.Close() // never fails
	for ok := it.SeekGE(lower, beforeAll); ok && sum.entries <= limit; ok = it.Next() {
		user := it.Key().User
		if upper != nil && bytes.Compare(user, upper) >= 0 {
			break
		}
		sum.add(uint64(len(user)) + uint64(len(it.Value())))
	}
	return sum
}

// estimateKind is what an estimate by sample is worth.
type estimateKind uint8

const (
	unsampled  estimateKind = iota // none: there is no sample yet
	sampledFew                     // the range may hold few enough entries to count
	certain                        // it holds too many to count, or the sum is exact
)

// estimateBySample is what the sample says about a range.
func (m *Memtable) estimateBySample(b *body, lower, upper []byte) (sampleSum, estimateKind) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	all := sampleSum{uint64(b.tree.Len()), m.dataBytes}
	switch {
	case lower == nil && upper == nil:
		return all, certain
	case m.sample == nil:
		return all, unsampled
	}
	in := m.sample.between(b, m.boundAt(b, lower), m.boundAt(b, upper))
	of := m.sample.all()
	estimate := sampleSum{
		entries: scale(all.entries, in.entries, of.entries),
		bytes:   scale(all.bytes, in.bytes, of.bytes),
	}
	if in.entries > estimateExactMax {
		return estimate, certain
	}
	return estimate, sampledFew
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
