package sstable

import (
	"bytes"
	"context"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/compress"
	"github.com/cordwood-db/cordwood/internal/iterator"
	"github.com/cordwood-db/cordwood/internal/rangedel"
)

var update = flag.Bool("update", false, "write the golden files of the current format version anew")

const formatPage = "../docs/format/sstable.md"

// goldenTable is small enough to be explained byte by byte.
func goldenTable() (WriterOptions, []iterator.Entry, []rangedel.Fragment) {
	opts := WriterOptions{FilterBitsPerKey: 10, ID: 0x0102030405060708}
	entries := []iterator.Entry{
		{Key: ikey("apple", 7, base.KindSet), Value: []byte("red")},
		{Key: ikey("apple", 3, base.KindDelete)},
		{Key: ikey("apricot", 5, base.KindSetPointer), Value: base.Pointer{File: 9, Offset: 64, Size: 2000, ValueLen: 1900}.Append(nil)},
	}
	return opts, entries, []rangedel.Fragment{{Start: []byte("b"), End: []byte("c"), Seqs: []base.SeqNum{6}}}
}

// goldenFile compares img with a golden file, or writes it.
func goldenFile(t *testing.T, path string, img []byte) []byte {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, img, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	golden, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return golden
}

func TestTheGoldenTableIsWrittenAndReadAsEver(t *testing.T) {
	opts, entries, dels := goldenTable()
	img := tableImage(t, opts, entries, dels)
	golden := goldenFile(t, "testdata/v1.sst", img)
	if !bytes.Equal(img, golden) {
		t.Errorf("the writer's bytes have changed:\n%s", hex.Dump(img))
	}
	r, err := Open(&image{b: golden}, "v1.sst", ReaderOptions{ExpectID: opts.ID})
	if err != nil {
		t.Fatal(err)
	}
	p := r.Properties()
	if told, err := checkDamaged(golden, nil, 0, entries, dels, &p); told || err != nil {
		t.Fatal(told, err)
	}
}

// The compressed bytes depend on the encoder; reading them must not.
func TestTheCompressedGoldenTableStaysReadable(t *testing.T) {
	opts, entries, dels := smallTable(1)
	opts.Keyspace, opts.Prefix = 0, nil
	img := goldenFile(t, "testdata/v1-zstd.sst", tableImage(t, opts, entries, dels))
	r, err := Open(&image{b: img}, "v1-zstd.sst", ReaderOptions{ExpectID: opts.ID})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Verify(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := checkScans(r, IterOptions{}, entries); err != nil {
		t.Fatal(err)
	}
	kinds := map[compress.Kind]int{}
	if err := r.Blocks(func(b Block) error { kinds[b.Compression]++; return nil }); err != nil || kinds[compress.Zstd] == 0 {
		t.Fatal(kinds, err)
	}
}

// A table of a keyspace, with prefixes in its filter.
func TestTheGoldenTableWithPrefixesIsWrittenAndReadAsEver(t *testing.T) {
	slash := base.DelimitedPrefix('/')
	opts := WriterOptions{FilterBitsPerKey: 10, ID: 0x0102030405060708, Keyspace: 300, Prefix: slash}
	var entries []iterator.Entry
	for i, key := range []string{"fruit/apple", "fruit/banana", "none", "tree/oak"} {
		entries = append(entries, iterator.Entry{Key: ikey(key, base.SeqNum(i+1), base.KindSet), Value: []byte("v")})
	}
	img := tableImage(t, opts, entries, nil)
	golden := goldenFile(t, "testdata/v1-prefix.sst", img)
	if !bytes.Equal(img, golden) {
		t.Errorf("the writer's bytes have changed:\n%s", hex.Dump(img))
	}
	r, err := Open(&image{b: golden}, "v1-prefix.sst", ReaderOptions{ExpectID: opts.ID})
	if err != nil {
		t.Fatal(err)
	}
	p := r.Properties()
	if told, err := checkDamaged(golden, nil, 0, entries, nil, &p); told || err != nil {
		t.Fatal(told, err)
	}
	if p.Keyspace != 300 || p.FilterKeys != 4 || p.FilterPrefixes != 2 || p.PrefixExtractor != slash.Name() {
		t.Errorf("%+v", p)
	}
	for prefix, want := range map[string]bool{"fruit/": true, "tree/": true, "herb/": false, "none": false, "tree/oak": false} {
		if got := r.MayHavePrefix([]byte(prefix), slash.Name()); got != want {
			t.Errorf("prefix %q: %v", prefix, got)
		}
	}
	page, err := os.ReadFile(formatPage)
	if err != nil {
		t.Fatal(err)
	}
	props := golden[r.sections[sectionProperties].offset:]
	name := appendField(nil, propPrefixExtractor, []byte(slash.Name()))
	for _, field := range [][]byte{appendNumber(nil, propKeyspace, 300), name, appendNumber(nil, propFilterPrefixes, 2)} {
		if !bytes.Contains(props, field) || !strings.Contains(string(page), fmt.Sprintf("% x", field)) {
			t.Errorf("% x is not in the table or not on the page", field)
		}
	}
}

// The worked example of the format page is the golden table.
func TestTheFormatPageShowsTheGoldenTable(t *testing.T) {
	page, err := os.ReadFile(formatPage)
	if err != nil {
		t.Fatal(err)
	}
	var shown []byte
	for line := range strings.Lines(string(page)) {
		offset, rest, ok := strings.Cut(strings.TrimSpace(line), "  ")
		if at, err := hex.DecodeString(offset); !ok || err != nil || len(at) != 2 {
			continue
		}
		if want := fmt.Sprintf("%04x", len(shown)); offset != want {
			t.Fatalf("line at %s, expected at %s", offset, want)
		}
		digits, _, _ := strings.Cut(rest, "  ")
		b, err := hex.DecodeString(strings.ReplaceAll(digits, " ", ""))
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		shown = append(shown, b...)
	}
	golden, err := os.ReadFile("testdata/v1.sst")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(shown, golden) {
		t.Fatalf("the page shows %d bytes, the golden table has %d", len(shown), len(golden))
	}
}
