package manifest

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/record"
	"github.com/cordwood-db/cordwood/vfs"
)

// typed reports whether err is one that tells a caller what is wrong with
// which file.
func typed(err error) bool {
	_, corrupt := errors.AsType[*base.CorruptionError](err)
	_, missing := errors.AsType[*base.MissingFileError](err)
	_, format := errors.AsType[*base.FormatError](err)
	return corrupt || missing || format
}

// withFile returns a file system like mem in which one file is replaced.
func withFile(t testing.TB, mem *vfs.Mem, name string, content []byte) *vfs.Mem {
	t.Helper()
	clone := mem.CrashClone(func(vfs.CrashItem) vfs.CrashChoice { return vfs.CrashKeep })
	path := filepath.Join(testDir, name)
	if err := clone.Remove(path); err != nil {
		t.Fatal(err)
	}
	f, err := clone.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(content, 0); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return clone
}

func readFile(t testing.TB, fs vfs.FS, name string) []byte {
	t.Helper()
	b, err := vfs.ReadFile(fs, filepath.Join(testDir, name), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// damageDatabase is a closed database whose MANIFEST holds a snapshot and some
// edits.
func damageDatabase(t testing.TB) (mem *vfs.Mem, manifest, state string) {
	mem = newMem(t)
	s := mustCreate(t, mem)
	for i := range 4 {
		n := s.NewFileNum()
		key := fmt.Sprintf("key%d", i)
		e := &Edit{
			Added:     []AddedTable{add(1, table(n, key, key, 1))},
			VlogAdded: []VlogMeta{{Logical: n, Physical: n, PhysicalID: 8}},
		}
		if i != 2 {
			e.KeyspacesAdded = []Keyspace{{Num: s.NewKeyspaceNum(), Name: key, Settings: []byte(key)}}
			other := table(s.NewFileNum(), key, key, 1)
			other.Keyspace = e.KeyspacesAdded[0].Num
			e.Added = append(e.Added, add(2, other))
		}
		mustApply(t, s, e)
		if i == 1 {
			s.Close()
			s, _ = mustLoad(t, mem)
		}
	}
	s.Close()
	loaded, info := mustLoad(t, mem)
	if info.Edits != 1 {
		t.Fatalf("%+v", info)
	}
	return mem, base.FileName(base.FileManifest, uint64(info.Manifest)), dump(loaded)
}

func TestFlippedByteNeverGivesAShorterState(t *testing.T) {
	mem, manifest, want := damageDatabase(t)
	for _, name := range []string{base.CurrentName, manifest} {
		whole := readFile(t, mem, name)
		intact := 0
		for i := range whole {
			for _, mask := range []byte{0x01, 0x20, 0x80, 0xff} {
				damaged := append([]byte(nil), whole...)
				damaged[i] ^= mask
				s, info, err := Load(testOptions(withFile(t, mem, name, damaged)))
				if err != nil {
					if !typed(err) {
						t.Errorf("%s byte %d ^ %#x: %v", name, i, mask, err)
					}
					continue
				}
				intact++
				// Only the last proof may be damaged without loss.
				if got := dump(s); got != want || !info.Cut || name == base.CurrentName {
					t.Errorf("%s byte %d ^ %#x: %+v\n%s\nwant:\n%s", name, i, mask, info, got, want)
				}
				s.Close()
			}
		}
		t.Logf("%s: %d bytes, %d damages harmless", name, len(whole), intact)
	}
}

func TestHoleInManifestIsCorruption(t *testing.T) {
	mem, manifest, _ := damageDatabase(t)
	whole := readFile(t, mem, manifest)
	for from := 0; from+64 <= len(whole)-record.RecordHeaderLen; from += 16 {
		damaged := append([]byte(nil), whole...)
		clear(damaged[from : from+64])
		_, _, err := Load(testOptions(withFile(t, mem, manifest, damaged)))
		if ce, ok := errors.AsType[*base.CorruptionError](err); !ok || ce.File != manifest {
			t.Errorf("zeros from %d: %v", from, err)
		}
	}
}

func TestTruncatedManifestLosesTheSnapshotNeverSilently(t *testing.T) {
	mem, manifest, _ := damageDatabase(t)
	whole := readFile(t, mem, manifest)
	sawCut := false
	for size := range len(whole) {
		s, info, err := Load(testOptions(withFile(t, mem, manifest, whole[:size])))
		if err != nil {
			if !typed(err) {
				t.Errorf("%d bytes: %v", size, err)
			}
			continue
		}
		v := s.Current()
		if len(v.Trees[0].Levels[1]) < 3 { // the snapshot
			t.Errorf("%d bytes: %s", size, dump(s))
		}
		v.Unref()
		sawCut = sawCut || info.Cut
		if info.Cut != (info.Bytes != int64(size)) {
			t.Errorf("%d bytes: %+v", size, info)
		}
		s.Close()
	}
	if !sawCut {
		t.Error("no cut was reported")
	}
}

func TestTornEditIsCutAndReported(t *testing.T) {
	mem := newMem(t)
	s := mustCreate(t, mem)
	mustApply(t, s, &Edit{LastSeq: new(base.SeqNum(7))})
	want := dump(s)
	at := s.log.w.Offset()
	mustApply(t, s, &Edit{LastSeq: new(base.SeqNum(8))})
	name := s.log.name
	s.Close()
	whole := readFile(t, mem, name)
	torn := withFile(t, mem, name, whole[:at+20])
	loaded, info := mustLoad(t, torn)
	if dump(loaded) != want || !info.Cut || info.CutOffset != at || info.CutReason == "" || !info.Durable {
		t.Fatalf("%+v: %s", info, dump(loaded))
	}
	// The cut is made good by the next edit, in a new file.
	mustApply(t, loaded, &Edit{LastSeq: new(base.SeqNum(9))})
	again, info := mustLoad(t, torn)
	if again.LastSeq() != 9 || info.Cut {
		t.Fatalf("%+v: %s", info, dump(again))
	}
}

func TestManifestOfAnotherDatabaseIsRefused(t *testing.T) {
	mem, manifest, _ := damageDatabase(t)
	other := newMem(t)
	opts := testOptions(other)
	opts.NewID = newIDs(99)
	opts.Initial = &Edit{NextFile: 0}
	s, err := Create(opts)
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	_, _, err = Load(testOptions(withFile(t, mem, manifest, readFile(t, other, "MANIFEST-000001"))))
	if ce, ok := errors.AsType[*base.CorruptionError](err); !ok || ce.File != manifest {
		t.Fatalf("got %v", err)
	}
}

// manifestWith makes a database whose MANIFEST holds the given records.
func manifestWith(t testing.TB, write func(w *record.Writer)) *vfs.Mem {
	t.Helper()
	mem := newMem(t)
	f, err := mem.Create(filepath.Join(testDir, "MANIFEST-000001"))
	if err != nil {
		t.Fatal(err)
	}
	w, err := record.NewWriter(f, record.FileHeader{Kind: base.FileManifest, ID: 3, Number: 1})
	if err != nil {
		t.Fatal(err)
	}
	write(w)
	err = errors.Join(f.Close(),
		vfs.WriteFileAtomic(mem, filepath.Join(testDir, base.CurrentName), marker{1, 3}.encode()))
	if err != nil {
		t.Fatal(err)
	}
	return mem
}

// tagged is an edit of one field with the given tag.
func tagged(tag byte, body ...byte) []byte { return append([]byte{tag, byte(len(body))}, body...) }

func TestRecordsThatCannotBeAreCorruptionOrNewerFormat(t *testing.T) {
	type rec struct {
		typ     byte
		payload []byte
	}
	snapshot := rec{recordSnapshot, nil}
	overlap := (&Edit{Added: []AddedTable{add(1, table(4, "a", "c", 1)), add(1, table(5, "b", "d", 1))}}).Encode(nil)
	lost := table(4, "a", "c", 1)
	lost.Keyspace = 2
	orphan := (&Edit{Added: []AddedTable{add(1, lost)}}).Encode(nil)
	cases := []struct {
		name    string
		records []rec
		format  bool // *base.FormatError, else *base.CorruptionError
	}{
		{"no record", nil, false},
		{"edit first", []rec{{recordEdit, nil}}, false},
		{"proof first", []rec{{recordProof, nil}}, false},
		{"two snapshots", []rec{snapshot, snapshot}, false},
		{"malformed", []rec{snapshot, {recordEdit, []byte{1}}}, false},
		{"does not fit", []rec{snapshot, {recordEdit, tagged(tagVlogRemoved, 5)}}, false},
		{"overlap", []rec{{recordSnapshot, overlap}}, false},
		{"unknown mandatory record", []rec{snapshot, {4, nil}}, true},
		{"unknown mandatory field", []rec{snapshot, {recordEdit, tagged(100)}}, true},
		{"table of an unknown keyspace", []rec{snapshot, {recordEdit, orphan}}, false},
		{"keyspace number used twice", []rec{snapshot, {recordEdit, (&Edit{KeyspacesAdded: []Keyspace{{Num: 2, Name: "a"}, {Num: 2, Name: "b"}}}).Encode(nil)}}, false},
		{"keyspace number below the counter", []rec{{recordSnapshot, (&Edit{NextKeyspace: 3}).Encode(nil)}, {recordEdit, (&Edit{KeyspacesAdded: []Keyspace{{Num: 2, Name: "a"}}}).Encode(nil)}}, false},
	}
	for _, c := range cases {
		mem := manifestWith(t, func(w *record.Writer) {
			for _, r := range c.records {
				if _, err := w.Append(0, r.typ, r.payload); err != nil {
					t.Fatal(err)
				}
			}
		})
		_, _, err := Load(testOptions(mem))
		_, format := errors.AsType[*base.FormatError](err)
		_, corrupt := errors.AsType[*base.CorruptionError](err)
		if format != c.format || corrupt == c.format {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	// What is optional is passed over.
	mem := manifestWith(t, func(w *record.Writer) {
		for _, r := range []rec{snapshot, {recordOptional, []byte("x")}, {recordEdit, tagged(100|tagOptional, 1, 2)}} {
			if _, err := w.Append(0, r.typ, r.payload); err != nil {
				t.Fatal(err)
			}
		}
	})
	mustLoad(t, mem)
}

func TestUnknownFormatIsRefusedAndUntouched(t *testing.T) {
	mem, _, _ := damageDatabase(t)
	newer := []byte("cordwood database\nformat 2\nsomething else\n")
	newer = sealMarker(newer)
	changed := withFile(t, mem, base.CurrentName, newer)
	changed.SetHook(func(op vfs.Op) error {
		if op.Kind.Mutates() {
			t.Errorf("%v", op)
		}
		return nil
	})
	_, _, err := Load(testOptions(changed))
	if fe, ok := errors.AsType[*base.FormatError](err); !ok || fe.Found != 2 || fe.File != base.CurrentName {
		t.Fatalf("got %v", err)
	}
	if _, err := Create(testOptions(changed)); err == nil {
		t.Fatal("created over it")
	}
}

func TestOversizeMarkerIsCorruption(t *testing.T) {
	mem, _, _ := damageDatabase(t)
	_, _, err := Load(testOptions(withFile(t, mem, base.CurrentName, make([]byte, 1<<20))))
	if ce, ok := errors.AsType[*base.CorruptionError](err); !ok || ce.File != base.CurrentName {
		t.Fatalf("got %v", err)
	}
}

func TestMalformedMarkersAreCorruption(t *testing.T) {
	for _, s := range []string{
		"", "x\n", "cordwood database\n", "cordwood database\nformat 0\n", "cordwood database\nformat x\n",
		"cordwood database\nformat 1\n", "cordwood database\nformat 1\nmanifest MANIFEST-000001\n",
		"cordwood database\nformat 1\nmanifest 000001.sst\nid 0000000000000001\n",
		"cordwood database\nformat 1\nmanifest MANIFEST-1\nid 0000000000000001\n",
		"cordwood database\nformat 01\nmanifest MANIFEST-000001\nid 0000000000000001\n",
		"cordwood database\nformat 1\nmanifest MANIFEST-000001\nid 1\n",
		"cordwood database\nformat 1\nmanifest MANIFEST-000001\nid 0000000000000001\nmore\n",
		"another database\nformat 1\nmanifest MANIFEST-000001\nid 0000000000000001\n",
	} {
		_, err := decodeMarker(sealMarker([]byte(s)))
		if _, ok := errors.AsType[*base.CorruptionError](err); !ok {
			t.Errorf("%q: %v", s, err)
		}
	}
	good := sealMarker([]byte("cordwood database\nformat 1\nmanifest MANIFEST-000001\nid 0000000000000001\n"))
	if m, err := decodeMarker(good); err != nil || m != (marker{1, 1}) {
		t.Errorf("%v, %v", m, err)
	}
	for i := range good {
		if _, err := decodeMarker(good[:i]); err == nil {
			t.Errorf("%d bytes are enough", i)
		}
	}
}
