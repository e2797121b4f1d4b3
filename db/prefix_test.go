package db

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/cordwood-db/cordwood/internal/testkit"
	"github.com/cordwood-db/cordwood/vfs"
)

func TestWhichRangesHaveAPrefix(t *testing.T) {
	between := func(a, b string) Range { return Between([]byte(a), []byte(b)) }
	for _, c := range []struct {
		e    PrefixExtractor
		r    Range
		want string
	}{
		{DelimitedPrefix('/'), Prefix([]byte("user/")), "user/"},
		{DelimitedPrefix('/'), Prefix([]byte("user/7")), "user/"},
		{DelimitedPrefix('/'), Prefix([]byte("user/7")).Backward().KeysOnly(), "user/"},
		{DelimitedPrefix('/'), Prefix([]byte("user/7/x/")), "user/"},
		{DelimitedPrefix('/'), between("user/a", "user/b"), "user/"},
		{DelimitedPrefix('/'), between("user/a", "user0"), "user/"},
		{DelimitedPrefix('/'), between("user/a", "user/a"), "user/"},
		{DelimitedPrefix('/'), between("user/a", "user00"), ""},
		{DelimitedPrefix('/'), From([]byte("user/a")), ""},
		{DelimitedPrefix('/'), Prefix([]byte("user")), ""},
		{DelimitedPrefix('/'), All(), ""},
		{DelimitedPrefix('/'), between("", "user/b"), ""},
		{DelimitedPrefix(0xff), Prefix([]byte{0xff, 1}), "\xff"},
		{DelimitedPrefix(0xff), From([]byte{0xff, 1}), "\xff"},
		{FixedPrefix(3), Prefix([]byte("abc")), "abc"},
		{FixedPrefix(3), Prefix([]byte("abcd")), "abc"},
		{FixedPrefix(3), Prefix([]byte("ab")), ""},
		{FixedPrefix(3), between("abc", "abd"), "abc"},
		{FixedPrefix(3), between("abcz", "abd\x00"), ""},
		{FixedPrefix(3), between("abc", "ac"), ""},
		{FixedPrefix(0), All(), ""},
		{nil, Prefix([]byte("user/")), ""},
	} {
		s := &settings{prefix: c.e}
		if c.e != nil {
			s.prefixName = c.e.Name()
		}
		w := s.wantedPrefix(c.r)
		if string(w.prefix) != c.want || (w.extractor == "") != (c.want == "") || c.want != "" && w.extractor != c.e.Name() {
			t.Errorf("%v of %q..%q: %+v, want %q", c.e, c.r.lower, c.r.upper, w, c.want)
		}
	}
}

// layered makes a store of groups of 5 keys, whose tables all cover all groups:
// one of the last level, and three of level 0, hold a quarter of them each.
func layered(tb testing.TB, store *DB, groups int) {
	tb.Helper()
	for part := range 4 {
		var b Batch
		for g := part; g < groups; g += 4 {
			for k := range 5 {
				if err := b.Put(fmt.Appendf(nil, "g%06d/%d", g, k), []byte("value")); err != nil {
					tb.Fatal(err)
				}
			}
		}
		err := store.Apply(&b, NoSync)
		if err == nil && part == 0 {
			err = store.Compact(context.Background(), All())
		} else if err == nil {
			err = store.Flush(context.Background())
		}
		if err != nil {
			tb.Fatal(err)
		}
	}
}

func TestScansOfAPrefixSkipTablesWithoutIt(t *testing.T) {
	fs := vfs.NewMem()
	open := func(e PrefixExtractor) *DB {
		t.Helper()
		return openMem(t, fs, Options{Prefix: e})
	}
	store := open(DelimitedPrefix('/'))
	layered(t, store, 400)
	count := func(store *DB, r Range) (keys int, skipped uint64) {
		t.Helper()
		before := store.Metrics().TablesSkipped
		for _, err := range store.Scan(r) {
			must(t, err)
			keys++
		}
		return keys, store.Metrics().TablesSkipped - before
	}
	tables := 0
	for _, l := range store.Metrics().Levels {
		tables += l.Tables
	}
	if tables != 4 {
		t.Fatalf("%d tables", tables)
	}
	for g := range 40 {
		p := fmt.Appendf(nil, "g%06d/", 40+g)
		for _, r := range []Range{Prefix(p), Prefix(p).Backward(), Between(append(bytes.Clone(p), '0'), append(bytes.Clone(p), '9'))} {
			// The filter may be wrong for one table now and then.
			if keys, skipped := count(store, r); keys != 5 || skipped > 3 || skipped < 2 {
				t.Errorf("%s: %d keys, %d tables skipped", p, keys, skipped)
			}
		}
	}
	if keys, skipped := count(store, Prefix([]byte("g000042x/"))); keys != 0 || skipped == 0 {
		t.Errorf("absent: %d keys, %d tables skipped", keys, skipped)
	}
	if keys, skipped := count(store, Prefix([]byte("g000042"))); keys != 5 || skipped != 0 {
		t.Errorf("no prefix: %d keys, %d tables skipped", keys, skipped)
	}
	closeDB(t, store)
	for _, e := range []PrefixExtractor{nil, FixedPrefix(7)} {
		store = open(e)
		if keys, skipped := count(store, Prefix([]byte("g000042/"))); keys != 5 || skipped != 0 {
			t.Errorf("%v: %d keys, %d tables skipped", e, keys, skipped)
		}
		closeDB(t, store)
	}
}

