package manifest

import (
	"bytes"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/vfs"
)

var update = flag.Bool("update", false, "write the golden files")

// goldenDatabase makes the database of docs/format/manifest.md.
func goldenDatabase(t *testing.T) (*vfs.Mem, *Set) {
	mem := newMem(t)
	opts := testOptions(mem)
	opts.NewID = func() uint64 { return 0x1122334455667788 }
	s, err := Create(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	two, three := s.NewFileNum(), s.NewFileNum()
	mustApply(t, s, &Edit{
		Added: []AddedTable{{Level: 0, Meta: &TableMeta{
			Num: two, Size: 4096, ID: 0x0102030405060708,
			Smallest: []byte("apple"), Largest: []byte("pear"), LargestExclusive: true,
			SeqMin: 1, SeqMax: 9, Entries: 8, Deletes: 1, RangeDels: 1,
			KeyBytes: 40, ValueBytes: 64, VlogBytes: 2000,
		}}},
		VlogAdded:  []VlogMeta{{Logical: three, Physical: three, PhysicalID: 0x1112131415161718, SyncedTo: 2064}},
		Discards:   map[base.FileNum]uint64{three: 300},
		MinSegment: new(base.SegmentNum(2)),
	})
	return mem, s
}

// goldenKeyspaces makes the second database of that page.
func goldenKeyspaces(t *testing.T) (*vfs.Mem, *Set) {
	mem := newMem(t)
	opts := testOptions(mem)
	opts.NewID = func() uint64 { return 0x1122334455667788 }
	s, err := Create(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	mustApply(t, s, &Edit{
		KeyspacesAdded: []Keyspace{
			{Num: s.NewKeyspaceNum(), Name: "log"},
			{Num: s.NewKeyspaceNum(), Name: "cart", MergeOperator: "sum", Settings: []byte{0xaa, 0xbb}},
		},
	})
	meta := func(keyspace uint32, key string) AddedTable {
		return add(0, &TableMeta{
			Num: s.NewFileNum(), Size: 512, ID: 0x0102030405060708, Keyspace: keyspace,
			Smallest: []byte(key), Largest: []byte(key), SeqMin: 5, SeqMax: 5, Entries: 1, KeyBytes: 1, ValueBytes: 3,
		})
	}
	mustApply(t, s, &Edit{
		Added:            []AddedTable{meta(0, "a"), meta(2, "b"), meta(0, "c")},
		KeyspacesDropped: []uint32{1},
		KeyspacesChanged: []KeyspaceChange{{Num: 2, MergeOperator: new("max")}, {Settings: []byte{0xcc}}},
	})
	mustApply(t, s, &Edit{KeyspacesRemoved: []uint32{1}})
	return mem, s
}

// TestGoldenFiles: this version writes what the first one wrote, and reads it;
// and so for the first one with several keyspaces.
func TestGoldenFiles(t *testing.T) {
	for dir, make := range map[string]func(*testing.T) (*vfs.Mem, *Set){"v1": goldenDatabase, "v1-keyspaces": goldenKeyspaces} {
		t.Run(dir, func(t *testing.T) {
			mem, s := make(t)
			checkGolden(t, filepath.Join("testdata", dir), mem, s)
		})
	}
}

func checkGolden(t *testing.T, dir string, mem *vfs.Mem, s *Set) {
	stored := newMem(t)
	for _, name := range []string{base.CurrentName, "MANIFEST-000001"} {
		path := filepath.Join(dir, name)
		got := readFile(t, mem, name)
		if *update {
			if err := os.WriteFile(path, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s:\n%x\nwant:\n%x", name, got, want)
		}
		if err := vfs.WriteFileAtomic(stored, filepath.Join(testDir, name), want); err != nil {
			t.Fatal(err)
		}
	}
	loaded, info := mustLoad(t, stored)
	if dump(loaded) != dump(s) || !info.Durable || info.Edits < 1 {
		t.Errorf("%+v: %s", info, dump(loaded))
	}
}

// TestFormatPageShowsTheGoldenFiles compares docs/format/manifest.md with them.
func TestFormatPageShowsTheGoldenFiles(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "docs", "format", "manifest.md"))
	if err != nil {
		t.Fatal(err)
	}
	mem, _ := goldenDatabase(t)
	second, _ := goldenKeyspaces(t)
	if !bytes.Contains(page, append([]byte("```\n"), readFile(t, mem, base.CurrentName)...)) {
		t.Error("CURRENT is not on the page")
	}
	var shown [][]byte // hex dumps; each starts with offset 0
	for line := range strings.Lines(string(page)) {
		offset, digits, ok := strings.Cut(line, "  ")
		if ok && offset == "000" {
			shown = append(shown, nil)
		}
		n := len(shown) - 1
		if ok && n >= 0 && offset == fmt.Sprintf("%03x", len(shown[n])) {
			b, err := hex.DecodeString(strings.ReplaceAll(strings.TrimSpace(digits), " ", ""))
			if err != nil {
				t.Fatal(err)
			}
			shown[n] = append(shown[n], b...)
		}
	}
	want := [][]byte{readFile(t, mem, "MANIFEST-000001"), readFile(t, second, "MANIFEST-000001")}
	if len(shown) != len(want) {
		t.Fatalf("the page shows %d files", len(shown))
	}
	for i := range want {
		if !bytes.Equal(shown[i], want[i]) {
			t.Errorf("file %d: the page shows\n%x\nnot\n%x", i, shown[i], want[i])
		}
	}
}
