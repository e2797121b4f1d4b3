package rangedel

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cordwood-db/cordwood/internal/base"
)

// keyAt is one of a small space of keys, in order, so that tombstones touch,
// nest and repeat often.
func keyAt(i int) []byte { return fmt.Appendf(nil, "k%02d", i) }

const keySpace = 20

func randomTombstones(rng *rand.Rand, n, seqMax int) []Tombstone {
	ts := make([]Tombstone, n)
	for i := range ts {
		ts[i] = Tombstone{
			Start: keyAt(rng.IntN(keySpace)), End: keyAt(rng.IntN(keySpace)),
			Seq: base.SeqNum(1 + rng.IntN(seqMax)),
		}
	}
	return ts
}

// modelCovering is CoveringSeq by looking at every tombstone.
func modelCovering(ts []Tombstone, key []byte, visible base.SeqNum) base.SeqNum {
	var newest base.SeqNum
	for _, t := range ts {
		if bytes.Compare(t.Start, key) <= 0 && bytes.Compare(key, t.End) < 0 && t.Seq <= visible {
			newest = max(newest, t.Seq)
		}
	}
	return newest
}

func checkInvariants(t *testing.T, s *Set) {
	t.Helper()
	frags := s.Fragments()
	for i, f := range frags {
		if bytes.Compare(f.Start, f.End) >= 0 || len(f.Seqs) == 0 {
			t.Fatalf("fragment %d is empty: %v", i, frags)
		}
		for j := 1; j < len(f.Seqs); j++ {
			if f.Seqs[j-1] <= f.Seqs[j] {
				t.Fatalf("fragment %d: numbers do not descend: %v", i, f.Seqs)
			}
		}
		if i == 0 {
			continue
		}
		switch c := bytes.Compare(frags[i-1].End, f.Start); {
		case c > 0:
			t.Fatalf("fragments %d and %d overlap: %v", i-1, i, frags)
		case c == 0 && slices.Equal(frags[i-1].Seqs, f.Seqs):
			t.Fatalf("fragments %d and %d should be one: %v", i-1, i, frags)
		}
	}
	if (s.Len() == 0) != s.Empty() || s.Empty() != (s == nil) {
		t.Fatal("an empty Set must be nil")
	}
}

func checkAgainst(t *testing.T, s *Set, ts []Tombstone, seqMax int) {
	t.Helper()
	checkInvariants(t, s)
	up, down, jump := NewCursor(s), NewCursor(s), NewCursor(s)
	for i := -1; i <= keySpace; i++ {
		for visible := base.SeqNum(0); visible <= base.SeqNum(seqMax); visible++ {
			key := keyAt(max(i, 0))
			if i < 0 {
				key = []byte("a")
			}
			want := modelCovering(ts, key, visible)
			if got := s.CoveringSeq(key, visible); got != want {
				t.Fatalf("CoveringSeq(%q, %d) = %d, want %d, of %v", key, visible, got, want, ts)
			}
			if got := up.CoveringSeq(key, visible); got != want {
				t.Fatalf("ascending cursor: CoveringSeq(%q, %d) = %d, want %d, of %v", key, visible, got, want, ts)
			}
			key = keyAt((i + 1) * 13 % keySpace)
			if got, want := jump.CoveringSeq(key, visible), modelCovering(ts, key, visible); got != want {
				t.Fatalf("jumping cursor: CoveringSeq(%q, %d) = %d, want %d, of %v", key, visible, got, want, ts)
			}
			key = keyAt(keySpace - 1 - max(i, 0))
			if got, want := down.CoveringSeq(key, visible), modelCovering(ts, key, visible); got != want {
				t.Fatalf("descending cursor: CoveringSeq(%q, %d) = %d, want %d, of %v", key, visible, got, want, ts)
			}
			f, ok := s.At(key)
			if cf, cok := down.At(key); ok != cok || !bytes.Equal(cf.Start, f.Start) {
				t.Fatalf("cursor's At(%q) = %v, the Set's %v", key, cf, f)
			}
			if ok != (modelCovering(ts, key, base.SeqNumMax) > 0) {
				t.Fatalf("At(%q) = %v, %v", key, f, ok)
			}
			if ok && (bytes.Compare(f.Start, key) > 0 || bytes.Compare(f.End, key) <= 0) {
				t.Fatalf("At(%q) is [%q, %q)", key, f.Start, f.End)
			}
		}
	}
}

