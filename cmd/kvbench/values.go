package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
)

// A value is a header and a body:
//
//	offset  size  meaning
//	0       8     identity: a hash of seed and key number
//	8       4     version
//	12      4     length of the whole value
//	16            bytes of the pool, from a place given by identity and version
const valueHeaderBytes = 16

const (
	poolBytes = 1 << 20
	// Half of each stretch repeats the other, so that values compress to about
	// half: that is what stored data tends to do.
	poolStretchBytes = 64
)

// generator makes and checks values. It is immutable after newGenerator.
type generator struct {
	seed  uint64
	bytes int // length of every value
	pool  []byte
}

func newGenerator(seed uint64, valueBytes int) *generator {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	random := rand.NewChaCha8(key)
	pool := make([]byte, poolBytes)
	for at := 0; at < len(pool); at += poolStretchBytes {
		stretch := pool[at : at+poolStretchBytes]
		half := len(stretch) / 2
		random.Read(stretch[:half]) // never fails
		copy(stretch[half:], stretch[:half])
	}
	return &generator{seed: seed, bytes: valueBytes, pool: pool}
}

func (g *generator) identity(number uint64) uint64 { return mix(g.seed ^ mix(number)) }

func (g *generator) poolStart(identity uint64, version uint32) int {
	return int(mix(identity^uint64(version)) % poolBytes)
}

// appendValue appends the value of a key at a version.
func (g *generator) appendValue(dst []byte, number uint64, version uint32) []byte {
	identity := g.identity(number)
	dst = binary.LittleEndian.AppendUint64(dst, identity)
	dst = binary.LittleEndian.AppendUint32(dst, version)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(g.bytes))
	at, left := g.poolStart(identity, version), g.bytes-valueHeaderBytes
	for left > 0 {
		part := g.pool[at:min(poolBytes, at+left)]
		dst = append(dst, part...)
		left -= len(part)
		at = 0
	}
	return dst
}

// check verifies that value belongs to the key, byte for byte, and returns its
// version, or a description of what is wrong.
func (g *generator) check(value []byte, number uint64) (version uint32, problem string) {
	if len(value) != g.bytes {
		return 0, fmt.Sprintf("%d bytes long, want %d", len(value), g.bytes)
	}
	identity := g.identity(number)
	if got := binary.LittleEndian.Uint64(value); got != identity {
		return 0, fmt.Sprintf("identity %016x, want %016x: the value of another key, or damaged", got, identity)
	}
	version = binary.LittleEndian.Uint32(value[8:])
	if got := binary.LittleEndian.Uint32(value[12:]); got != uint32(g.bytes) {
		return 0, fmt.Sprintf("header gives %d bytes, want %d: damaged", got, g.bytes)
	}
	at, body := g.poolStart(identity, version), value[valueHeaderBytes:]
	for len(body) > 0 {
		part := g.pool[at:min(poolBytes, at+len(body))]
		if !bytes.Equal(body[:len(part)], part) {
			return 0, fmt.Sprintf("version %d has damaged bytes after offset %d", version, len(value)-len(body))
		}
		body = body[len(part):]
		at = 0
	}
	return version, ""
}
