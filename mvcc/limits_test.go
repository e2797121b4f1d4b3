package mvcc

import (
	"bytes"
	"errors"
	"testing"

	"github.com/cordwood-db/cordwood/db"
)

// limitKeys ascend: empty ones, those that are escaped, prefixes of others, and
// one of the greatest length.
var limitKeys = [][]byte{{}, {0}, {0, 0}, {0, 1}, {1}, {1, 1}, {1, 2}, {2}, []byte("a"), []byte("a\x00"),
	[]byte("a\x01"), []byte("ab"), {0xff}, {0xff, 0xff}, bytes.Repeat([]byte{0xff}, MaxKeyBytes)}

// wantLimitKeys walks all keys in both directions and wants them to have their
// version of ts; none for 0.
func wantLimitKeys(t *testing.T, v *View, ts Timestamp) {
	t.Helper()
	want := limitKeys
	if ts == 0 {
		want = nil
	}
	for _, r := range []db.Range{db.All(), db.All().Backward()} {
		n := 0
		for item, err := range v.Scan(r) {
			must(t, err)
			i := n
			if r.IsBackward() {
				i = len(want) - 1 - n
			}
			if n++; n > len(want) || !bytes.Equal(item.Key(), want[i]) || item.Version() != ts {
				t.Fatalf("%x of %d at %d", item.Key(), item.Version(), v.ts)
			}
		}
		if n != len(want) {
			t.Fatalf("%d keys at %d", n, v.ts)
		}
	}
}

func TestKeysAndTimestampsAtTheLimits(t *testing.T) {
	store, s := newSpace(t)
	stamps := []Timestamp{1, 255, 256, 1 << 63, TimestampMax - 1, TimestampMax}
	for _, ts := range stamps {
		b := s.NewBatch()
		for _, key := range limitKeys {
			must(t, b.Put(key, []byte{1}))
		}
		must(t, b.Commit(ts, db.NoSync))
	}
	check := func(from Timestamp) {
		before := Timestamp(0)
		for _, ts := range stamps {
			if ts-1 >= from && ts-1 > before {
				v := at(t, s, ts-1)
				wantLimitKeys(t, v, before)
				must(t, v.Close())
			}
			if ts >= from {
				v := at(t, s, ts)
				wantLimitKeys(t, v, ts)
				must(t, v.Close())
			}
			before = ts
		}
	}
	check(0)
	for _, ts := range []Timestamp{256, 1 << 63, TimestampMax - 1} {
		must(t, s.SetDiscard(ts), store.Flush(ctx), s.Compact(ctx, db.All()))
		check(ts)
	}
	if n := entries(t, s); n != 2*len(limitKeys) {
		t.Errorf("%d versions are left", n)
	}
}

// Keys beyond the limit are nowhere, and are places to go to.
func TestReadsTakeKeysThatAreTooLong(t *testing.T) {
	_, s := newSpace(t)
	commit(t, s, 1, "\x01\x01=1", "\x01\x02=2")
	long := bytes.Repeat([]byte{1}, 3*db.MaxKeyBytes)
	v := at(t, s, 1)
	defer v.Close()
	c, err := v.NewCursor(db.All())
	must(t, err)
	defer c.Close()
	if !c.SeekGE(long) || string(c.Key()) != "\x01\x02" {
		t.Error(c.Key(), c.Err())
	}
	if !c.SeekLT(long) || string(c.Key()) != "\x01\x01" {
		t.Error(c.Key(), c.Err())
	}
	wants(t, read(t, v, db.From(long)), "\x01\x02=2@1")
	must(t, s.Compact(ctx, db.Between(long, []byte("z"))))
	if _, err := v.Get(long); !errors.Is(err, db.ErrNotFound) {
		t.Error(err)
	}
	values, err := v.MultiGet(long, []byte("\x01\x02"))
	if err != nil || values[0] != nil || string(values[1]) != "2" {
		t.Error(values, err)
	}
	if ts, err := s.LatestTimestamp(long); ts != 0 || err != nil {
		t.Error(ts, err)
	}
}
