package vlog

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

var update = flag.Bool("update", false, "write the golden files anew")

// goldenEntries are the records of the worked example in docs/format/vlog.md.
func goldenEntries() []entry {
	return []entry{
		{key: []byte("apple"), seq: 7, value: []byte("red")},
		{key: []byte("plum"), seq: 8, expiry: 1_700_000_000_000_000_000, value: []byte("blue")},
	}
}

const (
	goldenOriginal  = base.FileNum(5)
	goldenRewritten = base.FileNum(9)
	goldenID        = uint64(0x0102030405060708)
)

// TestGoldenFilesStayReadable is the promise that every released format stays
// readable: the files were written by version 1 and never change.
func TestGoldenFilesStayReadable(t *testing.T) {
	m := newMem(t)
	es := goldenEntries()
	w := mustCreate(t, m, goldenOriginal, goldenID)
	for i := range es {
		es[i] = mustAppend(t, w, es[i])
	}
	if _, err := w.Seal(); err != nil {
		t.Fatal(err)
	}
	rewrite(t, m, goldenRewritten, goldenID+1, func(r Record) bool { return r.Seq == 8 }, goldenOriginal)
	for _, f := range []struct {
		name string
		num  base.FileNum
		loc  Location
		es   []entry
	}{
		{"original-v1.hex", goldenOriginal, Location{Physical: goldenOriginal, ID: goldenID}, es},
		{"rewritten-v1.hex", goldenRewritten, Location{Physical: goldenRewritten, ID: goldenID + 1, Rewritten: true}, es[1:]},
	} {
		path := filepath.Join("testdata", f.name)
		if *update {
			if err := os.WriteFile(path, []byte(dump(readFile(t, m, f.num))), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		golden := undump(t, string(text))
		if !bytes.Equal(golden, readFile(t, m, f.num)) {
			t.Errorf("%s: this version writes something else:\n%s", f.name, dump(readFile(t, m, f.num)))
		}
		writeBytes(t, m, f.num, golden)
		checkScan(t, m, f.num, f.loc.ID, f.es)
		c := openCache(t, m)
		for _, e := range f.es {
			wantEntry(t, c, f.loc, e)
		}
		doc, err := os.ReadFile("../docs/format/vlog.md")
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(strings.ReplaceAll(string(doc), "\r", ""), strings.ReplaceAll(string(text), "\r", "")) {
			t.Errorf("docs/format/vlog.md does not show %s", f.name)
		}
	}
}

// dump shows b as lines of 16 bytes with their offsets.
func dump(b []byte) string {
	var s strings.Builder
	for i := 0; i < len(b); i += 16 {
		s.WriteString(strings.ToLower(hex.EncodeToString([]byte{byte(i >> 8), byte(i)})))
		for _, c := range b[i:min(i+16, len(b))] {
			s.WriteString(" " + hex.EncodeToString([]byte{c}))
		}
		s.WriteString("\n")
	}
	return s.String()
}

func undump(t *testing.T, s string) (b []byte) {
	t.Helper()
	for line := range strings.Lines(s) {
		for _, f := range strings.Fields(line)[1:] {
			c, err := hex.DecodeString(f)
			if err != nil {
				t.Fatal(err)
			}
			b = append(b, c...)
		}
	}
	return b
}
