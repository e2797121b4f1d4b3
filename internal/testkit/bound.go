package testkit

import (
	"runtime"
	"runtime/metrics"
	"testing"
	"time"
)

// Bound is what code may take for an input that nobody vouches for, and still
// be said to bound its memory. What is freed meanwhile counts, too.
type Bound struct {
	PerByte int // bytes of memory for each byte of the input
	Fixed   int // bytes of memory whatever the input is
}

// DecoderBound is what a decoder may take: far less than what a length or a
// count in its input can ask for.
var DecoderBound = Bound{PerByte: 64, Fixed: 1 << 20}

// inputTimeMax is how long one input may take: what is bounded at all takes far
// less, also on a machine that has much else to do.
const inputTimeMax = 2 * time.Minute

// Bounded runs fn, which decodes size bytes, and fails t if that takes more
// than DecoderBound.
func Bounded(t testing.TB, size int, fn func()) {
	t.Helper()
	DecoderBound.Run(t, size, fn)
}

// Run runs fn, which reads size bytes, and fails t if it allocates more than b
// allows, or takes longer than two minutes. It counts what the whole process
// allocates, by whole pages: b.Fixed should be a few hundred KiB at least, and
// nothing else should run meanwhile.
func (b Bound) Run(t testing.TB, size int, fn func()) {
	t.Helper()
	start, before := time.Now(), allocatedBefore()
	fn()
	if took := time.Since(start); took > inputTimeMax {
		t.Errorf("an input of %d bytes took %v", size, took)
	}
	if n, most := allocated()-before, b.Most(size); n > most {
		t.Errorf("an input of %d bytes took %d bytes of memory, more than %d", size, n, most)
	}
}

// Most is what b allows for an input of size bytes, in bytes.
func (b Bound) Most(size int) uint64 { return uint64(b.PerByte)*uint64(size) + uint64(b.Fixed) }

// allocated is how much memory the process has ever allocated, in bytes.
// Asking the runtime this way stops nothing, but leaves out some of what was
// allocated lately: what it counts when pages are used up, or garbage is collected.
func allocated() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

// allocatedBefore is that with nothing left out, which would count as the input's
// later. It stops the process for some microseconds.
func allocatedBefore() uint64 {
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return s.TotalAlloc
}
