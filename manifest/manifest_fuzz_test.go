package manifest

import (
	"bytes"
	"errors"
	"path/filepath"
	"slices"
	"testing"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/record"
	"github.com/cordwood-db/cordwood/internal/testkit"
	"github.com/cordwood-db/cordwood/vfs"
)

func FuzzDecodeEdit(f *testing.F) {
	f.Add([]byte{})
	f.Add(fullEdit().Encode(nil))
	f.Add((&Edit{Discards: map[base.FileNum]uint64{1: 2}}).Encode(nil))
	f.Add(tagged(0x51, 1, 2, 3))
	f.Fuzz(func(t *testing.T, b []byte) {
		var e *Edit
		var err error
		testkit.Bounded(t, len(b), func() { e, err = DecodeEdit(b) })
		if err != nil {
			return
		}
		first := e.Encode(nil)
		again, err := DecodeEdit(first)
		if err != nil {
			t.Fatalf("own encoding: %v", err)
		}
		if !bytes.Equal(again.Encode(nil), first) {
			t.Fatal("encodings differ")
		}
	})
}

// frame makes a MANIFEST of fuzz input: records of {type, length, payload}.
func frame(t *testing.T, b []byte) *vfs.Mem {
	return manifestWith(t, func(w *record.Writer) {
		for len(b) >= 3 {
			n := min(int(b[1])|int(b[2])<<8, len(b)-3)
			synced := w.EndLSN()
			if b[0]&0x40 != 0 {
				synced = 0
			}
			if _, err := w.Append(synced, b[0]&^0x40, b[3:3+n]); err != nil {
				t.Fatal(err)
			}
			b = b[3+n:]
		}
	})
}

func framed(typ byte, e *Edit) []byte {
	b := e.Encode(nil)
	return append([]byte{typ, byte(len(b)), byte(len(b) >> 8)}, b...)
}

// FuzzLoadRecords loads MANIFESTs whose framing is right, whatever is in it.
func FuzzLoadRecords(f *testing.F) {
	one := &Edit{
		Added:     []AddedTable{add(1, table(4, "a", "c", 1)), add(0, table(5, "b", "d", 1))},
		VlogAdded: []VlogMeta{{Logical: 6, Physical: 6, PhysicalID: 1, Sealed: true, Bytes: 50}},
	}
	two := &Edit{
		Deleted:   []DeletedTable{{1, 4}},
		VlogMoved: []VlogMove{{Logical: 6, From: 6, To: 7, ToID: 2, Bytes: 20, DeadBytes: 30}},
		Discards:  map[base.FileNum]uint64{6: 10},
	}
	f.Add(framed(recordSnapshot, one))
	f.Add(append(framed(recordSnapshot, one), framed(recordEdit, two)...))
	f.Add(append(framed(recordSnapshot, &Edit{}), recordProof, 0, 0))
	f.Add(framed(recordSnapshot, fullEdit()))
	here, there := table(4, "a", "c", 1), table(5, "b", "d", 1)
	there.Keyspace = 2
	three := &Edit{
		KeyspacesAdded:   []Keyspace{{Num: 2, Name: "a", Settings: []byte("s")}, {Num: 3, Name: "b", Dropped: true}},
		KeyspacesChanged: []KeyspaceChange{{MergeOperator: new("sum")}, {Settings: []byte("x")}},
		Added:            []AddedTable{add(1, here), add(1, there)},
		NextKeyspace:     9,
	}
	four := &Edit{KeyspacesDropped: []uint32{2}, KeyspacesAdded: []Keyspace{{Num: 9, Name: "a"}}, KeyspacesRemoved: []uint32{3}}
	five := &Edit{Deleted: []DeletedTable{{1, 5}}, KeyspacesRemoved: []uint32{2}}
	f.Add(slices.Concat(framed(recordSnapshot, three), framed(recordEdit, four), framed(recordEdit, five)))
	f.Fuzz(func(t *testing.T, b []byte) {
		mem := frame(t, b)
		testkit.Bounded(t, len(b), func() { loadAndGoOn(t, mem) })
	})
}

// FuzzMarker gives text the checksum of a CURRENT.
func FuzzMarker(f *testing.F) {
	body := func(m marker) []byte {
		b := m.encode()
		return b[:len(b)-currentCRCBytes]
	}
	f.Add(body(marker{manifest: 12, id: 0x0123456789abcdef}))
	f.Add(body(marker{manifest: 1 << 40, id: 1}))
	f.Add([]byte(currentMagic + "format 2\nanything"))
	f.Fuzz(func(t *testing.T, text []byte) {
		testkit.Bounded(t, len(text), func() {
			for _, b := range [][]byte{text, sealMarker(text[:len(text):len(text)])} {
				m, err := decodeMarker(b)
				if err == nil && string(m.encode()) != string(b) {
					t.Fatalf("%q is read as %+v, which is written as %q", b, m, m.encode())
				}
				if err != nil && !typed(err) {
					t.Fatalf("untyped error: %v", err)
				}
			}
		})
	})
}

// FuzzLoadFiles loads arbitrary bytes as CURRENT and MANIFEST, with the right
// checksums where the input says so.
func FuzzLoadFiles(f *testing.F) {
	mem, manifest, _ := damageDatabase(f)
	f.Add(readFile(f, mem, base.CurrentName), readFile(f, mem, manifest), false)
	f.Add(readFile(f, mem, base.CurrentName), readFile(f, mem, manifest), true)
	f.Add([]byte{}, []byte{}, false)
	f.Fuzz(func(t *testing.T, current, log []byte, reseal bool) {
		if len(current) > 2*currentBytesMax || len(log) > 1<<16 {
			t.Skip("more of the same")
		}
		if reseal {
			current = sealMarker(bytes.Clone(current[:max(len(current)-currentCRCBytes, 0)]))
			log = bytes.Clone(log)
			testkit.ResealRecords(log)
		}
		mem := newMem(t)
		name := "MANIFEST-000001"
		if m, err := decodeMarker(current); err == nil {
			name = base.FileName(base.FileManifest, uint64(m.manifest))
		}
		err := errors.Join(
			vfs.WriteFileAtomic(mem, filepath.Join(testDir, base.CurrentName), current),
			vfs.WriteFileAtomic(mem, filepath.Join(testDir, name), log))
		if err != nil {
			t.Fatal(err)
		}
		testkit.Bounded(t, len(current)+len(log), func() { loadAndGoOn(t, mem) })
	})
}

// loadAndGoOn: what loads must also survive an edit and a reload.
func loadAndGoOn(t *testing.T, mem *vfs.Mem) {
	s, _, err := Load(testOptions(mem))
	if err != nil {
		if !typed(err) {
			t.Fatalf("untyped error: %v", err)
		}
		return
	}
	defer s.Close()
	v, err := s.Apply(&Edit{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	v.Unref()
	again, info, err := Load(testOptions(mem))
	if err != nil || info.Cut || dump(again) != dump(s) {
		t.Fatalf("%v, %+v: %s, want %s", err, info, dump(again), dump(s))
	}
	again.Close()
}
