package memtable

import (
	"math/rand/v2"
	"runtime"
	"sync/atomic"
)

// probeBase starts the positions that stand for probes.
const probeBase = uint32(slabsMax << slabShift)

// A lookup compares a key that is in no arena with items that are. The tree's
// order takes two items and nothing else, so the key is put into a slot, and
// the number of the slot into the item in place of a position.
//
// A slot is taken for the time of one descent into the tree, which does not
// block, so that there are enough of them for any number of goroutines.
type probeSlot struct {
	busy  atomic.Bool
	found bool
	key   []byte // a copy, in memory that is kept: the caller's key does not escape
	item  item   // what a lookup found
	visit func(item) bool
	_     [64]byte // slots do not share cache lines
}

const probeSlots = 32

// probeTable is the slots of one memtable.
type probeTable struct {
	slots [probeSlots]probeSlot
}

// init prepares the slots, once for all memtables that use them.
func (t *probeTable) init() {
	for i := range t.slots {
		s := &t.slots[i]
		// Made once, since a closure per lookup would be an allocation.
		s.visit = func(it item) bool {
			s.item, s.found = it, true
			return false
		}
	}
}

// take returns a slot that holds a copy of key.
func (t *probeTable) take(key []byte) (slot *probeSlot, pos uint32) {
	for i := rand.Uint32(); ; i++ {
		n := i % probeSlots
		if s := &t.slots[n]; !s.busy.Load() && s.busy.CompareAndSwap(false, true) {
			s.key = append(s.key[:0], key...)
			s.found = false
			return s, probeBase + n
		}
		if n == probeSlots-1 {
			runtime.Gosched()
		}
	}
}

func (s *probeSlot) giveBack() { s.busy.Store(false) }
