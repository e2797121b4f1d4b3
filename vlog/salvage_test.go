package vlog

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"testing"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/vfs"
)

type salvaged struct {
	keys    []string
	damaged []string
}

func salvageAll(t *testing.T, fsys vfs.FS, num base.FileNum, expect uint64, es []entry) (s salvaged) {
	t.Helper()
	err := Salvage(fsys, "/db", num, expect, func(r Record) error {
		i := slices.IndexFunc(es, func(e entry) bool { return e.ptr == r.Pointer })
		if i < 0 || !bytes.Equal(es[i].value, r.Value) || !bytes.Equal(es[i].key, r.Key) || es[i].seq != r.Seq || es[i].expiry != r.Expiry || es[i].keyspace != r.Keyspace {
			t.Fatalf("wrong record %+v", r.Pointer)
		}
		s.keys = append(s.keys, string(r.Key))
		return nil
	}, func(from, to int64, reason error) error {
		wantCorruption(t, reason)
		s.damaged = append(s.damaged, fmt.Sprintf("%d-%d", from, to))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// without are the keys of es but for some.
func without(es []entry, lost ...int) (keys []string) {
	for i, e := range es {
		if !slices.Contains(lost, i) {
			keys = append(keys, string(e.key))
		}
	}
	return keys
}

func TestSalvageGoesOnBehindDamage(t *testing.T) {
	m := newMem(t)
	sizes := []int{100, 5000, scanBytes - 200, 300, scanBytes * 2, 70_000, 9}
	es := writeFile(t, m, 1, testID, sizes...)
	good := readFile(t, m, 1)
	for i := range es {
		from, to := int(es[i].ptr.Offset), int(es[i].ptr.Offset)+int(es[i].ptr.Size)
		want := fmt.Sprintf("[%d-%d]", from, to)
		for what, damage := range map[string]func(b []byte){
			"header":     func(b []byte) { b[from+20] ^= 4 },
			"marker":     func(b []byte) { b[from+rhMarker] ^= 4 },
			"value":      func(b []byte) { b[to-1] ^= 4 },
			"everything": func(b []byte) { clear(b[from:to]) },
			"garbage":    func(b []byte) { copy(b[from:to], randomValue(to-from, 99)) },
			"markers": func(b []byte) {
				for p := from; p+4 <= to; p += 4 {
					binary.LittleEndian.PutUint32(b[p:], recordMarker)
				}
			},
		} {
			b := slices.Clone(good)
			damage(b)
			writeBytes(t, m, 1, b)
			s := salvageAll(t, m, 1, testID, es)
			if !slices.Equal(s.keys, without(es, i)) || fmt.Sprint(s.damaged) != want {
				t.Fatalf("%s of record %d damaged: got %q, damage %v, want %s", what, i, s.keys, s.damaged, want)
			}
		}
	}
}

// The search for the next header goes window by window; a header may lie across
// the end of one.
func TestSalvageFindsHeadersAcrossWindows(t *testing.T) {
	for delta := -recordHeaderLen - 2; delta < 3; delta++ {
		m := newMem(t)
		size := scanBytes + 1 + delta - recordHeaderLen - len("key-00000")
		es := writeFile(t, m, 1, testID, size, 10, 20)
		b := readFile(t, m, 1)
		b[es[0].ptr.Offset] ^= 1
		writeBytes(t, m, 1, b)
		if s := salvageAll(t, m, 1, testID, es); !slices.Equal(s.keys, without(es, 0)) {
			t.Fatalf("second record %d bytes past the window's end: got %q", delta, s.keys)
		}
	}
}

func TestSalvageNeedsNeitherHeaderNorFooter(t *testing.T) {
	m := newMem(t)
	es := writeFile(t, m, 1, testID, 100, 200, 300)
	rewrite(t, m, 2, testID+1, keepAll, 1)
	for num := base.FileNum(1); num <= 2; num++ {
		id := testID + uint64(num) - 1
		good := readFile(t, m, num)
		for _, headerLost := range []bool{false, true} {
			for _, footerLost := range []bool{false, true} {
				b := slices.Clone(good)
				if headerLost {
					clear(b[:HeaderLen])
				}
				if footerLost && num == 2 {
					b[len(b)-1] ^= 1
				}
				writeBytes(t, m, num, b)
				s := salvageAll(t, m, num, id, es)
				if !slices.Equal(s.keys, without(es)) {
					t.Fatalf("file %d, header %v, footer %v: got %q", num, headerLost, footerLost, s.keys)
				}
				if (headerLost || footerLost && num == 2) != (len(s.damaged) > 0) {
					t.Fatalf("file %d, header %v, footer %v: damage %v", num, headerLost, footerLost, s.damaged)
				}
				if headerLost {
					wantCorruption(t, Salvage(m, "/db", num, 0, nil, nil))
				}
			}
		}
		b := slices.Clone(good)
		clear(b[:HeaderLen])
		clear(b[es[1].ptr.Offset:es[2].ptr.Offset])
		writeBytes(t, m, num, b)
		if s := salvageAll(t, m, num, id, es); !slices.Equal(s.keys, without(es, 1)) {
			t.Fatalf("file %d: got %q", num, s.keys)
		}
	}
}

func TestValuesThatLookLikeRecordsAreNotDelivered(t *testing.T) {
	m := newMem(t)
	writeFile(t, m, 1, testID, 50, 60)
	inner := readFile(t, m, 1)
	w := mustCreate(t, m, 2, testID+1)
	outer := mustAppend(t, w, entry{key: []byte("a file as a value"), seq: 1, value: inner})
	last := mustAppend(t, w, makeEntry(5, 10))
	if _, err := w.Seal(); err != nil {
		t.Fatal(err)
	}
	b := readFile(t, m, 2)
	b[outer.ptr.Offset] ^= 1
	writeBytes(t, m, 2, b)
	if s := salvageAll(t, m, 2, testID+1, []entry{outer, last}); !slices.Equal(s.keys, without([]entry{last})) {
		t.Fatalf("got %q", s.keys)
	}
}
