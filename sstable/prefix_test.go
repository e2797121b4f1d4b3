package sstable

import (
	"context"
	"fmt"
	"testing"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/iterator"
	"github.com/cordwood-db/cordwood/vfs"
)

// named is an extractor with a name and a function of its own.
type named struct {
	name string
	fn   func(key []byte) (n int, ok bool)
}

func (e named) Name() string                       { return e.name }
func (e named) Prefix(key []byte) (n int, ok bool) { return e.fn(key) }

// grouped is entries of so many groups, each with some keys of two versions,
// and a key without a group before and behind.
func grouped(groups, keys int) []iterator.Entry {
	entries := []iterator.Entry{{Key: ikey("a", 1, base.KindSet)}}
	for g := range groups {
		for k := range keys {
			key := fmt.Sprintf("group%06d/%d", g, k)
			entries = append(entries, iterator.Entry{Key: ikey(key, 9, base.KindDelete)}, iterator.Entry{Key: ikey(key, 2, base.KindSet)})
		}
	}
	return append(entries, iterator.Entry{Key: ikey("z", 3, base.KindSet)})
}

func TestTablesKnowTheirPrefixes(t *testing.T) {
	const groups, keys = 3000, 3
	entries := grouped(groups, keys)
	for _, e := range []base.PrefixExtractor{base.DelimitedPrefix('/'), base.FixedPrefix(12)} {
		r := newTable(t, WriterOptions{FilterBitsPerKey: 10, Prefix: e}, nil, entries)
		p := r.Properties()
		if p.FilterKeys != groups*keys+2 || p.FilterPrefixes != groups || p.PrefixExtractor != e.Name() {
			t.Fatalf("%s: %d keys and %d prefixes of %q in the filter", e.Name(), p.FilterKeys, p.FilterPrefixes, p.PrefixExtractor)
		}
		if bits := float64(r.filter.Size()*8) / float64(groups*(keys+1)); bits < 9.9 || bits > 10.5 {
			t.Errorf("%s: %.1f bits for each key and prefix", e.Name(), bits)
		}
		absent, keysAsPrefixes := 0, 0
		for g := range groups {
			if prefix := fmt.Appendf(nil, "group%06d/", g); !r.MayHavePrefix(prefix, e.Name()) {
				t.Fatalf("%s: %q is lost", e.Name(), prefix)
			}
			if r.MayHavePrefix(fmt.Appendf(nil, "grouq%06d/", g), e.Name()) {
				absent++
			}
			if r.MayHavePrefix(fmt.Appendf(nil, "group%06d/1", g), e.Name()) {
				keysAsPrefixes++
			}
		}
		if absent > groups*3/100 || keysAsPrefixes > groups*3/100 {
			t.Errorf("%s: of %d, %d prefixes that no key has are found, and %d that are keys", e.Name(), groups, absent, keysAsPrefixes)
		}
		if err := r.Verify(context.Background()); err != nil {
			t.Error(err)
		}
	}
}

func TestAPrefixIsOnlyRuledOutByItsOwnExtractor(t *testing.T) {
	slash := base.DelimitedPrefix('/')
	entries := grouped(10, 2)
	for name, o := range map[string]WriterOptions{
		"none":      {FilterBitsPerKey: 10},
		"no filter": {Prefix: slash},
		"other":     {FilterBitsPerKey: 10, Prefix: base.FixedPrefix(3)},
		"nameless":  {FilterBitsPerKey: 10, Prefix: named{"", slash.Prefix}},
	} {
		r := newTable(t, o, nil, entries)
		for _, extractor := range []string{slash.Name(), ""} {
			if !r.MayHavePrefix([]byte("absent/"), extractor) {
				t.Errorf("%s: %q rules a prefix out", name, extractor)
			}
		}
	}
	r := newTable(t, WriterOptions{FilterBitsPerKey: 10, Prefix: slash}, nil, nil)
	if !r.MayHavePrefix([]byte("absent/"), slash.Name()) {
		t.Error("an empty table has no filter, and rules a prefix out")
	}
}

// An extractor that breaks its rules must not make a filter that hides keys.
func TestAnExtractorThatBreaksItsRulesIsNotUsed(t *testing.T) {
	entries := grouped(10, 2)
	for name, fn := range map[string]func([]byte) (int, bool){
		"longer than the key": func(key []byte) (int, bool) { return len(key) + 1, true },
		"below zero":          func([]byte) (int, bool) { return -1, true },
		"looks behind":        func(key []byte) (int, bool) { return 5 + int(key[len(key)-1]&1), len(key) > 5 },
		"now and then":        func(key []byte) (int, bool) { return 5, len(key) > 5 && key[len(key)-1] == '1' },
	} {
		opts := WriterOptions{FilterBitsPerKey: 10, Prefix: named{"broken", fn}}
		r := newTable(t, opts, nil, entries)
		p := r.Properties()
		if p.PrefixExtractor != "" || p.FilterPrefixes != 0 || p.FilterKeys != 22 || !r.MayHavePrefix([]byte("absent"), "broken") {
			t.Errorf("%s: %+v", name, p)
		}
		if err := r.Verify(context.Background()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestVerifyMissesPrefixes(t *testing.T) {
	one, two := base.FixedPrefix(1), base.FixedPrefix(2)
	for _, c := range []struct {
		name     string
		reader   base.PrefixExtractor
		mistaken bool
	}{
		{"unknown", nil, false},
		{"unknown", named{"other", two.Prefix}, false},
		{"mine", named{"mine", one.Prefix}, false},
		{"mine", named{"mine", two.Prefix}, true},
		{two.Name(), nil, true}, // ready-made: known by its name
	} {
		fs := vfs.NewMem()
		writeTable(t, fs, "t.sst", WriterOptions{ID: testID, FilterBitsPerKey: 20, Prefix: named{c.name, one.Prefix}}, grouped(10, 2), nil)
		f, err := fs.Open("t.sst")
		if err != nil {
			t.Fatal(err)
		}
		r, err := Open(f, "t.sst", ReaderOptions{Prefix: c.reader})
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Verify(context.Background()); isCorruption(err) != c.mistaken || err != nil && !c.mistaken {
			t.Errorf("%+v: %v", c, err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}
