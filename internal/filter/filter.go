package filter

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"

	"github.com/cespare/xxhash/v2"
)

// Part of the file format.
const (
	blockBytes   = 64
	blockBits    = blockBytes * 8
	trailerBytes = 8
	version      = 1
	hashXXH64    = 1 // the hash is xxHash64 of the key, seed 0
	probesMax    = 14

	probeBits     = 9 // log2(blockBits)
	probeMask     = blockBits - 1
	probesPerWord = 7 // 63 of the 64 bits

	// Odd constants without structure: the fractional parts of the golden
	// ratio and of the square root of two.
	probeMul1 = 0x9e3779b97f4a7c15
	probeMul2 = 0x6a09e667f3bcc909

	// Odd, and from the square root of three.
	prefixMul = 0xbb67ae8584caa73b
)

// What Open refuses.
var (
	ErrMalformed = errors.New("filter: malformed")
	ErrVersion   = errors.New("filter: unknown version")
)

// Hash returns the hash of a user key under which it is added and looked up:
// xxHash64. Part of the file format.
func Hash(key []byte) uint64 { return xxhash.Sum64(key) }

// HashPrefix returns the hash of a prefix of keys. It is another one than that
// of a key of the same bytes, which says nothing about the keys that begin with
// it: the hash of that key, mixed by a bijection. Part of the file format.
func HashPrefix(prefix []byte) uint64 {
	h := xxhash.Sum64(prefix)
	return (h ^ h>>32) * prefixMul
}

// Filter is a filter inside the bytes given to Open, which it aliases. The
// zero Filter is empty: it contains nothing.
type Filter struct {
	bits   []byte // whole blocks
	blocks uint32
	probes uint32
}

// Open checks b, which must be exactly what Finish appended, and returns the
// filter in it. b must stay unchanged while the filter is in use. Errors:
// [ErrMalformed], [ErrVersion] by errors.Is.
func Open(b []byte) (Filter, error) {
	if len(b) < trailerBytes {
		return Filter{}, fmt.Errorf("%w: %d bytes", ErrMalformed, len(b))
	}
	body, t := b[:len(b)-trailerBytes], b[len(b)-trailerBytes:]
	blocks, probes, hash := binary.LittleEndian.Uint32(t), t[4], t[5]
	if t[7] != version || hash != hashXXH64 || t[6] != 0 {
		return Filter{}, fmt.Errorf("%w: version %d, hash %d, flags %d", ErrVersion, t[7], hash, t[6])
	}
	if probes < 1 || probes > probesMax {
		return Filter{}, fmt.Errorf("%w: %d probes", ErrMalformed, probes)
	}
	if uint64(len(body)) != uint64(blocks)*blockBytes {
		return Filter{}, fmt.Errorf("%w: %d bytes for %d blocks", ErrMalformed, len(body), blocks)
	}
	return Filter{bits: body, blocks: blocks, probes: uint32(probes)}, nil
}

// MayContain returns false only if hash was not added. It does not allocate.
func (f Filter) MayContain(hash uint64) bool {
	if f.blocks == 0 {
		return false
	}
	off := int(blockOf(hash, f.blocks)) * blockBytes
	block := (*[blockBytes]byte)(f.bits[off:])
	if !allSet(block, probeWord(hash, probeMul1), min(f.probes, probesPerWord)) {
		return false
	}
	return f.probes <= probesPerWord ||
		allSet(block, probeWord(hash, probeMul2), f.probes-probesPerWord)
}

// allSet looks at all n bits without a branch between them: they share a cache
// line, and a branch taken at random costs more than the rest of the probes.
func allSet(block *[blockBytes]byte, word uint64, n uint32) bool {
	all := byte(1)
	for range n {
		all &= block[word&probeMask>>3] >> (word & 7)
		word >>= probeBits
	}
	return all != 0
}

// Size returns how many bytes of memory the filter holds on to.
func (f Filter) Size() int { return len(f.bits) }

// blockOf maps the upper half of the hash evenly onto [0, blocks).
func blockOf(hash uint64, blocks uint32) uint32 {
	return uint32((hash >> 32) * uint64(blocks) >> 32)
}

// probeWord folds a 128-bit product into seven probes of nine bits. Every
// probe depends on every bit of the hash, so that keys of one block, which
// share the upper bits, still have independent probes.
func probeWord(hash, mul uint64) uint64 {
	hi, lo := bits.Mul64(hash, mul)
	return hi ^ lo
}
