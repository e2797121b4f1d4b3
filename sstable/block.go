package sstable

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/bits"

	"github.com/cordwood-db/cordwood/internal/base"
)

// Part of the file format: contents of a data block.
//
//	entries   each: uvarint shared | uvarint unshared | uvarint payload length |
//	          trailer, 8 bytes little-endian | unshared key bytes | payload
//	restarts  offset of each restart point, 4 bytes little-endian each
//	count     of restarts, 4 bytes little-endian, at least 1
//
// The user key of an entry is the first "shared" bytes of its predecessor's
// user key and then its own bytes. shared is exactly the length of the common
// prefix, which the search relies on; at a restart point it is 0.
const (
	restartBytes    = 4
	lengthCountByte = 4 // the restarts' count at the end

	// entryHeaderMin: three lengths of one byte each, and the trailer.
	entryHeaderMin = 3 + base.TrailerLen
	entryHeaderMax = 3*binary.MaxVarintLen32 + base.TrailerLen
)

// block is a parsed data block. It aliases the contents it was parsed from.
type block struct {
	entries  []byte
	restarts []byte
	n        int // restarts
}

// parseBlock splits the contents of a data block. Entries are checked as they
// are decoded.
func parseBlock(contents []byte) (block, bool) {
	end := len(contents) - lengthCountByte
	if end < 0 {
		return block{}, false
	}
	n := uint64(binary.LittleEndian.Uint32(contents[end:]))
	if n == 0 || n > uint64(end)/restartBytes {
		return block{}, false
	}
	at := end - int(n)*restartBytes
	b := block{entries: contents[:at:at], restarts: contents[at:end:end], n: int(n)}
	return b, at > 0 && b.restart(0) == 0
}

// restart is the offset of restart point i, or one beyond the entries if it is
// nonsense, which decodeEntry refuses.
func (b *block) restart(i int) int {
	off := binary.LittleEndian.Uint32(b.restarts[i*restartBytes:])
	return int(min(uint64(off), uint64(len(b.entries))))
}

// entry is a decoded entry: positions in the block's entries.
type entry struct {
	shared  int // bytes of the predecessor's key
	keyAt   int // own bytes of the key: [keyAt, valueAt)
	valueAt int // payload: [valueAt, end)
	end     int // where the next entry starts
	trailer base.Trailer
}

// decodeEntry decodes the entry at off. ok is false if it does not fit.
func decodeEntry(b []byte, off int) (e entry, ok bool) {
	if len(b)-off < entryHeaderMin {
		return e, false
	}
	p := b[off:]
	shared, unshared, payload, n := uint32(p[0]), uint32(p[1]), uint32(p[2]), 3
	if shared|unshared|payload >= 0x80 {
		shared, unshared, payload, n = decodeLengths(p)
		if n == 0 || len(p)-n < base.TrailerLen {
			return e, false
		}
	}
	e.trailer = base.Trailer(binary.LittleEndian.Uint64(p[n:]))
	e.keyAt = off + n + base.TrailerLen
	if uint64(unshared)+uint64(payload) > uint64(len(b)-e.keyAt) ||
		uint64(shared)+uint64(unshared) > keyBytesMax {
		return e, false
	}
	e.shared = int(shared)
	e.valueAt = e.keyAt + int(unshared)
	e.end = e.valueAt + int(payload)
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

// search finds the first entry at or after the internal key (user, trailer).
// same says whether it has the same user key. It builds no key: the entry's
// user key is user[:e.shared] and its own bytes, because an entry that ends
// the search shares no more with its predecessor than the target does.
func (b *block) search(user []byte, trailer base.Trailer) (e entry, off int, same bool, f found) {
	r, corrupt := b.searchRestarts(user, trailer)
	if corrupt {
		return e, 0, false, foundCorrupt
	}
	limit := len(b.entries)
	if r+1 < b.n {
		limit = b.restart(r + 1)
	}
	if r < 0 {
		limit = 0
	} else {
		off = b.restart(r)
	}
	// matched is the length of the prefix that the target shares with the
	// entry before off, which is before the target.
	matched := 0
	for off < limit {
		var ok bool
		if e, ok = decodeEntry(b.entries, off); !ok {
			return e, off, false, foundCorrupt
		}
		if e.shared < matched {
			return e, off, false, foundEntry // differs from target where it grew beyond the predecessor
		}
		if e.shared == matched {
			suffix, rest := b.entries[e.keyAt:e.valueAt], user[matched:]
			m := commonPrefix(suffix, rest)
			switch {
			case m == len(rest) && m == len(suffix):
				if e.trailer <= trailer {
					return e, off, true, foundEntry
				}
			case m == len(rest) || m < len(suffix) && suffix[m] > rest[m]:
				return e, off, false, foundEntry
			}
			matched += m
		}
		off = e.end
	}
	if off >= len(b.entries) {
		return e, off, false, foundEnd
	}
	// The next restart point, which is known to be at or after the target.
	e, ok := decodeEntry(b.entries, off)
	if !ok || e.shared != 0 {
		return e, off, false, foundCorrupt
	}
	return e, off, bytes.Equal(b.entries[e.keyAt:e.valueAt], user), foundEntry
}

// searchRestarts is the last restart point whose key is before the target, -1
// if there is none.
func (b *block) searchRestarts(user []byte, trailer base.Trailer) (r int, corrupt bool) {
	lo, hi := 0, b.n
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		e, ok := decodeEntry(b.entries, b.restart(mid))
		if !ok || e.shared != 0 {
			return 0, true
		}
		c := bytes.Compare(b.entries[e.keyAt:e.valueAt], user)
		if c < 0 || c == 0 && e.trailer > trailer {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo - 1, false
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
