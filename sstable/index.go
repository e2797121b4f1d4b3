package sstable

import (
	"bytes"
	"encoding/binary"
	"math"

	"github.com/cordwood-db/cordwood/internal/base"
)

// Part of the file format: contents of an index, of a chunk or of the table. All
// numbers are little-endian.
//
//	keys     the user keys of all separators, one after the other
//	heads    one per separator, 8 bytes: the 8 bytes of its user key behind the
//	         prefix that all share, as a big-endian number, 0 where it ends
//	records  one per separator, 28 bytes:
//	           0   4  end of its user key in keys
//	           4   8  its trailer
//	           12  8  offset in the file of the block (of the chunk's first block)
//	           20  4  length of the block (of all blocks of the chunk)
//	           24  4  0 (top index: length of the chunk's index block)
//	4 bytes  length of the prefix that all user keys share
//	4 bytes  count of separators
//
// Nearly all of a search compares heads, which lie side by side and need no
// decoding. There is no prefix compression: an index is searched far more often than it
// is written, and is a five-hundredth of what it describes.
const (
	headBytes        = 8
	indexTailBytes   = 8
	indexRecordBytes = 28
	indexTrailerAt   = 4
	indexOffsetAt    = 12
	indexLengthAt    = 20
	indexChunkAt     = 24
)

// index is a parsed index. It aliases the contents it was parsed from.
type index struct {
	keys    []byte
	heads   []byte
	records []byte
	skip    int // length of the shared prefix
	n       int
}

// parseIndex splits the contents of an index that passed checkIndex once.
func parseIndex(contents []byte) (index, bool) {
	end := len(contents) - indexTailBytes
	if end < 0 {
		return index{}, false
	}
	skip := uint64(binary.LittleEndian.Uint32(contents[end:]))
	n := uint64(binary.LittleEndian.Uint32(contents[end+4:]))
	if n > uint64(end)/(headBytes+indexRecordBytes) || skip > keyBytesMax {
		return index{}, false
	}
	records := end - int(n)*indexRecordBytes
	heads := records - int(n)*headBytes
	return index{
		keys:    contents[:heads:heads],
		heads:   contents[heads:records:records],
		records: contents[records:end:end],
		skip:    int(skip),
		n:       int(n),
	}, true
}

// head is the head of separator i.
func (x *index) head(i int) uint64 {
	return binary.LittleEndian.Uint64(x.heads[i*headBytes:])
}

// headOf is the head of a user key behind a prefix of the given length.
func headOf(user []byte, skip int) uint64 {
	if len(user)-skip >= headBytes {
		return binary.BigEndian.Uint64(user[skip:])
	}
	var b [headBytes]byte
	copy(b[:], user[min(skip, len(user)):])
	return binary.BigEndian.Uint64(b[:])
}

func (x *index) record(i int) []byte {
	return x.records[i*indexRecordBytes : (i+1)*indexRecordBytes]
}

// user is the user key of separator i.
func (x *index) user(i int) []byte {
	from := uint32(0)
	if i > 0 {
		from = binary.LittleEndian.Uint32(x.records[(i-1)*indexRecordBytes:])
	}
	to := binary.LittleEndian.Uint32(x.records[i*indexRecordBytes:])
	return x.keys[from:to:to]
}

// trailer is the trailer of separator i.
func (x *index) trailer(i int) base.Trailer {
	return base.Trailer(binary.LittleEndian.Uint64(x.record(i)[indexTrailerAt:]))
}

// handle is the block that separator i stands for, or all blocks of a chunk.
func (x *index) handle(i int) handle {
	r := x.record(i)
	return handle{
		offset: binary.LittleEndian.Uint64(r[indexOffsetAt:]),
		length: uint64(binary.LittleEndian.Uint32(r[indexLengthAt:])),
	}
}

// chunkIndex is, in the top index, the index block of chunk i.
func (x *index) chunkIndex(i int) handle {
	length := uint64(binary.LittleEndian.Uint32(x.record(i)[indexChunkAt:]))
	return handle{offset: x.handle(i).end(), length: length}
}

