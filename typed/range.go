package typed

import "github.com/cordwood-db/cordwood/db"

// Range is a part of the keys of a view, or of an index, and a direction to
// walk it in. The zero value is [All]. Ranges are values: methods return changed
// copies. A key that cannot be encoded is reported by whatever the range is
// given to. Ranges but All and [Only] make sense where the codec of the keys
// preserves order.
type Range[K any] struct {
	kind       rangeKind
	start, end K
	leading    []byte // the encoded elements that keys begin with, for rangeLeading
	err        error  // of encoding them
	backward   bool
}

type rangeKind uint8

const (
	rangeAll     rangeKind = iota
	rangeFrom              // start <= k
	rangeUntil             // k < end
	rangeBetween           // start <= k < end
	rangeOnly              // k == start
	rangePrefix            // k begins with start
	rangeLeading           // k is a tuple that begins with leading
)

// All is every key.
func All[K any]() Range[K] { return Range[K]{} }

// Only is the key k.
func Only[K any](k K) Range[K] { return Range[K]{kind: rangeOnly, start: k} }

// From is every key k with start <= k.
func From[K any](start K) Range[K] { return Range[K]{kind: rangeFrom, start: start} }

// Until is every key k with k < end.
func Until[K any](end K) Range[K] { return Range[K]{kind: rangeUntil, end: end} }

// Between is every key k with start <= k < end.
func Between[K any](start, end K) Range[K] {
	return Range[K]{kind: rangeBetween, start: start, end: end}
}

// Prefix is every string or byte string that begins with p, or every [Tuple]
// that begins with the elements of p. For keys of other types it is Only.
// [Tuple2Codec.Prefix] and its like are for tuples with typed elements.
func Prefix[K any](p K) Range[K] { return Range[K]{kind: rangePrefix, start: p} }

// Backward is r walked from its last key to its first.
func (r Range[K]) Backward() Range[K] {
	r.backward = true
	return r
}

// leadingRange is every tuple that begins with encoded elements.
func leadingRange[K any](leading []byte, err error) Range[K] {
	return Range[K]{kind: rangeLeading, leading: leading, err: err}
}

// Prefix is every pair whose first element is a.
func (c Tuple2Codec[A, B]) Prefix(a A) Range[Tuple2[A, B]] {
	return leadingRange[Tuple2[A, B]](c.a.AppendElement(nil, a))
}

// Prefix is every triple whose first element is a.
func (c Tuple3Codec[A, B, C]) Prefix(a A) Range[Tuple3[A, B, C]] {
	return leadingRange[Tuple3[A, B, C]](c.a.AppendElement(nil, a))
}

// Prefix2 is every triple whose first two elements are a and b.
func (c Tuple3Codec[A, B, C]) Prefix2(a A, b B) Range[Tuple3[A, B, C]] {
	leading, err := c.a.AppendElement(nil, a)
	if err == nil {
		leading, err = c.b.AppendElement(leading, b)
	}
	return leadingRange[Tuple3[A, B, C]](leading, err)
}

// raw is r over keys that c encodes on their own.
func (r Range[K]) raw(c Codec[K]) (db.Range, error) {
	start, end, err := r.bounds(c.Append)
	if err != nil {
		return db.Range{}, err
	}
	var raw db.Range
	switch r.kind {
	case rangeFrom:
		raw = db.From(start)
	case rangeUntil:
		raw = db.Between(nil, end)
	case rangeBetween:
		raw = db.Between(start, end)
	case rangeOnly:
		raw = db.Between(start, append(start, 0))
	case rangePrefix:
		raw = db.Prefix(start)
	case rangeLeading:
		raw = db.Prefix(r.leading)
	}
	return r.directed(raw), nil
}

// elements is r over keys that begin with an element of e: those of an index.
// It leaves out the key that holds the state of the index, which is below every
// element.
func (r Range[K]) elements(e Element[K]) (db.Range, error) {
	start, end, err := r.bounds(e.AppendElement)
	if err != nil {
		return db.Range{}, err
	}
	raw := db.Between(entriesStart, entriesEnd)
	switch r.kind {
	case rangeFrom:
		raw = db.Between(start, entriesEnd)
	case rangeUntil:
		raw = db.Between(entriesStart, end)
	case rangeBetween:
		raw = db.Between(start, end)
	case rangeOnly:
		raw = db.Prefix(start) // no element is a prefix of another one
	case rangePrefix:
		if tag := start[0]; tag == tagBytes || tag == tagString || tag == tagTuple {
			start = start[:len(start)-1] // without its end
		}
		raw = db.Prefix(start)
	case rangeLeading:
		raw = db.Prefix(append([]byte{tagTuple}, r.leading...))
	}
	return r.directed(raw), nil
}

// bounds are start and end, encoded: never nil, for that would mean no bound.
func (r Range[K]) bounds(encode func([]byte, K) ([]byte, error)) (start, end []byte, err error) {
	if r.err != nil {
		return nil, nil, r.err
	}
	if r.kind != rangeAll && r.kind != rangeUntil && r.kind != rangeLeading {
		if start, err = encode(make([]byte, 0, 32), r.start); err != nil {
			return nil, nil, err
		}
	}
	if r.kind == rangeUntil || r.kind == rangeBetween {
		if end, err = encode(make([]byte, 0, 32), r.end); err != nil {
			return nil, nil, err
		}
	}
	return start, end, nil
}

func (r Range[K]) directed(raw db.Range) db.Range {
	if r.backward {
		return raw.Backward()
	}
	return raw
}
