package sstable

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/cache"
	"github.com/cordwood-db/cordwood/internal/compress"
	"github.com/cordwood-db/cordwood/internal/filter"
	"github.com/cordwood-db/cordwood/internal/iterator"
	"github.com/cordwood-db/cordwood/internal/rangedel"
	"github.com/cordwood-db/cordwood/vfs"
)

const testID = 0x1122334455667788

func ikey(user string, seq base.SeqNum, kind base.Kind) base.InternalKey {
	return base.InternalKey{User: []byte(user), Trailer: base.MakeTrailer(seq, kind)}
}

// writeTable writes entries and fragments to path and returns what Finish said.
func writeTable(t testing.TB, fs vfs.FS, path string, opts WriterOptions, entries []iterator.Entry, dels []rangedel.Fragment) Meta {
	t.Helper()
	f, err := fs.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w := NewWriter(f, path, opts)
	for _, e := range entries {
		if err := w.Add(e.Key, e.Value); err != nil {
			t.Fatal(err)
		}
	}
	for _, d := range dels {
		if err := w.AddRangeDel(d); err != nil {
			t.Fatal(err)
		}
	}
	m, err := w.Finish()
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return m
}

func openTable(t testing.TB, fs vfs.FS, path string, c *cache.Cache) *Reader {
	t.Helper()
	r, err := tryOpen(fs, path, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func tryOpen(fs vfs.FS, path string, c *cache.Cache) (*Reader, error) {
	f, err := fs.Open(path)
	if err != nil {
		return nil, err
	}
	return Open(f, path, ReaderOptions{Cache: c, FileNum: 1})
}

// newTable writes a table in memory and opens it.
func newTable(t testing.TB, opts WriterOptions, c *cache.Cache, entries []iterator.Entry, dels ...rangedel.Fragment) *Reader {
	t.Helper()
	fs := vfs.NewMem()
	if opts.ID == 0 {
		opts.ID = testID
	}
	writeTable(t, fs, "t.sst", opts, entries, dels)
	return openTable(t, fs, "t.sst", c)
}

func newCacheUnmanaged() *cache.Cache { return cache.New(1 << 20) }

func newCache(t testing.TB, capacity int64) *cache.Cache {
	c := cache.New(capacity)
	t.Cleanup(c.Close)
	return c
}

// numbered returns n entries with keys of width digits and values of the given length.
func numbered(n, valueLen int) []iterator.Entry {
	rng := rand.New(rand.NewPCG(1, 2))
	entries := make([]iterator.Entry, n)
	for i := range entries {
		entries[i] = iterator.Entry{
			Key:   ikey(fmt.Sprintf("key%08d", i), base.SeqNum(i+1), base.KindSet),
			Value: halfRandom(rng, valueLen),
		}
	}
	return entries
}

// halfRandom returns bytes that compress to about half.
func halfRandom(rng *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range n {
		if i%16 < 8 {
			b[i] = byte(rng.Uint32())
		} else {
			b[i] = 'x'
		}
	}
	return b
}

// sample draws sorted entries with several versions of keys that share
// prefixes, of all kinds.
func sample(rng *rand.Rand, n, keyMax, valueMax int) []iterator.Entry {
	var entries []iterator.Entry
	seen := map[string]bool{}
	for range n {
		key := make([]byte, rng.IntN(keyMax+1))
		for i := range key {
			key[i] = "ab\x00\xff"[rng.IntN(4)]
		}
		for range 1 + rng.IntN(1+rng.IntN(6)) {
			kind := []base.Kind{base.KindSet, base.KindSet, base.KindDelete, base.KindMerge,
				base.KindSetPointer, base.KindSet | base.FlagExpiry, base.KindSetPointer | base.FlagExpiry}[rng.IntN(7)]
			seq := base.SeqNum(1 + rng.IntN(1000))
			id := fmt.Sprintf("%s#%d", key, seq)
			if seen[id] {
				continue
			}
			seen[id] = true
			entries = append(entries, iterator.Entry{
				Key:   base.InternalKey{User: key, Trailer: base.MakeTrailer(seq, kind)},
				Value: payloadFor(rng, kind, valueMax),
			})
		}
	}
	slices.SortFunc(entries, func(a, b iterator.Entry) int { return a.Key.Compare(b.Key) })
	return entries
}

func payloadFor(rng *rand.Rand, kind base.Kind, valueMax int) []byte {
	var value []byte
	switch kind.Op() {
	case base.KindDelete:
		return nil
	case base.KindSetPointer:
		value = base.Pointer{File: base.FileNum(rng.IntN(5)), Offset: rng.Uint32() >> rng.IntN(32),
			Size: 1000, ValueLen: uint32(rng.IntN(1000))}.Append(nil)
	default:
		value = halfRandom(rng, rng.IntN(valueMax+1))
	}
	return base.AppendPayload(nil, kind, uint64(1+rng.IntN(1000)), value)
}

// randomOptions draws writer options that make many blocks and chunks.
func randomOptions(rng *rand.Rand) WriterOptions {
	return WriterOptions{
		BlockBytes:       []int{1, 64, 300, 1024, 4096, 0}[rng.IntN(6)],
		ChunkBytes:       []int{1, 500, 3000, 0}[rng.IntN(4)],
		RestartInterval:  []int{1, 2, 5, 16}[rng.IntN(4)],
		FilterBitsPerKey: []float64{0, 10}[rng.IntN(2)],
		Compression:      compress.Kind(rng.IntN(2)),
		ID:               rng.Uint64(),
		Keyspace:         rng.Uint32() >> rng.IntN(32),
		Prefix:           []base.PrefixExtractor{nil, base.FixedPrefix(2), base.DelimitedPrefix('b')}[rng.IntN(3)],
	}
}

// sameEntry compares what it stands on with what the model stands on.
func sameEntry(got, want iterator.Iterator, gotOK, wantOK bool) error {
	switch {
	case got.Err() != nil:
		return got.Err()
	case gotOK != wantOK:
		return fmt.Errorf("ok %v, want %v", gotOK, wantOK)
	case !gotOK:
		return nil
	case got.Key().Compare(want.Key()) != 0:
		return fmt.Errorf("key %s, want %s", got.Key(), want.Key())
	case !bytes.Equal(got.Value(), want.Value()):
		return fmt.Errorf("value of %s: %d bytes, want %d", got.Key(), len(got.Value()), len(want.Value()))
	}
	return nil
}

// checkScans compares full scans both ways with entries.
func checkScans(r *Reader, opts IterOptions, entries []iterator.Entry) (err error) {
	it := r.NewIter(opts)
	defer func() { err = errors.Join(err, it.Close()) }()
	return checkScansOf(it, entries)
}

func checkScansOf(it iterator.Iterator, entries []iterator.Entry) error {
	model := iterator.NewSlice(entries)
	for gotOK, wantOK := it.First(), model.First(); ; gotOK, wantOK = it.Next(), model.Next() {
		if err := sameEntry(it, model, gotOK, wantOK); err != nil {
			return fmt.Errorf("forward: %w", err)
		}
		if !wantOK {
			break
		}
	}
	for gotOK, wantOK := it.Last(), model.Last(); ; gotOK, wantOK = it.Prev(), model.Prev() {
		if err := sameEntry(it, model, gotOK, wantOK); err != nil {
			return fmt.Errorf("backward: %w", err)
		}
		if !wantOK {
			return nil
		}
	}
}

// lookupModel is what Lookup should find.
func lookupModel(entries []iterator.Entry, key []byte, visible base.SeqNum) (iterator.Entry, bool) {
	for _, e := range entries {
		if bytes.Equal(e.Key.User, key) && e.Key.Trailer.SeqNum() <= visible {
			return e, true
		}
	}
	return iterator.Entry{}, false
}

func checkLookup(r *Reader, entries []iterator.Entry, key []byte, visible base.SeqNum) error {
	want, wantOK := lookupModel(entries, key, visible)
	var res Result
	defer res.Release()
	ok, err := r.Lookup(key, filter.Hash(key), visible, &res)
	switch {
	case err != nil:
		return err
	case ok != wantOK:
		return fmt.Errorf("lookup %q at %d: %v, want %v", key, visible, ok, wantOK)
	case ok && (res.Trailer != want.Key.Trailer || !bytes.Equal(res.Payload, want.Value)):
		return fmt.Errorf("lookup %q at %d: %v, want %s", key, visible, res.Trailer, want.Key)
	}
	return nil
}

func TestScansAndLookupsReturnWhatWasWritten(t *testing.T) {
	entries := numbered(5000, 100)
	for _, kind := range []compress.Kind{compress.None, compress.Zstd} {
		for _, c := range []*cache.Cache{nil, newCache(t, 1<<20)} {
			r := newTable(t, WriterOptions{ChunkBytes: 64 << 10, FilterBitsPerKey: 10, Compression: kind}, c, entries)
			for _, o := range []IterOptions{{}, {Fill: true}, {Readahead: true}, {Readahead: true, Fill: true}} {
				if err := checkScans(r, o, entries); err != nil {
					t.Fatalf("%v %+v: %v", kind, o, err)
				}
			}
			for i := 0; i < len(entries); i += 7 {
				key := entries[i].Key.User
				if err := checkLookup(r, entries[i:i+1], key, base.SeqNumMax); err != nil {
					t.Fatal(err)
				}
				if err := checkLookup(r, nil, key, base.SeqNum(i)); err != nil {
					t.Fatal(err)
				}
				if err := checkLookup(r, nil, append(slices.Clone(key), 0), base.SeqNumMax); err != nil {
					t.Fatal(err)
				}
			}
			if err := r.Verify(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestIteratorsBehaveLikeASortedSlice(t *testing.T) {
	rounds := 150
	if testing.Short() {
		rounds = 30
	}
	c := newCache(t, 1<<20)
	for seed := range uint64(rounds) {
		rng := rand.New(rand.NewPCG(seed, 77))
		entries := sample(rng, rng.IntN(200), 1+rng.IntN(12), 1+rng.IntN(80))
		opts := randomOptions(rng)
		useCache := c
		if rng.IntN(3) == 0 {
			useCache = nil
		}
		fs := vfs.NewMem()
		writeTable(t, fs, "t.sst", opts, entries, nil)
		f, err := fs.Open("t.sst")
		if err != nil {
			t.Fatal(err)
		}
		r, err := Open(f, "t.sst", ReaderOptions{Cache: useCache, FileNum: base.FileNum(seed + 1), ExpectID: opts.ID})
		if err != nil {
			t.Fatal(err)
		}
		if err := walkAtRandom(rng, r, entries, 400); err != nil {
			t.Fatalf("seed %d, %d entries, %+v: %v", seed, len(entries), opts, err)
		}
		for range 100 {
			key := randomKey(rng, entries)
			if err := checkLookup(r, entries, key, base.SeqNum(rng.IntN(1100))); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
		}
		if err := r.Verify(context.Background()); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// randomKey draws a key of entries or one near it.
func randomKey(rng *rand.Rand, entries []iterator.Entry) []byte {
	if len(entries) == 0 || rng.IntN(8) == 0 {
		return []byte("aab\x00\xffb")[:rng.IntN(7)]
	}
	key := slices.Clone(entries[rng.IntN(len(entries))].Key.User)
	switch rng.IntN(4) {
	case 0:
		key = append(key, "\x00ab\xff"[rng.IntN(4)])
	case 1:
		key = key[:rng.IntN(len(key)+1)]
	}
	return key
}

// walkAtRandom compares an iterator with a model over random method calls.
func walkAtRandom(rng *rand.Rand, r *Reader, entries []iterator.Entry, steps int) (err error) {
	opts := IterOptions{Fill: rng.IntN(2) == 0, Readahead: rng.IntN(2) == 0}
	in := entries
	if rng.IntN(2) == 0 {
		opts.Lower = randomKey(rng, entries)
		for len(in) > 0 && bytes.Compare(in[0].Key.User, opts.Lower) < 0 {
			in = in[1:]
		}
	}
	if rng.IntN(2) == 0 {
		opts.Upper = randomKey(rng, entries)
		for len(in) > 0 && bytes.Compare(in[len(in)-1].Key.User, opts.Upper) >= 0 {
			in = in[:len(in)-1]
		}
	}
	it, model := r.NewIter(opts), iterator.NewSlice(in)
	defer func() { err = errors.Join(err, it.Close()) }()
	var trace []string
	gotOK, wantOK := it.First(), model.First()
	for range steps {
		if err := sameEntry(it, model, gotOK, wantOK); err != nil {
			return fmt.Errorf("%+v after %v: %w", opts, trace[max(0, len(trace)-10):], err)
		}
		step := rng.IntN(14)
		key, trailer := randomKey(rng, entries), base.SeekTrailer(base.SeqNum(rng.IntN(1100)))
		trace = append(trace, fmt.Sprintf("%d %q %d", step, key, trailer.SeqNum()))
		switch step {
		case 0:
			gotOK, wantOK = it.First(), model.First()
		case 1:
			gotOK, wantOK = it.Last(), model.Last()
		case 2, 3:
			gotOK, wantOK = it.SeekGE(key, trailer), model.SeekGE(key, trailer)
		case 4, 5:
			gotOK, wantOK = it.SeekLT(key), model.SeekLT(key)
		case 6, 7, 8, 9:
			gotOK, wantOK = it.Next(), model.Next()
		default:
			gotOK, wantOK = it.Prev(), model.Prev()
		}
	}
	return nil
}
