package workload

import (
	"errors"
	"math"
	"testing"
)

func sizesOf(t *testing.T, s string) Sizes {
	t.Helper()
	sizes, err := ParseSizes(s)
	if err != nil {
		t.Fatal(err)
	}
	return sizes
}

// lengthsOf counts lengths for evenly spread random numbers.
func lengthsOf(t *testing.T, sizes Sizes, n int) (sorted []float64, mean float64) {
	t.Helper()
	r := newRandom(99)
	counts := map[int]int{}
	for range n {
		length := sizes.At(r.uint64())
		if length < ValueBytesMin || length > sizes.Max() {
			t.Fatalf("%s: a length of %d", sizes, length)
		}
		counts[length]++
		mean += float64(length)
	}
	sorted = make([]float64, sizes.Max()+2) // the part that is shorter
	below := 0
	for length := range sorted {
		sorted[length] = float64(below) / float64(n)
		below += counts[length]
	}
	return sorted, mean / float64(n)
}

func TestMeansAreTrue(t *testing.T) {
	for _, s := range []string{"100", "16..16", "100..2000", "normal:400,80", "normal:20,30", "pareto:200,0.3", "pareto:25.45,0.2615,4KiB",
		"list:100x90,1KiBx9,64KiB", "etc", "udb", "zippydb", "up2x"} {
		sizes := sizesOf(t, s)
		_, mean := lengthsOf(t, sizes, 400_000)
		if math.Abs(mean/sizes.Mean()-1) > 0.02 {
			t.Errorf("%s: the mean is %.2f, of lengths %.2f", s, sizes.Mean(), mean)
		}
	}
}

// maxDeviation is the largest difference between the shares of shorter lengths
// and a distribution function of lengths that are rounded.
func maxDeviation(below []float64, function func(x float64) float64) (worst float64) {
	for length := ValueBytesMin + 1; length < len(below)-1; length++ {
		worst = max(worst, math.Abs(below[length]-function(float64(length)-0.5)))
	}
	return worst
}

func TestSizesFollowTheirDefinitions(t *testing.T) {
	pareto := func(sigma, k float64) func(float64) float64 {
		return func(x float64) float64 { return 1 - math.Pow(1+k*x/sigma, -1/k) }
	}
	normal := func(mean, deviation float64) func(float64) float64 {
		return func(x float64) float64 { return 0.5 * math.Erfc((mean-x)/deviation/math.Sqrt2) }
	}
	etc := pareto(214.476, 0.348238)
	for s, function := range map[string]func(float64) float64{
		"100..299":       func(x float64) float64 { return max(0, min(1, (x+0.5-100)/200)) },
		"normal:400,80":  normal(400, 80),
		"udb":            normal(126.7, 22.1),
		"up2x":           normal(46.8, 11.6),
		"pareto:200,0.3": pareto(200, 0.3),
		"zippydb":        pareto(25.45, 0.2615),
		"etc": func(x float64) float64 {
			return 0.44155 + (1-0.44155)*max(0, (etc(x)-etc(15))/(1-etc(15)))
		},
		"list:100x90,1KiBx9,64KiB": func(x float64) float64 {
			switch {
			case x < 100:
				return 0
			case x < 1024:
				return 0.9
			case x < 65536:
				return 0.99
			}
			return 1
		},
	} {
		below, _ := lengthsOf(t, sizesOf(t, s), 400_000)
		if worst := maxDeviation(below, function); worst > 0.005 {
			t.Errorf("%s: off by %.4f", s, worst)
		}
	}
}

func TestThePublishedMeans(t *testing.T) {
	for s, mean := range map[string]float64{"udb": 126.7, "up2x": 46.8} {
		if got := sizesOf(t, s).Mean(); math.Abs(got-mean) > 0.2 {
			t.Errorf("%s: %.2f, want %.1f", s, got, mean)
		}
	}
}

