package typed

import (
	"bytes"
	"cmp"
	"errors"
	"math"
	"net/url"
	"strings"
	"testing"
	"time"
)

// roundTrip checks that v survives a codec, on its own and as an element, that
// dst is kept, and that wrong lengths are refused.
func roundTrip[T any](t *testing.T, c KeyCodec[T], v T, equal func(a, b T) bool) {
	t.Helper()
	b, err := c.Append([]byte("dst"), v)
	if err != nil || !bytes.HasPrefix(b, []byte("dst")) {
		t.Fatalf("%v: %q, %v", v, b, err)
	}
	if got, err := c.Decode(b[3:]); err != nil || !equal(got, v) {
		t.Errorf("%v became %v, %v", v, got, err)
	}
	e, err := c.AppendElement([]byte("dst"), v)
	if err != nil || !bytes.HasPrefix(e, []byte("dst")) {
		t.Fatalf("%v: %q, %v", v, e, err)
	}
	got, rest, err := c.DecodeElement(append(e[3:], 0xff))
	if err != nil || !equal(got, v) || string(rest) != "\xff" {
		t.Errorf("element %v became %v, %q, %v", v, got, rest, err)
	}
	for i := range e[3:] {
		if got, _, err := c.DecodeElement(e[3:][:i]); !errors.Is(err, ErrMalformed) {
			t.Errorf("%d bytes of the element %v gave %v, %v", i, v, got, err)
		}
	}
}

// ordered checks that bytes sort as values do.
func ordered[T any](t *testing.T, c KeyCodec[T], a, b T, compare func(a, b T) int) {
	t.Helper()
	want := compare(a, b)
	x, err1 := c.Append(nil, a)
	y, err2 := c.Append(nil, b)
	if got := bytes.Compare(x, y); err1 != nil || err2 != nil || got != want {
		t.Errorf("%v against %v: %d, want %d (%v, %v)", a, b, got, want, err1, err2)
	}
}

func allPairs[T any](t *testing.T, c KeyCodec[T], values []T, compare func(a, b T) int) {
	t.Helper()
	for _, a := range values {
		roundTrip(t, c, a, func(a, b T) bool { return compare(a, b) == 0 })
		for _, b := range values {
			ordered(t, c, a, b, compare)
		}
	}
}

func TestKeyCodecsKeepValuesAndOrder(t *testing.T) {
	r := source(t)
	ints, floats, times := cornersInt64, cornersFloat, cornersTime
	uints := []uint64{0, 1, 255, 256, math.MaxInt64, 1 << 63, math.MaxUint64}
	strs, blobs := []string{""}, [][]byte{{}}
	for range 50 {
		ints = append(ints, int64(r.Uint64())>>r.IntN(64))
		uints = append(uints, r.Uint64()>>r.IntN(64))
		floats = append(floats, math.Float64frombits(r.Uint64()))
		times = append(times, time.Unix(r.Int64N(4), r.Int64N(1e9)))
		strs = append(strs, string(randomBytes(r)))
		blobs = append(blobs, randomBytes(r))
	}
	allPairs(t, Int64{}, ints, cmp.Compare[int64])
	allPairs(t, Uint64{}, uints, cmp.Compare[uint64])
	allPairs(t, Float64{}, floats, cmp.Compare[float64])
	allPairs(t, Time{}, times, time.Time.Compare)
	allPairs(t, String{}, strs, cmp.Compare[string])
	allPairs(t, Bytes{}, blobs, bytes.Compare)
	allPairs(t, Bool{}, []bool{false, true}, func(a, b bool) int { return compareAny(t, a, b) })
	var tuples []Tuple
	for range 50 {
		tuples = append(tuples, randomTuple(r, 1))
	}
	allPairs(t, Tuples{}, tuples, func(a, b Tuple) int { return compareTuples(t, a, b) })
}

func TestFixedLengthsAreStrict(t *testing.T) {
	for n := range 20 {
		b := bytes.Repeat([]byte{tagTrue}, n)
		for _, c := range []struct {
			what   string
			decode func([]byte) error
			length int
		}{
			{"Uint64", func(b []byte) error { _, err := Uint64{}.Decode(b); return err }, 8},
			{"Int64", func(b []byte) error { _, err := Int64{}.Decode(b); return err }, 8},
			{"Float64", func(b []byte) error { _, err := Float64{}.Decode(b); return err }, 8},
			{"Bool", func(b []byte) error { _, err := Bool{}.Decode(b); return err }, 1},
			{"Time", func(b []byte) error { _, err := Time{}.Decode(b); return err }, 12},
		} {
			if err := c.decode(b); errors.Is(err, ErrMalformed) == (n == c.length) {
				t.Errorf("%s of %d bytes: %v", c.what, n, err)
			}
		}
	}
}

