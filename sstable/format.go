package sstable

import (
	"encoding/binary"
	"math"

	"github.com/cespare/xxhash/v2"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/compress"
)

// Part of the file format: the footer, at the end of the file.
//
//	offset  size  meaning
//	0       8     table ID
//	8       8     size of the file
//	16      16    filter: offset, length
//	32      16    range tombstones: offset, length
//	48      16    properties: offset, length
//	64      16    top index: offset, length
//	80      4     length of the footer
//	84      4     format version
//	88      8     xxhash64 of bytes 0 to 87
//	96      8     magic
//
// The last 24 bytes are the same in every version to come.
const (
	footerBytes     = 104
	footerTailBytes = 24
	footerBytesMax  = 4096 // of any version to come
	formatVersion   = 1

	footerSizeAt     = 8
	footerSectionsAt = 16
	footerLengthAt   = 80
	footerVersionAt  = 84
	footerChecksumAt = 88
	footerMagicAt    = 96

	footerMagic = "CWtable\n"
)

// Part of the file format: a block is stored as its contents, possibly
// compressed, and a trailer of one byte for the compression and eight for the
// checksum.
const (
	blockTrailerBytes = 9

	// compressedContentsMax bounds what a compressed block may expand to.
	// Larger blocks are stored raw.
	compressedContentsMax = 32 << 20

	// storedBytesMax bounds a block as stored.
	storedBytesMax = math.MaxInt32
)

// handle locates a stored block, its trailer included.
type handle struct {
	offset uint64
	length uint64
}

func (h handle) end() uint64 { return h.offset + h.length }

// blockChecksum binds the stored contents, given by their xxhash64, to the way
// they are compressed, the table and the place. Part of the file format.
func blockChecksum(contentsHash uint64, kind compress.Kind, id, offset uint64) uint64 {
	var b [25]byte
	binary.LittleEndian.PutUint64(b[0:], contentsHash)
	b[8] = byte(kind)
	binary.LittleEndian.PutUint64(b[9:], id)
	binary.LittleEndian.PutUint64(b[17:], offset)
	return xxhash.Sum64(b[:])
}

// appendBlockTrailer appends the trailer of a block at offset.
func appendBlockTrailer(dst []byte, contentsHash uint64, kind compress.Kind, id, offset uint64) []byte {
	dst = append(dst, byte(kind))
	return binary.LittleEndian.AppendUint64(dst, blockChecksum(contentsHash, kind, id, offset))
}

// checkBlock checks a stored block and splits off its trailer. reason is empty
// if all is well.
func checkBlock(stored []byte, id, offset uint64) (contents []byte, kind compress.Kind, reason string) {
	if len(stored) < blockTrailerBytes {
		return nil, 0, "block shorter than its trailer"
	}
	contents = stored[: len(stored)-blockTrailerBytes : len(stored)-blockTrailerBytes]
	trailer := stored[len(contents):]
	kind = compress.Kind(trailer[0])
	if binary.LittleEndian.Uint64(trailer[1:]) != blockChecksum(xxhash.Sum64(contents), kind, id, offset) {
		return nil, 0, "block checksum does not match"
	}
	return contents, kind, ""
}

// sections of a table, in the order in which they lie behind the chunks. An
// absent one has length 0 and the offset where it would be.
const (
	sectionFilter = iota
	sectionRangeDels
	sectionProperties
	sectionTopIndex
	sectionCount
)

// footer is the decoded form of a table's last bytes.
type footer struct {
	id       uint64
	size     uint64 // of the file
	sections [sectionCount]handle
}

// append appends the encoded footer to dst.
func (ft *footer) append(dst []byte) []byte {
	start := len(dst)
	dst = binary.LittleEndian.AppendUint64(dst, ft.id)
	dst = binary.LittleEndian.AppendUint64(dst, ft.size)
	for _, s := range ft.sections {
		dst = binary.LittleEndian.AppendUint64(dst, s.offset)
		dst = binary.LittleEndian.AppendUint64(dst, s.length)
	}
	return appendFooterTail(dst, len(dst)-start+footerTailBytes, formatVersion)
}

