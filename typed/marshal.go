package typed

import (
	"encoding"
	"encoding/json"
	"fmt"
)

// JSON is the codec of values that encoding/json can marshal. It is for
// values: as keys they would not sort as anything does.
type JSON[T any] struct{}

// Append appends v as [json.Marshal] writes it, and returns its errors.
func (JSON[T]) Append(dst []byte, v T) ([]byte, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotEncodable, err)
	}
	return append(dst, b...), nil
}

// Decode reads b as [json.Unmarshal] does: fields that T does not have are
// ignored, those that b does not have are zero.
func (JSON[T]) Decode(b []byte) (T, error) {
	var v T
	if err := json.Unmarshal(b, &v); err != nil {
		var none T
		return none, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return v, nil
}

// BinaryPointer is what a pointer to T must implement for [Binary].
type BinaryPointer[T any] interface {
	*T
	encoding.BinaryMarshaler
	encoding.BinaryUnmarshaler
}

// Binary is the codec of a type that marshals itself: Binary[url.URL]() is a
// Codec[url.URL]. If *T has AppendBinary, that is used, which saves a copy.
// UnmarshalBinary must copy what it keeps, as its documentation demands.
//
// It is for values. It may be used for keys if equal values have equal bytes;
// their order is that of the bytes.
func Binary[T any, P BinaryPointer[T]]() Codec[T] { return binaryCodec[T, P]{} }

type binaryCodec[T any, P BinaryPointer[T]] struct{}

func (binaryCodec[T, P]) Append(dst []byte, v T) ([]byte, error) {
	if a, ok := any(P(&v)).(encoding.BinaryAppender); ok {
		b, err := a.AppendBinary(dst)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrNotEncodable, err)
		}
		return b, nil
	}
	b, err := P(&v).MarshalBinary()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotEncodable, err)
	}
	return append(dst, b...), nil
}

func (binaryCodec[T, P]) Decode(b []byte) (T, error) {
	var v T
	if err := P(&v).UnmarshalBinary(b); err != nil {
		var none T
		return none, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return v, nil
}

// As is the codec of T by way of U, for types of one's own:
//
//	type UserID uint64
//	ids := typed.As(typed.Uint64{},
//		func(id UserID) (uint64, error) { return uint64(id), nil },
//		func(n uint64) (UserID, error) { return UserID(n), nil })
//
// The order of T is that of U. from must be the inverse of to; errors of both
// are passed on.
func As[T, U any](c KeyCodec[U], to func(T) (U, error), from func(U) (T, error)) KeyCodec[T] {
	return converted[T, U]{c, to, from}
}

type converted[T, U any] struct {
	codec KeyCodec[U]
	to    func(T) (U, error)
	from  func(U) (T, error)
}

func (c converted[T, U]) Append(dst []byte, v T) ([]byte, error) {
	u, err := c.to(v)
	if err != nil {
		return nil, err
	}
	return c.codec.Append(dst, u)
}

func (c converted[T, U]) Decode(b []byte) (v T, err error) {
	u, err := c.codec.Decode(b)
	if err != nil {
		return v, err
	}
	return c.from(u)
}

func (c converted[T, U]) AppendElement(dst []byte, v T) ([]byte, error) {
	u, err := c.to(v)
	if err != nil {
		return nil, err
	}
	return c.codec.AppendElement(dst, u)
}

func (c converted[T, U]) DecodeElement(b []byte) (v T, rest []byte, err error) {
	u, rest, err := c.codec.DecodeElement(b)
	if err != nil {
		return v, nil, err
	}
	v, err = c.from(u)
	return v, rest, err
}
