package record

import (
	"bytes"
	"encoding/hex"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cordwood-db/cordwood/internal/base"
)

var update = flag.Bool("update", false, "write the golden files anew: only for a new version of the format")

// goldenFile is the example of docs/format/record.md.
func goldenFile(t *testing.T) []byte {
	t.Helper()
	f := &bytesFile{}
	w, err := NewWriter(f, FileHeader{Kind: base.FileWAL, ID: 0x1122334455667788, Number: 7, StartLSN: 1000, Synced: 900})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Append(1000, 1, []byte("cord"), []byte("wood")); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Append(1104, 2); err != nil {
		t.Fatal(err)
	}
	return append(f.b, make([]byte, 16)...)
}

func TestGoldenFileIsStillReadAndWritten(t *testing.T) {
	path := filepath.Join("testdata", "v1.hex")
	if *update {
		if err := os.WriteFile(path, []byte(hex.Dump(goldenFile(t))), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	dump, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b := undump(t, string(dump))
	if !bytes.Equal(b, goldenFile(t)) {
		t.Error("the writer does not write what it wrote")
	}
	var got []Record
	h, tail, err := Scan(&bytesFile{b: b}, "golden", base.FileWAL, func(r Record) error {
		r.Payload = bytes.Clone(r.Payload)
		got = append(got, r)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := (FileHeader{base.FileWAL, 1, 0x1122334455667788, 7, 1000, 900}); h != want {
		t.Errorf("header %+v", h)
	}
	if want := (Tail{CleanEnd: true, Offset: 136, EndLSN: 1136, MaxSynced: 1104}); tail != want {
		t.Errorf("tail %+v", tail)
	}
	if len(got) != 2 || string(got[0].Payload) != "cordwood" || got[0].LSN != 1064 || got[0].EndLSN != 1104 ||
		got[0].Type != 1 || got[0].Synced != 1000 || got[1].Type != 2 || got[1].Synced != 1104 || len(got[1].Payload) != 0 {
		t.Errorf("records %+v", got)
	}
	doc, err := os.ReadFile(filepath.Join("..", "..", "docs", "format", "record.md"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(doc), string(dump)) {
		t.Error("docs/format/record.md does not show the golden file")
	}
}

// undump undoes hex.Dump.
func undump(t *testing.T, dump string) (b []byte) {
	t.Helper()
	for line := range strings.Lines(dump) {
		line, _, _ = strings.Cut(line, "|")
		digits := strings.Join(strings.Fields(line)[1:], "")
		part, err := hex.DecodeString(digits)
		if err != nil {
			t.Fatal(err)
		}
		b = append(b, part...)
	}
	return b
}
