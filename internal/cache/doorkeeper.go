package cache

import (
	"math/rand/v2"
	"sync/atomic"
)

// doorkeeper remembers which blocks were missed of late. While the keeper is
// full, a block is offered to it only when it is missed a second time.
//
// TinyLFU would turn most first-time blocks away too, but only after an entry
// went through its queue, woke its goroutine and was weighed against a sample
// of what is kept: more than reading the block from the page cache costs. The
// idea of keeping those that come once out of the books is TinyLFU's own
// (Einziger, Friedman, Manes, 2017, section 3.4.2).
//
// The table has one fingerprint in each slot, and a later block takes the slot
// over or, as often, does not: no clearing, no clock, and no two blocks that
// keep each other out by coming in turns. Where n blocks are missed equally
// often, a table of t slots lets 2t/(n+2t) of the misses through. So what is new gets in at a
// bounded rate when all of it is alike, which is when it matters little what is
// kept; and nearly at once where some of it is used more than the rest.
//
// Races between callers lose a fingerprint or let a block through early: both
// are harmless.
type doorkeeper struct {
	slots []atomic.Uint32
}

const (
	// doorShare: one slot for so many blocks that the keeper may hold.
	doorShare    = 4
	doorSlotsMin = 1 << 8
	doorSlotsMax = 1 << 20
)

// newDoorkeeper sizes the table for a keeper of the given capacity in bytes.
func newDoorkeeper(capacity int64) doorkeeper {
	n := capacity / blockBytesTypical / doorShare
	return doorkeeper{slots: make([]atomic.Uint32, min(max(n, doorSlotsMin), doorSlotsMax))}
}

// pass reports whether the key with this hash came lately, and as a rule notes
// that it did. A key that passes is forgotten: unless the keeper takes it, it queues up
// again.
func (d *doorkeeper) pass(hash uint64) bool {
	slot := &d.slots[uint64(uint32(hash))*uint64(len(d.slots))>>32]
	print := uint32(hash>>32) | 1 // 0 is an empty slot
	switch before := slot.Load(); {
	case before == print:
		slot.Store(0)
		return true
	case before == 0, rand.Uint32()%2 == 0:
		slot.Store(print)
	}
	return false
}