// search is the first separator at or after (user, trailer), n if there is none:
// the only block that may hold the first entry at or after it, or whose
// successor starts with it.
func (x *index) search(user []byte, trailer base.Trailer) int {
	if x.n == 0 {
		return 0
	}
	prefix := x.keys[:x.skip]
	if len(user) < x.skip || !bytes.Equal(user[:x.skip], prefix) {
		if bytes.Compare(user, prefix) < 0 {
			return 0
		}
		return x.n
	}
	head := headOf(user, x.skip)
	lo, hi := 0, x.n
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		h := x.head(mid)
		if h < head || h == head && x.before(mid, user, trailer) {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

// endsWith reports whether the last separator is (user, trailer).
func (x *index) endsWith(user []byte, trailer base.Trailer) bool {
	return bytes.Equal(x.user(x.n-1), user) && x.trailer(x.n-1) == trailer
}

// before reports whether separator i is before (user, trailer), so that the
// block it stands for is too.
func (x *index) before(i int, user []byte, trailer base.Trailer) bool {
	c := bytes.Compare(x.user(i), user)
	return c < 0 || c == 0 && x.trailer(i) > trailer
}

// checkIndex checks an index once, when it is read: that its keys ascend and
// that what it names fills the file from offset to end without gaps. top says
// which of the two kinds it is.
func checkIndex(contents []byte, offset, end uint64, top bool) (index, string) {
	x, ok := parseIndex(contents)
	if !ok || !top && x.n == 0 {
		return x, "malformed index"
	}
	keyEnd := uint32(0)
	var prefix []byte
	for i := range x.n {
		to := binary.LittleEndian.Uint32(x.record(i))
		if to < keyEnd || uint64(to) > uint64(len(x.keys)) {
			return x, "index keys out of bounds"
		}
		keyEnd = to
		user := x.user(i)
		if i == 0 {
			prefix = user[:min(x.skip, len(user))]
		}
		if len(user) < x.skip || !bytes.Equal(user[:x.skip], prefix) || x.head(i) != headOf(user, x.skip) {
			return x, "index heads do not fit its keys"
		}
		if i > 0 && !x.before(i-1, user, x.trailer(i)) {
			return x, "index keys out of order"
		}
		h, chunk := x.handle(i), x.chunkIndex(i)
		if h.offset != offset || h.length < blockTrailerBytes ||
			top && chunk.length < blockTrailerBytes || !top && chunk.length != 0 ||
			h.length+chunk.length > end-offset {
			return x, "index names blocks that do not fit"
		}
		offset += h.length + chunk.length
	}
	if offset != end || uint64(keyEnd) != uint64(len(x.keys)) {
		return x, "index does not cover its blocks"
	}
	return x, ""
}

// indexBuilder makes the contents of an index. It keeps its memory.
type indexBuilder struct {
	keys    []byte
	records []byte
	n       int
}

// add appends a separator. ok is false if the index or a length has outgrown
// what the format can say.
func (b *indexBuilder) add(user []byte, trailer base.Trailer, h handle, chunkIndex uint64) (ok bool) {
	b.keys = append(b.keys, user...)
	if h.length > math.MaxUint32 || chunkIndex > math.MaxUint32 || len(b.keys) > storedBytesMax/2 {
		return false
	}
	b.records = binary.LittleEndian.AppendUint32(b.records, uint32(len(b.keys)))
	b.records = binary.LittleEndian.AppendUint64(b.records, uint64(trailer))
	b.records = binary.LittleEndian.AppendUint64(b.records, h.offset)
	b.records = binary.LittleEndian.AppendUint32(b.records, uint32(h.length))
	b.records = binary.LittleEndian.AppendUint32(b.records, uint32(chunkIndex))
	b.n++
	return len(b.records) <= storedBytesMax/4
}

// size is how many bytes finish would append now.
func (b *indexBuilder) size() int {
	return len(b.keys) + len(b.records) + b.n*headBytes + indexTailBytes
}

// finish appends the contents of the index to dst.
func (b *indexBuilder) finish(dst []byte) []byte {
	x := b.index()
	skip := 0
	if b.n > 0 {
		// Keys ascend: what the first and the last share, all share.
		skip = commonPrefix(x.user(0), x.user(b.n-1))
	}
	dst = append(dst, b.keys...)
	for i := range b.n {
		dst = binary.LittleEndian.AppendUint64(dst, headOf(x.user(i), skip))
	}
	dst = append(dst, b.records...)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(skip))
	return binary.LittleEndian.AppendUint32(dst, uint32(b.n))
}

func (b *indexBuilder) reset() {
	b.keys, b.records, b.n = b.keys[:0], b.records[:0], 0
}

// index is what was added so far, good for its keys and trailers.
func (b *indexBuilder) index() index {
	return index{keys: b.keys, records: b.records, n: b.n}
}

// last is the separator that was added last.
func (b *indexBuilder) last() (user []byte, trailer base.Trailer) {
	x := b.index()
	return x.user(b.n - 1), x.trailer(b.n - 1)
}
