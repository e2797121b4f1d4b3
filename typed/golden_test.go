package typed

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/cordwood-db/cordwood/db"
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

// The example of docs/format/index.md.
func TestIndexesOfVersion1AreStillReadAndWritten(t *testing.T) {
	text, err := os.ReadFile("testdata/index-v1.hex")
	check(t, err)
	store := openStore(t, db.Options{})
	p := openPeople(t, store)
	check(t, p.Put(1, person{Email: "a", Tags: []string{"x", "y"}}))
	check(t, p.Put(2, person{Email: "b", Tags: []string{"x"}}))

	raw := []*db.Keyspace{p.byEmail.ks, p.byTag.ks}
	for i, part := range strings.Split(strings.TrimSpace(strings.ReplaceAll(string(text), "\r", "")), "\n\n") {
		var have []string
		for it, err := range raw[i].Scan(db.All()) {
			check(t, err)
			value, err := it.Value()
			check(t, err)
			have = append(have, strings.TrimSpace(fmt.Sprintf("% x -> % x", it.Key(), value)))
		}
		if got := strings.Join(have, "\n"); got != part {
			t.Errorf("the format changed:\n%s\nwant\n%s", got, part)
		}
		// Read what the file says, not what was just written.
		check(t, raw[i].DeleteRange(db.Between([]byte{0}, []byte{0xff})))
		for line := range strings.Lines(part) {
			k, v, _ := strings.Cut(line, "->")
			key, err := hex.DecodeString(strings.Join(strings.Fields(k), ""))
			check(t, err)
			value, err := hex.DecodeString(strings.Join(strings.Fields(v), ""))
			check(t, err)
			check(t, raw[i].Put(key, value))
		}
	}
	wantKeys(t, p.byEmail, All[string](), 1, 2)
	wantKeys(t, p.byTag, All[string](), 1, 2, 1)
	p.verify(t)
}
