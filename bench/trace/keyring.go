package trace

import (
	"bytes"

	"github.com/cespare/xxhash/v2"
)

// The ring of keys: a part of the file format.
const (
	ringSlots    = 1 << 18
	ringKeyBytes = 64 // longer keys do not enter
)

const (
	chunkSlots = 1 << 10
	tableSlots = 2 * ringSlots
	probesMax  = 4
)

// keyRing holds the keys that were written out last, so that one that comes
// again costs a number of up to three bytes. Writer and reader fill theirs
// alike: each key that is written out takes the next slot, and in the end that
// of the oldest.
type keyRing struct {
	stride int // longest stored key
	chunks [ringSlots / chunkSlots]ringChunk
	added  uint64
	table  []uint32 // of a writer: slot+1 by hash
}

// ringChunk is a part of the ring, allocated when it is reached.
type ringChunk struct {
	bytes   []byte
	lengths []ringLength
}

// ringLength is how long a key is, and how much of it is stored.
type ringLength struct {
	length int32
	stored uint8
}

func newKeyRing(hashed, writes bool) *keyRing {
	r := &keyRing{stride: ringKeyBytes}
	if hashed {
		r.stride = hashedBytes
	}
	if writes {
		r.table = make([]uint32, tableSlots)
	}
	return r
}

// add gives a key that was written out its slot. It tells whether the key
// entered.
func (r *keyRing) add(stored []byte, length int) bool {
	if len(stored) > r.stride {
		return false
	}
	slot := uint32(r.added % ringSlots)
	r.added++
	c := &r.chunks[slot/chunkSlots]
	if c.bytes == nil {
		c.bytes = make([]byte, chunkSlots*r.stride)
		c.lengths = make([]ringLength, chunkSlots)
	}
	at := int(slot % chunkSlots)
	copy(c.bytes[at*r.stride:], stored)
	c.lengths[at] = ringLength{int32(length), uint8(len(stored))}
	if r.table == nil {
		return true
	}
	place := placeOf(stored)
	for i := range uint64(probesMax) {
		if r.table[(place+i)%tableSlots] == 0 {
			place += i
			break
		}
	}
	r.table[place%tableSlots] = slot + 1
	return true
}

// get is what a slot holds. stored is valid until the slot is taken again.
func (r *keyRing) get(slot uint64) (stored []byte, length int, ok bool) {
	if slot >= min(r.added, ringSlots) {
		return nil, 0, false
	}
	c, at := &r.chunks[slot/chunkSlots], int(slot%chunkSlots)
	l := c.lengths[at]
	return c.bytes[at*r.stride:][:l.stored:l.stored], int(l.length), true
}

// find is the slot of a key, for writers. It may miss one that is there.
func (r *keyRing) find(stored []byte, length int) (slot uint64, ok bool) {
	if len(stored) > r.stride {
		return 0, false
	}
	place := placeOf(stored)
	for i := range uint64(probesMax) {
		s := r.table[(place+i)%tableSlots]
		if s == 0 {
			return 0, false
		}
		if b, n, _ := r.get(uint64(s - 1)); n == length && bytes.Equal(b, stored) {
			return uint64(s - 1), true
		}
	}
	return 0, false
}

func placeOf(stored []byte) uint64 { return xxhash.Sum64(stored) >> 20 }
