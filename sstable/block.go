package sstable

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/bits"

	"github.com/cordwood-db/cordwood/internal/base"
)

// Part of the file format: contents of a data block. All numbers are
// little-endian.
//
//	keys      of all entries, each: uvarint shared | uvarint unshared |
//	          uvarint payload length | trailer, 8 bytes | unshared key bytes
//	payloads  of all entries
//	restarts  16 bytes each: offset in keys, 4 bytes; offset in payloads, 4 bytes;
//	          head of the user key, 8 bytes: see index.go
//	4 bytes   length of the prefix that all user keys share
//	4 bytes   length of keys
//	4 bytes   count of restarts, at least 1
//
// The user key of an entry is the first "shared" bytes of its predecessor's
// user key and then its own bytes. shared is exactly the length of the common
// prefix, which the search relies on; at a restart point it is 0.
//
// Payloads lie apart and heads side by side so that a search touches few cache
// lines: they are most of what a lookup in a cached block costs.
const (
	restartBytes     = 16
	restartPayloadAt = 4
	restartHeadAt    = 8
	blockTailBytes   = 12

	// entryHeaderMin: three lengths of one byte each, and the trailer.
	entryHeaderMin = 3 + base.TrailerLen
	entryHeaderMax = 3*binary.MaxVarintLen32 + base.TrailerLen
)

// block is a parsed data block. It aliases the contents it was parsed from.
type block struct {
	keys     []byte
	payloads []byte
	restarts []byte
	skip     int // length of the shared prefix
	n        int // restarts
}

// parseBlock splits the contents of a data block. Entries are checked as they
// are decoded.
func parseBlock(contents []byte) (block, bool) {
	end := len(contents) - blockTailBytes
	if end < 0 {
		return block{}, false
	}
	tail := contents[end:]
	skip := uint64(binary.LittleEndian.Uint32(tail))
	keys := uint64(binary.LittleEndian.Uint32(tail[4:]))
	n := uint64(binary.LittleEndian.Uint32(tail[8:]))
	if n == 0 || n > uint64(end)/restartBytes {
		return block{}, false
	}
	at := end - int(n)*restartBytes
	if keys == 0 || keys > uint64(at) || skip > keyBytesMax {
		return block{}, false
	}
	b := block{
		keys:     contents[:keys:keys],
		payloads: contents[keys:at:at],
		restarts: contents[at:end:end],
		skip:     int(skip),
		n:        int(n),
	}
	return b, b.restart(0) == place{}
}

// place is where an entry lies: its key in keys, its value in payloads.
type place struct {
	key, value int
}

// restart is restart point i. Nonsense comes out as the end of the block, where
// nothing decodes.
func (b *block) restart(i int) place {
	r := b.restarts[i*restartBytes:]
	key := binary.LittleEndian.Uint32(r)
	value := binary.LittleEndian.Uint32(r[restartPayloadAt:])
	if uint64(key) > uint64(len(b.keys)) || uint64(value) > uint64(len(b.payloads)) {
		return place{len(b.keys), len(b.payloads)}
	}
	return place{int(key), int(value)}
}

// entry is a decoded entry.
type entry struct {
	shared  int // bytes of the predecessor's key
	keyAt   int // own bytes of the key: keys[keyAt:next.key]
	valueAt int // payload: payloads[valueAt:next.value]
	next    place
	trailer base.Trailer
}

// suffix is the own bytes of the key of e.
func (b *block) suffix(e *entry) []byte { return b.keys[e.keyAt:e.next.key] }

// value is the payload of e.
func (b *block) value(e *entry) []byte { return b.payloads[e.valueAt:e.next.value:e.next.value] }

// entry decodes the entry at p. ok is false if it does not fit.
func (b *block) entry(p place) (e entry, ok bool) {
	if len(b.keys)-p.key < entryHeaderMin {
		return e, false
	}
	h := b.keys[p.key:]
	shared, unshared, payload, n := uint32(h[0]), uint32(h[1]), uint32(h[2]), 3
	if shared|unshared|payload >= 0x80 {
		shared, unshared, payload, n = decodeLengths(h)
		if n == 0 || len(h)-n < base.TrailerLen {
			return e, false
		}
	}
	e.trailer = base.Trailer(binary.LittleEndian.Uint64(h[n:]))
	e.keyAt = p.key + n + base.TrailerLen
	if uint64(unshared) > uint64(len(b.keys)-e.keyAt) ||
		uint64(payload) > uint64(len(b.payloads)-p.value) ||
		uint64(shared)+uint64(unshared) > keyBytesMax {
		return e, false
	}
	e.shared = int(shared)
	e.valueAt = p.value
	e.next = place{e.keyAt + int(unshared), p.value + int(payload)}
	return e, true
}

