package sstable

import (
	"encoding/binary"

	"github.com/cordwood-db/cordwood/internal/base"
)

// blockBuilder makes the contents of a data block. It keeps its memory from
// block to block.
type blockBuilder struct {
	interval int // entries from one restart point to the next

	keys     []byte
	payloads []byte
	restarts []byte
	skip     int // length of the prefix that all user keys share
	run      int // entries since the last restart point
	count    int
}

// add appends an entry. shared is how much of user is the beginning of the
// user key added before.
func (b *blockBuilder) add(user []byte, shared int, trailer base.Trailer, payload []byte) {
	if b.count == 0 {
		b.skip = len(user)
	} else {
		b.skip = min(b.skip, shared)
	}
	if b.count == 0 || b.run == b.interval {
		b.restarts = binary.LittleEndian.AppendUint32(b.restarts, uint32(len(b.keys)))
		b.restarts = binary.LittleEndian.AppendUint32(b.restarts, uint32(len(b.payloads)))
		b.restarts = binary.LittleEndian.AppendUint64(b.restarts, 0) // see finish
		b.run = 0
		shared = 0
	}
	b.run++
	b.count++
	b.keys = appendEntryHeader(b.keys, shared, len(user)-shared, len(payload), trailer)
	b.keys = append(b.keys, user[shared:]...)
	b.payloads = append(b.payloads, payload...)
}

// appendEntryHeader appends what precedes the key bytes of an entry.
func appendEntryHeader(dst []byte, shared, unshared, payload int, trailer base.Trailer) []byte {
	if shared|unshared|payload < 0x80 {
		dst = append(dst, byte(shared), byte(unshared), byte(payload))
	} else {
		dst = binary.AppendUvarint(dst, uint64(shared))
		dst = binary.AppendUvarint(dst, uint64(unshared))
		dst = binary.AppendUvarint(dst, uint64(payload))
	}
	return binary.LittleEndian.AppendUint64(dst, uint64(trailer))
}

// size is how many bytes finish would give now.
func (b *blockBuilder) size() int {
	return len(b.keys) + len(b.payloads) + len(b.restarts) + blockTailBytes
}

// finish returns the contents of the block, valid until the next reset.
func (b *blockBuilder) finish() []byte {
	keys := block{keys: b.keys, payloads: b.payloads, restarts: b.restarts}
	for i := 0; i < len(b.restarts); i += restartBytes {
		// Only now is it known where the heads begin.
		e, _ := keys.entry(keys.restart(i / restartBytes))
		binary.LittleEndian.PutUint64(b.restarts[i+restartHeadAt:], headOf(keys.suffix(&e), b.skip))
	}
	b.keys = append(b.keys, b.payloads...)
	b.keys = append(b.keys, b.restarts...)
	b.keys = appendBlockTail(b.keys, b.skip, len(keys.keys), len(b.restarts)/restartBytes)
	return b.keys
}

// appendBlockTail appends what ends the contents of a block.
func appendBlockTail(dst []byte, skip, keys, restarts int) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, uint32(skip))
	dst = binary.LittleEndian.AppendUint32(dst, uint32(keys))
	return binary.LittleEndian.AppendUint32(dst, uint32(restarts))
}

// reset makes the builder ready for the next block. Memory far above what a
// block usually takes is given back.
func (b *blockBuilder) reset(keepMax int) {
	if cap(b.keys) > keepMax {
		b.keys = nil
	}
	if cap(b.payloads) > keepMax {
		b.payloads = nil
	}
	b.keys, b.payloads, b.restarts = b.keys[:0], b.payloads[:0], b.restarts[:0]
	b.run, b.count = 0, 0
}
