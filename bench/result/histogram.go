package result

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// LatencyMax is the longest latency that histograms tell apart.
const LatencyMax = time.Hour

// Histogram is an HDR histogram of nanoseconds, right to three digits. In JSON
// it is the text of HdrHistogram's compressed V2 encoding, which other tools
// read, too. The zero Histogram is empty.
type Histogram struct{ h *hdrhistogram.Histogram }

// NewHistogram returns an empty histogram.
func NewHistogram() Histogram {
	return Histogram{hdrhistogram.New(1, int64(LatencyMax), 3)}
}

// Record counts n latencies. Longer ones than LatencyMax count as LatencyMax.
func (h *Histogram) Record(latency time.Duration, n int) {
	if h.h == nil {
		*h = NewHistogram()
	}
	// The error says that the value is over the maximum, which min rules out.
	_ = h.h.RecordValues(int64(min(max(latency, 0), LatencyMax)), int64(n))
}

// Merge adds what other has counted.
func (h *Histogram) Merge(other Histogram) {
	if other.h == nil {
		return
	}
	if h.h == nil {
		*h = NewHistogram()
	}
	h.h.Merge(other.h)
}

// Reset forgets everything.
func (h *Histogram) Reset() {
	if h.h != nil {
		h.h.Reset()
	}
}

// Count is how many latencies it holds.
func (h Histogram) Count() uint64 {
	if h.h == nil {
		return 0
	}
	return uint64(h.h.TotalCount())
}

// At is the latency that percent of all do not exceed; 0 if it is empty.
func (h Histogram) At(percent float64) time.Duration {
	if h.h == nil {
		return 0
	}
	return time.Duration(h.h.ValueAtPercentile(percent))
}

// Max is the longest latency, Mean the average.
func (h Histogram) Max() time.Duration {
	if h.h == nil {
		return 0
	}
	return time.Duration(h.h.Max())
}

// Mean is the average latency; 0 if it is empty.
func (h Histogram) Mean() time.Duration {
	if h.h == nil {
		return 0
	}
	return time.Duration(h.h.Mean())
}

// Over is how many latencies are longer than limit, to the histogram's precision.
func (h Histogram) Over(limit time.Duration) uint64 {
	if h.h == nil {
		return 0
	}
	var over int64
	for _, bar := range h.h.Distribution() {
		if bar.From > int64(limit) {
			over += bar.Count
		}
	}
	return uint64(over)
}

// Bars calls yield for each range of latencies that were counted, ascending.
func (h Histogram) Bars(yield func(from, to time.Duration, count uint64) bool) {
	if h.h == nil {
		return
	}
	for _, bar := range h.h.Distribution() {
		if bar.Count > 0 && !yield(time.Duration(bar.From), time.Duration(bar.To), uint64(bar.Count)) {
			return
		}
	}
}

// MarshalJSON encodes the histogram as text.
func (h Histogram) MarshalJSON() ([]byte, error) {
	if h.h == nil || h.h.TotalCount() == 0 {
		return []byte(`""`), nil
	}
	text, err := h.h.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
	if err != nil {
		return nil, fmt.Errorf("encoding a histogram: %w", err)
	}
	return json.Marshal(string(text))
}

// UnmarshalJSON reads what MarshalJSON has written.
func (h *Histogram) UnmarshalJSON(data []byte) error {
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return err
	}
	*h = Histogram{}
	if text == "" {
		return nil
	}
	decoded, err := hdrhistogram.Decode([]byte(text))
	if err != nil {
		return fmt.Errorf("decoding a histogram: %w", err)
	}
	h.h = decoded
	return nil
}
