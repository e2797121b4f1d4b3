package trace

import (
	"bytes"
	"encoding/hex"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the golden files anew: only for a new version of the format")

// goldenOps are those of the example in docs/format/trace.md.
func goldenOps() []Op {
	const us = time.Microsecond
	return []Op{
		{Kind: KindPut, Start: 100 * us, Took: 50 * us, Key: k("user/1"), Length: 300},
		{Kind: KindGet, Start: 180 * us, Took: 20 * us, Key: k("user/1"), Found: true, Length: 300},
		{Kind: KindKeyspace, Keyspace: 1, Start: 200 * us, Name: "log"},
		{Kind: KindBatch, Client: 2, Start: 250 * us, Took: 50 * us, Sync: true, Items: []Op{
			{Kind: KindPut, Client: 2, Key: k("user/2"), Length: 5},
			{Kind: KindDelete, Client: 2, Keyspace: 1, Key: k("b")},
		}},
		{Kind: KindPut, Start: 300 * us, Took: 7 * us, Key: k("user/3"), Length: 1, Error: ErrorDiskFull},
	}
}

// buffer is a file in memory.
func writeTrace(t testing.TB, h header, ops []Op, lost uint64, whole bool) []byte {
	t.Helper()
	f := &stubFile{max: 1 << 30}
	w, err := newWriter(f, h, secret{1, 2})
	must(t, err)
	for i := range ops {
		w.put(&ops[i])
		if i == 2 {
			w.flush()
		}
	}
	w.flush()
	if whole {
		must(t, w.close(lost, 400*time.Microsecond))
	}
	must(t, w.err)
	return f.b
}

var goldenHeader = header{id: 0x1122334455667788, started: time.Unix(1_700_000_000, 0), tick: tickDefault}

func TestGoldenFileIsStillReadAndWritten(t *testing.T) {
	path := filepath.Join("testdata", "v1.hex")
	written := writeTrace(t, goldenHeader, goldenOps(), 3, true)
	if *update {
		must(t, os.WriteFile(path, []byte(hex.Dump(written)), 0o666))
	}
	dump, err := os.ReadFile(path)
	must(t, err)
	b := undump(t, string(dump))
	if !bytes.Equal(b, written) {
		t.Error("the writer does not write what it wrote")
	}
	r, err := NewReader(bytes.NewReader(b))
	must(t, err)
	defer r.Close()
	if r.Hashed() || !r.Started().Equal(goldenHeader.started) {
		t.Errorf("hashed %v, started %v", r.Hashed(), r.Started())
	}
	for i, want := range goldenOps() {
		var op Op
		must(t, r.Next(&op))
		if want.Items == nil {
			op.Items = nil
		}
		if !reflect.DeepEqual(op, want) {
			t.Errorf("operation %d is\n%+v, want\n%+v", i, op, want)
		}
	}
	var op Op
	if err := r.Next(&op); err == nil || !r.Summary().Whole {
		t.Errorf("no end: %v", err)
	}
	if want := (Summary{Whole: true, Operations: 4, Lost: 3, Duration: 400 * time.Microsecond}); r.Summary() != want {
		t.Errorf("%+v", r.Summary())
	}
	doc, err := os.ReadFile(filepath.Join("..", "..", "docs", "format", "trace.md"))
	must(t, err)
	if !strings.Contains(strings.ReplaceAll(string(doc), "\r\n", "\n"), strings.ReplaceAll(string(dump), "\r\n", "\n")) {
		t.Error("docs/format/trace.md does not show testdata/v1.hex")
	}
}

// undump reads what hex.Dump wrote.
func undump(t testing.TB, dump string) []byte {
	t.Helper()
	var b []byte
	for line := range strings.Lines(dump) {
		line = line[min(8, len(line)):]
		digits, _, _ := strings.Cut(line, "|")
		part, err := hex.DecodeString(strings.Join(strings.Fields(digits), ""))
		must(t, err)
		b = append(b, part...)
	}
	return b
}
