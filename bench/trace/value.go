package trace

import (
	"encoding/binary"
)

// identityBytes is the part of a value that tells its version and length.
const identityBytes = 8

// appendValue appends the value of a version of a key. Its first bytes tell
// version and length, and all others follow from the key's hash and those; half
// of them repeat, so that it compresses to about half. A value of fewer than
// identityBytes has only what follows.
func appendValue(dst []byte, hash, version uint64, length int) []byte {
	identity := version<<32 | uint64(length)
	seed := mix(hash ^ mix(identity))
	if length < identityBytes {
		var b [8]byte
		binary.LittleEndian.PutUint64(b[:], seed)
		return append(dst, b[:length]...)
	}
	dst = binary.LittleEndian.AppendUint64(dst, identity^hash)
	state := seed
	for left, i := length-identityBytes, 1; left > 0; left, i = left-8, i+1 {
		word := seed
		if i%8 < 4 {
			state += 0x9e3779b97f4a7c15
			word = mix(state)
		}
		if left >= 8 {
			dst = binary.LittleEndian.AppendUint64(dst, word)
			continue
		}
		var b [8]byte
		binary.LittleEndian.PutUint64(b[:], word)
		dst = append(dst, b[:left]...)
	}
	return dst
}

// versionOf is the version that a value claims to be.
func versionOf(value []byte, hash uint64) (version uint64, ok bool) {
	if len(value) < identityBytes {
		return 0, false
	}
	identity := binary.LittleEndian.Uint64(value) ^ hash
	return identity >> 32, identity&(1<<32-1) == uint64(len(value))
}
