package db

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// histogramBuckets covers 1 ns to over an hour, four buckets to each doubling.
const (
	histogramSteps   = 4
	histogramBuckets = 42 * histogramSteps
)

// histogram counts durations. Recording is one atomic addition.
type histogram struct {
	counts [histogramBuckets]atomic.Uint64
	sum    atomic.Uint64 // nanoseconds
	max    atomic.Uint64
}

// bucketOf is the bucket of a duration: the position of its highest bit and
// the two bits below it.
func bucketOf(nanos uint64) int {
	if nanos < histogramSteps {
		return int(nanos)
	}
	top := bits.Len64(nanos) - 1
	b := (top-1)*histogramSteps + int(nanos>>(top-2)&(histogramSteps-1))
	return min(b, histogramBuckets-1)
}

// bucketEnd is the largest duration of a bucket.
func bucketEnd(b int) time.Duration {
	if b < histogramSteps {
		return time.Duration(b)
	}
	top := b/histogramSteps + 1
	low := uint64(b%histogramSteps+histogramSteps) << (top - 2)
	return time.Duration(low + 1<<(top-2) - 1)
}

func (h *histogram) record(d time.Duration) {
	n := uint64(max(d, 0))
	h.counts[bucketOf(n)].Add(1)
	h.sum.Add(n)
	for {
		old := h.max.Load()
		if n <= old || h.max.CompareAndSwap(old, n) {
			return
		}
	}
}

// Latencies sums up how long something took. Percentiles are upper bounds
// that are at most a quarter too high.
type Latencies struct {
	Count                     uint64
	Mean, P50, P99, P999, Max time.Duration
}

func (h *histogram) latencies() Latencies {
	var counts [histogramBuckets]uint64
	var total uint64
	for i := range counts {
		counts[i] = h.counts[i].Load()
		total += counts[i]
	}
	l := Latencies{Count: total, Max: time.Duration(h.max.Load())}
	if total == 0 {
		return l
	}
	l.Mean = time.Duration(h.sum.Load() / total)
	quantile := func(q float64) time.Duration {
		rest := uint64(q * float64(total))
		for i, n := range counts {
			if n > rest {
				return min(bucketEnd(i), l.Max)
			}
			rest -= n
		}
		return l.Max
	}
	l.P50, l.P99, l.P999 = quantile(0.5), quantile(0.99), quantile(0.999)
	return l
}
