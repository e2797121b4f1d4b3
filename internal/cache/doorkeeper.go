package cache

import "sync/atomic"

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
// over: no clearing, no clock. Where n blocks are missed equally often, a table
// of t slots lets t/(n+t) of the misses through. So what is new gets in at a
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
	doorShare    = 2
	doorSlotsMin = 1 << 8
	doorSlotsMax = 1 << 20
)

// newDoorkeeper sizes the table for a keeper of the given capacity in bytes.
func newDoorkeeper(capacity int64) doorkeeper {
	n := capacity / blockBytesTypical / doorShare
	return doorkeeper{slots: make([]atomic.Uint32, min(max(n, doorSlotsMin), doorSlotsMax))}
}

// pass reports whether the key with this hash came lately, and notes that it
// did. A key that passes is forgotten: unless the keeper takes it, it queues up
// again.
func (d *doorkeeper) pass(hash uint64) bool {
	slot := &d.slots[uint64(uint32(hash))*uint64(len(d.slots))>>32]
	print := uint32(hash>>32) | 1 // 0 is an empty slot
	if slot.Load() == print {
		slot.Store(0)
		return true
	}
	slot.Store(print)
	return false
}
