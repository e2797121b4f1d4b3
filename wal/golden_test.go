package wal

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

var update = flag.Bool("update", false, "write the golden files anew: only for a new version of the format")

// goldenLog is the example of docs/format/wal.md.
func goldenLog(t *testing.T) *vfs.Mem {
	t.Helper()
	m := newMem(t)
	next := uint64(0x1111111111111111)
	l, err := Create(Options{FS: m, Dir: testDir, NewID: func() uint64 { id := next; next *= 2; return id }}, 1, 0)
	must(t, err)
	commit := base.AppendOp(nil, base.Op{Kind: base.KindSet, Key: []byte("k"), Payload: []byte("v")})
	header := base.CommitHeader{FirstSeq: 1, Count: 1, OpsLen: uint64(len(commit))}.Append(nil)
	_, err = l.Append(header, commit)
	must(t, err)
	lsn, err := l.Sync()
	must(t, err)
	l.MarkSynced(lsn)
	must(t, l.Rotate(2))
	must(t, l.WriteProof())
	must(t, l.Close())
	return m
}

func TestGoldenLogIsStillReadAndWritten(t *testing.T) {
	written := goldenLog(t)
	read := newMem(t)
	doc, err := os.ReadFile(filepath.Join("..", "docs", "format", "wal.md"))
	if err != nil && !*update {
		t.Fatal(err)
	}
	for _, seg := range []base.SegmentNum{1, 2} {
		b, err := vfs.ReadFile(written, filePath(testDir, seg), 1<<20)
		must(t, err)
		path := filepath.Join("testdata", fmt.Sprintf("v1-%s.hex", fileName(seg)))
		if *update {
			must(t, os.WriteFile(path, []byte(hex.Dump(b)), 0o666))
		}
		dump, err := os.ReadFile(path)
		must(t, err)
		golden := undump(t, string(dump))
		if !bytes.Equal(golden, b) {
			t.Errorf("segment %d is not written as it was", seg)
		}
		if !strings.Contains(string(doc), string(dump)) {
			t.Errorf("docs/format/wal.md does not show segment %d", seg)
		}
		f, err := read.Create(filePath(testDir, seg))
		must(t, err)
		_, err = f.WriteAt(golden, 0)
		must(t, err)
		must(t, f.Close())
	}
	var got []ReplayRecord
	res, err := Replay(read, testDir, 1, func(r ReplayRecord) error {
		r.Payload = bytes.Clone(r.Payload)
		got = append(got, r)
		return nil
	})
	must(t, err)
	if len(got) != 1 || got[0].Segment != 1 || got[0].LSN != 64 || got[0].EndLSN != 122 || !got[0].Proven {
		t.Fatalf("%+v", got)
	}
	h, ops, rest, err := base.DecodeCommit(got[0].Payload)
	must(t, err)
	op, ok, err := (&base.OpIter{B: ops}).Next()
	if err != nil || !ok || len(rest) != 0 || h.FirstSeq != 1 || string(op.Key) != "k" || string(op.Payload) != "v" {
		t.Fatal(h, op, ok, err)
	}
	if res.EndLSN != 266 || res.NextSegment != 3 || res.Cut != nil || len(res.Segments) != 2 {
		t.Fatalf("%+v", res)
	}
}

// undump undoes hex.Dump.
func undump(t *testing.T, dump string) (b []byte) {
	t.Helper()
	for line := range strings.Lines(dump) {
		line, _, _ = strings.Cut(line, "|")
		part, err := hex.DecodeString(strings.Join(strings.Fields(line)[1:], ""))
		must(t, err)
		b = append(b, part...)
	}
	return b
}
