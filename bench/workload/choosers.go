package workload

import (
	"fmt"
	"math"
	"sort"
	"strconv"
	"strings"
)

// Chooser draws records, by their number. It belongs to one goroutine.
type Chooser interface {
	// Next returns a number below n, of n records that there are. n is not 0; it
	// may grow from call to call.
	Next(n uint64) uint64
}

// Distribution describes how records are chosen. The zero Distribution is
// uniform. Immutable.
type Distribution struct {
	kind string
	a, b float64
}

const (
	thetaDefault = 0.99 // YCSB's
	// YCSB's defaults.
	hotShareDefault, hotOperationsDefault          = 0.2, 0.8
	exponentialPercentDefault, exponentialFraction = 95, 0.8571428571
)

// ParseChooser reads how records are chosen:
//
//	uniform             each as often as any other
//	zipfian:0.99        record 0 most often, by the law k^-theta (0 < theta < 1)
//	scrambled:0.99      zipfian over ten thousand million ranks that are hashed to
//	                    the records: YCSB's "zipfian", whose theta is 0.99
//	latest:0.99         zipfian from the newest record backwards: YCSB's "latest"
//	sequential          one after the other, from the first on, round and round
//	shuffled            every record once in random order, round and round
//	hotspot:0.2,0.8     the first 0.2 of all records take 0.8 of the operations
//	exponential:95,0.86 95% of the operations go to the newest 0.86 of all records,
//	                    falling off exponentially from the newest on
//	keyranges           30 ranges of keys, some hotter than others, and hot keys
//	                    within them: the model of ZippyDB in Cao et al., FAST 2020
//
// The numbers may be left out. Anything else is a *UsageError.
func ParseChooser(s string) (Distribution, error) {
	name, rest, given := strings.Cut(strings.TrimSpace(s), ":")
	d := Distribution{kind: name}
	allowed := 0
	switch name {
	case "":
		return Distribution{}, nil
	case "uniform", "sequential", "shuffled", "keyranges":
	case "zipfian", "scrambled", "latest":
		d.a, allowed = thetaDefault, 1
	case "hotspot":
		d.a, d.b, allowed = hotShareDefault, hotOperationsDefault, 2
	case "exponential":
		d.a, d.b, allowed = exponentialPercentDefault, exponentialFraction, 2
	default:
		return d, usage("chooser", s, "not one of uniform, zipfian, scrambled, latest, sequential, shuffled, hotspot, exponential, keyranges")
	}
	if given {
		if err := d.parseNumbers(s, rest, allowed); err != nil {
			return d, err
		}
	}
	return d, d.check(s)
}

func (d *Distribution) parseNumbers(s, rest string, allowed int) error {
	for i, text := range strings.Split(rest, ",") {
		number, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
		switch {
		case i >= allowed:
			return usage("chooser", s, "takes %d numbers", allowed)
		case err != nil:
			return usage("chooser", s, "%q is not a number", text)
		case i == 0:
			d.a = number
		default:
			d.b = number
		}
	}
	return nil
}

func (d *Distribution) check(s string) error {
	switch d.kind {
	case "zipfian", "scrambled", "latest":
		if !(d.a > 0 && d.a < 1) {
			return usage("chooser", s, "theta must be above 0 and below 1")
		}
	case "hotspot":
		if !(d.a > 0 && d.a <= 1 && d.b >= 0 && d.b <= 1) {
			return usage("chooser", s, "shares must be between 0 and 1")
		}
	case "exponential":
		if !(d.a > 0 && d.a < 100 && d.b > 0 && d.b <= 1) {
			return usage("chooser", s, "needs a percentage below 100 and a fraction up to 1")
		}
	}
	return nil
}

// String is what ParseChooser makes the same Distribution of.
func (d Distribution) String() string {
	switch d.kind {
	case "":
		return "uniform"
	case "zipfian", "scrambled", "latest":
		return fmt.Sprintf("%s:%v", d.kind, d.a)
	case "hotspot", "exponential":
		return fmt.Sprintf("%s:%v,%v", d.kind, d.a, d.b)
	}
	return d.kind
}

// New returns a chooser. capacity is how many records there may ever be, not
// below what Next is called with: choosers that spread records by hashing need
// it, so that a growing number doesn't move the hot ones.
func (d Distribution) New(capacity, seed uint64) Chooser {
	return d.newShared(capacity, seed, 0, 1, 1)
}

// newShared is New for one of several clients. Those of orders that clients share
// take turns: each takes run records, then it is the next one's turn.
func (d Distribution) newShared(capacity, seed, client, clients, run uint64) Chooser {
	r := newRandom(seed ^ (client+1)*golden)
	switch d.kind {
	case "zipfian":
		return &zipfianChooser{newZipfian(d.a), r}
	case "scrambled":
		z := newZipfian(d.a)
		return &scrambledChooser{z, r, capacity}
	case "latest":
		return &latestChooser{newZipfian(d.a), r}
	case "sequential":
		return &orderChooser{at: client * run, run: run, skip: (clients - 1) * run}
	case "shuffled":
		return &orderChooser{at: client * run, run: run, skip: (clients - 1) * run, shuffled: true, seed: seed}
	case "hotspot":
		return &hotspotChooser{d.a, d.b, r}
	case "exponential":
		return &exponentialChooser{-math.Log(1-d.a/100) / d.b, r}
	case "keyranges":
		return newRangesChooser(seed, r)
	}
	return &uniformChooser{r}
}

