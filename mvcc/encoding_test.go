package mvcc

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/cordwood-db/cordwood/db"
)

func storedKey(key []byte, ts Timestamp) []byte {
	return appendTimestamp(appendPrefix(nil, key), ts)
}

// golden are the lines of a hex file of testdata, without their comments.
func golden(t *testing.T, name string) [][]byte {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name)
	must(t, err)
	var lines [][]byte
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "#")
		b, err := hex.DecodeString(strings.Join(strings.Fields(line), ""))
		must(t, err)
		lines = append(lines, b)
	}
	return lines
}

// The example of docs/format/mvcc.md: what a space with two keys holds.
func TestVersionsOfFormat1AreStillReadAndWritten(t *testing.T) {
	want := golden(t, "space-v1.hex")
	store, s := newSpace(t)
	commit(t, s, 258, "a\x00\x01=new")
	commit(t, s, 257, "a\x00\x01=", "b=x")
	commit(t, s, 259, "-b")
	must(t, s.SetDiscard(7))
	var got [][]byte
	for item, err := range s.ks.Scan(db.All()) {
		must(t, err)
		value, err := item.Value()
		must(t, err)
		got = append(got, bytes.Clone(item.Key()), bytes.Clone(value))
	}
	if !slices.EqualFunc(got, want, bytes.Equal) {
		t.Errorf("the format changed:\n% x\nwant\n% x", got, want)
	}
	// The other way: bytes of the file, read.
	ks, err := store.Keyspace("old", nil)
	must(t, err)
	for i := 0; i < len(want); i += 2 {
		must(t, ks.Put(want[i], want[i+1]))
	}
	old, err := Open(store, "old", nil)
	must(t, err)
	wants(t, readAt(t, old, 258, db.All()), "a\x00\x01=new@258 b=x@257")
	wants(t, readAt(t, old, 300, db.All()), "a\x00\x01=new@258")
	if old.Discard() != 7 {
		t.Error(old.Discard())
	}
}

func TestStoredKeysSortByKeyThenNewestFirst(t *testing.T) {
	keys := []string{"", "\x00", "\x00\x00", "\x00\x01", "\x00\x02", "\x01", "\x01\x00", "\x01\x01", "\x02", "a", "a\x00", "a\x00\xff", "a\x01", "a\x02", "ab", "\xff", "\xff\xff"}
	stamps := []Timestamp{1, 2, 255, 256, 1 << 40, TimestampMax - 1, TimestampMax}
	type pair struct {
		key string
		ts  Timestamp
	}
	var all []pair
	for _, key := range keys {
		for _, ts := range stamps {
			all = append(all, pair{key, ts})
		}
	}
	for _, a := range all {
		x := storedKey([]byte(a.key), a.ts)
		key, ts, err := decodeKey(x)
		if err != nil || string(key) != a.key || ts != a.ts {
			t.Fatalf("%q@%d is read as %q@%d, %v", a.key, a.ts, key, ts, err)
		}
		for _, b := range all {
			want := cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(b.ts, a.ts))
			if got := bytes.Compare(x, storedKey([]byte(b.key), b.ts)); got != want {
				t.Fatalf("%q@%d and %q@%d compare as %d, want %d", a.key, a.ts, b.key, b.ts, got, want)
			}
			has := bytes.HasPrefix(storedKey([]byte(b.key), b.ts), appendPrefix(nil, []byte(a.key)))
			if has != (a.key == b.key) {
				t.Fatalf("the prefix of %q stands before %q: %v", a.key, b.key, has)
			}
		}
	}
}

func TestOtherBytesAreNoStoredKeys(t *testing.T) {
	for _, hexed := range []string{
		"",                       // the header
		"61",                     // no end
		"6100",                   // no timestamp
		"610000000000000000",     // seven bytes of it
		"61000000000000000000ff", // nine
		"6100ffffffffffffffff",   // timestamp 0
		"0100fffffffffffffffe",   // an escape cut short
		"010300fffffffffffffffe", // unknown escapes
		"01ff00fffffffffffffffe",
	} {
		stored, err := hex.DecodeString(hexed)
		must(t, err)
		if key, ts, err := decodeKey(stored); err == nil {
			t.Errorf("%s is read as %q@%d", hexed, key, ts)
		}
	}
	if _, _, err := decodeKey(storedKey(make([]byte, MaxKeyBytes+1), 1)); !errors.Is(err, db.ErrKeyTooLarge) {
		t.Error(err)
	}
}

func TestTheLongestKeyFitsWhateverItsBytes(t *testing.T) {
	_, s := newSpace(t)
	for _, fill := range []byte{0, 1, 2, 0xff} {
		key := bytes.Repeat([]byte{fill}, MaxKeyBytes)
		b := s.NewBatch()
		must(t, b.Put(key, []byte{fill}), b.Commit(5, db.NoSync))
		v := at(t, s, 5)
		value, err := v.Get(key)
		must(t, err, v.Close())
		if !bytes.Equal(value, []byte{fill}) {
			t.Errorf("%x: %x", fill, value)
		}
		b.Reset()
		wantsErr(t, b.Put(append(key, fill), nil), db.ErrKeyTooLarge)
		wantsErr(t, b.Commit(6, db.NoSync), db.ErrKeyTooLarge)
		if _, err := v.Get(append(key, fill)); !errors.Is(err, db.ErrNotFound) {
			t.Error(err)
		}
	}
}

func TestRandomKeysComeBack(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		key := make([]byte, rng.IntN(40))
		for i := range key {
			key[i] = byte(rng.IntN(256))
			for range 2 {
				key[i] &= byte(rng.IntN(256)) // many zeros
			}
		}
		ts := Timestamp(rng.Uint64() | 1)
		if got, gotTS, err := decodeKey(storedKey(key, ts)); err != nil || !bytes.Equal(got, key) || gotTS != ts {
			t.Fatalf("%x@%d: %x@%d, %v", key, ts, got, gotTS, err)
		}
	}
}