func TestSetAnswersLikeAListOfTombstones(t *testing.T) {
	const seqMax = 9
	for seed := range uint64(150) {
		rng := rand.New(rand.NewPCG(seed, 1))
		ts := randomTombstones(rng, rng.IntN(14), seqMax)
		before := slices.Clone(ts)
		checkAgainst(t, Build(ts), ts, seqMax)
		for i := range ts {
			if !bytes.Equal(ts[i].Start, before[i].Start) || ts[i].Seq != before[i].Seq {
				t.Fatalf("seed %d: Build changed its argument", seed)
			}
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func TestMergeIsTheUnionHoweverTombstonesAreSpread(t *testing.T) {
	const seqMax = 9
	for seed := range uint64(120) {
		rng := rand.New(rand.NewPCG(seed, 2))
		var all []Tombstone
		var sets []*Set
		for range rng.IntN(5) {
			ts := randomTombstones(rng, rng.IntN(8), seqMax)
			all = append(all, ts...)
			s := Build(ts)
			switch rng.IntN(3) {
			case 0: // as a table would give it
				var ok bool
				if s, ok = FromFragments(s.Fragments()); !ok {
					t.Fatalf("seed %d: FromFragments refuses what Build made", seed)
				}
			case 1: // cut in two
				at := keyAt(rng.IntN(keySpace))
				sets = append(sets, s.Truncate(nil, at))
				s = s.Truncate(at, nil)
			}
			sets = append(sets, s)
		}
		m := Merge(sets...)
		checkAgainst(t, m, all, seqMax)
		checkAgainst(t, Merge(m, Build(all[:len(all)/2])), all, seqMax)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func TestMergeOfOneSetIsThatSet(t *testing.T) {
	s := Build([]Tombstone{{keyAt(1), keyAt(2), 3}})
	if Merge(nil, s, nil) != s || Merge() != nil || Merge(nil, nil) != nil {
		t.Fatal("Merge copied")
	}
}

func TestTruncateKeepsExactlyTheRange(t *testing.T) {
	const seqMax = 9
	for seed := range uint64(120) {
		rng := rand.New(rand.NewPCG(seed, 3))
		ts := randomTombstones(rng, rng.IntN(10), seqMax)
		start, end := keyAt(rng.IntN(keySpace)), keyAt(rng.IntN(keySpace))
		if rng.IntN(4) == 0 {
			end = nil
		}
		var want []Tombstone
		for _, x := range ts {
			if bytes.Compare(x.Start, start) < 0 {
				x.Start = start
			}
			if end != nil && bytes.Compare(x.End, end) > 0 {
				x.End = end
			}
			want = append(want, x)
		}
		whole := Build(ts)
		checkAgainst(t, whole.Truncate(start, end), want, seqMax)
		checkAgainst(t, whole, ts, seqMax) // cutting does not change the source
		if t.Failed() {
			t.Fatalf("seed %d: [%q, %q) of %v", seed, start, end, ts)
		}
	}
}

func TestTruncateToEmptyRangeIsEmpty(t *testing.T) {
	s := Build([]Tombstone{{keyAt(1), keyAt(9), 3}})
	for _, c := range [][2][]byte{{keyAt(3), keyAt(3)}, {keyAt(4), keyAt(3)}, {nil, {}}, {keyAt(9), nil}} {
		if got := s.Truncate(c[0], c[1]); got != nil {
			t.Errorf("Truncate(%q, %q) = %v", c[0], c[1], got.Fragments())
		}
	}
	if s.Truncate(nil, nil) != s || s.Truncate(keyAt(1), keyAt(9)) != s {
		t.Error("a cut that cuts nothing should not copy")
	}
}

func TestCoversNeedsEveryKeyCovered(t *testing.T) {
	const seqMax = 6
	for seed := range uint64(120) {
		rng := rand.New(rand.NewPCG(seed, 4))
		ts := randomTombstones(rng, rng.IntN(16), seqMax)
		s := Build(ts)
		for range 60 {
			lo, hi := rng.IntN(keySpace), rng.IntN(keySpace)
			above, visible := base.SeqNum(rng.IntN(seqMax)), base.SeqNum(rng.IntN(seqMax+1))
			want := lo <= hi
			for i := lo; i <= hi; i++ {
				want = want && modelCovering(ts, keyAt(i), visible) > above
				// Keys between two of the space count too.
				want = want && (i == hi || modelCovering(ts, append(keyAt(i), 0), visible) > above)
			}
			if got := s.Covers(keyAt(lo), keyAt(hi), above, visible); got != want {
				t.Fatalf("seed %d: Covers(%d, %d, %d, %d) = %v, want %v, of %v", seed, lo, hi, above, visible, got, want, ts)
			}
		}
	}
}

func TestEmptySetDeletesNothing(t *testing.T) {
	var s *Set
	if _, ok := s.At(keyAt(1)); ok || s.Covers(keyAt(1), keyAt(1), 0, base.SeqNumMax) ||
		s.CoveringSeq(keyAt(1), base.SeqNumMax) != 0 || s.Truncate(nil, nil) != nil || s.Bytes() != 0 ||
		s.Fragments() != nil {
		t.Fatal("an empty Set covers a key")
	}
	var c Cursor
	if _, ok := c.At(keyAt(1)); ok || c.CoveringSeq(keyAt(1), base.SeqNumMax) != 0 {
		t.Fatal("an empty Cursor covers a key")
	}
	if Build([]Tombstone{{keyAt(2), keyAt(2), 1}, {keyAt(3), keyAt(2), 1}}) != nil {
		t.Fatal("tombstones of empty ranges make a Set")
	}
	if s, ok := FromFragments(nil); s != nil || !ok {
		t.Fatal("no fragments make a Set")
	}
}

func TestFromFragmentsRefusesDisorder(t *testing.T) {
	one := []base.SeqNum{1}
	for name, frags := range map[string][]Fragment{
		"empty range":        {{keyAt(2), keyAt(2), one}},
		"reversed range":     {{keyAt(3), keyAt(2), one}},
		"no numbers":         {{keyAt(2), keyAt(3), nil}},
		"overlap":            {{keyAt(2), keyAt(4), one}, {keyAt(3), keyAt(5), one}},
		"descending":         {{keyAt(4), keyAt(5), one}, {keyAt(2), keyAt(3), one}},
		"numbers ascend":     {{keyAt(4), keyAt(5), []base.SeqNum{1, 2}}},
		"number given twice": {{keyAt(4), keyAt(5), []base.SeqNum{2, 2}}},
	} {
		if s, ok := FromFragments(frags); ok || s != nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// Windows over time are how range deletes come in practice. Their sequence
// numbers must not cost memory quadratic in their count.
func TestOrderlyWindowsShareSequenceNumbers(t *testing.T) {
	const n = 4000
	key := func(i int) []byte { return fmt.Appendf(nil, "%08d", i) }
	for name, window := range map[string]func(i int) (int, int){
		"growing":           func(i int) (int, int) { return 0, i + 1 },
		"shrinking":         func(i int) (int, int) { return 0, n - i },
		"sliding up":        func(i int) (int, int) { return i, i + n/2 },
		"sliding down":      func(i int) (int, int) { return n - i, n - i + n/2 },
		"nested inwards":    func(i int) (int, int) { return i, 2*n - i },
		"nested outwards":   func(i int) (int, int) { return n - i, n + i + 1 },
		"same":              func(int) (int, int) { return 3, 4 },
		"later start, open": func(i int) (int, int) { return i, n },
	} {
		ts := make([]Tombstone, n)
		for i := range ts {
			lo, hi := window(i)
			ts[i] = Tombstone{key(lo), key(hi), base.SeqNum(i + 1)}
		}
		s := Build(ts)
		checkInvariants(t, s)
		if got := s.Bytes(); got > n*600 {
			t.Errorf("%s: %d tombstones take %d bytes", name, n, got)
		}
		for i := range 50 {
			k := key(i * n / 40)
			if got, want := s.CoveringSeq(k, n/2), modelCovering(ts, k, n/2); got != want {
				t.Errorf("%s: CoveringSeq(%q) = %d, want %d", name, k, got, want)
			}
		}
	}
}

func TestAdjacentPiecesBecomeOneFragment(t *testing.T) {
	s := Build([]Tombstone{{keyAt(1), keyAt(2), 5}, {keyAt(2), keyAt(3), 5}, {keyAt(1), keyAt(3), 5}})
	if s.Len() != 1 || !bytes.Equal(s.Fragments()[0].End, keyAt(3)) {
		t.Fatalf("%v", s.Fragments())
	}
}
