package typed

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// compareAny orders elements as the documentation says, without a look at
// their encodings.
func compareAny(t testing.TB, a, b any) int {
	t.Helper()
	if c := cmp.Compare(rank(t, a), rank(t, b)); c != 0 {
		return c
	}
	switch a := a.(type) {
	case nil:
		return 0
	case bool:
		switch {
		case a == b.(bool):
			return 0
		case a:
			return 1
		}
		return -1
	case int64:
		return cmp.Compare(a, b.(int64))
	case uint64:
		return cmp.Compare(a, b.(uint64))
	case float64:
		return cmp.Compare(a, b.(float64))
	case time.Time:
		return a.Compare(b.(time.Time))
	case []byte:
		return bytes.Compare(a, b.([]byte))
	case string:
		return cmp.Compare(a, b.(string))
	case Tuple:
		return compareTuples(t, a, b.(Tuple))
	}
	panic("unreachable")
}

func compareTuples(t testing.TB, a, b Tuple) int {
	t.Helper()
	return slices.CompareFunc(a, b, func(x, y any) int { return compareAny(t, x, y) })
}

// rank is the place of an element's type in the order of types.
func rank(t testing.TB, e any) int {
	t.Helper()
	switch e.(type) {
	case nil:
		return 0
	case bool:
		return 1
	case int64:
		return 2
	case uint64:
		return 3
	case float64:
		return 4
	case time.Time:
		return 5
	case []byte:
		return 6
	case string:
		return 7
	case Tuple:
		return 8
	}
	t.Fatalf("element of type %T", e)
	return 0
}

// Values at which encodings have their corners.
var (
	cornersInt64 = []int64{math.MinInt64, math.MinInt64 + 1, -256, -2, -1, 0, 1, 2, 255, 256, math.MaxInt64}
	cornersFloat = []float64{math.NaN(), math.Inf(-1), -math.MaxFloat64, -1, -math.SmallestNonzeroFloat64, math.Copysign(0, -1), 0,
		math.SmallestNonzeroFloat64, 0.5, 1, math.MaxFloat64, math.Inf(1)}
	cornersTime = []time.Time{{}, time.Unix(0, 0), time.Unix(0, 1), time.Unix(-1, 999999999), time.Unix(-1, 1), time.Unix(unixMax, 999999999),
		time.Unix(math.MinInt64, 0), time.Date(2026, 11, 21, 12, 0, 0, 0, time.FixedZone("x", 3600))}
	alphabet = []byte{0, 1, 2, 3, 'a', 0xfe, 0xff}
)

func randomBytes(r *rand.Rand) []byte {
	b := make([]byte, r.IntN(5))
	for i := range b {
		b[i] = alphabet[r.IntN(len(alphabet))]
	}
	return b
}

func randomElement(r *rand.Rand, depth int) any {
	switch r.IntN(9) {
	case 0:
		return nil
	case 1:
		return r.IntN(2) == 0
	case 2:
		if r.IntN(2) == 0 {
			return cornersInt64[r.IntN(len(cornersInt64))]
		}
		return int64(r.Uint64()) >> r.IntN(64)
	case 3:
		return r.Uint64() >> r.IntN(64)
	case 4:
		if r.IntN(2) == 0 {
			return cornersFloat[r.IntN(len(cornersFloat))]
		}
		return math.Float64frombits(r.Uint64())
	case 5:
		if r.IntN(2) == 0 {
			return cornersTime[r.IntN(len(cornersTime))]
		}
		return time.Unix(int64(r.Uint64())>>(2+r.IntN(60)), r.Int64N(1e9))
	case 6:
		return randomBytes(r)
	case 7:
		return string(randomBytes(r))
	}
	if depth > 3 {
		return Tuple{}
	}
	return randomTuple(r, depth+1)
}

func randomTuple(r *rand.Rand, depth int) Tuple {
	t := make(Tuple, r.IntN(4))
	for i := range t {
		t[i] = randomElement(r, depth)
	}
	return t
}

func encodeTuple(t testing.TB, tuple Tuple) []byte {
	t.Helper()
	b, err := tuple.Append(nil)
	if err != nil {
		t.Fatalf("%v: %v", tuple, err)
	}
	return b
}

// source is a random source whose seed is printed if the test fails.
func source(t *testing.T) *rand.Rand {
	seed := rand.Uint64()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("seed %d", seed)
		}
	})
	return rand.New(rand.NewPCG(seed, 0))
}

