package typed

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/cordwood-db/cordwood/internal/testkit"
)

func FuzzTuple(f *testing.F) {
	for i := range uint64(20) {
		f.Add(encodeTuple(f, randomTuple(rand.New(rand.NewPCG(i, 0)), 1)))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		testkit.Bounded(t, len(b), func() { strict(t, b) })
		pair := NewTuple2(String{}, NewTuple2(Bytes{}, Float64{}))
		if v, err := pair.Decode(b); err == nil {
			if again, err := pair.Append(nil, v); err != nil || !bytes.Equal(again, b) {
				t.Fatalf("% x decodes to %v, which encodes to % x, %v", b, v, again, err)
			}
			if _, err := DecodeTuple(b); err != nil {
				t.Fatalf("% x is a Tuple2, but not a Tuple: %v", b, err)
			}
		}
	})
}

// exact fails unless b is refused by c or the only encoding of what it stands
// for, alone and as an element.
func exact[T any](t *testing.T, name string, c KeyCodec[T], b []byte) {
	t.Helper()
	v, err := c.Decode(b)
	if err == nil {
		if again, err := c.Append(nil, v); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%s: % x decodes to %v, which encodes to % x, %v", name, b, v, again, err)
		}
	} else if !errors.Is(err, ErrMalformed) {
		t.Fatalf("%s: % x: %v", name, b, err)
	}
	v, rest, err := c.DecodeElement(b)
	if err != nil {
		if !errors.Is(err, ErrMalformed) {
			t.Fatalf("%s: % x: %v", name, b, err)
		}
		return
	}
	again, err := c.AppendElement(nil, v)
	if err != nil || !bytes.Equal(append(again, rest...), b) {
		t.Fatalf("%s: element % x decodes to %v, which encodes to % x, %v", name, b, v, again, err)
	}
	if _, err := DecodeTuple(again); err != nil {
		t.Fatalf("%s: element % x is no tuple: %v", name, again, err)
	}
}

// FuzzElements gives every codec of keys the same bytes.
func FuzzElements(f *testing.F) {
	for i := range uint64(12) {
		f.Add(encodeTuple(f, randomTuple(rand.New(rand.NewPCG(i, 1)), 0)))
	}
	f.Add([]byte{0x7f, 0xf0, 0, 0, 0, 0, 0, 1})
	f.Add(make([]byte, 12))
	f.Fuzz(func(t *testing.T, b []byte) {
		testkit.Bounded(t, len(b), func() {
			exact(t, "bytes", Bytes{}, b)
			exact(t, "string", String{}, b)
			exact(t, "uint64", Uint64{}, b)
			exact(t, "int64", Int64{}, b)
			exact(t, "float64", Float64{}, b)
			exact(t, "bool", Bool{}, b)
			exact(t, "time", Time{}, b)
			exact(t, "pair", NewTuple2(String{}, Time{}), b)
			exact(t, "triple", NewTuple3(Int64{}, Bytes{}, NewTuple2(Bool{}, Float64{})), b)
			exact(t, "tuple", Tuples{}, b)
		})
	})
}
