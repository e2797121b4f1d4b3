package base

import "testing"

func TestReadyMadeExtractorsFindTheirPrefix(t *testing.T) {
	for _, c := range []struct {
		e         PrefixExtractor
		key, want string
		ok        bool
	}{
		{FixedPrefix(3), "abcd", "abc", true},
		{FixedPrefix(3), "abc", "abc", true},
		{FixedPrefix(3), "ab", "", false},
		{FixedPrefix(0), "", "", true},
		{FixedPrefix(-1), "a", "", true},
		{DelimitedPrefix('/'), "user/1/x", "user/", true},
		{DelimitedPrefix('/'), "/", "/", true},
		{DelimitedPrefix('/'), "user", "", false},
		{DelimitedPrefix(0), "a\x00b", "a\x00", true},
		{DelimitedPrefix(0xff), "", "", false},
		{liar(5), "abc", "", false},
		{liar(-1), "abc", "", false},
	} {
		got, ok := PrefixOf(c.e, []byte(c.key))
		if ok != c.ok || string(got) != c.want || cap(got) != len(got) {
			t.Errorf("%s: prefix of %q is %q, %v; want %q, %v", c.e.Name(), c.key, got, ok, c.want, c.ok)
		}
	}
}

// liar finds prefixes of a length that keys do not have.
type liar int

func (liar) Name() string                     { return "liar" }
func (l liar) Prefix([]byte) (n int, ok bool) { return int(l), true }

func TestReadyMadeExtractorsAreKnownByTheirNames(t *testing.T) {
	for _, e := range []PrefixExtractor{FixedPrefix(0), FixedPrefix(8), FixedPrefix(1<<31 - 1), DelimitedPrefix(0), DelimitedPrefix('/'), DelimitedPrefix(0xff)} {
		if got := ReadyPrefixExtractor(e.Name()); got != e {
			t.Errorf("%q gives %v", e.Name(), got)
		}
	}
	if a, b := FixedPrefix(8).Name(), DelimitedPrefix('/').Name(); a != "cordwood.prefix.fixed.8" || b != "cordwood.prefix.delimited.2f" {
		t.Errorf("names in files have changed: %q, %q", a, b)
	}
	for _, name := range []string{"", "cordwood.prefix.fixed.", "cordwood.prefix.fixed.08", "cordwood.prefix.fixed.-1", "cordwood.prefix.fixed.+1",
		"cordwood.prefix.fixed.4294967296", "cordwood.prefix.delimited.2F", "cordwood.prefix.delimited.100", "cordwood.prefix.delimited.f", "other"} {
		if got := ReadyPrefixExtractor(name); got != nil {
			t.Errorf("%q gives %v", name, got)
		}
	}
}

// What filters rely on: the bytes of a prefix decide.
func TestKeysThatBeginWithAPrefixHaveIt(t *testing.T) {
	keys := []string{""}
	for i := 0; len(keys[i]) < 4; i++ {
		for _, b := range "a/\x00" {
			keys = append(keys, keys[i]+string(b))
		}
	}
	for _, e := range []PrefixExtractor{FixedPrefix(0), FixedPrefix(2), DelimitedPrefix('/'), DelimitedPrefix(0)} {
		for _, a := range keys {
			p, ok := PrefixOf(e, []byte(a))
			for _, b := range keys {
				if q, has := PrefixOf(e, []byte(b)); ok && len(b) >= len(p) && b[:len(p)] == string(p) && (!has || string(q) != string(p)) {
					t.Fatalf("%s: %q has prefix %q, but %q has %q, %v", e.Name(), a, p, b, q, has)
				}
			}
		}
	}
}
