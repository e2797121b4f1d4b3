package cache

import (
	"sync/atomic"

	"github.com/cordwood-db/cordwood/internal/invariants"
)

// overheadBytes is what a kept block takes beside its buffer: the block itself
// and the keeper's entries for it in its map, its policy and its queue.
const overheadBytes = 256

// Block is a run of bytes with a count of references. The bytes must not be
// changed once the block is shared.
type Block struct {
	refs atomic.Int32
	held [2]atomic.Bool // the keeper of this parity holds a reference

	// Written by the block's maker, before it is shared.
	data      []byte
	buf       *buffer
	file, off uint64
}

// NewBlock returns a block of n bytes of undefined contents with one
// reference, the caller's. It never fails: whoever takes n from a file checks
// it first.
func NewBlock(n int) *Block {
	b := &Block{buf: getBuffer(n)}
	b.data = b.buf.bytes[:n]
	b.refs.Store(1)
	return b
}

// Bytes returns the block's bytes. They are valid until Release. The maker of
// a block may use the slice's spare capacity; nobody else may.
func (b *Block) Bytes() []byte { return b.data }

// Truncate shortens the block to its first n bytes. Only its maker may call
// it, before the block is shared.
func (b *Block) Truncate(n int) { b.data = b.data[:n] }

// Ref takes another reference. The caller must hold one.
func (b *Block) Ref() {
	n := b.refs.Add(1)
	invariants.Check(n > 1, "cache: reference taken of a freed block")
}

// Release gives back one reference; the bytes must not be used any more.
func (b *Block) Release() {
	n := b.refs.Add(-1)
	invariants.Check(n >= 0, "cache: block released twice")
	if n == 0 {
		buf := b.buf
		b.buf, b.data = nil, nil
		putBuffer(buf)
	}
}

// tryRef takes a reference unless the block is freed already.
func (b *Block) tryRef() bool {
	for {
		n := b.refs.Load()
		if n <= 0 {
			return false
		}
		if b.refs.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// cost returns what the block is weighed with: all memory it takes. The caller
// holds a reference.
func (b *Block) cost() int64 { return int64(len(b.buf.bytes)) + overheadBytes }
