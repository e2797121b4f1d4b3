package workload

import "math"

// zipfian chooses ranks, 0 the most frequent, by the method of Gray et al.,
// "Quickly Generating Billion-Record Synthetic Databases", SIGMOD 1994, which
// YCSB uses: exact for the two first ranks, and close to k^-theta for the rest.
// The number of ranks may grow from call to call.
type zipfian struct {
	theta, alpha float64
	zeta2        float64 // also the end of rank 1, as a share of zetaN
	zeta         zetaSum
	n            uint64
	zetaN, eta   float64
}

func newZipfian(theta float64) zipfian {
	z := zipfian{theta: theta, alpha: 1 / (1 - theta), zeta: newZetaSum(theta)}
	z.zeta2 = z.zeta.at(2)
	return z
}

func (z *zipfian) resize(n uint64) {
	z.n = n
	z.zetaN = z.zeta.at(n)
	z.eta = (1 - math.Pow(2/float64(n), 1-z.theta)) / (1 - z.zeta2/z.zetaN)
}

// next returns a rank below n for u in [0, 1).
func (z *zipfian) next(u float64, n uint64) uint64 {
	if n != z.n {
		z.resize(n)
	}
	uz := u * z.zetaN
	switch {
	case uz < 1 || n == 1:
		return 0
	case uz < z.zeta2 || n == 2:
		return 1
	}
	// Pow takes twice as long as this, for digits that no rank shows.
	rank := uint64(float64(n) * math.Exp(z.alpha*math.Log(z.eta*u-z.eta+1)))
	return min(rank, n-1)
}

// zetaSum is the sum of k^-theta for k from 1 to n. The first terms are added up;
// for the others it takes the Euler-Maclaurin formula, whose error is below one
// part in 10^14 from the 64th term on, so that it costs the same for any n.
type zetaSum struct {
	theta float64
	first [zetaTerms + 1]float64
	rest  float64 // what first[zetaTerms] is more than the formula gives for it
}

const zetaTerms = 64

func newZetaSum(theta float64) zetaSum {
	z := zetaSum{theta: theta}
	for k := 1; k <= zetaTerms; k++ {
		z.first[k] = z.first[k-1] + math.Pow(float64(k), -theta)
	}
	z.rest = z.first[zetaTerms] - z.formula(zetaTerms)
	return z
}

func (z *zetaSum) at(n uint64) float64 {
	if n <= zetaTerms {
		return z.first[n]
	}
	return z.rest + z.formula(float64(n))
}

// formula is the Euler-Maclaurin formula without its constant.
func (z *zetaSum) formula(n float64) float64 {
	t, power := z.theta, math.Pow(n, -z.theta)
	return n*power/(1-t) + power/2 - t*power/(12*n) + t*(t+1)*(t+2)*power/(720*n*n*n)
}