// appendFooterTail completes a footer of the given length, the last bytes of
// dst, with what every version has.
func appendFooterTail(dst []byte, length int, version uint32) []byte {
	start := len(dst) + footerTailBytes - length
	dst = binary.LittleEndian.AppendUint32(dst, uint32(length))
	dst = binary.LittleEndian.AppendUint32(dst, version)
	dst = binary.LittleEndian.AppendUint64(dst, xxhash.Sum64(dst[start:]))
	return append(dst, footerMagic...)
}

// decodeFooter decodes tail, the last bytes of the file name of the given size:
// as many as the file has, up to footerBytesMax. Damage is told apart from a
// newer version by the checksum, which covers the version.
func decodeFooter(name string, tail []byte, size uint64) (footer, error) {
	var ft footer
	if len(tail) < footerTailBytes {
		return ft, base.Corruptf(name, 0, "%d bytes are too few for a table", size)
	}
	at := int64(size) - footerTailBytes
	fixed := tail[len(tail)-footerTailBytes:]
	if string(fixed[footerMagicAt-footerLengthAt:]) != footerMagic {
		return ft, base.Corruptf(name, at, "no table footer at the end of the file")
	}
	length := uint64(binary.LittleEndian.Uint32(fixed))
	if length < footerTailBytes || length > uint64(len(tail)) {
		return ft, base.Corruptf(name, at, "footer length %d", length)
	}
	b := tail[uint64(len(tail))-length:]
	at = int64(size - length)
	sum := binary.LittleEndian.Uint64(fixed[footerChecksumAt-footerLengthAt:])
	if sum != xxhash.Sum64(b[:len(b)-(footerBytes-footerChecksumAt)]) {
		return ft, base.Corruptf(name, at, "footer checksum does not match")
	}
	if v := binary.LittleEndian.Uint32(fixed[footerVersionAt-footerLengthAt:]); v > formatVersion {
		return ft, &base.FormatError{File: name, Found: v, Known: formatVersion}
	}
	if length != footerBytes || binary.LittleEndian.Uint32(fixed[footerVersionAt-footerLengthAt:]) == 0 {
		return ft, base.Corruptf(name, at, "footer length %d, or no version", length)
	}
	ft.id = binary.LittleEndian.Uint64(b)
	ft.size = binary.LittleEndian.Uint64(b[footerSizeAt:])
	for i := range ft.sections {
		p := b[footerSectionsAt+16*i:]
		ft.sections[i] = handle{binary.LittleEndian.Uint64(p), binary.LittleEndian.Uint64(p[8:])}
	}
	if ft.size != size {
		return ft, base.Corruptf(name, at, "footer of a file of %d bytes, found in one of %d", ft.size, size)
	}
	return ft, ft.checkSections(name, at)
}

// checkSections checks that the sections follow one another up to the footer
// and that the ones which must be there are.
func (ft *footer) checkSections(name string, at int64) error {
	end := uint64(at)
	for i := sectionCount - 1; i >= 0; i-- {
		s := ft.sections[i]
		if s.length > end || s.offset != end-s.length || s.length > storedBytesMax {
			return base.Corruptf(name, at, "section %d at %d+%d does not fit", i, s.offset, s.length)
		}
		required := i == sectionProperties || i == sectionTopIndex
		if s.length < blockTrailerBytes && (required || s.length != 0) {
			return base.Corruptf(name, at, "section %d of %d bytes", i, s.length)
		}
		end = s.offset
	}
	return nil
}

// footerIsLonger reports whether tail, the end of a file of size bytes, says
// that the footer is longer than tail, as one of a later version may be.
func footerIsLonger(tail []byte, size uint64) bool {
	if len(tail) < footerTailBytes {
		return false
	}
	fixed := tail[len(tail)-footerTailBytes:]
	length := uint64(binary.LittleEndian.Uint32(fixed))
	return string(fixed[footerMagicAt-footerLengthAt:]) == footerMagic &&
		length > uint64(len(tail)) && length <= min(size, footerBytesMax)
}
