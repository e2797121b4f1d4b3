package result

import (
	"encoding/json"
	"math/rand/v2"
	"testing"
	"time"
)

// What was read back answers as what was recorded.
func TestAHistogramSurvivesItsFile(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 3 {
		var recorded Histogram
		for range 1 + rng.IntN(500) {
			recorded.Record(time.Duration(rng.Int64N(1<<rng.IntN(43))), 1+rng.IntN(3))
		}
		data, err := json.Marshal(recorded)
		if err != nil {
			t.Fatal(err)
		}
		var read Histogram
		if err := json.Unmarshal(data, &read); err != nil {
			t.Fatal(err)
		}
		if again, err := json.Marshal(read); err != nil || string(again) != string(data) {
			t.Fatalf("written again it differs (%v)", err)
		}
		compare(t, recorded, read)

		// Merging and recording go on as with the original.
		var merged Histogram
		merged.Merge(read)
		merged.Merge(recorded)
		read.Merge(recorded)
		compare(t, merged, read)
		merged.Record(time.Second, 2)
		read.Record(time.Second, 2)
		compare(t, merged, read)
	}
}

func compare(t *testing.T, want, got Histogram) {
	t.Helper()
	if want.Count() != got.Count() || want.Max() != got.Max() || want.Mean() != got.Mean() {
		t.Fatalf("count %d, max %v, mean %v; want %d, %v, %v", got.Count(), got.Max(), got.Mean(), want.Count(), want.Max(), want.Mean())
	}
	for _, percent := range []float64{0, 1, 50, 99, 99.99, 100} {
		if want.At(percent) != got.At(percent) {
			t.Fatalf("%g%%: %v, want %v", percent, got.At(percent), want.At(percent))
		}
		if limit := want.At(percent); want.Over(limit) != got.Over(limit) {
			t.Fatalf("over %v: %d, want %d", limit, got.Over(limit), want.Over(limit))
		}
	}
	type bar struct {
		from, to time.Duration
		count    uint64
	}
	list := func(h Histogram) (bars []bar) {
		h.Bars(func(from, to time.Duration, count uint64) bool {
			bars = append(bars, bar{from, to, count})
			return true
		})
		return bars
	}
	a, b := list(want), list(got)
	if len(a) != len(b) {
		t.Fatalf("%d bars, want %d", len(b), len(a))
	}
	for i := range a {
		if a[i] != b[i] {
			t.Fatalf("bar %d is %v, want %v", i, b[i], a[i])
		}
	}
}

func TestHistogramAgainstPlainCounting(t *testing.T) {
	var h Histogram
	if h.Count() != 0 || h.At(99) != 0 || h.Max() != 0 || h.Mean() != 0 || h.Over(0) != 0 {
		t.Error("the zero histogram is not empty")
	}
	for us := range 1000 {
		h.Record(time.Duration(us+1)*time.Microsecond, 1)
	}
	near := func(what string, got, want time.Duration) {
		t.Helper()
		if d := got - want; d < -want/1000 || d > want/1000 {
			t.Errorf("%s is %v, want %v to three digits", what, got, want)
		}
	}
	near("p50", h.At(50), 500*time.Microsecond)
	near("p99", h.At(99), 990*time.Microsecond)
	near("max", h.Max(), time.Millisecond)
	near("mean", h.Mean(), 500500*time.Nanosecond)
	if over := h.Over(900 * time.Microsecond); over != 100 {
		t.Errorf("%d are over 900 µs, want 100", over)
	}
	h.Record(2*LatencyMax, 1)
	near("the longest", h.Max(), LatencyMax)
	h.Record(-1, 1)
	if h.Count() != 1002 {
		t.Errorf("count %d", h.Count())
	}
	h.Reset()
	if h.Count() != 0 || h.Max() != 0 {
		t.Error("not empty after Reset")
	}
}
