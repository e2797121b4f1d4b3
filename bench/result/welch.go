package result

import (
	"fmt"
	"math"
	"slices"
)

// welchTests are the tests of one comparison, before the correction for their
// number.
type welchTests struct {
	enough          bool // rounds for a test
	pWorse, pBetter float64
	within          bool // the whole interval is above what the limit allows
	advice          string
}

// lens is a way of looking at the difference of two runs: the logarithm of how
// much worse the new one is.
type lens struct {
	worse, deviation, df float64
}

// compareMetric compares one metric of two summaries that both have it.
func compareMetric(a, b *Summary, m *Metric, name string, o *RegressOptions) (Comparison, welchTests) {
	c := Comparison{Set: a.Set, Workload: a.Workload, Engine: a.Engine, Metric: name, PWorse: 1, PBetter: 1}
	olds, oldSpeeds := logValues(a, name)
	news, newSpeeds := logValues(b, name)
	c.OldN, c.NewN = len(olds), len(news)
	oldMean, _ := moments(olds)
	newMean, _ := moments(news)
	if c.OldN == 0 || c.NewN == 0 {
		c.Reason = "it was zero in all rounds of a run: there is no ratio"
		return c, welchTests{}
	}
	c.Old, c.New = math.Exp(oldMean), math.Exp(newMean)
	sign := 1.0 // of what is worse
	if m.Better == Higher {
		sign = -1
	}
	lenses := []lens{welch(olds, news, sign)}
	exponent := speedExponent(m)
	if oldSpeeds != nil && newSpeeds != nil {
		oldSpeed, _ := moments(oldSpeeds)
		newSpeed, _ := moments(newSpeeds)
		c.OldSpeed, c.NewSpeed = math.Exp(oldSpeed), math.Exp(newSpeed)
		if exponent != 0 {
			c.SpeedCorrected = true
			lenses = append(lenses, welch(minus(olds, oldSpeeds, exponent), minus(news, newSpeeds, exponent), sign))
		}
	}
	c.Change = c.New/c.Old - 1
	c.Low, c.High = c.Change, c.Change
	if min(c.OldN, c.NewN) < RoundsMin {
		c.Reason = fmt.Sprintf("%d and %d rounds are too few: run both with -rounds %d or more", c.OldN, c.NewN, RoundsMin)
		return c, welchTests{}
	}
	return c, c.test(lenses, sign, m.Better, o)
}

// test carries out the tests through all lenses: the weakest counts.
func (c *Comparison) test(lenses []lens, sign float64, better Better, o *RegressOptions) welchTests {
	worseLimit, betterLimit := limits(o.Limit, better)
	t := welchTests{enough: true, within: true}
	low, high := math.Inf(1), math.Inf(-1) // of the logarithm of new/old
	widest := 0.0
	for _, l := range lenses {
		t.pWorse = max(t.pWorse, l.tail(l.worse-worseLimit))
		t.pBetter = max(t.pBetter, l.tail(-l.worse-betterLimit))
		if l.tail(worseLimit-l.worse) > 1-o.Confidence {
			t.within = false
		}
		half := 0.0
		if l.deviation > 0 {
			half = l.deviation * studentQuantile((1-o.Confidence)/2, l.df)
		}
		widest = max(widest, half)
		low, high = min(low, sign*l.worse-half), max(high, sign*l.worse+half)
	}
	c.Low, c.High = math.Expm1(low), math.Expm1(high)
	t.advice = c.advise(lenses, widest, worseLimit)
	return t
}

// advise says what would tell more.
func (c *Comparison) advise(lenses []lens, half, limit float64) string {
	if len(lenses) > 1 && math.Abs(lenses[0].worse-lenses[1].worse) > max(limit, half/2) {
		return fmt.Sprintf("the machine's speed differs by %.0f%% between the runs: measure both again, at the same time if possible",
			100*(max(c.OldSpeed, c.NewSpeed)/min(c.OldSpeed, c.NewSpeed)-1))
	}
	// The interval shrinks with the root of the number of rounds. Round figures
	// keep the advice the same for many comparisons.
	n := min(c.OldN, c.NewN)
	wanted := float64(n) * sq(half/max(limit, 1e-3))
	for _, rounds := range []int{5, 7, 10, 15, 20, 30} {
		if rounds > n && half > limit && float64(rounds) >= wanted {
			return fmt.Sprintf("the rounds are too far apart: about %d rounds in both runs would tell", rounds)
		}
	}
	if half > limit {
		return "the rounds are much further apart than the limit: measure longer phases on a quieter machine, or allow more"
	}
	return "it is too close to the limit to tell: more rounds may"
}

func sq(v float64) float64 { return v * v }

// tail is the probability of a difference at least as far above its true value
// as excess is above zero.
func (l lens) tail(excess float64) float64 {
	if l.deviation == 0 {
		if excess > 1e-9 { // more than rounding
			return 0
		}
		return 1
	}
	return studentTail(excess/l.deviation, l.df)
}

// welch compares the means of two samples of at least one value, without assuming
// that they vary alike. The degrees of freedom are Welch's and Satterthwaite's.
func welch(olds, news []float64, sign float64) lens {
	oldMean, oldVariance := moments(olds)
	newMean, newVariance := moments(news)
	a, b := oldVariance/float64(len(olds)), newVariance/float64(len(news))
	l := lens{worse: sign * (newMean - oldMean), deviation: math.Sqrt(a + b)}
	if l.deviation > 0 {
		l.df = sq(a+b) / (sq(a)/max(1, float64(len(olds)-1)) + sq(b)/max(1, float64(len(news)-1)))
	}
	return l
}

// logValues are the logarithms of a metric in the rounds where it is above zero,
// and those of the machine's speed in the same phases; speeds is nil if one of them
// is not known.
func logValues(s *Summary, metric string) (values, speeds []float64) {
	known := true
	for _, v := range s.Stats[metric].Values {
		if v.Value <= 0 {
			continue
		}
		values = append(values, math.Log(v.Value))
		i := slices.IndexFunc(s.Phases, func(p *Phase) bool { return p.Round == v.Round })
		if s.Phases[i].SpeedNS <= 0 {
			known = false
			continue
		}
		speeds = append(speeds, math.Log(float64(s.Phases[i].SpeedNS)))
	}
	if !known {
		return values, nil
	}
	return values, speeds
}

// speedExponent is the power of a fixed piece of work's time with which a metric
// grows if the whole phase hangs on the machine's speed.
func speedExponent(m *Metric) float64 {
	switch m.Unit {
	case "µs", "ns", "s":
		return 1
	case "ops/s", "/s", "MB/s":
		return -1
	}
	return 0
}

// minus takes the speed out of values.
func minus(values, speeds []float64, exponent float64) []float64 {
	rest := make([]float64, len(values))
	for i := range values {
		rest[i] = values[i] - exponent*speeds[i]
	}
	return rest
}
