package workload

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// scanEntriesMax is how many entries a scan may have.
const scanEntriesMax = 1_000_000

// lengths is a distribution of how many entries scans have.
type lengths struct {
	low, high uint64
	sigma, k  float64 // sigma 0: evenly spread
}

// parseLengths reads how many entries scans have: "10"; "1..100", evenly spread;
// "pareto:14.236,2.517,10000", generalized Pareto with that scale and shape, the
// remainder by the third number, as db_bench's mixgraph takes it.
func parseLengths(s string) (lengths, error) {
	bad := func() (lengths, error) {
		return lengths{}, usage("scan length", s, `not a number such as "10", a range such as "1..100", or pareto:SCALE,SHAPE,MAX, up to %d`, scanEntriesMax)
	}
	if rest, ok := strings.CutPrefix(s, "pareto:"); ok {
		var l lengths
		if n, err := fmt.Sscanf(rest, "%g,%g,%d", &l.sigma, &l.k, &l.high); n != 3 || err != nil ||
			!(l.sigma > 0 && l.k > 0 && l.k < 100) || l.sigma > scanEntriesMax || l.high < 1 || l.high > scanEntriesMax {
			return bad()
		}
		l.low = 1
		return l, nil
	}
	from, to, isRange := strings.Cut(s, "..")
	if !isRange {
		to = from
	}
	low, err := strconv.ParseUint(strings.TrimSpace(from), 10, 32)
	if err != nil {
		return bad()
	}
	high, err := strconv.ParseUint(strings.TrimSpace(to), 10, 32)
	if err != nil || low < 1 || high < low || high > scanEntriesMax {
		return bad()
	}
	return lengths{low: low, high: high}, nil
}

func (l *lengths) next(r *random) int {
	if l.sigma == 0 {
		return int(l.low + r.below(l.high-l.low+1))
	}
	length := l.sigma / l.k * (math.Pow(1-r.float(), -l.k) - 1)
	return int(max(math.Mod(length, float64(l.high)), float64(l.low)))
}
