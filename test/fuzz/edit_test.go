package fuzz

import (
	"encoding/binary"
	"slices"
)

// editsMax bounds how many edits an input makes.
const editsMax = 12

// What an edit does to a file. Offsets beyond its end count from its start
// again, so that most inputs do something.
const (
	editSet      = iota // offset, length (a byte), bytes: put them there
	editXor             // offset, mask: change a byte
	editNumber          // offset, a byte, eight bytes: put a number of 1, 2, 4 or 8 bytes there
	editTruncate        // length
	editExtend          // offset, length (a byte): append what lies there
	editCopy            // offset, from: file, offset, length (a byte)
	editReplace         // file: become a copy of it
	editRemove          //
	editKinds
)

// editReseal is a flag of an edit: the checksums of the file are to be right.
const editReseal = 0x80

// reader takes an input apart. What is missing at its end reads as zeros.
type reader struct{ b []byte }

func (r *reader) bytes(n int) []byte {
	out := make([]byte, n)
	r.b = r.b[copy(out, r.b):]
	return out
}

func (r *reader) byte() int { return int(r.bytes(1)[0]) }

// offset is a place in b.
func (r *reader) offset(b []byte) int {
	return int(binary.LittleEndian.Uint16(r.bytes(2))) % max(len(b), 1)
}

// edit changes an image as program says: for each edit a byte that says what,
// a byte that says which file, and what the constants say. It reports whether
// any file was given new checksums.
func edit(im *image, frames map[string]layout, program []byte) (resealed bool) {
	r := &reader{program}
	for n := 0; len(r.b) > 0 && n < editsMax; n++ {
		op := r.byte()
		name := im.names[r.byte()%len(im.names)]
		b, there := im.files[name]
		if !there && op&^editReseal%editKinds != editReplace {
			continue
		}
		im.files[name] = b
		if b = change(r, im, b, op&^editReseal%editKinds); b == nil {
			delete(im.files, name)
			continue
		}
		b = b[:min(len(b), bytesMax)]
		if op&editReseal != 0 {
			frames[name].reseal(b)
			resealed = true
		}
		im.files[name] = b
	}
	return resealed
}

// change is one edit of b; nil if it removes the file.
func change(r *reader, im *image, b []byte, op int) []byte {
	switch op {
	case editSet:
		at := r.offset(b)
		copy(b[at:], r.bytes(r.byte()%32))
	case editXor:
		at, mask := r.offset(b), r.byte()
		if len(b) > 0 {
			b[at] ^= byte(mask)
		}
	case editNumber:
		at, width := r.offset(b), 1<<(r.byte()%4)
		copy(b[at:], r.bytes(8)[:width])
	case editTruncate:
		b = b[:r.offset(b)]
	case editExtend:
		at, n := r.offset(b), r.byte()
		b = append(b, b[at:min(at+n, len(b))]...)
	case editCopy:
		at := r.offset(b)
		from := im.files[im.names[r.byte()%len(im.names)]]
		start := r.offset(from)
		copy(b[at:], slices.Clone(from[start:min(start+r.byte(), len(from))]))
	case editReplace:
		from := im.files[im.names[r.byte()%len(im.names)]]
		b = append([]byte{}, from...)
	case editRemove:
		return nil
	}
	return b
}
