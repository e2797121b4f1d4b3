package main

import (
	"runtime"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// latencyMax is the longest latency that histograms tell apart.
const latencyMax = time.Hour

// newHistogram is for latencies in nanoseconds, right to three digits.
func newHistogram() *hdrhistogram.Histogram { return hdrhistogram.New(1, int64(latencyMax), 3) }

// latencies sums up one histogram.
type latencies struct {
	P50  time.Duration `json:"p50_ns"`
	P99  time.Duration `json:"p99_ns"`
	P999 time.Duration `json:"p999_ns"`
	Max  time.Duration `json:"max_ns"`
}

func summarize(h *hdrhistogram.Histogram) latencies {
	at := func(percent float64) time.Duration { return time.Duration(h.ValueAtPercentile(percent)) }
	return latencies{P50: at(50), P99: at(99), P999: at(99.9), Max: time.Duration(h.Max())}
}

// meter measures what the process spends between newMeter and stop.
type meter struct {
	began   time.Time
	cpu     time.Duration
	mallocs uint64
}

func newMeter() meter {
	resetPeak()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return meter{began: time.Now(), cpu: cpuTime(), mallocs: m.Mallocs}
}

// spent is what a stretch of work cost the whole process: the store with its
// background work, the Go collector and the benchmark itself.
type spent struct {
	wall      time.Duration
	cpu       time.Duration // 0 where unavailable
	mallocs   uint64
	peakBytes int64 // resident; 0 where unavailable
}

func (m meter) stop() spent {
	s := spent{wall: time.Since(m.began), cpu: cpuTime() - m.cpu, peakBytes: peakBytes()}
	var now runtime.MemStats
	runtime.ReadMemStats(&now)
	s.mallocs = now.Mallocs - m.mallocs
	return s
}

// result is what one phase came to.
type result struct {
	Phase      string  `json:"phase"`
	ValueBytes int     `json:"value_bytes,omitempty"`
	Keys       int     `json:"keys"`
	Threads    int     `json:"threads"`
	Operations uint64  `json:"operations"`
	Bytes      uint64  `json:"bytes"` // of keys and values
	Seconds    float64 `json:"seconds"`
	latencies
	CPUMicrosPerOperation float64 `json:"cpu_us_per_op"` // settling included
	AllocsPerOperation    float64 `json:"allocs_per_op"` // settling included
	PeakBytes             int64   `json:"peak_rss_bytes"`

	// Of phases that write a set.
	Written *written `json:"written,omitempty"`

	// Of files -kill.
	Kills *killCounts `json:"kills,omitempty"`

	// side: a worker beside the phase; its costs are in the phase's own line.
	side bool
}

func (r *result) perSecond(amount float64) float64 {
	if r.Seconds <= 0 {
		return 0
	}
	return amount / r.Seconds
}

// charge enters what the phase cost, settling included.
func (r *result) charge(s spent) {
	if r.Operations > 0 {
		r.CPUMicrosPerOperation = float64(s.cpu.Nanoseconds()) / 1e3 / float64(r.Operations)
		r.AllocsPerOperation = float64(s.mallocs) / float64(r.Operations)
	}
	r.PeakBytes = s.peakBytes
}
