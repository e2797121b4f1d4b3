package cache

import (
	"math/bits"
	"sync"

	"github.com/cordwood-db/cordwood/internal/invariants"
)

// Size classes: eight to a doubling, so that a buffer is at most an eighth
// larger than asked for. Larger buffers than the last class are not pooled.
const (
	classStepBits = 3
	classMinBits  = 8  // 256 bytes
	classMaxBits  = 21 // 2 MiB
	classCount    = (classMaxBits-classMinBits)<<classStepBits + 1
)

const poisonByte = 0xdb

// buffer is what the pools hold: a pointer to it fits an interface without
// another allocation.
type buffer struct {
	bytes []byte // len is the class's size
	class int    // -1: not pooled
}

var pools [classCount]sync.Pool

// classOf returns the smallest class that holds n bytes, or -1.
func classOf(n int) int {
	if n <= 1<<classMinBits {
		return 0
	}
	if n > 1<<classMaxBits {
		return -1
	}
	// n-1 lies in [2^top, 2^(top+1)); the next three bits pick the eighth.
	top := bits.Len(uint(n-1)) - 1
	eighth := (n - 1) >> (top - classStepBits) & (1<<classStepBits - 1)
	return (top-classMinBits)<<classStepBits + eighth + 1
}

// classBytes returns the size of a class.
func classBytes(class int) int {
	top := classMinBits + class>>classStepBits
	eighth := class & (1<<classStepBits - 1)
	return 1<<top + eighth<<(top-classStepBits)
}

func getBuffer(n int) *buffer {
	class := classOf(n)
	if class < 0 {
		return &buffer{bytes: make([]byte, n), class: -1}
	}
	if b, ok := pools[class].Get().(*buffer); ok {
		return b
	}
	return &buffer{bytes: make([]byte, classBytes(class)), class: class}
}

func putBuffer(b *buffer) {
	if invariants.Enabled {
		for i := range b.bytes {
			b.bytes[i] = poisonByte
		}
	}
	if b.class >= 0 {
		pools[b.class].Put(b)
	}
}
