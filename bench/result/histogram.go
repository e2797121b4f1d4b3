package result

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// LatencyMax is the longest latency that histograms tell apart.
const LatencyMax = time.Hour

// The smallest latency that counts, and the digits to which one is right: part
// of the file format, together with LatencyMax.
const (
	latencyMin    = 1
	latencyDigits = 3
)

// Histogram is an HDR histogram of nanoseconds, right to three digits. In JSON
// it is the text of HdrHistogram's compressed V2 encoding, which other tools
// read, too. The zero Histogram is empty. Copies share what they have counted.
type Histogram struct {
	// At most one is set: dense is for recording, and takes 270 KiB; packed is
	// what was read, and takes as much as there are different latencies.
	dense  *hdrhistogram.Histogram
	packed *hdrhistogram.PackedHistogram
}

// NewHistogram returns an empty histogram.
func NewHistogram() Histogram {
	return Histogram{dense: hdrhistogram.New(latencyMin, int64(LatencyMax), latencyDigits)}
}

// unpack makes h ready to record.
func (h *Histogram) unpack() {
	if h.dense != nil {
		return
	}
	packed := h.packed
	*h = NewHistogram()
	if packed != nil {
		packed.MergeInto(h.dense)
	}
}

// Record counts n latencies. Longer ones than LatencyMax count as LatencyMax.
func (h *Histogram) Record(latency time.Duration, n int) {
	h.unpack()
	// The error says that the value is over the maximum, which min rules out.
	_ = h.dense.RecordValues(int64(min(max(latency, 0), LatencyMax)), int64(n))
}

// Merge adds what other has counted.
func (h *Histogram) Merge(other Histogram) {
	switch {
	case other.packed != nil:
		h.unpack()
		other.packed.MergeInto(h.dense)
	case other.dense != nil:
		h.unpack()
		h.dense.Merge(other.dense)
	}
}

// Reset forgets everything.
func (h *Histogram) Reset() {
	h.packed = nil
	if h.dense != nil {
		h.dense.Reset()
	}
}

// Count is how many latencies it holds.
func (h Histogram) Count() uint64 {
	switch {
	case h.packed != nil:
		return uint64(h.packed.TotalCount())
	case h.dense != nil:
		return uint64(h.dense.TotalCount())
	}
	return 0
}

// At is the latency that percent of all do not exceed; 0 if it is empty.
func (h Histogram) At(percent float64) time.Duration {
	switch {
	case h.packed != nil:
		return time.Duration(h.packed.ValueAtPercentile(percent))
	case h.dense != nil:
		return time.Duration(h.dense.ValueAtPercentile(percent))
	}
	return 0
}

// Max is the longest latency; 0 if it is empty.
func (h Histogram) Max() time.Duration {
	switch {
	case h.Count() == 0:
		return 0
	case h.packed != nil:
		return time.Duration(h.packed.Max())
	}
	return time.Duration(h.dense.Max())
}

// Mean is the average latency; 0 if it is empty.
func (h Histogram) Mean() time.Duration {
	switch {
	case h.packed != nil:
		return time.Duration(h.packed.Mean())
	case h.dense != nil:
		return time.Duration(h.dense.Mean())
	}
	return 0
}

// Over is how many latencies are longer than limit, to the histogram's precision.
func (h Histogram) Over(limit time.Duration) uint64 {
	var over uint64
	h.Bars(func(from, _ time.Duration, count uint64) bool {
		if from > limit {
			over += count
		}
		return true
	})
	return over
}

// Bars calls yield for each range of latencies that were counted, ascending.
func (h Histogram) Bars(yield func(from, to time.Duration, count uint64) bool) {
	if h.packed != nil {
		for from, count := range h.packed.ForEachBucket {
			if count > 0 && !yield(time.Duration(from), time.Duration(barEnd(from)), uint64(count)) {
				return
			}
		}
		return
	}
	if h.dense == nil || h.dense.TotalCount() == 0 {
		return
	}
	for _, bar := range h.dense.Distribution() {
		if bar.Count > 0 && !yield(time.Duration(bar.From), time.Duration(bar.To), uint64(bar.Count)) {
			return
		}
	}
}

// barEnd is the last latency of the range that begins with from. Latencies of up
// to exactBits bits are told apart; longer ones by their first exactBits bits.
func barEnd(from int64) int64 {
	const exactBits = 11 // 2 * 10^latencyDigits, rounded up to a power of two
	return from + 1<<max(0, bits.Len64(uint64(from))-exactBits) - 1
}

// MarshalJSON encodes the histogram as text.
func (h Histogram) MarshalJSON() ([]byte, error) {
	if h.Count() == 0 {
		return []byte(`""`), nil
	}
	var text []byte
	var err error
	if h.packed != nil {
		text, err = h.packed.Encode()
	} else {
		text, err = h.dense.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
	}
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
	if err := checkEncoded(text); err != nil {
		return err
	}
	packed, err := hdrhistogram.DecodePacked([]byte(text))
	if err != nil {
		return fmt.Errorf("decoding a histogram: %w", err)
	}
	if packed.TotalCount() >= countMax {
		return errors.New("decoding a histogram: it counts too much")
	}
	h.packed = packed
	return nil
}

// countMax keeps sums of counts, over buckets and rounds, from overflowing.
const countMax = 1 << 56

// What checkEncoded looks at in the encoding: after a length, zlib; in it a
// header of big-endian numbers.
const (
	encodedPrefixBytes = 8
	encodedHeaderBytes = 40
	encodedDigitsAt    = 12 // 4 bytes
	encodedMinAt       = 16 // 8 bytes
	encodedMaxAt       = 24 // 8 bytes
)

// checkEncoded refuses text that is not of our kind of histogram, before anything
// is allocated for it: one of many digits takes 50 MB.
func checkEncoded(text string) error {
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return fmt.Errorf("decoding a histogram: %w", err)
	}
	if len(data) < encodedPrefixBytes {
		return errors.New("decoding a histogram: it is too short")
	}
	inflated, err := zlib.NewReader(bytes.NewReader(data[encodedPrefixBytes:]))
	if err != nil {
		return fmt.Errorf("decoding a histogram: %w", err)
	}
	var header [encodedHeaderBytes]byte
	if _, err := io.ReadFull(inflated, header[:]); err != nil {
		return fmt.Errorf("decoding a histogram: %w", err)
	}
	if binary.BigEndian.Uint32(header[encodedDigitsAt:]) != latencyDigits ||
		binary.BigEndian.Uint64(header[encodedMinAt:]) != latencyMin ||
		binary.BigEndian.Uint64(header[encodedMaxAt:]) != uint64(LatencyMax) {
		return errors.New("decoding a histogram: it has other bounds or digits than those of kvbench")
	}
	return nil
}

// bytes is the memory that it takes, about.
func (h Histogram) bytes() int {
	switch {
	case h.packed != nil:
		return h.packed.GetMemorySize()
	case h.dense != nil:
		return h.dense.ByteSize()
	}
	return 0
}