func TestTuplesSortAsTheirElementsDo(t *testing.T) {
	r := source(t)
	for range 100_000 {
		a, b := randomTuple(r, 1), randomTuple(r, 1)
		// Neighbours are more telling than strangers.
		if len(a) > 0 && r.IntN(2) == 0 {
			b = slices.Clone(a)
			b[r.IntN(len(b))] = randomElement(r, 1)
		}
		x, y := encodeTuple(t, a), encodeTuple(t, b)
		if got, want := bytes.Compare(x, y), compareTuples(t, a, b); got != want {
			t.Fatalf("%v (% x) against %v (% x): bytes say %d, elements say %d", a, x, b, y, got, want)
		}
	}
}

func TestATuplesEncodingIsAPrefixOfItsExtensionsOnly(t *testing.T) {
	r := source(t)
	for range 50_000 {
		a, b := randomTuple(r, 1), randomTuple(r, 1)
		if r.IntN(2) == 0 {
			b = append(slices.Clip(a), b...)
		}
		want := len(b) >= len(a) && compareTuples(t, a, b[:len(a)]) == 0
		if got := bytes.HasPrefix(encodeTuple(t, b), encodeTuple(t, a)); got != want {
			t.Fatalf("%v as a prefix of %v: %v, want %v", a, b, got, want)
		}
	}
}

func TestDecodedTuplesEqualTheEncodedOnes(t *testing.T) {
	r := source(t)
	for range 50_000 {
		a := randomTuple(r, 1)
		b, err := DecodeTuple(encodeTuple(t, a))
		if err != nil || compareTuples(t, a, b) != 0 {
			t.Fatalf("%v became %v, %v", a, b, err)
		}
	}
	if got, err := DecodeTuple(encodeTuple(t, Tuple{7})); err != nil || got[0] != int64(7) {
		t.Errorf("int became %v, %v", got, err)
	}
}

// strict checks that b is refused, or is the only encoding of what it decodes
// to.
func strict(t testing.TB, b []byte) {
	t.Helper()
	tuple, err := DecodeTuple(b)
	if err != nil {
		if !errors.Is(err, ErrMalformed) {
			t.Fatalf("% x: %v", b, err)
		}
		return
	}
	again, err := tuple.Append(nil)
	if err != nil || !bytes.Equal(again, b) {
		t.Fatalf("% x decodes to %v, which encodes to % x, %v", b, tuple, again, err)
	}
}

func TestEveryTupleHasOneEncoding(t *testing.T) {
	r := source(t)
	for range 100_000 {
		b := encodeTuple(t, randomTuple(r, 1))
		if len(b) == 0 {
			continue
		}
		switch i := r.IntN(len(b)); r.IntN(4) {
		case 0:
			b[i] = byte(r.Uint32())
		case 1:
			b = slices.Delete(b, i, i+1)
		case 2:
			b = slices.Insert(b, i, alphabet[r.IntN(len(alphabet))])
		case 3:
			b = b[:i]
		}
		strict(t, b)
	}
}

func TestMalformedTuplesAreRefused(t *testing.T) {
	for _, c := range []struct{ what, bytes string }{
		{"an end outside", "\x00"},
		{"unknown type", "\x02"},
		{"integer cut short", "\x10\x80\x00\x00"},
		{"no integer", "\x11"},
		{"second NaN", "\x18\x00\x00\x00\x00\x00\x00\x00\x01"},
		{"positive NaN", "\x18\xff\xf8\x00\x00\x00\x00\x00\x01"},
		{"negative zero", "\x18\x7f\xff\xff\xff\xff\xff\xff\xff"},
		{"time cut short", "\x20\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00"},
		{"too many nanoseconds", "\x20\x80\x00\x00\x00\x00\x00\x00\x00\x3b\x9a\xca\x00"},
		{"time out of range", "\x20\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00"},
		{"bytes without end", "\x28ab"},
		{"escape at the end", "\x28a\x01\x00"},
		{"escape of nothing", "\x30a\x01\x03\x00"},
		{"string without end", "\x30"},
		{"tuple without end", "\x38\x01"},
		{"tuple with half an element", "\x38\x10\x00"},
	} {
		if got, err := DecodeTuple([]byte(c.bytes)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v, %v", c.what, got, err)
		}
	}
}