func TestTheTailReachesTheLongest(t *testing.T) {
	for _, s := range []string{"pareto:200,0.3,32KiB", "etc"} {
		sizes := sizesOf(t, s)
		if got := sizes.At(math.MaxUint64); got < sizes.Max()*9/10 {
			t.Errorf("%s: the longest is %d of %d", s, got, sizes.Max())
		}
	}
}

func TestSizesAreReadAndWritten(t *testing.T) {
	for in, out := range map[string]string{"100": "100", "1KiB": "1KiB", "1024": "1KiB", "64MiB": "64MiB", "4k": "4KiB", "2kB": "2000",
		"1.5KiB": "1536", "16..1KiB": "16..1KiB", " normal:400,80 ": "normal:400,80", "etc": "etc", "ETC": "etc",
		"list:100x2,1KiB": "list:100x2,1KiB", "pareto:200,0.3,1MiB": "pareto:200,0.3,1MiB"} {
		sizes, err := ParseSizes(in)
		if err != nil || sizes.String() != out {
			t.Errorf("%q is %v, %v; want %q", in, sizes, err, out)
			continue
		}
		again, err := ParseSizes(sizes.String())
		if err != nil || again.At(1<<63) != sizes.At(1<<63) || again.Mean() != sizes.Mean() {
			t.Errorf("%q came back as %v, %v", out, again, err)
		}
	}
	for _, bad := range []string{"", "x", "15", "0", "-1", "65MiB", "1e99", "nan", "inf", "0x20", "100..50", "..", "1..2", "16..", "normal:", "normal:1",
		"normal:0,1", "normal:1,2,3", "normal:a,b", "pareto:1,1", "pareto:1,2", "pareto:nan,0.1", "list:", "list:100x", "list:100x0", "list:100x-1",
		"list:3", "twitter", "list:100xinf"} {
		if _, err := ParseSizes(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		} else if _, ok := errors.AsType[*UsageError](err); !ok {
			t.Errorf("%q: %T", bad, err)
		}
	}
}

func FuzzSizesNeverPanic(f *testing.F) {
	for _, s := range []string{"100", "1KiB..2MiB", "normal:400,80", "pareto:200,0.3,1MiB", "list:100x90,64KiB", "etc"} {
		f.Add(s, uint64(1))
	}
	f.Fuzz(func(t *testing.T, s string, r uint64) {
		sizes, err := ParseSizes(s)
		if err != nil {
			return
		}
		for _, r := range []uint64{0, r, math.MaxUint64} {
			if n := sizes.At(r); n < ValueBytesMin || n > sizes.Max() || n > ValueBytesMax {
				t.Fatalf("%q: length %d of at most %d", s, n, sizes.Max())
			}
		}
	})
}

func TestScanLengthsFollowTheirDefinitions(t *testing.T) {
	l, err := parseLengths("1..100")
	if err != nil {
		t.Fatal(err)
	}
	r := newRandom(4)
	counts, expected := make([]int, 101), make([]float64, 101)
	for range draws {
		counts[l.next(&r)]++
	}
	for i := range expected[1:] {
		expected[i+1] = draws / 100.0
	}
	if z := deviation(counts[1:], expected[1:]); z > 4.5 {
		t.Errorf("1..100: %.1f deviations off", z)
	}
	if l, err = parseLengths("pareto:14.236,2.517,10000"); err != nil {
		t.Fatal(err)
	}
	below := 0
	for range draws {
		n := l.next(&r)
		if n < 1 || n >= 10000 {
			t.Fatalf("a length of %d", n)
		}
		if n < 50 {
			below++
		}
	}
	// Of those that are wrapped round, about one in 200 falls below 50, too.
	want := 1 - math.Pow(1+2.517*50/14.236, -1/2.517)
	if got := float64(below) / draws; math.Abs(got-want) > 0.01 {
		t.Errorf("%.3f are below 50, want %.3f", got, want)
	}
	for _, bad := range []string{"", "0", "x", "5..2", "1..", "2000000", "pareto:1", "pareto:1,nan,5", "pareto:0,1,5", "pareto:1,1,0", "pareto:1,1,99999999"} {
		if _, err := parseLengths(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}
