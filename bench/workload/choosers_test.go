package workload

import (
	"encoding/binary"
	"errors"
	"hash/fnv"
	"math"
	"testing"
)

// deviation compares counts with what is expected of them, by chi-square and by
// Kolmogorov and Smirnov's largest difference of the sums, which finds small
// shifts. A sound chooser stays below 4.5: in standard deviations of the former,
// or twice the latter's statistic.
func deviation(counts []int, expected []float64) float64 {
	got, want, worst := 0.0, 0.0, 0.0
	for i := range counts {
		got, want = got+float64(counts[i]), want+expected[i]
		worst = max(worst, math.Abs(got-want))
	}
	return max(chiSquare(counts, expected), 2*worst/math.Sqrt(want))
}

// chiSquare is how many standard deviations the sum lies above its mean, by
// Wilson and Hilferty's approximation. Rare outcomes are pooled.
func chiSquare(counts []int, expected []float64) float64 {
	sum, cells := 0.0, -1.0
	pooledCount, pooledExpected := 0.0, 0.0
	add := func(count, want float64) {
		sum += (count - want) * (count - want) / want
		cells++
	}
	for i, want := range expected {
		if pooledCount, pooledExpected = pooledCount+float64(counts[i]), pooledExpected+want; pooledExpected >= 10 {
			add(pooledCount, pooledExpected)
			pooledCount, pooledExpected = 0, 0
		}
	}
	if pooledExpected > 0 {
		add(pooledCount, pooledExpected)
	}
	k := max(cells, 1)
	return (math.Cbrt(sum/k) - (1 - 2/(9*k))) / math.Sqrt(2/(9*k))
}

func draw(t *testing.T, chooser string, n uint64, draws int) []int {
	t.Helper()
	d, err := ParseChooser(chooser)
	if err != nil {
		t.Fatal(err)
	}
	c := d.New(n, 12345)
	counts := make([]int, n)
	for range draws {
		i := c.Next(n)
		if i >= n {
			t.Fatalf("%s chose %d of %d", chooser, i, n)
		}
		counts[i]++
	}
	return counts
}

const draws = 200_000

func TestUniformIsUniform(t *testing.T) {
	for _, n := range []uint64{1, 2, 10, 1000} {
		expected := make([]float64, n)
		for i := range expected {
			expected[i] = draws / float64(n)
		}
		if z := deviation(draw(t, "uniform", n, draws), expected); z > 4.5 {
			t.Errorf("n=%d: %.1f deviations off", n, z)
		}
	}
}

// grayChance is the chance of rank k by Gray et al.'s method: of u between the
// two ends at which it goes over to the next rank.
func grayChance(k, n uint64, theta float64) float64 {
	zetaN := zetaByHand(n, theta)
	upTo := func(k uint64) float64 { // the u below which the rank is below k
		switch {
		case k == 0:
			return 0
		case k == 1:
			return 1 / zetaN
		case k == 2:
			return (1 + math.Pow(0.5, theta)) / zetaN
		case k >= n:
			return 1
		}
		eta := (1 - math.Pow(2/float64(n), 1-theta)) / (1 - zetaByHand(2, theta)/zetaN)
		return max((math.Pow(float64(k)/float64(n), 1-theta)-1+eta)/eta, (1+math.Pow(0.5, theta))/zetaN)
	}
	return upTo(k+1) - upTo(k)
}

func zetaByHand(n uint64, theta float64) float64 {
	sum := 0.0
	for k := n; k >= 1; k-- {
		sum += math.Pow(float64(k), -theta)
	}
	return sum
}

func TestZetaIsExactForEveryLength(t *testing.T) {
	for _, theta := range []float64{0.01, 0.5, 0.99} {
		z := newZetaSum(theta)
		for _, n := range []uint64{1, 2, 3, 63, 64, 65, 66, 100, 1000, 123_457, 1_000_000} {
			if got, want := z.at(n), zetaByHand(n, theta); math.Abs(got/want-1) > 1e-12 {
				t.Errorf("zeta(%d, %v) = %v, want %v", n, theta, got, want)
			}
		}
	}
	// YCSB's constant for its scrambled zipfian.
	z := newZetaSum(0.99)
	if got := z.at(scrambledRanks); math.Abs(got-26.46902820178302) > 1e-9 {
		t.Errorf("zeta of ten thousand million is %v", got)
	}
}

func TestZipfianFollowsGray(t *testing.T) {
	for _, c := range []struct {
		chooser string
		theta   float64
		n       uint64
	}{{"zipfian", 0.99, 1000}, {"zipfian:0.5", 0.5, 1000}, {"zipfian:0.8", 0.8, 100}, {"zipfian", 0.99, 3}, {"zipfian", 0.99, 2}} {
		expected := make([]float64, c.n)
		for k := range expected {
			expected[k] = grayChance(uint64(k), c.n, c.theta) * draws
		}
		if z := deviation(draw(t, c.chooser, c.n, draws), expected); z > 4.5 {
			t.Errorf("%s of %d: %.1f deviations off", c.chooser, c.n, z)
		}
	}
}

