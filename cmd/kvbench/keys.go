package main

import "math/bits"

// keyBytes is the length of every key of the generated sets.
const keyBytes = 16

// presentNumber is the number of the i-th key that a set stores. The odd
// numbers between them are never stored.
func presentNumber(i int) uint64 { return 2 * uint64(i) }

// missingNumber is the number of a key just above the i-th present one.
func missingNumber(i int) uint64 { return 2*uint64(i) + 1 }

// appendKey appends the key with the given number: 16 decimal digits, so that
// keys sort by number.
func appendKey(dst []byte, number uint64) []byte {
	var digits [keyBytes]byte
	for i := keyBytes - 1; i >= 0; i-- {
		digits[i] = byte('0' + number%10)
		number /= 10
	}
	return append(dst, digits[:]...)
}

// keyNumber is the number of a key, or ok=false if it is not one of ours.
func keyNumber(key []byte) (number uint64, ok bool) {
	if len(key) != keyBytes {
		return 0, false
	}
	for _, c := range key {
		if c < '0' || c > '9' {
			return 0, false
		}
		number = number*10 + uint64(c-'0')
	}
	return number, true
}

// permutation is a random order of 0..n-1 that takes no memory: a Feistel
// network over the next even power of two, walked until it falls below n
// (Black and Rogaway, "Ciphers with Arbitrary Finite Domains", 2002).
type permutation struct {
	n        uint64
	halfBits uint
	seed     uint64
}

func newPermutation(n int, seed uint64) permutation {
	width := max(2, bits.Len64(uint64(n-1)))
	return permutation{n: uint64(n), halfBits: uint(width+1) / 2, seed: seed}
}

// at is the element at place i, which is below n.
func (p permutation) at(i int) int {
	x := uint64(i)
	for {
		if x = p.shuffle(x); x < p.n {
			return int(x)
		}
	}
}

func (p permutation) shuffle(x uint64) uint64 {
	mask := uint64(1)<<p.halfBits - 1
	left, right := x>>p.halfBits, x&mask
	for round := range uint64(4) {
		left, right = right, left^(mix(right^p.seed^round<<56)&mask)
	}
	return left<<p.halfBits | right
}

// mix spreads a number over all 64 bits (Steele, Lea and Flood, "Fast
// Splittable Pseudorandom Number Generators", 2014: the splitmix64 finisher).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
