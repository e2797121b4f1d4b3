package db

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
)

// wideSet is a read set as a list, to compare with.
type wideSet struct {
	keys   []string
	ranges [][3]string // keyspace and lower, keyspace and upper, "open" or ""
}

func spaced(keyspace uint32, key []byte) string { return fmt.Sprintf("%d/%s", keyspace, key) }

func (w *wideSet) hasKey(keyspace uint32, key []byte) bool {
	k := spaced(keyspace, key)
	for _, have := range w.keys {
		if have == k {
			return true
		}
	}
	for _, r := range w.ranges {
		if r[0][:2] == k[:2] && r[0] <= k && (r[2] != "" || k < r[1]) {
			return true
		}
	}
	return false
}

func (w *wideSet) overlaps(keyspace uint32, start, end []byte) bool {
	lo, hi := spaced(keyspace, start), spaced(keyspace, end)
	for _, k := range w.keys {
		if lo <= k && k < hi {
			return true
		}
	}
	for _, r := range w.ranges {
		if r[0][:2] == lo[:2] && r[0] < hi && (r[2] != "" || lo < r[1]) && lo < hi {
			return true
		}
	}
	return false
}

func randomKey(rng *rand.Rand) []byte {
	key := make([]byte, rng.IntN(4))
	for i := range key {
		key[i] = 'a' + byte(rng.IntN(4))
	}
	return key
}

// fillRandomly adds n keys and ranges to both.
func fillRandomly(rng *rand.Rand, n int, r *readSet, w *wideSet) {
	for range n {
		ks := uint32(rng.IntN(3))
		if rng.IntN(3) > 0 {
			key := randomKey(rng)
			r.addKey(ks, key)
			w.keys = append(w.keys, spaced(ks, key))
			continue
		}
		lower, upper, open := randomKey(rng), randomKey(rng), rng.IntN(10) == 0
		r.addRange(ks, lower, upper, open)
		if open || bytes.Compare(lower, upper) < 0 {
			rg := [3]string{spaced(ks, lower), spaced(ks, upper), ""}
			if open {
				rg[2] = "open"
			}
			w.ranges = append(w.ranges, rg)
		}
	}
}

func TestReadSetAnswersLikeAList(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 1))
	var r readSet
	for round := range 300 {
		var w wideSet
		r.reset()
		fillRandomly(rng, rng.IntN(20), &r, &w)
		r.seal()
		for range 100 {
			ks, a, b := uint32(rng.IntN(4)), randomKey(rng), randomKey(rng)
			if got, want := r.hasKey(ks, a), w.hasKey(ks, a); got != want {
				t.Fatalf("seed %d round %d: hasKey(%d, %q) = %v, want %v of %+v", seed, round, ks, a, got, want, w)
			}
			if bytes.Compare(a, b) >= 0 {
				continue
			}
			if got, want := r.overlaps(ks, a, b), w.overlaps(ks, a, b); got != want {
				t.Fatalf("seed %d round %d: overlaps(%d, %q, %q) = %v, want %v of %+v", seed, round, ks, a, b, got, want, w)
			}
		}
	}
}

func TestReadSetOverItsBoundCoversAtLeastWhatWasRead(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 1))
	narrower := 0
	for range 200 {
		r, w := readSet{max: 300}, wideSet{}
		fillRandomly(rng, 60, &r, &w)
		if r.size() > 300+2*readRangeBytes {
			t.Fatalf("seed %d: %d bytes", seed, r.size())
		}
		r.seal()
		for range 60 {
			ks, a, b := uint32(rng.IntN(3)), randomKey(rng), randomKey(rng)
			if w.hasKey(ks, a) && !r.hasKey(ks, a) {
				t.Fatalf("seed %d: %d/%q is lost", seed, ks, a)
			}
			if bytes.Compare(a, b) < 0 && w.overlaps(ks, a, b) && !r.overlaps(ks, a, b) {
				t.Fatalf("seed %d: %d/[%q, %q) is lost", seed, ks, a, b)
			}
			if !r.hasKey(ks, a) {
				narrower++
			}
		}
	}
	if narrower == 0 {
		t.Error("the sets hold everything: nothing was tested")
	}
}

func TestReadSetBoundsItsMemory(t *testing.T) {
	r := readSet{max: 64 * kib}
	for i := range 100_000 {
		r.addKey(0, fmt.Appendf(nil, "key-%08d", i))
		if size := r.size(); size > 64*kib+256 {
			t.Fatalf("%d bytes after %d keys", size, i)
		}
	}
	r.seal()
	if !r.hasKey(0, []byte("key-00000000")) || !r.hasKey(0, []byte("key-00099999")) {
		t.Error("keys are lost")
	}
	if r.hasKey(0, []byte("key-00100000")) || r.hasKey(1, []byte("key-00000000")) {
		t.Error("the set holds what was never read")
	}
}

func TestReadSetOfRepeatedReadsStaysSmall(t *testing.T) {
	r := readSet{max: 4 * kib}
	for i := range 10_000 {
		r.addKey(0, []byte{byte('a' + i%7)})
	}
	r.seal()
	if len(r.keys) != 7 || len(r.ranges) != 0 {
		t.Errorf("%d keys and %d ranges of 7 keys", len(r.keys), len(r.ranges))
	}
}