func TestZipfianIsCloseToItsLaw(t *testing.T) {
	const n, theta = 1000, 0.99
	counts := draw(t, "zipfian", n, draws)
	zetaN := zetaByHand(n, theta)
	sum, law, worst := 0.0, 0.0, 0.0
	for k, count := range counts {
		sum += float64(count) / draws
		law += math.Pow(float64(k+1), -theta) / zetaN
		worst = max(worst, math.Abs(sum-law))
	}
	if worst > 0.03 {
		t.Errorf("the distribution function is off by %.3f", worst)
	}
}

func TestZipfianGrowsWithTheRecords(t *testing.T) {
	d, err := ParseChooser("zipfian")
	if err != nil {
		t.Fatal(err)
	}
	c := d.New(1000, 1)
	for n := uint64(1); n < 500; n++ {
		if c.Next(n) >= n {
			t.Fatalf("beyond %d", n)
		}
	}
	counts := make([]int, 500)
	for range draws {
		counts[c.Next(500)]++
	}
	expected := make([]float64, 500)
	for k := range expected {
		expected[k] = grayChance(uint64(k), 500, 0.99) * draws
	}
	if z := deviation(counts, expected); z > 4.5 {
		t.Errorf("after growing: %.1f deviations off", z)
	}
}

func TestLatestIsZipfianBackwards(t *testing.T) {
	const n = 300
	expected := make([]float64, n)
	for k := range expected {
		expected[n-1-k] = grayChance(uint64(k), n, 0.99) * draws
	}
	if z := deviation(draw(t, "latest", n, draws), expected); z > 4.5 {
		t.Errorf("%.1f deviations off", z)
	}
}

// The chance of a record is the sum over the ranks that hash to it. The first
// ranks have their own chances; the others, nearly as many for each record, share
// what is left evenly.
func TestScrambledIsHashedZipfian(t *testing.T) {
	const n, single = 100, 50_000
	zeta := newZetaSum(0.99)
	zetaN := zeta.at(scrambledRanks)
	eta := (1 - math.Pow(2/float64(scrambledRanks), 0.01)) / (1 - zeta.at(2)/zetaN)
	upTo := func(k uint64) float64 {
		switch k {
		case 0:
			return 0
		case 1:
			return 1 / zetaN
		case 2:
			return (1 + math.Pow(0.5, 0.99)) / zetaN
		}
		return max((math.Pow(float64(k)/scrambledRanks, 0.01)-1+eta)/eta, (1+math.Pow(0.5, 0.99))/zetaN)
	}
	expected := make([]float64, n)
	for k := range uint64(single) {
		expected[fnv64(k)%n] += (upTo(k+1) - upTo(k)) * draws
	}
	for i := range expected {
		expected[i] += (1 - upTo(single)) * draws / n
	}
	if z := deviation(draw(t, "scrambled", n, draws), expected); z > 4.5 {
		t.Errorf("%.1f deviations off", z)
	}
}

func TestHashIsThatOfYCSB(t *testing.T) {
	for _, x := range []uint64{0, 1, 42, 1 << 40, math.MaxUint64} {
		h := fnv.New64a()
		h.Write(binary.LittleEndian.AppendUint64(nil, x)) // never fails
		want := int64(h.Sum64())
		if got := fnv64(x); int64(got) != max(want, -want) {
			t.Errorf("the hash of %d is %d, want %d without its sign", x, got, want)
		}
	}
}

func TestScrambledKeepsItsHotKeysAsRecordsAreAdded(t *testing.T) {
	d, err := ParseChooser("scrambled")
	if err != nil {
		t.Fatal(err)
	}
	hottest := func(n uint64) (best int) {
		c, counts := d.New(200, 5), make([]int, n)
		for range 100_000 {
			counts[c.Next(n)]++
		}
		for i, count := range counts {
			if count > counts[best] {
				best = i
			}
		}
		return best
	}
	if a, b := hottest(150), hottest(200); a != b && b < 150 {
		t.Errorf("the hottest of 150 is %d, of 200 it is %d", a, b)
	}
}

func TestHotspotSharesOut(t *testing.T) {
	expected := make([]float64, 1000)
	for i := range expected {
		expected[i] = draws * 0.2 / 800
		if i < 200 {
			expected[i] = draws * 0.8 / 200
		}
	}
	if z := deviation(draw(t, "hotspot:0.2,0.8", 1000, draws), expected); z > 4.5 {
		t.Errorf("%.1f deviations off", z)
	}
	for i, count := range draw(t, "hotspot:0.01,1", 1000, 1000) {
		if i >= 10 && count > 0 {
			t.Fatalf("record %d is outside of the hot hundredth", i)
		}
	}
}