// decodeLengths decodes three uvarints of 32 bits. n is 0 if they are not.
func decodeLengths(p []byte) (shared, unshared, payload uint32, n int) {
	var v [3]uint32
	for i := range v {
		if n < len(p) && p[n] < 0x80 {
			v[i] = uint32(p[n])
			n++
			continue
		}
		x, m := binary.Uvarint(p[n:])
		if m <= 0 || x > math.MaxUint32 {
			return 0, 0, 0, 0
		}
		v[i] = uint32(x)
		n += m
	}
	return v[0], v[1], v[2], n
}

// found says where a search ended.
type found uint8

const (
	foundEntry   found = iota // an entry at or after the target
	foundEnd                  // every entry is before it
	foundCorrupt              // an entry could not be decoded
)

// search finds the first entry at or after the internal key (user, trailer),
// and where it lies: at the end of keys if there is none. same says whether it
// has the same user key. It builds no key: the entry's user key is
// user[:e.shared] and its own bytes, because an entry that ends the search
// shares no more with its predecessor than the target does.
func (b *block) search(user []byte, trailer base.Trailer) (e entry, at place, same bool, f found) {
	r, corrupt := b.searchRestarts(user, trailer)
	if corrupt {
		return e, at, false, foundCorrupt
	}
	limit := 0
	if r >= 0 {
		at, limit = b.restart(r), len(b.keys)
		if r+1 < b.n {
			limit = b.restart(r + 1).key
		}
	}
	// matched is the length of the prefix that the target shares with the
	// entry before at, which is before the target.
	matched := 0
	for at.key < limit {
		var ok bool
		if e, ok = b.entry(at); !ok {
			return e, at, false, foundCorrupt
		}
		if e.shared < matched {
			return e, at, false, foundEntry // differs from target where it grew beyond the predecessor
		}
		if e.shared == matched {
			suffix, rest := b.suffix(&e), user[matched:]
			m := commonPrefix(suffix, rest)
			switch {
			case m == len(rest) && m == len(suffix):
				if e.trailer <= trailer {
					return e, at, true, foundEntry
				}
			case m == len(rest) || m < len(suffix) && suffix[m] > rest[m]:
				return e, at, false, foundEntry
			}
			matched += m
		}
		at = e.next
	}
	if at.key >= len(b.keys) {
		return e, at, false, foundEnd
	}
	// The next restart point, which is known to be at or after the target.
	e, ok := b.entry(at)
	if !ok || e.shared != 0 {
		return e, at, false, foundCorrupt
	}
	return e, at, bytes.Equal(b.suffix(&e), user), foundEntry
}

// searchRestarts is the last restart point whose key is before the target, -1
// if there is none.
func (b *block) searchRestarts(user []byte, trailer base.Trailer) (r int, corrupt bool) {
	first, ok := b.entry(place{})
	if !ok || first.shared != 0 || first.next.key-first.keyAt < b.skip {
		return 0, true
	}
	prefix := b.keys[first.keyAt : first.keyAt+b.skip]
	if len(user) < b.skip || !bytes.Equal(user[:b.skip], prefix) {
		if bytes.Compare(user, prefix) < 0 {
			return -1, false
		}
		return b.n - 1, false
	}
	head := headOf(user, b.skip)
	lo, hi := 0, b.n
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		h := binary.LittleEndian.Uint64(b.restarts[mid*restartBytes+restartHeadAt:])
		before := h < head
		if h == head {
			if before, ok = b.restartBefore(mid, user, trailer); !ok {
				return 0, true
			}
		}
		if before {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo - 1, false
}

// restartBefore reports whether the key of restart point i is before the
// target.
func (b *block) restartBefore(i int, user []byte, trailer base.Trailer) (before, ok bool) {
	e, ok := b.entry(b.restart(i))
	if !ok || e.shared != 0 {
		return false, false
	}
	c := bytes.Compare(b.suffix(&e), user)
	return c < 0 || c == 0 && e.trailer > trailer, true
}

// commonPrefix is the length of the longest prefix that a and b share.
func commonPrefix(a, b []byte) int {
	n := min(len(a), len(b))
	i := 0
	for ; i+8 <= n; i += 8 {
		x := binary.LittleEndian.Uint64(a[i:]) ^ binary.LittleEndian.Uint64(b[i:])
		if x != 0 {
			return i + bits.TrailingZeros64(x)>>3
		}
	}
	for i < n && a[i] == b[i] {
		i++
	}
	return i
}
