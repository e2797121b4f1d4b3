package measure

import (
	"math"
	"math/rand/v2"
	"time"
)

// Pacer is one worker's timetable in an open loop. It follows from its arguments
// alone: an operation that takes long makes the next ones begin late, and never
// shifts or skips what is due. It is for one goroutine.
type Pacer struct {
	rate    float64 // of all workers, per second; 0: closed loop
	workers float64
	turn    float64 // even distances: the next one's number among those of all workers
	next    float64 // Poisson arrivals: when the last one was due, in ns
	random  *rand.Rand
}

// AtOnce is what a Pacer of a closed loop returns: no time in particular.
const AtOnce time.Duration = -1

// NewPacer returns the timetable of worker index, from 0, out of workers that
// together have rate operations per second. They come at even distances, taking
// turns: operation k of worker i out of W is due at (k·W+i)/rate. With poisson
// they come at random, independently of each other, as requests of many users do:
// the gaps are exponentially distributed, and the same for the same seed.
//
// Without a rate above 0 it is a closed loop: Next returns AtOnce.
func NewPacer(rate float64, workers, index int, poisson bool, seed uint64) *Pacer {
	if !(rate > 0) { // NaN, too
		return &Pacer{}
	}
	p := &Pacer{rate: rate, workers: float64(max(workers, 1)), turn: float64(index)}
	if poisson {
		p.random = rand.New(rand.NewPCG(seed, uint64(index)))
	}
	return p
}

// Next is when the next operation is due, since the beginning of the phase, never
// before the one handed out before.
func (p *Pacer) Next() time.Duration {
	const second = float64(time.Second)
	if p.rate == 0 {
		return AtOnce
	}
	var due float64
	if p.random != nil {
		p.next += p.random.ExpFloat64() * second * p.workers / p.rate
		due = p.next
	} else {
		due = p.turn * second / p.rate // from its number, so that no error adds up
		p.turn += p.workers
	}
	if due >= math.MaxInt64 { // centuries
		return math.MaxInt64
	}
	return time.Duration(math.Round(due))
}
