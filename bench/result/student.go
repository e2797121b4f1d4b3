package result

import "math"

// studentTail is the probability that a variable of Student's t distribution with
// df degrees of freedom, which need not be whole, is above t. It is half the
// regularized incomplete beta function I_x(df/2, 1/2) at x = df/(df+t²) for t
// from 0 on (Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.1).
func studentTail(t, df float64) float64 {
	if t < 0 {
		return 1 - studentTail(-t, df)
	}
	if math.IsInf(t, 1) {
		return 0
	}
	return betaIncomplete(df/(df+t*t), t*t/(df+t*t), df/2, 0.5) / 2
}

// studentQuantile is the t that such a variable exceeds with probability tail,
// which lies between 0 and 1: the inverse of studentTail.
func studentQuantile(tail, df float64) float64 {
	if tail > 0.5 {
		return -studentQuantile(1-tail, df)
	}
	low, high := 0.0, 1.0
	for studentTail(high, df) > tail && high < 1e300 {
		low, high = high, 2*high
	}
	// Newton's method, and bisection where it would leave the bracket.
	t := low + (high-low)/2
	for range 100 {
		excess := studentTail(t, df) - tail
		if excess > 0 {
			low = t
		} else {
			high = t
		}
		next := t + excess/studentDensity(t, df)
		if !(next > low && next < high) {
			next = low + (high-low)/2
		}
		if math.Abs(next-t) <= 1e-13*high {
			return next
		}
		t = next
	}
	return t
}

// studentDensity is the derivative of the distribution at t.
func studentDensity(t, df float64) float64 {
	lgAbove, _ := math.Lgamma((df + 1) / 2)
	lgBelow, _ := math.Lgamma(df / 2)
	return math.Exp(lgAbove-lgBelow-(df+1)/2*math.Log1p(t*t/df)) / math.Sqrt(df*math.Pi)
}

// betaIncomplete is I_x(a, b), with y = 1-x given apart since the difference
// may be too small for x to show.
func betaIncomplete(x, y, a, b float64) float64 {
	switch {
	case x <= 0:
		return 0
	case y <= 0:
		return 1
	}
	lgAB, _ := math.Lgamma(a + b)
	lgA, _ := math.Lgamma(a)
	lgB, _ := math.Lgamma(b)
	front := math.Exp(lgAB - lgA - lgB + a*math.Log(x) + b*math.Log(y))
	// The fraction converges fast below the mean; above it the symmetry
	// I_x(a, b) = 1 - I_y(b, a) helps.
	if x < (a+1)/(a+b+2) {
		return front * betaFraction(x, a, b) / a
	}
	return 1 - front*betaFraction(y, b, a)/b
}

// betaFraction is the continued fraction 1/(1+ d1/(1+ d2/(1+ …))) of the
// incomplete beta function (Abramowitz and Stegun, 26.5.8), by Lentz's method:
// the ratios of successive numerators and of successive denominators are kept
// instead of these, which would overflow.
func betaFraction(x, a, b float64) float64 {
	const tiny, precision, termsMax = 1e-300, 1e-15, 10_000
	nonzero := func(v float64) float64 {
		if math.Abs(v) < tiny {
			return tiny
		}
		return v
	}
	numerators, denominators, f := 1.0, 0.0, 1.0
	for i := 1; i <= termsMax; i++ {
		m := float64(i / 2)
		d := m * (b - m) * x / ((a + 2*m - 1) * (a + 2*m))
		if i%2 == 1 {
			d = -(a + m) * (a + b + m) * x / ((a + 2*m) * (a + 2*m + 1))
		}
		numerators = nonzero(1 + d/numerators)
		denominators = 1 / nonzero(1+d*denominators)
		f *= numerators * denominators
		if math.Abs(numerators*denominators-1) < precision {
			break
		}
	}
	return 1 / f
}