func TestExponentialFallsOffFromTheNewest(t *testing.T) {
	const n = 500
	gamma := -math.Log(1-0.95) / (exponentialFraction * n)
	whole := 1 - math.Exp(-gamma*n)
	expected := make([]float64, n)
	for back := range expected {
		p := math.Exp(-gamma*float64(back)) - math.Exp(-gamma*float64(back+1))
		expected[n-1-back] = p / whole * draws
	}
	if z := deviation(draw(t, "exponential", n, draws), expected); z > 4.5 {
		t.Errorf("%.1f deviations off", z)
	}
}

func TestOrdersTakeTurns(t *testing.T) {
	for _, chooser := range []string{"sequential", "shuffled"} {
		d, err := ParseChooser(chooser)
		if err != nil {
			t.Fatal(err)
		}
		const n, clients, run = 60, 3, 5
		seen := map[uint64]int{}
		var turns [clients]Chooser
		for i := range turns {
			turns[i] = d.newShared(n, 9, uint64(i), clients, run)
		}
		at := uint64(0)
		for range n / clients / run {
			for _, c := range turns {
				for range run {
					i := c.Next(n)
					if chooser == "sequential" && i != at {
						t.Fatalf("%d comes where %d must", i, at)
					}
					at++
					seen[i]++
				}
			}
		}
		for i := range uint64(n) {
			if seen[i] != 1 {
				t.Fatalf("%s: %d comes %d times", chooser, i, seen[i])
			}
		}
	}
}

func TestShuffledIsShuffled(t *testing.T) {
	d, _ := ParseChooser("shuffled")
	c := d.New(1000, 3)
	ascending, last := 0, uint64(0)
	for range 1000 {
		i := c.Next(1000)
		if i > last {
			ascending++
		}
		last = i
	}
	if ascending < 420 || ascending > 580 {
		t.Errorf("%d of 1000 steps go up", ascending)
	}
}

func TestKeyRangesHaveTheirPublishedShares(t *testing.T) {
	const n = 30_000
	counts := draw(t, "keyranges", n, draws)
	order := newPermutation(rangeCount, 12345)
	got, expected, sum := make([]int, rangeCount), make([]float64, rangeCount), 0.0
	for x := range got {
		at := order.at(uint64(x))
		for _, count := range counts[at*n/rangeCount : (at+1)*n/rangeCount] {
			got[x] += count
		}
		expected[x] = 14.18*math.Exp(-2.917*float64(x+1)) + 0.0164*math.Exp(-0.08082*float64(x+1))
		sum += expected[x]
	}
	for x := range expected {
		expected[x] *= draws / sum
	}
	if z := deviation(got, expected); z > 4.5 {
		t.Errorf("%.1f deviations off: %v, want %v", z, got, expected)
	}
	// By the power law, few keys of a range take many of its reads.
	hot := 0
	for _, count := range counts {
		if count > 50*draws/n {
			hot++
		}
	}
	if hot == 0 || hot > n/50 {
		t.Errorf("%d of %d keys are much hotter than the rest", hot, n)
	}
	for n := range uint64(40) {
		draw(t, "keyranges", n+1, 100)
	}
}

func TestChoosersAreReadAndWritten(t *testing.T) {
	for in, out := range map[string]string{
		"": "uniform", "uniform": "uniform", " zipfian ": "zipfian:0.99", "zipfian:0.5": "zipfian:0.5", "scrambled": "scrambled:0.99",
		"latest:0.7": "latest:0.7", "sequential": "sequential", "shuffled": "shuffled", "hotspot": "hotspot:0.2,0.8",
		"hotspot:0.1": "hotspot:0.1,0.8", "exponential:90,0.5": "exponential:90,0.5", "keyranges": "keyranges",
	} {
		d, err := ParseChooser(in)
		if err != nil || d.String() != out {
			t.Errorf("%q is %q, %v; want %q", in, d, err, out)
			continue
		}
		if again, err := ParseChooser(d.String()); err != nil || again.String() != out {
			t.Errorf("%q came back as %q, %v", out, again, err)
		}
	}
	for _, bad := range []string{"dice", "zipfian:1", "zipfian:0", "zipfian:nan", "zipfian:x", "zipfian:0.5,0.5", "uniform:1",
		"hotspot:2,0.5", "hotspot:0,1", "hotspot:0.1,-1", "exponential:100,1", "exponential:95,0", "latest:-1", "sequential:", "zipfian:"} {
		if _, err := ParseChooser(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		} else if _, ok := errors.AsType[*UsageError](err); !ok {
			t.Errorf("%q: %T", bad, err)
		}
	}
}
