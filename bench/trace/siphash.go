package trace

import (
	"encoding/binary"
	"math/bits"
)

// secret is the key of the hash.
type secret [2]uint64

func newSecret(b [16]byte) secret {
	return secret{binary.LittleEndian.Uint64(b[:8]), binary.LittleEndian.Uint64(b[8:])}
}

// sipState is that of SipHash (Aumasson and Bernstein, "SipHash: a fast
// short-input PRF", 2012). Who does not know the secret cannot find out by
// trying keys, which a mere checksum would allow.
type sipState struct{ v0, v1, v2, v3 uint64 }

func (s *sipState) round() {
	s.v0 += s.v1
	s.v2 += s.v3
	s.v1 = bits.RotateLeft64(s.v1, 13) ^ s.v0
	s.v3 = bits.RotateLeft64(s.v3, 16) ^ s.v2
	s.v0 = bits.RotateLeft64(s.v0, 32)
	s.v2 += s.v1
	s.v0 += s.v3
	s.v1 = bits.RotateLeft64(s.v1, 17) ^ s.v2
	s.v3 = bits.RotateLeft64(s.v3, 21) ^ s.v0
	s.v2 = bits.RotateLeft64(s.v2, 32)
}

func (s *sipState) word(m uint64) {
	s.v3 ^= m
	s.round()
	s.round()
	s.v0 ^= m
}

// sum is SipHash-2-4 of b.
func (k secret) sum(b []byte) uint64 {
	s := sipState{k[0] ^ 0x736f6d6570736575, k[1] ^ 0x646f72616e646f6d, k[0] ^ 0x6c7967656e657261, k[1] ^ 0x7465646279746573}
	n := len(b)
	for ; len(b) >= 8; b = b[8:] {
		s.word(binary.LittleEndian.Uint64(b))
	}
	last := uint64(n) << 56
	for i, c := range b {
		last |= uint64(c) << (8 * i)
	}
	s.word(last)
	s.v2 ^= 0xff
	for range 4 {
		s.round()
	}
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3
}

// hashedBytes is how many bytes of a hashed key are stored: the others follow
// from them.
const hashedBytes = 8

// hash appends the stored form of a key: for up to 8 bytes another string of
// that length, a different one for each; for longer ones 8 bytes of hash.
func (k secret) hash(dst, key []byte) []byte {
	n := len(key)
	if n > hashedBytes {
		return binary.BigEndian.AppendUint64(dst, k.sum(key))
	}
	var word uint64
	for _, c := range key {
		word = word<<8 | uint64(c)
	}
	word = k.permute(word, n)
	for i := range n {
		dst = append(dst, byte(word>>(8*(n-1-i))))
	}
	return dst
}

// permute is a Feistel network over the words of n bytes (Luby and Rackoff,
// 1988): no two words get the same one.
func (k secret) permute(word uint64, n int) uint64 {
	if n == 0 {
		return word
	}
	half := uint(4 * n)
	mask := uint64(1)<<half - 1
	left, right := word>>half, word&mask
	for round := range byte(8) {
		var in [6]byte
		in[0], in[1] = round, byte(n)
		binary.LittleEndian.PutUint32(in[2:], uint32(right))
		left, right = right, left^k.sum(in[:])&mask
	}
	return left<<half | right
}

// expand makes a hashed key as long as the key was: its stored bytes, then what
// follows from them. It appends to dst.
func expand(dst, stored []byte, length int) []byte {
	dst = append(dst, stored...)
	left := length - len(stored)
	if left <= 0 {
		return dst
	}
	state := binary.BigEndian.Uint64(stored)
	var b [8]byte
	for ; left > 0; left -= 8 {
		state += 0x9e3779b97f4a7c15
		binary.BigEndian.PutUint64(b[:], mix(state))
		dst = append(dst, b[:min(left, 8)]...)
	}
	return dst
}

// mix is the finalizer of SplitMix64 (Steele, Lea and Flood, 2014). It is a part
// of the file format, through expand.
func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
