package measure

import (
	"math/bits"
	"time"

	"github.com/cordwood-db/cordwood/bench/result"
)

// An interval counts the latencies of one second, of one worker or of all. It is
// a histogram as HDR's, but less fine and so small (19 KB) that each worker can
// have one and that adding them up each second costs nothing to speak of.
//
// Up to 2·intervalParts ns each latency has a bucket of its own. Above, the range
// from one power of two to the next is cut into intervalParts buckets, so that a
// percentile is at most 1/intervalParts, 0.8 %, above the true one.
type interval struct {
	counts     [intervalBuckets]uint32
	operations uint64
	longest    time.Duration
}

const (
	intervalParts   = 1 << intervalBits
	intervalBits    = 7
	intervalBuckets = (latencyBits-intervalBits)*intervalParts + intervalParts
	latencyBits     = 42 // of result.LatencyMax in ns
)

// record counts one latency, which is not negative.
func (v *interval) record(latency time.Duration) {
	v.counts[bucket(latency)]++
	v.operations++
	v.longest = max(v.longest, latency)
}

// bucket is the place of a latency, which is not negative.
func bucket(latency time.Duration) int {
	n := uint64(min(latency, result.LatencyMax))
	shift := max(bits.Len64(n)-intervalBits-1, 0)
	return shift<<intervalBits + int(n>>shift)
}

// bucketEnd is the longest latency in a bucket.
func bucketEnd(bucket int) time.Duration {
	shift := max(bucket>>intervalBits-1, 0)
	return time.Duration(bucket-shift<<intervalBits+1)<<shift - 1
}

// merge adds what other has counted.
func (v *interval) merge(other *interval) {
	for i, n := range other.counts {
		v.counts[i] += n
	}
	v.operations += other.operations
	v.longest = max(v.longest, other.longest)
}

// at is the latency that percent of all do not exceed; 0 if there are none.
func (v *interval) at(percent float64) time.Duration {
	wanted := uint64(float64(v.operations)*percent/100 + 0.5)
	wanted = min(max(wanted, 1), v.operations)
	var seen uint64
	for i, n := range v.counts {
		if seen += uint64(n); n > 0 && seen >= wanted {
			return min(bucketEnd(i), v.longest)
		}
	}
	return 0
}