func TestDepthOfTuplesIsBounded(t *testing.T) {
	deepest := Tuple{}
	for range TupleDepthMax - 1 {
		deepest = Tuple{deepest}
	}
	b := encodeTuple(t, deepest)
	if _, err := DecodeTuple(b); err != nil {
		t.Errorf("the deepest tuple: %v", err)
	}
	if _, err := (Tuple{deepest}).Append(nil); !errors.Is(err, ErrNotEncodable) {
		t.Errorf("a deeper tuple was encoded: %v", err)
	}
	if _, err := (Tuples{}).AppendElement(nil, deepest); !errors.Is(err, ErrNotEncodable) {
		t.Errorf("a deeper element was encoded: %v", err)
	}
	deeper := append(append([]byte{tagTuple}, b...), tagEnd)
	if _, err := DecodeTuple(deeper); !errors.Is(err, ErrMalformed) {
		t.Errorf("a deeper tuple was decoded: %v", err)
	}
	if _, _, err := (Tuples{}).DecodeElement(deeper); !errors.Is(err, ErrMalformed) {
		t.Errorf("a deeper element was decoded: %v", err)
	}
	if _, err := DecodeTuple(bytes.Repeat([]byte{tagTuple}, 10<<20)); !errors.Is(err, ErrMalformed) {
		t.Errorf("ten million tuples: %v", err)
	}
}

func TestOtherElementsAreRefused(t *testing.T) {
	for _, e := range []any{int32(1), []string{"a"}, struct{}{}, time.Unix(math.MaxInt64, 0), new(int), []any{1}} {
		if b, err := (Tuple{"a", e}).Append(nil); !errors.Is(err, ErrNotEncodable) || b != nil {
			t.Errorf("%T: % x, %v", e, b, err)
		}
	}
}

// What the typed tuples write is what the dynamic one writes.
func TestTypedTuplesAreTuples(t *testing.T) {
	pair := NewTuple2(String{}, Int64{})
	triple := NewTuple3(Bool{}, pair, Time{})
	moment := time.Unix(1, 2).UTC()
	in := Tuple3[bool, Tuple2[string, int64], time.Time]{true, Tuple2[string, int64]{"a\x00b", -1}, moment}
	same := Tuple{true, Tuple{"a\x00b", int64(-1)}, moment}

	b, err := triple.Append(nil, in)
	if err != nil || !bytes.Equal(b, encodeTuple(t, same)) {
		t.Fatalf("% x, %v, want % x", b, err, encodeTuple(t, same))
	}
	if out, err := triple.Decode(b); err != nil || out != in {
		t.Errorf("%v, %v", out, err)
	}
	element, err := triple.AppendElement([]byte("x"), in)
	if want := "x" + string(encodeTuple(t, Tuple{same})); err != nil || string(element) != want {
		t.Errorf("element % x, %v", element, err)
	}
	out, rest, err := triple.DecodeElement(append(element[1:], "rest"...))
	if err != nil || out != in || string(rest) != "rest" {
		t.Errorf("%v, %q, %v", out, rest, err)
	}
}

func TestTypedTuplesAreStrict(t *testing.T) {
	pair := NewTuple2(String{}, Int64{})
	triple := NewTuple3(Bool{}, Bool{}, Bool{})
	for _, other := range []Tuple{{}, {"a"}, {"a", "b"}, {int64(1), int64(1)}, {"a", int64(1), nil}, {"a", uint64(1)}, {true, false, "x"}, {true}} {
		b := encodeTuple(t, other)
		if got, err := pair.Decode(b); !errors.Is(err, ErrMalformed) || got != (Tuple2[string, int64]{}) {
			t.Errorf("%v was decoded: %v, %v", other, got, err)
		}
		if got, err := triple.Decode(b); !errors.Is(err, ErrMalformed) || got != (Tuple3[bool, bool, bool]{}) {
			t.Errorf("%v was decoded: %v, %v", other, got, err)
		}
		b = encodeTuple(t, Tuple{other})
		if _, _, err := pair.DecodeElement(b); !errors.Is(err, ErrMalformed) {
			t.Errorf("element %v: %v", other, err)
		}
		if _, _, err := triple.DecodeElement(b); !errors.Is(err, ErrMalformed) {
			t.Errorf("element %v: %v", other, err)
		}
	}
}

func TestLongStringsWithEscapesSurvive(t *testing.T) {
	s := strings.Repeat("\x00\x01\x02x", 10_000)
	got, err := DecodeTuple(encodeTuple(t, Tuple{s, []byte(s), ""}))
	if err != nil || got[0] != s || string(got[1].([]byte)) != s || got[2] != "" {
		t.Errorf("lost: %v", err)
	}
}

func ExampleTuple() {
	key, err := Tuple{"order", uint64(7), nil}.Append(nil)
	if err != nil {
		panic(err)
	}
	fmt.Printf("% x\n", key)
	// Output: 30 6f 72 64 65 72 00 11 00 00 00 00 00 00 00 07 01
}
