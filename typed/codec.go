package typed

import "time"

// Codec turns values of type T into bytes and back.
//
// Implementations must be safe for concurrent use, and must give equal values
// equal bytes if they are used for keys. They need not preserve order; a codec
// of keys that does not makes ranges of these keys meaningless, and nothing
// else.
type Codec[T any] interface {
	// Append appends the encoding of v to dst and returns the extended slice.
	// It keeps neither dst nor memory of v. If it fails, it may have written
	// behind dst's length.
	Append(dst []byte, v T) ([]byte, error)
	// Decode is the value that b encodes. b belongs to the caller: it is valid
	// for this call only, and must be neither changed nor kept, not even in
	// part; so what is returned holds copies.
	Decode(b []byte) (T, error)
}

// Element is a codec of one element of a tuple: it preserves order, and the
// encoding shows its own end. docs/format/tuple.md is its specification, from
// which implementations may not depart: [As] makes elements of other types
// without writing any.
type Element[T any] interface {
	// AppendElement appends the encoding of v as an element. The rules of
	// [Codec] for Append hold.
	AppendElement(dst []byte, v T) ([]byte, error)
	// DecodeElement is the element that b begins with, and what follows it in
	// b. The rules of [Codec] for Decode hold, but rest is a part of b.
	DecodeElement(b []byte) (v T, rest []byte, err error)
}

// KeyCodec encodes keys on their own and as an element of a tuple, both in
// order.
type KeyCodec[T any] interface {
	Codec[T]
	Element[T]
}

// Bytes is the codec of byte strings: themselves. Decoded slices are copies,
// never nil, and belong to the caller.
type Bytes struct{}

// Append appends v as it is.
func (Bytes) Append(dst, v []byte) ([]byte, error) { return append(dst, v...), nil }

// Decode is a copy of b.
func (Bytes) Decode(b []byte) ([]byte, error) { return append([]byte{}, b...), nil }

// AppendElement appends v with escapes and an end.
func (Bytes) AppendElement(dst, v []byte) ([]byte, error) {
	return appendEscaped(append(dst, tagBytes), v), nil
}

// DecodeElement is a byte string at the start of b.
func (Bytes) DecodeElement(b []byte) (v, rest []byte, err error) {
	if b, err = untag(b, tagBytes); err != nil {
		return nil, nil, err
	}
	return appendUnescaped([]byte{}, b)
}

// String is the codec of strings: their bytes, valid UTF-8 or not.
type String struct{}

// Append appends the bytes of v.
func (String) Append(dst []byte, v string) ([]byte, error) { return append(dst, v...), nil }

// Decode is b as a string.
func (String) Decode(b []byte) (string, error) { return string(b), nil }

// AppendElement appends v with escapes and an end.
func (String) AppendElement(dst []byte, v string) ([]byte, error) {
	return appendEscaped(append(dst, tagString), v), nil
}

// DecodeElement is a string at the start of b.
func (String) DecodeElement(b []byte) (v string, rest []byte, err error) {
	if b, err = untag(b, tagString); err != nil {
		return "", nil, err
	}
	return unescapedString(b)
}

// Uint64 is the codec of unsigned integers: 8 bytes, big-endian.
type Uint64 struct{}

// Append appends 8 bytes.
func (Uint64) Append(dst []byte, v uint64) ([]byte, error) { return appendUint64(dst, v), nil }

// Decode wants 8 bytes.
func (Uint64) Decode(b []byte) (uint64, error) { return whole(takeUint64(b)) }

// AppendElement appends 9 bytes.
func (Uint64) AppendElement(dst []byte, v uint64) ([]byte, error) {
	return appendUint64(append(dst, tagUint64), v), nil
}

// DecodeElement is an unsigned integer at the start of b.
func (Uint64) DecodeElement(b []byte) (v uint64, rest []byte, err error) {
	return tagged(b, tagUint64, takeUint64)
}

// Int64 is the codec of signed integers: 8 bytes, big-endian, with the sign
// flipped, so that negative ones come first.
type Int64 struct{}

// Append appends 8 bytes.
func (Int64) Append(dst []byte, v int64) ([]byte, error) { return appendInt64(dst, v), nil }

// Decode wants 8 bytes.
func (Int64) Decode(b []byte) (int64, error) { return whole(takeInt64(b)) }

// AppendElement appends 9 bytes.
func (Int64) AppendElement(dst []byte, v int64) ([]byte, error) {
	return appendInt64(append(dst, tagInt64), v), nil
}

// DecodeElement is a signed integer at the start of b.
func (Int64) DecodeElement(b []byte) (v int64, rest []byte, err error) {
	return tagged(b, tagInt64, takeInt64)
}

// Float64 is the codec of floating-point numbers, 8 bytes in the order of
// [cmp.Compare]: NaN comes first, and all NaNs are the same; so are -0 and 0,
// which is decoded as 0.
type Float64 struct{}

// Append appends 8 bytes.
func (Float64) Append(dst []byte, v float64) ([]byte, error) { return appendFloat64(dst, v), nil }

// Decode wants 8 bytes.
func (Float64) Decode(b []byte) (float64, error) { return whole(takeFloat64(b)) }

// AppendElement appends 9 bytes.
func (Float64) AppendElement(dst []byte, v float64) ([]byte, error) {
	return appendFloat64(append(dst, tagFloat64), v), nil
}

// DecodeElement is a floating-point number at the start of b.
func (Float64) DecodeElement(b []byte) (v float64, rest []byte, err error) {
	return tagged(b, tagFloat64, takeFloat64)
}

// Bool is the codec of truth values, one byte: false before true.
type Bool struct{}

// Append appends 1 byte.
func (Bool) Append(dst []byte, v bool) ([]byte, error) { return append(dst, boolTag(v)), nil }

// Decode wants 1 byte.
func (Bool) Decode(b []byte) (bool, error) { return whole(takeBool(b)) }

// AppendElement appends 1 byte.
func (Bool) AppendElement(dst []byte, v bool) ([]byte, error) { return append(dst, boolTag(v)), nil }

// DecodeElement is a truth value at the start of b.
func (Bool) DecodeElement(b []byte) (v bool, rest []byte, err error) { return takeBool(b) }

// Time is the codec of moments, 12 bytes with nanoseconds: all that a time.Time
// can hold but its first 1970 years, 292 billion years ago. It is decoded in
// UTC: the location is not kept, and neither is the monotonic clock.
type Time struct{}

// Append appends 12 bytes.
func (Time) Append(dst []byte, v time.Time) ([]byte, error) { return appendTime(dst, v) }

// Decode wants 12 bytes.
func (Time) Decode(b []byte) (time.Time, error) { return whole(takeTime(b)) }

// AppendElement appends 13 bytes.
func (Time) AppendElement(dst []byte, v time.Time) ([]byte, error) {
	return appendTime(append(dst, tagTime), v)
}

// DecodeElement is a moment at the start of b.
func (Time) DecodeElement(b []byte) (v time.Time, rest []byte, err error) {
	return tagged(b, tagTime, takeTime)
}

// whole is v if nothing follows it.
func whole[T any](v T, rest []byte, err error) (T, error) {
	if err == nil && len(rest) > 0 {
		err = malformed("bytes behind the value")
	}
	if err != nil {
		var none T
		return none, err
	}
	return v, nil
}
