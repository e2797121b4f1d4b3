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
// Those of version 1 were all of keyspace 0.
func goldenEntries(keyspace uint32) []entry {
	return []entry{
		{key: []byte("apple"), seq: 7, value: []byte("red")},
		{keyspace: keyspace, key: []byte("plum"), seq: 8, expiry: 1_700_000_000_000_000_000, value: []byte("blue")},
	}
}

const (
	goldenOriginal  = base.FileNum(5)
	goldenRewritten = base.FileNum(9)
	goldenID        = uint64(0x0102030405060708)
)

var (
	originalLoc  = Location{Physical: goldenOriginal, ID: goldenID}
	rewrittenLoc = Location{Physical: goldenRewritten, ID: goldenID + 1, Rewritten: true}
)

// TestGoldenFilesAreStillWritten is the promise that the format does not change
// unnoticed.
func TestGoldenFilesAreStillWritten(t *testing.T) {
	m := newMem(t)
	es := goldenEntries(3)
	w := mustCreate(t, m, goldenOriginal, goldenID)
	for i := range es {
		es[i] = mustAppend(t, w, es[i])
	}
	if _, err := w.Seal(); err != nil {
		t.Fatal(err)
	}
	rewrite(t, m, goldenRewritten, goldenID+1, func(r Record) bool { return r.Seq == 8 }, goldenOriginal)
	for name, loc := range map[string]Location{"original-v2.hex": originalLoc, "rewritten-v2.hex": rewrittenLoc} {
		text := dump(readFile(t, m, loc.Physical))
		if *update {
			if err := os.WriteFile(filepath.Join("testdata", name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(golden(t, name), readFile(t, m, loc.Physical)) {
			t.Errorf("%s: this version writes something else:\n%s", name, text)
		}
		doc, err := os.ReadFile("../docs/format/vlog.md")
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(strings.ReplaceAll(string(doc), "\r", ""), text) {
			t.Errorf("docs/format/vlog.md does not show %s", name)
		}
	}
}

// TestGoldenFilesStayReadable is the promise that every format of the past
// stays readable: the files never change.
func TestGoldenFilesStayReadable(t *testing.T) {
	for _, f := range []struct {
		version  string
		keyspace uint32
	}{{"v1", 0}, {"v2", 3}} {
		m := newMem(t)
		es := goldenEntries(f.keyspace)
		for i, off := range []uint32{0x40, 0x78} {
			size := recordHeaderLen + prefixLen(es[i].keyspace) + len(es[i].key) + len(es[i].value)
			es[i].ptr = base.Pointer{File: goldenOriginal, Offset: off, Size: uint32(size), ValueLen: uint32(len(es[i].value))}
		}
		writeBytes(t, m, goldenOriginal, golden(t, "original-"+f.version+".hex"))
		writeBytes(t, m, goldenRewritten, golden(t, "rewritten-"+f.version+".hex"))
		check := func(loc Location, es []entry) {
			t.Helper()
			checkScan(t, m, loc.Physical, loc.ID, es)
			c := openCache(t, m)
			for _, e := range es {
				wantEntry(t, c, loc, e)
			}
			if s := salvageAll(t, m, loc.Physical, loc.ID, es); len(s.keys) != len(es) || len(s.damaged) != 0 {
				t.Fatalf("%s: salvage gave %v", f.version, s)
			}
		}
		check(originalLoc, es)
		check(rewrittenLoc, es[1:])
		info, err := Recover(m, "/db", goldenOriginal, goldenID, 0)
		if err != nil || info.Records != 2 {
			t.Fatalf("%s: recovered %+v, %v", f.version, info, err)
		}
		// Both kinds of file can be collected, into one of the newest version.
		for i, from := range []base.FileNum{goldenOriginal, goldenRewritten} {
			to := Location{Physical: base.FileNum(20 + i), ID: testID + uint64(i), Rewritten: true}
			rewrite(t, m, to.Physical, to.ID, keepAll, from)
			check(to, es[i:])
			h, err := decodeFileHeader("f", readFile(t, m, to.Physical))
			if err != nil || h.version != formatVersion {
				t.Fatalf("%s: rewritten as version %d, %v", f.version, h.version, err)
			}
		}
	}
}

// golden is the contents of a file of testdata.
func golden(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return undump(t, string(text))
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
