package compress

import (
	"errors"
	"fmt"
	"slices"

	"github.com/klauspost/compress/zstd"
)

// Kind says how a block is stored.
type Kind uint8

// The kinds. Part of the file format: only ever added to.
const (
	None Kind = 0 // as it is
	Zstd Kind = 1 // one Zstandard frame
)

// String returns the kind's name.
func (k Kind) String() string {
	switch k {
	case None:
		return "none"
	case Zstd:
		return "zstd"
	}
	return fmt.Sprintf("compression(%d)", uint8(k))
}

// What is wrong with a stored block. The caller knows the file and the offset
// and says so.
var (
	ErrKind     = errors.New("compress: unknown compression kind")
	ErrTooLarge = errors.New("compress: contents larger than allowed")
	ErrDamaged  = errors.New("compress: damaged block")
)

const (
	// saveDivisor: a compressed block must save 1/8 (12%) of its size.
	saveDivisor = 8

	// blockContentMax is the most that one block of a frame can hold, and
	// blockBytesMin the least that such a block takes (RFC 8878, 3.1.1.2: a
	// header of three bytes and one byte to repeat).
	blockContentMax = 128 << 10
	blockBytesMin   = 4

	// overAllocBytes of spare room let the decoder copy matches in whole words.
	overAllocBytes = 16
)

// Codec compresses and decompresses blocks. The zero value is ready. Safe for
// concurrent use.
type Codec struct{}

// NewCodec returns a codec. It costs nothing and needs no closing.
func NewCodec() *Codec { return &Codec{} }

// Compress appends to dst the better form of src, compressed in the way kind
// asks for or as it is, and says which it took. It keeps neither slice. An
// unknown kind stores src as it is.
func (c *Codec) Compress(dst, src []byte, kind Kind) ([]byte, Kind) {
	return compressAs(dst, src, kind, effortFull)
}

func compressAs(dst, src []byte, kind Kind, how effort) ([]byte, Kind) {
	if kind != Zstd || len(src) == 0 {
		return append(dst, src...), None
	}
	start := len(dst)
	dst, ok := encode(slices.Grow(dst, len(src)+overAllocBytes), src, how)
	if !ok || len(dst)-start > len(src)-len(src)/saveDivisor {
		return append(dst[:start], src...), None
	}
	return dst, Zstd
}

// Decompress appends the contents of src, stored in the way kind says, to dst.
// The contents may have up to sizeMax bytes. It keeps neither slice; when it
// fails it returns dst as it was, though bytes beyond its length may have been
// overwritten. Room for 16 bytes more than the contents makes it faster.
//
// Errors: [ErrKind], [ErrTooLarge], [ErrDamaged], by errors.Is.
func (c *Codec) Decompress(dst, src []byte, kind Kind, sizeMax int) ([]byte, error) {
	switch kind {
	case None:
		if len(src) > sizeMax {
			return dst, fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, len(src), sizeMax)
		}
		return append(dst, src...), nil
	case Zstd:
		return decompressZstd(dst, src, sizeMax)
	}
	return dst, fmt.Errorf("%w %d", ErrKind, uint8(kind))
}

// Size returns how many bytes src expands to, without expanding it. It
// believes the frame's header as far as that is possible at all: Decompress
// checks it.
func (c *Codec) Size(src []byte, kind Kind) (int, error) {
	switch kind {
	case None:
		return len(src), nil
	case Zstd:
		return frameSize(src, maxInt)
	}
	return 0, fmt.Errorf("%w %d", ErrKind, uint8(kind))
}

const maxInt = int(^uint(0) >> 1)

// frameSize returns the content size that the frame in src states, after
// checking that it is a frame as Compress writes it and that so few bytes can
// hold so much.
func frameSize(src []byte, sizeMax int) (int, error) {
	var h zstd.Header
	if err := h.Decode(src); err != nil {
		return 0, fmt.Errorf("%w: frame header: %w", ErrDamaged, err)
	}
	switch {
	case h.Skippable || !h.HasFCS || h.DictionaryID != 0:
		return 0, fmt.Errorf("%w: not a frame of this database", ErrDamaged)
	case h.FrameContentSize > uint64(len(src)/blockBytesMin)*blockContentMax:
		return 0, fmt.Errorf("%w: %d bytes claim to hold %d", ErrDamaged, len(src), h.FrameContentSize)
	case h.FrameContentSize > uint64(max(sizeMax, 0)):
		return 0, fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, h.FrameContentSize, sizeMax)
	}
	return int(h.FrameContentSize), nil
}

func decompressZstd(dst, src []byte, sizeMax int) ([]byte, error) {
	size, err := frameSize(src, sizeMax)
	if err != nil {
		return dst, err
	}
	start := len(dst)
	if cap(dst)-start < size {
		dst = slices.Grow(dst, size+overAllocBytes)
	}
	// The decoder is given the tail alone: it counts its limits from the
	// slice's start. It does not grow beyond the slice's capacity.
	tail := dst[start:start:min(cap(dst), start+size+overAllocBytes)]
	out, err := decoder.DecodeAll(src, tail)
	if err != nil {
		return dst[:start], fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	// A second frame could follow the first and hold something too.
	if len(out) != size {
		return dst[:start], fmt.Errorf("%w: %d bytes of contents, header says %d", ErrDamaged, len(out), size)
	}
	if size > 0 && &out[0] != &dst[:start+1][start] {
		return append(dst[:start], out...), nil
	}
	return dst[:start+size], nil
}
