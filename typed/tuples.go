package typed

// Tuple2 is a key of two elements. It sorts by A, then by B.
type Tuple2[A, B any] struct {
	A A
	B B
}

// Tuple2Codec is the codec of [Tuple2]. Its bytes are those of a [Tuple] with
// the same elements. NewTuple2 makes it.
type Tuple2Codec[A, B any] struct {
	a Element[A]
	b Element[B]
}

// NewTuple2 is the codec of pairs with elements of a and b:
//
//	keys := typed.NewTuple2(typed.String{}, typed.Uint64{})
func NewTuple2[A, B any](a Element[A], b Element[B]) Tuple2Codec[A, B] {
	return Tuple2Codec[A, B]{a, b}
}

// Append appends both elements.
func (c Tuple2Codec[A, B]) Append(dst []byte, t Tuple2[A, B]) ([]byte, error) {
	dst, err := c.a.AppendElement(dst, t.A)
	if err != nil {
		return nil, err
	}
	return c.b.AppendElement(dst, t.B)
}

// Decode wants both elements and no more.
func (c Tuple2Codec[A, B]) Decode(b []byte) (Tuple2[A, B], error) { return whole(c.take(b)) }

func (c Tuple2Codec[A, B]) take(b []byte) (t Tuple2[A, B], rest []byte, err error) {
	if t.A, rest, err = c.a.DecodeElement(b); err != nil {
		return t, nil, err
	}
	t.B, rest, err = c.b.DecodeElement(rest)
	return t, rest, err
}

// AppendElement appends t as a nested tuple.
func (c Tuple2Codec[A, B]) AppendElement(dst []byte, t Tuple2[A, B]) ([]byte, error) {
	return ended(c.Append(append(dst, tagTuple), t))
}

// DecodeElement is a nested tuple at the start of b.
func (c Tuple2Codec[A, B]) DecodeElement(b []byte) (t Tuple2[A, B], rest []byte, err error) {
	return nested(b, c.take)
}

// Tuple3 is a key of three elements. It sorts by A, then by B, then by C. Longer
// keys nest: Tuple2[A, Tuple3[B, C, D]].
type Tuple3[A, B, C any] struct {
	A A
	B B
	C C
}

// Tuple3Codec is the codec of [Tuple3]. Its bytes are those of a [Tuple] with
// the same elements. NewTuple3 makes it.
type Tuple3Codec[A, B, C any] struct {
	a Element[A]
	b Element[B]
	c Element[C]
}

// NewTuple3 is the codec of triples with elements of a, b and c.
func NewTuple3[A, B, C any](a Element[A], b Element[B], c Element[C]) Tuple3Codec[A, B, C] {
	return Tuple3Codec[A, B, C]{a, b, c}
}

// Append appends the three elements.
func (c Tuple3Codec[A, B, C]) Append(dst []byte, t Tuple3[A, B, C]) ([]byte, error) {
	dst, err := c.a.AppendElement(dst, t.A)
	if err != nil {
		return nil, err
	}
	if dst, err = c.b.AppendElement(dst, t.B); err != nil {
		return nil, err
	}
	return c.c.AppendElement(dst, t.C)
}

// Decode wants three elements and no more.
func (c Tuple3Codec[A, B, C]) Decode(b []byte) (Tuple3[A, B, C], error) { return whole(c.take(b)) }

func (c Tuple3Codec[A, B, C]) take(b []byte) (t Tuple3[A, B, C], rest []byte, err error) {
	if t.A, rest, err = c.a.DecodeElement(b); err != nil {
		return t, nil, err
	}
	if t.B, rest, err = c.b.DecodeElement(rest); err != nil {
		return t, nil, err
	}
	t.C, rest, err = c.c.DecodeElement(rest)
	return t, rest, err
}

// AppendElement appends t as a nested tuple.
func (c Tuple3Codec[A, B, C]) AppendElement(dst []byte, t Tuple3[A, B, C]) ([]byte, error) {
	return ended(c.Append(append(dst, tagTuple), t))
}

// DecodeElement is a nested tuple at the start of b.
func (c Tuple3Codec[A, B, C]) DecodeElement(b []byte) (t Tuple3[A, B, C], rest []byte, err error) {
	return nested(b, c.take)
}

// ended appends the end of a nested tuple.
func ended(dst []byte, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	return append(dst, tagEnd), nil
}

// nested is a tuple that take finds between the tag and the end.
func nested[T any](b []byte, take func([]byte) (T, []byte, error)) (t T, rest []byte, err error) {
	if t, rest, err = tagged(b, tagTuple, take); err != nil {
		return t, nil, err
	}
	if rest, err = untag(rest, tagEnd); err != nil {
		return t, nil, err
	}
	return t, rest, nil
}
