package base

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// Pointer locates a value in the value log. File and Offset are logical: they
// name the place where the record was first written and stay the same when
// garbage collection moves it.
type Pointer struct {
	File     FileNum // logical value-log file
	Offset   uint32  // of the record in that file, in bytes
	Size     uint32  // of the whole record, in bytes
	ValueLen uint32  // of the value alone, in bytes
}

// PointerLenMax is the largest encoded length of a Pointer.
const PointerLenMax = binary.MaxVarintLen64 + 3*binary.MaxVarintLen32

// ErrPayload is in the error that SplitPayload and DecodePointer give.
var ErrPayload = errors.New("malformed payload")

var (
	errBadPointer = fmt.Errorf("%w: not a value pointer", ErrPayload)
	errBadPayload = fmt.Errorf("%w: shorter than its expiry", ErrPayload)
)

// Append appends the encoding of p to dst: four uvarints.
func (p Pointer) Append(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(p.File))
	dst = binary.AppendUvarint(dst, uint64(p.Offset))
	dst = binary.AppendUvarint(dst, uint64(p.Size))
	return binary.AppendUvarint(dst, uint64(p.ValueLen))
}

// DecodePointer decodes b, which must hold exactly one encoded Pointer.
func DecodePointer(b []byte) (Pointer, error) {
	var v [4]uint64
	for i := range v {
		x, n := binary.Uvarint(b)
		if n <= 0 || (i > 0 && x > math.MaxUint32) {
			return Pointer{}, errBadPointer
		}
		v[i], b = x, b[n:]
	}
	if len(b) != 0 || v[3] > v[2] {
		return Pointer{}, errBadPointer
	}
	return Pointer{FileNum(v[0]), uint32(v[1]), uint32(v[2]), uint32(v[3])}, nil
}

// AppendPayload appends the payload of an operation of the given kind.
// The expiry is written only if kind says that there is one.
func AppendPayload(dst []byte, kind Kind, expiry uint64, value []byte) []byte {
	if kind.HasExpiry() {
		dst = binary.LittleEndian.AppendUint64(dst, expiry)
	}
	return append(dst, value...)
}

// SplitPayload undoes AppendPayload; expiry is 0 if there is none. The value
// aliases payload.
func SplitPayload(kind Kind, payload []byte) (expiry uint64, value []byte, err error) {
	if !kind.HasExpiry() {
		return 0, payload, nil
	}
	if len(payload) < 8 {
		return 0, nil, errBadPayload
	}
	return binary.LittleEndian.Uint64(payload), payload[8:], nil
}
