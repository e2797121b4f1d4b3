package typed

import (
	"fmt"
	"time"
)

// TupleDepthMax is how deep tuples may be nested: a tuple without nested ones
// has depth 1. It bounds what hostile bytes can make Decode do.
const TupleDepthMax = 32

// Tuple is a key of elements whose types are known only when the program runs.
// An element is one of: nil, bool, int64, int (decoded as int64), uint64,
// float64, [time.Time] (decoded in UTC), []byte, string, Tuple.
//
// Tuples sort by their first element, then by their second; a tuple comes
// before its extensions. Elements of different types sort as in the list: any
// int64 comes before any uint64. Use [Tuple2] where the types are known.
type Tuple []any

// Append appends the encoding of t to dst. A shorter tuple's encoding is a
// prefix of those of its extensions; so the encoding of ("a") is the
// [db.Prefix] of all keys whose first element is "a". It returns
// ErrNotEncodable if an element has another type or t is nested too deeply.
func (t Tuple) Append(dst []byte) ([]byte, error) { return t.append(dst, 1) }

func (t Tuple) append(dst []byte, depth int) ([]byte, error) {
	if depth > TupleDepthMax {
		return nil, notEncodable("a tuple nested too deeply")
	}
	for _, e := range t {
		var err error
		if dst, err = appendAny(dst, e, depth); err != nil {
			return nil, err
		}
	}
	return dst, nil
}

// appendAny appends an element of a tuple of the given depth.
func appendAny(dst []byte, e any, depth int) ([]byte, error) {
	switch e := e.(type) {
	case nil:
		return append(dst, tagNil), nil
	case bool:
		return Bool{}.AppendElement(dst, e)
	case int64:
		return Int64{}.AppendElement(dst, e)
	case int:
		return Int64{}.AppendElement(dst, int64(e))
	case uint64:
		return Uint64{}.AppendElement(dst, e)
	case float64:
		return Float64{}.AppendElement(dst, e)
	case time.Time:
		return Time{}.AppendElement(dst, e)
	case []byte:
		return Bytes{}.AppendElement(dst, e)
	case string:
		return String{}.AppendElement(dst, e)
	case Tuple:
		dst, err := e.append(append(dst, tagTuple), depth+1)
		if err != nil {
			return nil, err
		}
		return append(dst, tagEnd), nil
	}
	return nil, notEncodable(fmt.Sprintf("an element of type %T", e))
}

// DecodeTuple is the tuple that b encodes. It shares no memory with b, and is
// never nil. It returns ErrMalformed if no tuple has this encoding.
func DecodeTuple(b []byte) (Tuple, error) {
	t := Tuple{}
	for len(b) > 0 {
		e, rest, err := takeAny(b, 1)
		if err != nil {
			return nil, err
		}
		t, b = append(t, e), rest
	}
	return t, nil
}

// takeAny is the element that b, which is not empty, begins with, in a tuple of
// the given depth.
func takeAny(b []byte, depth int) (e any, rest []byte, err error) {
	switch b[0] {
	case tagNil:
		return nil, b[1:], nil
	case tagFalse, tagTrue:
		return boxed(takeBool(b))
	case tagInt64:
		return boxed(takeInt64(b[1:]))
	case tagUint64:
		return boxed(takeUint64(b[1:]))
	case tagFloat64:
		return boxed(takeFloat64(b[1:]))
	case tagTime:
		return boxed(takeTime(b[1:]))
	case tagBytes:
		return boxed(appendUnescaped([]byte{}, b[1:]))
	case tagString:
		return boxed(unescapedString(b[1:]))
	case tagTuple:
		return boxed(takeNested(b[1:], depth+1))
	}
	return nil, nil, malformed("an element of unknown type")
}

func boxed[T any](v T, rest []byte, err error) (any, []byte, error) { return v, rest, err }

// takeNested is a tuple up to its end.
func takeNested(b []byte, depth int) (t Tuple, rest []byte, err error) {
	if depth > TupleDepthMax {
		return nil, nil, malformed("a tuple nested too deeply")
	}
	t = Tuple{}
	for {
		if len(b) == 0 {
			return nil, nil, malformed("a nested tuple without an end")
		}
		if b[0] == tagEnd {
			return t, b[1:], nil
		}
		e, rest, err := takeAny(b, depth)
		if err != nil {
			return nil, nil, err
		}
		t, b = append(t, e), rest
	}
}

// Tuples is the codec of [Tuple].
type Tuples struct{}

// Append is [Tuple.Append].
func (Tuples) Append(dst []byte, t Tuple) ([]byte, error) { return t.Append(dst) }

// Decode is [DecodeTuple].
func (Tuples) Decode(b []byte) (Tuple, error) { return DecodeTuple(b) }

// AppendElement appends t as a nested tuple.
func (Tuples) AppendElement(dst []byte, t Tuple) ([]byte, error) { return appendAny(dst, t, 1) }

// DecodeElement is a nested tuple at the start of b.
func (Tuples) DecodeElement(b []byte) (t Tuple, rest []byte, err error) {
	if b, err = untag(b, tagTuple); err != nil {
		return nil, nil, err
	}
	return takeNested(b, 2)
}
