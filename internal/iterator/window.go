package iterator

import (
	"bytes"
	"encoding/binary"
	"math"
)

// window is where in keys to look for the eight bytes that stand for them in
// most comparisons. Keys of one walk tend to share their first bytes, so those
// would tell nothing; see choose.
//
// Prefixes ascend in the direction of the walk, but not strictly: keys with the
// same prefix must be compared whole.
type window struct {
	skip []byte // what keys are expected to start with
	flip uint64 // all ones while walking backward

	ties     int // since the window was last chosen
	patience int // how many ties to bear before choosing again
}

const (
	// windowSlack is by how much less than the shared prefix is skipped. The
	// first and last of a few sources' current keys lie close together; the
	// walk soon leaves what they share.
	windowSlack = 4

	patienceMin = 16
	patienceMax = 4096
)

// choose sets the window for a walk among keys between a and b, and reports
// whether it moved.
func (w *window) choose(a, b []byte, walk direction) (moved bool) {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	n = max(0, n-windowSlack)
	w.flip = 0
	if walk == backward {
		w.flip = math.MaxUint64
	}
	moved = !bytes.Equal(w.skip, a[:n])
	w.skip = append(w.skip[:0], a[:n]...)
	return moved
}

// prefix is the number that stands for key: the eight bytes behind the skip,
// with zeros behind a shorter key, and the smallest or largest number for keys
// that come before or after all that have the skip.
func (w *window) prefix(key []byte) uint64 {
	if n := len(w.skip); n > 0 {
		if !bytes.HasPrefix(key, w.skip) {
			if bytes.Compare(key, w.skip) < 0 {
				return w.flip
			}
			return ^w.flip
		}
		key = key[n:]
	}
	if len(key) >= 8 {
		return binary.BigEndian.Uint64(key) ^ w.flip
	}
	var b [8]byte
	copy(b[:], key)
	return binary.BigEndian.Uint64(b[:]) ^ w.flip
}
