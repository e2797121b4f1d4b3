package sstable

import (
	"encoding/binary"

	"github.com/cordwood-db/cordwood/internal/base"
)

// blockBuilder makes the contents of a data block. It keeps its memory from
// block to block.
type blockBuilder struct {
	interval int // entries from one restart point to the next

	buf      []byte
	restarts []uint32
	run      int // entries since the last restart point
	count    int
}

// add appends an entry. shared is how much of user is the beginning of the
// user key added before.
func (b *blockBuilder) add(user []byte, shared int, trailer base.Trailer, payload []byte) {
	if b.count == 0 || b.run == b.interval {
		b.restarts = append(b.restarts, uint32(len(b.buf)))
		b.run = 0
		shared = 0
	}
	b.run++
	b.count++
	b.buf = appendEntryHeader(b.buf, shared, len(user)-shared, len(payload), trailer)
	b.buf = append(b.buf, user[shared:]...)
	b.buf = append(b.buf, payload...)
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
	return len(b.buf) + len(b.restarts)*restartBytes + lengthCountByte
}

// finish returns the contents of the block, valid until the next reset.
func (b *blockBuilder) finish() []byte {
	for _, r := range b.restarts {
		b.buf = binary.LittleEndian.AppendUint32(b.buf, r)
	}
	b.buf = binary.LittleEndian.AppendUint32(b.buf, uint32(len(b.restarts)))
	return b.buf
}

// reset makes the builder ready for the next block. Memory far above what a
// block usually takes is given back.
func (b *blockBuilder) reset(keepMax int) {
	if cap(b.buf) > keepMax {
		b.buf = nil
	}
	b.buf = b.buf[:0]
	b.restarts = b.restarts[:0]
	b.run, b.count = 0, 0
}
