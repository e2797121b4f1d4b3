package measure

import (
	"slices"
	"sync/atomic"
	"time"
)

// The work of Speed. Never change it: a saved run would look as if its machine had
// been another.
const (
	speedRounds = 4
	speedWords  = 2 << 20 // of 4 bytes: more than a core's own caches hold
	speedLine   = 16      // words of a cache line
	speedSteps  = 16_000
	speedMixes  = 600_000
	speedSorted = 12_000
	speedSeed   = 88_172_645_463_325_252
)

// Speed tells how fast the machine is right now: what a fixed piece of work takes,
// some 8 ms, on one core. It has four parts, of about the same length each: reads
// all over memory that wait for each other, a walk through memory in order,
// arithmetic, and sorting, which mispredicts branches. All are done four times,
// and the shortest time of each part is taken.
//
// The shortest, and not the median, because the question is what the machine can
// do now: clock rate, throttling, a shared cache and memory make all repetitions
// slower. Somebody else's process that takes the core for a moment makes only some
// slower; it says little about the seconds to come, and on a busy machine made the
// median of a number of calls vary by 39 %, the shortest by 11 %.
//
// The call takes some 40 ms and 8 MiB, which it gives back to the operating
// system rather than to the Go heap.
func Speed() time.Duration {
	took, sum := speed()
	speedSum.Store(sum)
	return took
}

// speedSum takes the result of the work, so that none of it can be left out.
var speedSum atomic.Uint64

func speed() (took time.Duration, sum uint64) {
	words, free := scratch(speedWords)
	defer free()
	w := newSpeedWork(words)
	parts := []func() uint64{w.chase, w.walk, w.mix, w.sort}
	shortest := make([]time.Duration, len(parts))
	for round := range speedRounds {
		for i, part := range parts {
			began := time.Now()
			sum += part()
			if d := time.Since(began); round == 0 || d < shortest[i] {
				shortest[i] = d
			}
		}
	}
	for _, d := range shortest {
		took += d
	}
	return took, sum
}

type speedWork struct {
	words    []uint32 // each has the index of the next one
	unsorted []uint64
	sorted   []uint64
}

func newSpeedWork(words []uint32) *speedWork {
	w := &speedWork{words: words, unsorted: make([]uint64, speedSorted), sorted: make([]uint64, speedSorted)}
	for i := range words {
		// A congruential generator of full period (Hull and Dobell, 1962): following
		// it visits all words, in an order that no prefetcher foresees.
		words[i] = (uint32(i)*1_664_525 + 1_013_904_223) % speedWords
	}
	x := uint64(speedSeed)
	for i := range w.unsorted {
		x = xorshift(x)
		w.unsorted[i] = x
	}
	return w
}

func (w *speedWork) chase() uint64 {
	at := uint32(0)
	for range speedSteps {
		at = w.words[at]
	}
	return uint64(at)
}

func (w *speedWork) walk() (sum uint64) {
	for at := 0; at < len(w.words); at += speedLine {
		sum += uint64(w.words[at])
	}
	return sum
}

func (w *speedWork) mix() uint64 {
	x := uint64(speedSeed)
	for range speedMixes {
		x = xorshift(x)
	}
	return x
}

func (w *speedWork) sort() uint64 {
	copy(w.sorted, w.unsorted)
	slices.Sort(w.sorted)
	return w.sorted[speedSorted/2]
}

// xorshift is a step of Marsaglia's generator (2003).
func xorshift(x uint64) uint64 {
	x ^= x << 13
	x ^= x >> 7
	x ^= x << 17
	return x
}
