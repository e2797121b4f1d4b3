package workload

import "math/bits"

// mix spreads a number over all 64 bits (Steele, Lea and Flood, "Fast
// Splittable Pseudorandom Number Generators", 2014: the splitmix64 finisher).
func mix(x uint64) uint64 {
	x += golden
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// golden is 2^64 divided by the golden ratio: splitmix64's step.
const golden = 0x9e3779b97f4a7c15

// random is a splitmix64 generator: two numbers in the time of one cache miss
// would already cost more than the answers that are measured.
type random struct{ state uint64 }

func newRandom(seed uint64) random { return random{mix(seed)} }

func (r *random) uint64() uint64 {
	x := mix(r.state)
	r.state += golden
	return x
}

// below returns a number in [0, n); n is not 0. The bias, at most n in 2^64, is
// far under what any run could show.
func (r *random) below(n uint64) uint64 {
	high, _ := bits.Mul64(r.uint64(), n)
	return high
}

// float returns a number in [0, 1).
func (r *random) float() float64 { return float64(r.uint64()>>11) / (1 << 53) }

// permutation is a random order of 0..n-1 that takes no memory: a Feistel
// network over the next even power of two, walked until it falls below n
// (Black and Rogaway, "Ciphers with Arbitrary Finite Domains", 2002).
type permutation struct {
	n        uint64
	halfBits uint
	seed     uint64
}

func newPermutation(n, seed uint64) permutation {
	width := max(2, bits.Len64(n-1))
	return permutation{n: n, halfBits: uint(width+1) / 2, seed: seed}
}

// at is the element at place i, which is below n.
func (p permutation) at(i uint64) uint64 {
	for {
		if i = p.shuffle(i); i < p.n {
			return i
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
