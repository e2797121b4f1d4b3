package main

import (
	"bytes"
	"slices"
	"testing"
)

func TestKeysSortByNumberAndReadBack(t *testing.T) {
	last := appendKey(nil, 0)
	for _, n := range []uint64{1, 9, 10, 11, 99, 100, 12345, 1 << 40, 9_999_999_999_999_999} {
		key := appendKey(nil, n)
		if bytes.Compare(last, key) >= 0 || len(key) != keyBytes {
			t.Fatalf("key %q of %d does not come after %q", key, n, last)
		}
		if got, ok := keyNumber(key); !ok || got != n {
			t.Fatalf("number of %q: %d, %v; want %d", key, got, ok, n)
		}
		last = key
	}
	for _, bad := range []string{"", "1", "000000000000000x", "00000000000000001"} {
		if n, ok := keyNumber([]byte(bad)); ok {
			t.Errorf("%q passes for key %d", bad, n)
		}
	}
}

func TestMissingKeysLieBetweenPresentOnes(t *testing.T) {
	for i := range 100 {
		if !(presentNumber(i) < missingNumber(i) && missingNumber(i) < presentNumber(i+1)) {
			t.Fatalf("at %d: %d, %d, %d", i, presentNumber(i), missingNumber(i), presentNumber(i+1))
		}
	}
}

func TestPermutationsHoldEveryNumberOnceInNoOrder(t *testing.T) {
	for _, n := range []int{1, 2, 3, 4, 5, 7, 16, 17, 100, 1000, 4097, 30_000} {
		for _, seed := range []uint64{0, 1, 1 << 60} {
			p := newPermutation(n, seed)
			seen, inPlace := make([]bool, n), 0
			for i := range n {
				at := p.at(i)
				if at < 0 || at >= n || seen[at] {
					t.Fatalf("n %d, seed %d: %d at %d is a repeat or out of range", n, seed, at, i)
				}
				seen[at] = true
				if at == i {
					inPlace++
				}
			}
			if n >= 1000 && inPlace > 20 {
				t.Errorf("n %d, seed %d: %d of them are in place", n, seed, inPlace)
			}
		}
	}
}

func TestPermutationsDependOnTheSeed(t *testing.T) {
	order := func(seed uint64) (all []int) {
		p := newPermutation(1000, seed)
		for i := range 1000 {
			all = append(all, p.at(i))
		}
		return all
	}
	if slices.Equal(order(1), order(2)) || !slices.Equal(order(1), order(1)) {
		t.Fatal("the seed does not decide the order")
	}
}

func TestSharesAddUp(t *testing.T) {
	for total := range 20 {
		for threads := 1; threads < 7; threads++ {
			sum := 0
			for i := range threads {
				sum += share(total, i, threads)
			}
			if sum != total {
				t.Fatalf("%d between %d: %d", total, threads, sum)
			}
		}
	}
}
