package workload

import (
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"strings"
)

// Sizes is a distribution of value lengths. Immutable, safe for concurrent use.
type Sizes interface {
	// At is the length that a random number stands for: evenly spread numbers
	// make lengths of the distribution. It is at least ValueBytesMin.
	At(r uint64) int
	// Mean and Max are those of the lengths that At returns.
	Mean() float64
	Max() int
	// String is what ParseSizes makes the same Sizes of.
	String() string
}

// ParseSizes reads a distribution of value lengths:
//
//	100             all of 100 bytes; KiB, MiB, kB and so on may follow a number
//	100..2000       evenly spread from 100 to 2000
//	normal:400,80   normal with that mean and standard deviation, cut off at six
//	                deviations
//	pareto:25,0.26  generalized Pareto from 0 on with that scale and shape (below
//	                1), up to 1 MiB or a third number
//	list:100x90,1KiBx9,64KiB
//	                100 bytes with a weight of 90, 1 KiB with 9, 64 KiB with 1
//	etc             Facebook's largest memcached pool: Atikoglu et al., "Workload
//	                Analysis of a Large-Scale Key-Value Store", SIGMETRICS 2012,
//	                section 5: generalized Pareto from 15 bytes on; 44% are shorter
//	zippydb         generalized Pareto with the scale and shape for ZippyDB of Cao
//	                et al., "Characterizing, Modeling, and Benchmarking RocksDB
//	                Key-Value Workloads at Facebook", FAST 2020
//	udb, up2x       normal with the mean and the deviation that table 2 there has
//	                for those two; their shape was not published as a formula
//
// A shorter length than ValueBytesMin is raised to it, but for a length that is
// given as a number, where it is a *UsageError, as everything else that cannot be.
func ParseSizes(s string) (Sizes, error) {
	text := strings.TrimSpace(s)
	if d, ok := published[strings.ToLower(text)]; ok {
		return d(), nil
	}
	name, rest, named := strings.Cut(text, ":")
	switch {
	case !named && strings.Contains(text, ".."):
		return parseRange(text)
	case !named:
		n, err := parseLength(text)
		return fixedSizes(n), err
	case name == "normal":
		p, err := parseParameters(text, rest, 2, 2)
		if err != nil {
			return nil, err
		}
		return normalSizes(text, p[0], p[1])
	case name == "pareto":
		p, err := parseParameters(text, rest, 2, 3)
		if err != nil {
			return nil, err
		}
		return paretoSizes(text, p)
	case name == "list":
		return parseList(text, rest)
	}
	return nil, usage("value sizes", s, `not a length such as "100", a range such as "100..2000", normal:, pareto:, list:, etc, zippydb, udb or up2x`)
}

func parseLength(s string) (int, error) {
	n, err := ParseBytes(s)
	switch {
	case err != nil:
		return 0, usage("value sizes", s, `not a length such as "100" or "4KiB", nor a known distribution`)
	case n < ValueBytesMin:
		return 0, usage("value sizes", s, "values need %d bytes for their identity", ValueBytesMin)
	case n > ValueBytesMax:
		return 0, usage("value sizes", s, "at most 64 MiB")
	}
	return n, nil
}

// parseParameters reads numbers between commas, each above 0.
func parseParameters(whole, rest string, least, most int) ([]float64, error) {
	parts := strings.Split(rest, ",")
	if len(parts) < least || len(parts) > most {
		return nil, usage("value sizes", whole, "needs %d numbers with commas", least)
	}
	numbers := make([]float64, len(parts))
	for i, p := range parts {
		n, err := strconv.ParseFloat(strings.TrimSpace(p), 64)
		if err != nil {
			length, lengthErr := ParseBytes(p)
			n, err = float64(length), lengthErr
		}
		if err != nil || !(n > 0) || n > ValueBytesMax {
			return nil, usage("value sizes", whole, "%q is not a number from 0 to 64 MiB", strings.TrimSpace(p))
		}
		numbers[i] = n
	}
	return numbers, nil
}

// fixedSizes makes every value that long.
type fixedSizes int

func (f fixedSizes) At(uint64) int  { return int(f) }
func (f fixedSizes) Mean() float64  { return float64(f) }
func (f fixedSizes) Max() int       { return int(f) }
func (f fixedSizes) String() string { return formatBytes(int(f)) }

// uniformSizes spreads lengths evenly over [low, high].
type uniformSizes struct{ low, high int }

func parseRange(s string) (Sizes, error) {
	from, to, _ := strings.Cut(s, "..")
	low, err := parseLength(from)
	if err != nil {
		return nil, err
	}
	high, err := parseLength(to)
	if err != nil {
		return nil, err
	}
	if low > high {
		return nil, usage("value sizes", s, "ends below its beginning")
	}
	return uniformSizes{low, high}, nil
}

func (u uniformSizes) At(r uint64) int {
	above, _ := bits.Mul64(r, uint64(u.high-u.low+1))
	return u.low + int(above)
}
func (u uniformSizes) Mean() float64  { return float64(u.low+u.high) / 2 }
func (u uniformSizes) Max() int       { return u.high }
func (u uniformSizes) String() string { return formatBytes(u.low) + ".." + formatBytes(u.high) }

// listSizes are a few lengths with weights.
type listSizes struct {
	text    string
	lengths []int
	upTo    []uint64 // r below upTo[i] stands for lengths[i]
	mean    float64
	max     int
}

