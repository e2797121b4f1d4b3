package db

import (
	"bytes"
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/cordwood-db/cordwood/internal/testkit"
)

// isTyped reports whether err is what hostile bytes may lead to.
func isTyped(err error) bool {
	_, damage := errors.AsType[*CorruptionError](err)
	_, missing := errors.AsType[*MissingFileError](err)
	_, format := errors.AsType[*FormatError](err)
	return damage || missing || format
}

func FuzzUnionMembers(f *testing.F) {
	f.Add(UnionBytes([]byte("a"), []byte("b"), nil))
	f.Add([]byte{0x80, 0x80})
	f.Fuzz(func(t *testing.T, b []byte) {
		testkit.Bounded(t, len(b), func() {
			members, err := UnionMembers(b)
			if err != nil {
				return
			}
			if len(members) > len(b) || !slices.IsSortedFunc(members, bytes.Compare) {
				t.Fatalf("%q became %q", b, members)
			}
			again, err := UnionMembers(UnionBytes(members...))
			if err != nil || !slices.EqualFunc(again, members, bytes.Equal) {
				t.Fatalf("%q became %q, %v", members, again, err)
			}
		})
	})
}

// FuzzMergeOperators gives the ready-made operators a value and operands of any
// bytes: they must agree, or refuse, however operands are combined on the way.
func FuzzMergeOperators(f *testing.F) {
	one, two := UnionBytes([]byte("a"), []byte("c")), UnionBytes([]byte("b"), []byte("c"))
	f.Add(one, two, UnionBytes(nil), true)
	f.Add(CounterBytes(1), CounterBytes(math.MaxInt64), CounterBytes(-7), true)
	f.Add([]byte(nil), []byte{1, 'x'}, []byte{2, 'x'}, false)
	f.Fuzz(func(t *testing.T, value, older, newer []byte, hasBase bool) {
		if !hasBase {
			value = nil
		}
		for _, op := range []MergeOperator{Counter(), Append(), Max(), Union()} {
			testkit.Bounded(t, len(value)+len(older)+len(newer), func() {
				inOne, errOne := op.Merge([]byte("to"), nil, value, hasBase, [][]byte{older, newer})
				if errOne == nil && !bytes.HasPrefix(inOne, []byte("to")) {
					t.Fatalf("%s: %q", op.Name(), inOne)
				}
				both, ok := op.Combine([]byte("to"), nil, older, newer)
				if !ok {
					return
				}
				inTwo, errTwo := op.Merge([]byte("to"), nil, value, hasBase, [][]byte{both[2:]})
				if errOne == nil && (errTwo != nil || !bytes.Equal(inOne, inTwo)) {
					t.Fatalf("%s: %q, and combined %q, %v", op.Name(), inOne, inTwo, errTwo)
				}
				if errOne != nil && errTwo == nil {
					t.Fatalf("%s: %v, but combined %q", op.Name(), errOne, inTwo)
				}
			})
		}
	})
}

func FuzzCounterValue(f *testing.F) {
	f.Add(CounterBytes(-1))
	f.Fuzz(func(t *testing.T, b []byte) {
		n, err := CounterValue(b)
		if (err == nil) != (len(b) == 8) || err == nil && !bytes.Equal(CounterBytes(n), b) {
			t.Fatalf("% x is read as %d, %v", b, n, err)
		}
	})
}

func FuzzSequenceValue(f *testing.F) {
	f.Add(encodeSequence(1))
	f.Add(encodeSequence(math.MaxUint64))
	f.Add([]byte("CWSQ"))
	f.Fuzz(func(t *testing.T, b []byte) {
		next, err := decodeSequence(b)
		if err == nil && !bytes.Equal(encodeSequence(next), b) {
			t.Fatalf("% x is read as %d, which is written as % x", b, next, encodeSequence(next))
		}
		if _, format := errors.AsType[*FormatError](err); err != nil && !format && !errors.Is(err, ErrNotSequence) {
			t.Fatal(err)
		}
	})
}
