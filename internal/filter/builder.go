package filter

import (
	"encoding/binary"
	"math"
	"slices"
)

// Limits of what Finish writes.
const (
	bitsPerKeyMin = 1
	bitsPerKeyMax = 32

	// blocksMax keeps a filter below 1 GiB, so that its size is an int
	// everywhere. More keys than that share the bits.
	blocksMax = 1<<24 - 1
)

// Builder collects hashes, eight bytes of memory for each. The zero value is
// ready. It belongs to one goroutine.
type Builder struct {
	hashes []uint64
}

// Add adds the hash of a key. A hash equal to the one before it, as the
// versions of one key have, is counted once.
func (b *Builder) Add(hash uint64) {
	if n := len(b.hashes); n > 0 && b.hashes[n-1] == hash {
		return
	}
	b.hashes = append(b.hashes, hash)
}

// Len returns how many hashes were added since the last Reset.
func (b *Builder) Len() int { return len(b.hashes) }

// Reset forgets all hashes and keeps their memory for the next filter.
func (b *Builder) Reset() { b.hashes = b.hashes[:0] }

// EstimatedSize returns how many bytes Finish would append now.
func (b *Builder) EstimatedSize(bitsPerKey float64) int {
	return blockCount(len(b.hashes), bitsPerKey)*blockBytes + trailerBytes
}

// Finish appends the filter of all hashes added to dst. bitsPerKey is put
// between 1 and 32; not a number counts as 10. Without hashes the filter is a
// trailer alone and contains nothing. The builder keeps its hashes.
func (b *Builder) Finish(dst []byte, bitsPerKey float64) []byte {
	blocks := blockCount(len(b.hashes), bitsPerKey)
	probes := probeCount(bitsPerKey)
	start := len(dst)
	dst = slices.Grow(dst, blocks*blockBytes+trailerBytes)
	dst = dst[:start+blocks*blockBytes]
	body := dst[start:]
	clear(body)
	for _, hash := range b.hashes {
		setBits(body, uint32(blocks), probes, hash)
	}
	dst = binary.LittleEndian.AppendUint32(dst, uint32(blocks))
	return append(dst, byte(probes), hashXXH64, 0, version)
}

func setBits(body []byte, blocks uint32, probes int, hash uint64) {
	off := int(blockOf(hash, blocks)) * blockBytes
	block := (*[blockBytes]byte)(body[off:])
	word := probeWord(hash, probeMul1)
	for i := range probes {
		if i == probesPerWord {
			word = probeWord(hash, probeMul2)
		}
		block[word&probeMask>>3] |= 1 << (word & 7)
		word >>= probeBits
	}
}

func clampBits(bitsPerKey float64) float64 {
	if math.IsNaN(bitsPerKey) {
		return 10
	}
	return min(max(bitsPerKey, bitsPerKeyMin), bitsPerKeyMax)
}

func blockCount(keys int, bitsPerKey float64) int {
	blocks := math.Ceil(float64(keys) * clampBits(bitsPerKey) / blockBits)
	return int(min(blocks, blocksMax))
}

// probeCount returns the number of probes with the fewest false positives. An
// ideal filter wants ln 2 times the bits of a key; in a blocked one the blocks
// that got more keys than others weigh more, and they want fewer. The factor
// was found by counting (TestProbeCountIsTheBest).
func probeCount(bitsPerKey float64) int {
	n := int(math.Round(clampBits(bitsPerKey) * 0.59))
	return min(max(n, 1), probesMax)
}