type uniformChooser struct{ r random }

func (c *uniformChooser) Next(n uint64) uint64 { return c.r.below(n) }

type zipfianChooser struct {
	z zipfian
	r random
}

func (c *zipfianChooser) Next(n uint64) uint64 { return c.z.next(c.r.float(), n) }

// scrambledRanks is how many ranks YCSB's scrambled zipfian has, whatever the
// number of records.
const scrambledRanks = 10_000_000_000

type scrambledChooser struct {
	z        zipfian
	r        random
	capacity uint64
}

func (c *scrambledChooser) Next(n uint64) uint64 {
	for {
		// Hashed over all records that there may be, and drawn again for those
		// that are not there yet, as YCSB does.
		if i := fnv64(c.z.next(c.r.float(), scrambledRanks)) % max(c.capacity, n); i < n {
			return i
		}
	}
}

// fnv64 is the FNV-1a hash of a number's eight bytes, the lowest first, without
// its sign, as YCSB takes it.
func fnv64(x uint64) uint64 {
	hash := uint64(0xcbf29ce484222325)
	for range 8 {
		hash = (hash ^ x&0xff) * 0x100000001b3
		x >>= 8
	}
	if int64(hash) < 0 {
		return -hash
	}
	return hash
}

type latestChooser struct {
	z zipfian
	r random
}

func (c *latestChooser) Next(n uint64) uint64 { return n - 1 - c.z.next(c.r.float(), n) }

// orderChooser walks through all records; it goes on by run, and over skip.
type orderChooser struct {
	at, run, skip, done uint64
	shuffled            bool
	seed                uint64
	p                   permutation
}

func (c *orderChooser) Next(n uint64) uint64 {
	if c.done == c.run {
		c.at, c.done = c.at+c.skip, 0
	}
	i := c.at % n
	c.at, c.done = c.at+1, c.done+1
	if !c.shuffled {
		return i
	}
	if c.p.n != n {
		c.p = newPermutation(n, c.seed)
	}
	return c.p.at(i)
}

type hotspotChooser struct {
	share, operations float64
	r                 random
}

func (c *hotspotChooser) Next(n uint64) uint64 {
	hot := min(n, uint64(math.Ceil(float64(n)*c.share)))
	if c.r.float() < c.operations || hot == n {
		return c.r.below(hot)
	}
	return hot + c.r.below(n-hot)
}

type exponentialChooser struct {
	gamma float64 // for a range of length 1
	r     random
}

func (c *exponentialChooser) Next(n uint64) uint64 {
	for {
		if back := -math.Log(1-c.r.float()) / c.gamma * float64(n); back < float64(n) {
			return n - 1 - min(uint64(back), n-1)
		}
	}
}

// The model of ZippyDB's keys in Cao et al., as db_bench's mixgraph has it: the
// weight of range x, from 1, is a e^(bx) + c e^(dx); a key within a range is
// hashed from the inverse of the power law p x^q.
const (
	rangeCount             = 30
	rangeA, rangeB         = 14.18, -2.917
	rangeC, rangeD         = 0.0164, -0.08082
	rangePowerA, rangePowB = 0.002312, 0.3467
)

type rangesChooser struct {
	upTo  [rangeCount]float64 // cumulative
	place [rangeCount]uint64  // of each range in the order of keys
	seed  uint64
	r     random
}

func newRangesChooser(seed uint64, r random) *rangesChooser {
	c := &rangesChooser{seed: seed, r: r}
	sum := 0.0
	order := newPermutation(rangeCount, seed)
	for i := range c.upTo {
		x := float64(i + 1)
		sum += rangeA*math.Exp(rangeB*x) + rangeC*math.Exp(rangeD*x)
		c.upTo[i] = sum
		c.place[i] = order.at(uint64(i))
	}
	for i := range c.upTo {
		c.upTo[i] /= sum
	}
	return c
}

func (c *rangesChooser) Next(n uint64) uint64 {
	u := c.r.float()
	i := sort.Search(rangeCount-1, func(i int) bool { return u < c.upTo[i] })
	low := n * c.place[i] / rangeCount
	high := n * (c.place[i] + 1) / rangeCount
	if high == low {
		return c.r.below(n) // fewer records than ranges
	}
	hot := math.Ceil(math.Pow(c.r.float()/rangePowerA, 1/rangePowB))
	return low + mix(c.seed^uint64(hot))%(high-low)
}

// untilEnd is how many records there are from the next one of a new run to the
// last of n.
func (c *orderChooser) untilEnd(n uint64) int {
	at := c.at
	if c.done == c.run {
		at += c.skip
	}
	return int(n - at%n)
}

// endRun goes on to the client's next turn.
func (c *orderChooser) endRun() { c.at, c.done = c.at+c.run-c.done, c.run }