func parseList(whole, rest string) (Sizes, error) {
	l := &listSizes{text: whole}
	var weights []float64
	total := 0.0
	for item := range strings.SplitSeq(rest, ",") {
		length, weightText, weighted := strings.Cut(strings.TrimSpace(item), "x")
		n, err := parseLength(length)
		if err != nil {
			return nil, err
		}
		weight := 1.0
		if weighted {
			if weight, err = strconv.ParseFloat(weightText, 64); err != nil || !(weight > 0) || weight > 1e12 {
				return nil, usage("value sizes", whole, "%q is not a weight", weightText)
			}
		}
		l.lengths = append(l.lengths, n)
		l.max = max(l.max, n)
		weights = append(weights, weight)
		total += weight
	}
	sum := 0.0
	for i, w := range weights {
		sum += w
		l.mean += w / total * float64(l.lengths[i])
		upTo := uint64(math.MaxUint64)
		if i < len(weights)-1 {
			upTo = min(uint64(sum/total*(1<<63)), 1<<63-1) * 2
		}
		l.upTo = append(l.upTo, upTo)
	}
	return l, nil
}

func (l *listSizes) At(r uint64) int {
	for i, upTo := range l.upTo {
		if r < upTo {
			return l.lengths[i]
		}
	}
	return l.lengths[len(l.lengths)-1]
}
func (l *listSizes) Mean() float64  { return l.mean }
func (l *listSizes) Max() int       { return l.max }
func (l *listSizes) String() string { return l.text }

func normalSizes(name string, mean, deviation float64) (Sizes, error) {
	const cut = 6
	return quantileSizes(name, func(p float64) float64 {
		z := math.Sqrt2 * math.Erfinv(2*p-1)
		return mean + deviation*max(-cut, min(cut, z))
	}, int(min(mean+cut*deviation, ValueBytesMax))), nil
}

func paretoSizes(name string, p []float64) (Sizes, error) {
	if p[1] >= 1 {
		return nil, usage("value sizes", name, "the shape has to be below 1: such lengths have no mean")
	}
	longest := float64(paretoBytesMax)
	if len(p) == 3 {
		longest = p[2]
	}
	return quantileSizes(name, func(q float64) float64 { return paretoQuantile(q, 0, p[0], p[1]) }, int(longest)), nil
}

// paretoBytesMax is where Pareto distributions end: memcached's longest value.
const paretoBytesMax = 1 << 20

// paretoQuantile is the inverse of the generalized Pareto distribution.
func paretoQuantile(p, theta, sigma, k float64) float64 {
	return theta + sigma/k*(math.Pow(1-p, -k)-1)
}

// published are the distributions that have a name.
var published = map[string]func() Sizes{
	"etc": func() Sizes {
		const short = 0.44155 // table 5: the sum of what is below 15 bytes
		const theta, sigma, k = 0, 214.476, 0.348238
		below := 1 - math.Pow(1+k*(15-theta)/sigma, -1/k)
		return quantileSizes("etc", func(p float64) float64 {
			if p < short {
				return 0
			}
			return paretoQuantile(below+(p-short)/(1-short)*(1-below), theta, sigma, k)
		}, paretoBytesMax)
	},
	"zippydb": func() Sizes {
		return quantileSizes("zippydb", func(p float64) float64 { return paretoQuantile(p, 0, 25.45, 0.2615) }, paretoBytesMax)
	},
	"udb":  func() Sizes { return mustNormal("udb", 126.7, 22.1) },
	"up2x": func() Sizes { return mustNormal("up2x", 46.8, 11.6) },
}

func mustNormal(name string, mean, deviation float64) Sizes {
	s, err := normalSizes(name, mean, deviation)
	if err != nil {
		panic(fmt.Sprintf("workload: %v", err)) // the figures are constants
	}
	return s
}

// tableSizes is a distribution as two tables of quantiles, linear between them:
// one over everything, one over the topmost part of it, where lengths differ much.
// So a length costs two loads from memory, not a power or a logarithm.
type tableSizes struct {
	name      string
	all, tail [quantiles + 1]int32
	mean      float64
}

const (
	quantileBits = 12
	quantiles    = 1 << quantileBits
)

// quantileSizes makes a table of the inverse of a distribution function.
func quantileSizes(name string, inverse func(p float64) float64, longest int) Sizes {
	t := &tableSizes{name: name}
	length := func(p float64) int32 {
		if p >= 1 {
			return int32(max(longest, ValueBytesMin))
		}
		return int32(max(ValueBytesMin, min(float64(longest), math.Round(inverse(p)))))
	}
	for i := range quantiles + 1 {
		t.all[i] = length(float64(i) / quantiles)
		t.tail[i] = length((quantiles - 1 + float64(i)/quantiles) / quantiles)
	}
	// The last step of all ends at the longest length; one in 2^24 is there.
	sum, tail := 0.0, 0.0
	for i := range quantiles {
		tail += stepMean(t.tail[i], t.tail[i+1])
		if i < quantiles-1 {
			sum += stepMean(t.all[i], t.all[i+1])
		}
	}
	t.mean = (sum + tail/quantiles) / quantiles
	return t
}

// stepMean is the mean of step's lengths.
func stepMean(from, to int32) float64 { return (float64(from) + float64(to)) / 2 }

// step is a place between two quantiles; fraction is 32 bits.
func step(from, to int32, fraction uint64) int {
	// Rounded to the nearest, so that the mean of a step is its middle.
	return int(from) + int((uint64(to-from)*fraction+1<<31)>>32)
}

func (t *tableSizes) At(r uint64) int {
	i := r >> (64 - quantileBits)
	if i < quantiles-1 {
		return step(t.all[i], t.all[i+1], r>>20&(1<<32-1))
	}
	i = r >> (64 - 2*quantileBits) & (quantiles - 1)
	return step(t.tail[i], t.tail[i+1], r>>8&(1<<32-1))
}
func (t *tableSizes) Mean() float64  { return t.mean }
func (t *tableSizes) Max() int       { return int(t.tail[quantiles]) }
func (t *tableSizes) String() string { return t.name }
