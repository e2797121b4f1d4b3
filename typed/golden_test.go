package typed

import (
	"bytes"
	"encoding/hex"
	"math"
	"os"
	"strings"
	"testing"
	"time"
)

// golden reads a hex file of testdata.
func golden(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	b, err := hex.DecodeString(strings.Join(strings.Fields(string(text)), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The example of docs/format/tuple.md: one element of each type.
func TestTuplesOfVersion1AreStillReadAndWritten(t *testing.T) {
	want := golden(t, "tuple-v1.hex")
	tuple := Tuple{
		nil, false, true, int64(-2), uint64(258), -0.5, math.NaN(),
		time.Date(2026, 11, 21, 0, 0, 0, 5, time.UTC),
		[]byte{0x00, 0x01, 0x02, 0xff}, "a\x00b", Tuple{"cord", Tuple{}, nil},
	}
	if got := encodeTuple(t, tuple); !bytes.Equal(got, want) {
		t.Errorf("the format changed:\n% x\nwant\n% x", got, want)
	}
	got, err := DecodeTuple(want)
	if err != nil || compareTuples(t, got, tuple) != 0 {
		t.Errorf("%v, %v", got, err)
	}
}
