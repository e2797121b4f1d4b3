package workload

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
)

// A record is a header and a body:
//
//	offset  size  meaning
//	0       8     identity: a hash of seed and key index
//	8       4     version
//	12      4     length of the whole record, which follows from the two
//	16            bytes of the pool, from a place given by identity and version
//
// A value that was put is one record. A merge appends one: then a value is the
// records of successive versions.
const headerBytes = 16

const (
	poolBytes      = 1 << 20
	poolBytesLarge = 8 << 20
	// largeBytes is from where on values take the large pool, so that one is not
	// made of repeats of another that a compressor with a wide window finds. The
	// small pool stays in the processor's cache.
	largeBytes = 32 << 10
	// stretchBytes is the length of the pieces of the pool: the first part of
	// each is random, the rest the same in all, as records have field names and
	// layout in common. So a block of short values compresses as a long one does.
	stretchBytes = 64
)

// generator makes and checks records. It is immutable after newGenerator.
type generator struct {
	seed  uint64
	sizes Sizes
	fixed int // the length of every record; 0 if lengths differ
	pool  []byte
}

func newGenerator(d *Data) *generator {
	g := &generator{seed: mix(d.Seed), sizes: d.Sizes}
	if f, ok := d.Sizes.(fixedSizes); ok {
		g.fixed = int(f)
	}
	g.pool = make([]byte, poolBytes)
	if d.Sizes.Max() >= largeBytes {
		g.pool = make([]byte, poolBytesLarge)
	}
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], d.Seed)
	source := rand.NewChaCha8(key)
	fresh := int(stretchBytes*d.Compressibility + 0.5)
	var common [stretchBytes]byte
	source.Read(common[:]) // never fails
	for at := 0; at < len(g.pool); at += stretchBytes {
		stretch := g.pool[at : at+stretchBytes]
		source.Read(stretch[:fresh])
		copy(stretch[fresh:], common[fresh:])
	}
	return g
}

func (g *generator) identity(i uint64) uint64 { return mix(g.seed ^ mix(i)) }

// length is that of the record of an identity at a version.
func (g *generator) length(identity uint64, version uint32) int {
	if g.fixed != 0 {
		return g.fixed
	}
	return g.sizes.At(mix(identity + uint64(version)*golden))
}

func (g *generator) place(identity uint64, version uint32) int {
	return int(mix(identity^uint64(version)) & uint64(len(g.pool)-1))
}

// append appends the record of the key with index i at a version.
func (g *generator) append(dst []byte, i uint64, version uint32) []byte {
	identity := g.identity(i)
	length := g.length(identity, version)
	dst = binary.LittleEndian.AppendUint64(dst, identity)
	dst = binary.LittleEndian.AppendUint32(dst, version)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(length))
	return g.appendPool(dst, g.place(identity, version), length-headerBytes)
}

// appendPool appends n bytes of the pool from a place on, over its end to its
// beginning.
func (g *generator) appendPool(dst []byte, at, n int) []byte {
	for n > 0 {
		part := g.pool[at:min(len(g.pool), at+n)]
		dst = append(dst, part...)
		n -= len(part)
		at = 0
	}
	return dst
}

// samePool tells whether b is what appendPool makes.
func (g *generator) samePool(b []byte, at int) bool {
	for len(b) > 0 {
		part := g.pool[at:min(len(g.pool), at+len(b))]
		if !bytes.Equal(b[:len(part)], part) {
			return false
		}
		b = b[len(part):]
		at = 0
	}
	return true
}

// check verifies that value belongs to the key with index i, byte for byte, and
// returns the versions of its first and its last record, or what is wrong.
func (g *generator) check(value []byte, i uint64) (first, last uint32, problem string) {
	identity := g.identity(i)
	for at := 0; at < len(value) || at == 0; {
		version, length, problem := g.checkRecord(value[at:], identity)
		switch {
		case problem != "":
			if at > 0 {
				problem = fmt.Sprintf("at offset %d: %s", at, problem)
			}
			return 0, 0, problem
		case at == 0:
			first = version
		case version != last+1:
			return 0, 0, fmt.Sprintf("the operand of version %d comes after that of version %d", version, last)
		}
		last = version
		at += length
	}
	return first, last, ""
}

func (g *generator) checkRecord(b []byte, identity uint64) (version uint32, length int, problem string) {
	if len(b) < headerBytes {
		return 0, 0, fmt.Sprintf("%d bytes, too few for a header: cut off", len(b))
	}
	if got := binary.LittleEndian.Uint64(b); got != identity {
		return 0, 0, fmt.Sprintf("identity %016x, want %016x: the value of another key, or damaged", got, identity)
	}
	version = binary.LittleEndian.Uint32(b[8:])
	length = g.length(identity, version)
	if got := binary.LittleEndian.Uint32(b[12:]); got != uint32(length) {
		return 0, 0, fmt.Sprintf("the header of version %d gives %d bytes, want %d: damaged", version, got, length)
	}
	if len(b) < length {
		return 0, 0, fmt.Sprintf("version %d has %d bytes, want %d: cut off", version, len(b), length)
	}
	if !g.samePool(b[headerBytes:length], g.place(identity, version)) {
		return 0, 0, fmt.Sprintf("version %d has damaged bytes", version)
	}
	return version, length, ""
}
