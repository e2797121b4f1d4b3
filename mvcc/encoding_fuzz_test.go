package mvcc

import (
	"bytes"
	"errors"
	"testing"

	"github.com/cordwood-db/cordwood/db"
	"github.com/cordwood-db/cordwood/internal/testkit"
)

func FuzzStoredKeys(f *testing.F) {
	f.Add(storedKey([]byte("a\x00\x01"), 258))
	f.Add(storedKey(nil, TimestampMax))
	f.Add([]byte("\x01\x03\x00\xff\xff\xff\xff\xff\xff\xff\xfe"))
	f.Fuzz(func(t *testing.T, stored []byte) {
		testkit.Bounded(t, len(stored), func() {
			key, ts, err := decodeKey(stored)
			if err == nil && !bytes.Equal(storedKey(key, ts), stored) {
				t.Errorf("%x is read as %x@%d, which is written as %x", stored, key, ts, storedKey(key, ts))
			}
			if len(stored) <= MaxKeyBytes {
				again, ts, err := decodeKey(storedKey(stored, 77))
				if err != nil || ts != 77 || !bytes.Equal(again, stored) {
					t.Errorf("key %x becomes %x@%d, %v", stored, again, ts, err)
				}
			}
		})
	})
}

func FuzzHeader(f *testing.F) {
	f.Add(encodeHeader(7))
	f.Add([]byte("cwmv\x02"))
	f.Fuzz(func(t *testing.T, b []byte) {
		discard, err := decodeHeader("v", b)
		if err == nil && !bytes.Equal(encodeHeader(discard), b) {
			t.Errorf("%x is read as %d", b, discard)
		}
		if err != nil && !errors.Is(err, ErrNotVersioned) && !isTyped(err) {
			t.Error(err)
		}
	})
}

// isTyped reports whether err is what hostile bytes may lead to.
func isTyped(err error) bool {
	_, damage := errors.AsType[*db.CorruptionError](err)
	_, format := errors.AsType[*db.FormatError](err)
	return damage || format
}

// spaceBound is what a small store may take for the work on a hostile record,
// compactions and all.
var spaceBound = testkit.Bound{PerByte: 1024, Fixed: 16 << 20}

// FuzzSpace puts arbitrary bytes into the keyspace of a space: reads end, with
// what was there or an error.
func FuzzSpace(f *testing.F) {
	f.Add(storedKey([]byte("m"), 3), []byte{valuePlain, 'x'})
	f.Add([]byte("m"), []byte{})
	f.Add([]byte("m\x01\x03\x00\xff\xff\xff\xff\xff\xff\xff\xfe"), []byte{9})
	f.Fuzz(func(t *testing.T, stored, value []byte) {
		_, s := newSpace(t)
		if len(stored) == 0 || bytes.HasPrefix(stored, []byte("z\x00")) || s.ks.Put(stored, value) != nil {
			return
		}
		spaceBound.Run(t, len(stored)+len(value), func() { readAround(t, s, stored) })
	})
}

// readAround reads a space in which stored does not come from this package.
func readAround(t *testing.T, s *Space, stored []byte) {
	commit(t, s, 5, "a=1", "m=2", "z=3")
	v := at(t, s, 9)
	defer v.Close()
	fine := func(err error) {
		t.Helper()
		if err != nil && !isTyped(err) && !errors.Is(err, db.ErrNotFound) && !errors.Is(err, db.ErrKeyTooLarge) {
			t.Fatal(err)
		}
	}
	for _, r := range []db.Range{db.All(), db.All().Backward(), db.All().KeysOnly()} {
		n := 0
		for item, err := range v.Scan(r) {
			if n++; n > 4 {
				t.Fatal("more keys than there are")
			}
			if fine(err); err == nil && !r.IsKeysOnly() {
				_, err = item.Value()
				fine(err)
			}
		}
	}
	for _, key := range []string{"a", "m", "z", string(stored)} {
		_, err := v.Get([]byte(key))
		fine(err)
		_, err = s.LatestTimestamp([]byte(key))
		fine(err)
		for _, err := range s.Versions([]byte(key)) {
			fine(err)
		}
	}
	must(t, s.SetDiscard(7), s.Compact(ctx, db.All()))
	value, err := v.Get([]byte("z"))
	if err != nil || string(value) != "3" {
		t.Errorf("z: %q, %v", value, err)
	}
}