func TestDecodedValuesAreCopies(t *testing.T) {
	b := []byte("abc")
	v, err := Bytes{}.Decode(b)
	s, err2 := String{}.Decode(b)
	e, _ := Bytes{}.AppendElement(nil, b)
	w, _, err3 := Bytes{}.DecodeElement(e)
	clear(b)
	clear(e)
	if string(v) != "abc" || s != "abc" || string(w) != "abc" {
		t.Errorf("%q %q %q: shared memory", v, s, w)
	}
	if err != nil || err2 != nil || err3 != nil {
		t.Error(err, err2, err3)
	}
}

func TestTimesOutOfRangeAreRefused(t *testing.T) {
	if _, err := (Time{}).Append(nil, time.Unix(math.MaxInt64, 0)); !errors.Is(err, ErrNotEncodable) {
		t.Errorf("a time that wraps: %v", err)
	}
}

type profile struct {
	Name string `json:"name"`
	Age  int    `json:"age"`
}

func TestJSON(t *testing.T) {
	c := JSON[profile]{}
	b, err := c.Append([]byte("x"), profile{"Ada", 36})
	if err != nil || string(b) != `x{"name":"Ada","age":36}` {
		t.Fatalf("%s, %v", b, err)
	}
	if got, err := c.Decode(b[1:]); err != nil || got != (profile{"Ada", 36}) {
		t.Errorf("%v, %v", got, err)
	}
	for _, bad := range []string{``, `{`, `{"name":"Ada","age":"x"}`, `{} {}`} {
		if got, err := c.Decode([]byte(bad)); !errors.Is(err, ErrMalformed) || got != (profile{}) {
			t.Errorf("%s: %v, %v", bad, got, err)
		}
	}
	if _, err := (JSON[any]{}).Append(nil, func() {}); !errors.Is(err, ErrNotEncodable) {
		t.Errorf("a function: %v", err)
	}
}

// bare marshals itself, and cannot append.
type bare struct{ s string }

func (b *bare) MarshalBinary() ([]byte, error) {
	if b.s == "" {
		return nil, errors.New("empty")
	}
	return []byte(b.s), nil
}

func (b *bare) UnmarshalBinary(data []byte) error {
	if len(data) == 0 {
		return errors.New("empty")
	}
	b.s = string(data)
	return nil
}

func TestBinaryUsesWhatTheTypeOffers(t *testing.T) {
	c := Binary[bare]()
	b, err := c.Append([]byte("x"), bare{"abc"})
	if err != nil || string(b) != "xabc" {
		t.Errorf("%s, %v", b, err)
	}
	if got, err := c.Decode([]byte("abc")); err != nil || got.s != "abc" {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := c.Append(nil, bare{}); !errors.Is(err, ErrNotEncodable) {
		t.Errorf("encoding: %v", err)
	}
	if _, err := c.Decode(nil); !errors.Is(err, ErrMalformed) {
		t.Errorf("decoding: %v", err)
	}

	u, err := url.Parse("https://example.com/a?b=c")
	if err != nil {
		t.Fatal(err)
	}
	b, err = Binary[url.URL]().Append([]byte("x"), *u)
	if err != nil || string(b) != "x"+u.String() {
		t.Errorf("%s, %v", b, err)
	}
	if got, err := Binary[url.URL]().Decode(b[1:]); err != nil || got != *u {
		t.Errorf("%v, %v", got, err)
	}
}

type userID uint64

var errReserved = errors.New("reserved")

func userIDs() KeyCodec[userID] {
	return As(Uint64{},
		func(id userID) (uint64, error) {
			if id == 0 {
				return 0, errReserved
			}
			return uint64(id), nil
		},
		func(n uint64) (userID, error) {
			if n == 0 {
				return 0, errReserved
			}
			return userID(n), nil
		})
}

func TestOwnTypesGoByWayOfOthers(t *testing.T) {
	allPairs(t, userIDs(), []userID{1, 2, 300, math.MaxUint64}, cmp.Compare[userID])
	if _, err := userIDs().Append(nil, 0); !errors.Is(err, errReserved) {
		t.Error(err)
	}
	if _, err := userIDs().AppendElement(nil, 0); !errors.Is(err, errReserved) {
		t.Error(err)
	}
	if _, err := userIDs().Decode(make([]byte, 8)); !errors.Is(err, errReserved) {
		t.Error(err)
	}
	zero, _ := Uint64{}.AppendElement(nil, 0)
	if _, _, err := userIDs().DecodeElement(zero); !errors.Is(err, errReserved) {
		t.Error(err)
	}
}

func BenchmarkTuple2(b *testing.B) {
	c := NewTuple2(String{}, Uint64{})
	key := Tuple2[string, uint64]{"user/" + strings.Repeat("x", 10), 7}
	var buf []byte
	b.Run("Append", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			buf, _ = c.Append(buf[:0], key)
		}
	})
	b.Run("Decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := c.Decode(buf); err != nil {
				b.Fatal(err)
			}
		}
	})
}
