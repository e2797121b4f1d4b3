package typed

import (
	"bytes"
	"encoding/binary"
	"math"
	"time"
)

// The first byte of an element says its type. The values are part of the
// format: docs/format/tuple.md. Elements of different types sort by it.
const (
	tagEnd     = 0x00 // no element: the end of a nested tuple, below all elements
	tagNil     = 0x01
	tagFalse   = 0x08
	tagTrue    = 0x09
	tagInt64   = 0x10
	tagUint64  = 0x11
	tagFloat64 = 0x18
	tagTime    = 0x20
	tagBytes   = 0x28
	tagString  = 0x30
	tagTuple   = 0x38
)

// Byte strings end with stringEnd, so that a string sorts before those that
// continue it; the byte itself and the escape are escaped. Part of the format.
const (
	stringEnd   = 0x00
	escape      = 0x01
	escapedEnd  = 0x01 // behind escape: the byte 0x00
	escapedSelf = 0x02 // behind escape: the byte 0x01
)

// signBit is the highest of 64 bits.
const signBit = 1 << 63

// nanCode is the encoding of NaN: below that of -Inf, 0x000fffffffffffff.
const nanCode = 0

// unixMax is the last second, from 1970, that is later than all seconds before
// it: a time.Time counts from the year 1, in 64 bits.
const unixMax = math.MaxInt64 - 62135596800

// untag is b without its first byte, which must be tag.
func untag(b []byte, tag byte) ([]byte, error) {
	if len(b) == 0 {
		return nil, malformed("an element is missing")
	}
	if b[0] != tag {
		return nil, malformed("an element of another type")
	}
	return b[1:], nil
}

// tagged is what take finds behind tag.
func tagged[T any](b []byte, tag byte, take func([]byte) (T, []byte, error)) (v T, rest []byte, err error) {
	b, err = untag(b, tag)
	if err != nil {
		return v, nil, err
	}
	return take(b)
}

func appendUint64(dst []byte, v uint64) []byte { return binary.BigEndian.AppendUint64(dst, v) }

func takeUint64(b []byte) (v uint64, rest []byte, err error) {
	if len(b) < 8 {
		return 0, nil, malformed("a number is cut short")
	}
	return binary.BigEndian.Uint64(b), b[8:], nil
}

func appendInt64(dst []byte, v int64) []byte { return appendUint64(dst, uint64(v)^signBit) }

func takeInt64(b []byte) (v int64, rest []byte, err error) {
	u, rest, err := takeUint64(b)
	return int64(u ^ signBit), rest, err
}

// appendFloat64 flips all bits of negative numbers, whose magnitudes sort the
// other way round, and the sign of the others.
func appendFloat64(dst []byte, v float64) []byte {
	u := math.Float64bits(v)
	switch {
	case v != v:
		u = nanCode
	case v == 0: // and -0
		u = signBit
	case u&signBit != 0:
		u = ^u
	default:
		u |= signBit
	}
	return appendUint64(dst, u)
}

func takeFloat64(b []byte) (v float64, rest []byte, err error) {
	u, rest, err := takeUint64(b)
	switch {
	case err != nil:
		return 0, nil, err
	case u == nanCode:
		return math.NaN(), rest, nil
	case u&signBit != 0:
		v = math.Float64frombits(u &^ signBit)
	default:
		v = math.Float64frombits(^u)
	}
	if v != v || u == ^uint64(signBit) {
		return 0, nil, malformed("a second encoding of NaN or 0")
	}
	return v, rest, nil
}

func boolTag(v bool) byte {
	if v {
		return tagTrue
	}
	return tagFalse
}

func takeBool(b []byte) (v bool, rest []byte, err error) {
	if len(b) == 0 || b[0] != tagFalse && b[0] != tagTrue {
		return false, nil, malformed("not a truth value")
	}
	return b[0] == tagTrue, b[1:], nil
}

func appendTime(dst []byte, v time.Time) ([]byte, error) {
	seconds := v.Unix()
	if seconds > unixMax {
		return nil, notEncodable("a time out of range")
	}
	dst = appendInt64(dst, seconds)
	return binary.BigEndian.AppendUint32(dst, uint32(v.Nanosecond())), nil
}

func takeTime(b []byte) (v time.Time, rest []byte, err error) {
	seconds, rest, err := takeInt64(b)
	switch {
	case err != nil:
		return v, nil, err
	case len(rest) < 4:
		return v, nil, malformed("a time is cut short")
	}
	nanos := binary.BigEndian.Uint32(rest)
	if seconds > unixMax || nanos >= 1e9 {
		return v, nil, malformed("a time out of range")
	}
	return time.Unix(seconds, int64(nanos)).UTC(), rest[4:], nil
}

// appendEscaped appends s and its end.
func appendEscaped[S string | []byte](dst []byte, s S) []byte {
	from := 0
	for i := range len(s) {
		if s[i] > escape {
			continue
		}
		dst = append(dst, s[from:i]...)
		dst = append(dst, escape, s[i]+1)
		from = i + 1
	}
	return append(append(dst, s[from:]...), stringEnd)
}

// cutEscaped is b up to the end of the byte string, and from there on.
func cutEscaped(b []byte) (body, rest []byte, err error) {
	end := bytes.IndexByte(b, stringEnd)
	if end < 0 {
		return nil, nil, malformed("a string without an end")
	}
	return b[:end], b[end+1:], nil
}

// appendUnescaped appends the byte string that b begins with to dst.
func appendUnescaped(dst, b []byte) (v, rest []byte, err error) {
	body, rest, err := cutEscaped(b)
	if err != nil {
		return nil, nil, err
	}
	for {
		i := bytes.IndexByte(body, escape)
		if i < 0 {
			return append(dst, body...), rest, nil
		}
		if i+1 == len(body) || body[i+1] != escapedEnd && body[i+1] != escapedSelf {
			return nil, nil, malformed("an escape of nothing")
		}
		dst = append(dst, body[:i]...)
		dst = append(dst, body[i+1]-1)
		body = body[i+2:]
	}
}

// unescapedString is the string that b begins with.
func unescapedString(b []byte) (v string, rest []byte, err error) {
	body, rest, err := cutEscaped(b)
	if err != nil {
		return "", nil, err
	}
	if bytes.IndexByte(body, escape) < 0 {
		return string(body), rest, nil
	}
	u, rest, err := appendUnescaped(nil, b)
	return string(u), rest, err
}