// A store with prefix filters shows the same as one without, whatever it was
// opened with before.
func TestPrefixFiltersHideNothing(t *testing.T) {
	testkit.Sequential(t)
	seed := uint64(time.Now().UnixNano())
	rng := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	ctx := context.Background()
	fs, plainFS := vfs.NewMem(), vfs.NewMem()
	opts := smallOptions()
	plain := openMem(t, plainFS, opts)
	defer closeDB(t, plain)
	parts := []string{"a", "b", "/", "\xff", "c/", ""}
	key := func() []byte {
		var k []byte
		for range 1 + rng.IntN(5) {
			k = append(k, parts[rng.IntN(len(parts))]...)
		}
		return k
	}
	skipped := uint64(0)
	for round := range 12 {
		opts.Prefix = []PrefixExtractor{DelimitedPrefix('/'), DelimitedPrefix(0xff), FixedPrefix(2), FixedPrefix(4), nil}[rng.IntN(5)]
		store := openMem(t, fs, opts)
		space, err := store.Keyspace("space", &KeyspaceOptions{Prefix: FixedPrefix(3)})
		must(t, err)
		for range 300 {
			k := key()
			switch rng.IntN(8) {
			case 0:
				must(t, store.Delete(k), space.Delete(k), plain.Delete(k))
			case 1:
				r := Between(k, append(bytes.Clone(k), 'b'))
				must(t, store.DeleteRange(r), space.DeleteRange(r), plain.DeleteRange(r))
			default:
				v := bytes.Repeat([]byte{byte(round)}, rng.IntN(600))
				must(t, store.Put(k, v), space.Put(k, v), plain.Put(k, v))
			}
			if rng.IntN(60) == 0 {
				must(t, store.Flush(ctx))
			}
		}
		if round%4 == 3 {
			must(t, store.Compact(ctx, All()), space.Compact(ctx, All()))
		}
		for range 200 {
			r := Prefix(key())
			if rng.IntN(3) == 0 {
				r = Between(key(), key())
			}
			if rng.IntN(2) == 0 {
				r = r.Backward()
			}
			want := keysOf(t, plain, r)
			if got := keysOf(t, store, r); got != want {
				t.Fatalf("%v: %q..%q: %q, want %q", opts.Prefix, r.lower, r.upper, got, want)
			}
			if got := keysOf(t, space, r); got != want {
				t.Fatalf("keyspace: %q..%q: %q, want %q", r.lower, r.upper, got, want)
			}
		}
		skipped += store.Metrics().TablesSkipped
		closeDB(t, store)
	}
	if skipped == 0 {
		t.Error("no table was ever skipped")
	}
}

// BenchmarkPrefixScan reads a group of 5 keys, which is in one of four tables.
func BenchmarkPrefixScan(b *testing.B) {
	for name, e := range map[string]PrefixExtractor{"without": nil, "with": DelimitedPrefix('/')} {
		b.Run(name, func(b *testing.B) {
			const groups = 100_000
			store, err := Open(b.TempDir(), &Options{Prefix: e})
			if err != nil {
				b.Fatal(err)
			}
			layered(b, store, groups)
			rng := rand.New(rand.NewPCG(1, 1))
			before := cpuTime()
			b.ReportAllocs()
			for b.Loop() {
				keys := 0
				for _, err := range store.Scan(Prefix(fmt.Appendf(nil, "g%06d/", rng.IntN(groups)))) {
					if err != nil {
						b.Fatal(err)
					}
					keys++
				}
				if keys != 5 {
					b.Fatalf("%d keys", keys)
				}
			}
			b.ReportMetric(float64((cpuTime()-before).Nanoseconds())/float64(b.N), "cpu-ns/op")
			if err := store.Close(); err != nil {
				b.Fatal(err)
			}
		})
	}
}
