package sstable

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/cache"
	"github.com/cordwood-db/cordwood/internal/compress"
	"github.com/cordwood-db/cordwood/internal/filter"
	"github.com/cordwood-db/cordwood/internal/invariants"
	"github.com/cordwood-db/cordwood/internal/iterator"
	"github.com/cordwood-db/cordwood/internal/rangedel"
	"github.com/cordwood-db/cordwood/internal/testkit"
	"github.com/cordwood-db/cordwood/vfs"
)

func newWriter(t testing.TB, opts WriterOptions) *Writer {
	t.Helper()
	f, err := vfs.NewMem().Create("w.sst")
	if err != nil {
		t.Fatal(err)
	}
	return NewWriter(f, "w.sst", opts)
}

func TestWriterRefusesWhatAReaderCouldNotTrust(t *testing.T) {
	long := string(make([]byte, keyBytesMax+1))
	ptr := base.Pointer{File: 1, Size: 5, ValueLen: 2}.Append(nil)
	for _, c := range []struct {
		name    string
		key     base.InternalKey
		payload []byte
		is      error
	}{
		{"the same key", ikey("b", 5, base.KindSet), nil, nil},
		{"a newer version behind an older one", ikey("b", 6, base.KindSet), nil, nil},
		{"a lower key", ikey("a", 9, base.KindSet), nil, nil},
		{"a prefix", ikey("", 9, base.KindSet), nil, nil},
		{"a long key", ikey(long, 1, base.KindSet), nil, base.ErrKeyTooLarge},
		{"a large payload", ikey("c", 1, base.KindSet), make([]byte, payloadBytesMax+1), base.ErrValueTooLarge},
		{"a range delete", ikey("c", 1, base.KindRangeDelete), nil, nil},
		{"an unknown kind", ikey("c", 1, 77), nil, nil},
		{"a delete that expires", ikey("c", 1, base.KindDelete|base.FlagExpiry), nil, nil},
		{"no pointer", ikey("c", 1, base.KindSetPointer), nil, nil},
		{"half a pointer", ikey("c", 1, base.KindSetPointer), ptr[:2], nil},
		{"no expiry", ikey("c", 1, base.KindSet|base.FlagExpiry), []byte("1234567"), nil},
	} {
		w := newWriter(t, WriterOptions{})
		if err := w.Add(ikey("b", 5, base.KindSet), nil); err != nil {
			t.Fatal(err)
		}
		err := w.Add(c.key, c.payload)
		if err == nil || c.is != nil && !errors.Is(err, c.is) || !strings.Contains(err.Error(), "w.sst") {
			t.Errorf("%s: %v", c.name, err)
		}
		if _, again := w.Finish(); again != err {
			t.Errorf("%s: Finish says %v", c.name, again)
		}
	}
	for _, frags := range [][]rangedel.Fragment{
		{{Start: []byte("b"), End: []byte("b"), Seqs: []base.SeqNum{1}}},
		{{Start: []byte("b"), End: []byte("c")}},
		{{Start: []byte("b"), End: []byte("c"), Seqs: []base.SeqNum{1, 1}}},
		{{Start: []byte("b"), End: []byte("c"), Seqs: []base.SeqNum{base.SeqNumMax + 1}}},
		{{Start: []byte("b"), End: []byte(long), Seqs: []base.SeqNum{1}}},
		{{Start: []byte("b"), End: []byte("d"), Seqs: []base.SeqNum{1}}, {Start: []byte("c"), End: []byte("e"), Seqs: []base.SeqNum{1}}},
	} {
		w := newWriter(t, WriterOptions{})
		var err error
		for _, f := range frags {
			err = errors.Join(err, w.AddRangeDel(f))
		}
		if err == nil {
			t.Errorf("range deletes %v are taken", frags)
		}
		if w.AddRangeDel(frags[0]) == nil {
			t.Error("the error is not sticky")
		}
	}
	w := newWriter(t, WriterOptions{})
	if _, err := w.Finish(); err != nil {
		t.Fatal(err)
	}
	_, err := w.Finish()
	if err == nil || w.Add(ikey("z", 1, base.KindSet), nil) == nil {
		t.Fatal("a finished writer goes on")
	}
}

func TestAnEmptyTableIsATable(t *testing.T) {
	r := newTable(t, WriterOptions{FilterBitsPerKey: 10}, nil, nil)
	if err := checkScans(r, IterOptions{}, nil); err != nil {
		t.Fatal(err)
	}
	for _, o := range []IterOptions{{}, {Lower: []byte("a")}, {Upper: []byte("a")}} {
		it := r.NewIter(o)
		if it.First() || it.Last() || it.SeekGE(nil, trailerMax) || it.SeekLT([]byte("x")) || it.Next() || it.Prev() {
			t.Fatal("found an entry")
		}
		if err := it.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(checkLookup(r, nil, nil, 5), r.Verify(context.Background())); err != nil {
		t.Fatal(err)
	}
	p := r.Properties()
	if p.Smallest != nil || p.Largest != nil || p.Entries != 0 || r.ApproximateBytes(nil, nil) != 0 {
		t.Fatalf("%+v", p)
	}
}

func TestExtremeSizes(t *testing.T) {
	testkit.Sequential(t)
	rng := rand.New(rand.NewPCG(5, 5))
	random := func(n int) []byte {
		b := make([]byte, n)
		for i := 0; i+8 <= n; i += 8 {
			x := rng.Uint64()
			for j := range 8 {
				b[i+j] = byte(x >> (8 * j))
			}
		}
		return b
	}
	long := bytes.Repeat([]byte{0xff}, keyBytesMax)
	entries := []iterator.Entry{
		{Key: ikey("", base.SeqNumMax, base.KindSet)},
		{Key: ikey("", 7, base.KindMerge), Value: random(300 << 10)},
		{Key: ikey("", 0, base.KindDelete)},
		{Key: ikey("\x00", 3, base.KindSet), Value: make([]byte, 9<<20)},
		{Key: ikey("a", 9, base.KindSet), Value: random(largePayloadBytes)},
		{Key: ikey("a", 8, base.KindSet), Value: random(largePayloadBytes - 1)},
		{Key: ikey("a", 7, base.KindSet), Value: []byte("small")},
		{Key: ikey(string(long[:keyBytesMax-1]), 5, base.KindSet), Value: []byte("x")},
		{Key: ikey(string(long[:keyBytesMax-1]), 4, base.KindSet), Value: []byte("y")},
		{Key: ikey(string(long), 4, base.KindSet), Value: []byte("z")},
	}
	options := []WriterOptions{{BlockBytes: 1, ChunkBytes: 1}, {Compression: compress.Zstd, FilterBitsPerKey: 10},
		{BlockBytes: 1 << 30, ChunkBytes: 1 << 30, RestartInterval: 1 << 20, Compression: compress.Zstd}}
	if testing.Short() || invariants.Enabled {
		options = options[1:2]
	}
	for _, opts := range options {
		c := newCache(t, 64<<20)
		for _, useCache := range []*cache.Cache{nil, c} {
			r := newTable(t, opts, useCache, entries)
			for _, o := range []IterOptions{{Fill: true}, {}, {Readahead: true}} {
				if err := checkScans(r, o, entries); err != nil {
					t.Fatalf("%+v %+v: %v", opts, o, err)
				}
			}
			for _, e := range entries {
				if err := checkLookup(r, entries, e.Key.User, e.Key.Trailer.SeqNum()); err != nil {
					t.Fatalf("%+v: %v", opts, err)
				}
			}
			if err := r.Verify(context.Background()); err != nil {
				t.Fatalf("%+v: %v", opts, err)
			}
		}
	}
}

func TestManyVersionsOfOneKeySpanBlocksAndChunks(t *testing.T) {
	var entries []iterator.Entry
	for seq := 3000; seq > 0; seq-- {
		entries = append(entries, iterator.Entry{Key: ikey("key", base.SeqNum(seq), base.KindSet), Value: []byte("v")})
	}
	entries = append(entries, iterator.Entry{Key: ikey("kez", 1, base.KindSet)})
	r := newTable(t, WriterOptions{BlockBytes: 512, ChunkBytes: 4096, FilterBitsPerKey: 10}, nil, entries)
	if p := r.Properties(); p.Chunks < 5 || p.FilterKeys != 2 {
		t.Fatalf("%+v", p)
	}
	for seq := base.SeqNum(0); seq <= 3001; seq += 13 {
		if err := checkLookup(r, entries, []byte("key"), seq); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(checkScans(r, IterOptions{}, entries), r.Verify(context.Background())); err != nil {
		t.Fatal(err)
	}
}

func TestPropertiesAreWhatWasAdded(t *testing.T) {
	ptr := func(file base.FileNum, size uint32) []byte {
		return base.Pointer{File: file, Offset: 1, Size: size, ValueLen: 1}.Append(nil)
	}
	expiring := func(at uint64, value []byte) []byte {
		return base.AppendPayload(nil, base.KindSet|base.FlagExpiry, at, value)
	}
	entries := []iterator.Entry{
		{Key: ikey("b", 20, base.KindDelete)},
		{Key: ikey("b", 10, base.KindSet), Value: []byte("12345")},
		{Key: ikey("c", 11, base.KindSetPointer), Value: ptr(9, 100)},
		{Key: ikey("d", 12, base.KindSetPointer), Value: ptr(4, 30)},
		{Key: ikey("e", 13, base.KindSetPointer|base.FlagExpiry), Value: expiring(500, ptr(9, 1))},
		{Key: ikey("f", 14, base.KindSet|base.FlagExpiry), Value: expiring(90, nil)},
		{Key: ikey("g", 15, base.KindMerge), Value: []byte("m")},
	}
	dels := []rangedel.Fragment{{Start: []byte("a"), End: []byte("b"), Seqs: []base.SeqNum{33, 2}},
		{Start: []byte("g"), End: []byte("h"), Seqs: []base.SeqNum{4}}}
	fs := vfs.NewMem()
	m := writeTable(t, fs, "t.sst", WriterOptions{ID: 77, Keyspace: 1<<32 - 1, FilterBitsPerKey: 10}, entries, dels)
	want := Meta{
		Size: m.Size, ID: 77, Keyspace: 1<<32 - 1, Smallest: []byte("a"), Largest: []byte("h"), LargestIsExclusive: true,
		SeqMin: 2, SeqMax: 33, Entries: 7, Deletes: 1, Merges: 1, RangeDels: 3,
		KeyBytes: 7, ValueBytes: m.ValueBytes, VlogBytes: 131, Expiring: 2, ExpiryMin: 90, ExpiryMax: 500,
	}
	if !reflect.DeepEqual(m, want) {
		t.Fatalf("%+v\nwant %+v", m, want)
	}
	info, err := fs.Stat("t.sst")
	if err != nil || uint64(info.Size) != m.Size {
		t.Fatal(info, err)
	}
	r := openTable(t, fs, "t.sst", nil)
	p := r.Properties()
	if !reflect.DeepEqual(p.Meta, want) {
		t.Fatalf("%+v\nwant %+v", p.Meta, want)
	}
	if vl := map[base.FileNum]uint64{9: 101, 4: 30}; !reflect.DeepEqual(p.Vlogs, vl) {
		t.Fatalf("%v, want %v", p.Vlogs, vl)
	}
	if p.FilterKeys != 6 || p.DataBlocks != 1 || p.Chunks != 1 || p.RawBytes == 0 {
		t.Fatalf("%+v", p)
	}
	if got := r.RangeDels().Fragments(); !reflect.DeepEqual(got, dels) {
		t.Fatalf("%v, want %v", got, dels)
	}
	p.Smallest[0] = 'x' // the caller's own
	if err := r.Verify(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func TestBoundsCoverEntriesAndRangeDeletes(t *testing.T) {
	del := func(start, end string) []rangedel.Fragment {
		return []rangedel.Fragment{{Start: []byte(start), End: []byte(end), Seqs: []base.SeqNum{1}}}
	}
	entries := []iterator.Entry{{Key: ikey("", 5, base.KindSet)}, {Key: ikey("m", 5, base.KindSet)}}
	for _, c := range []struct {
		entries           []iterator.Entry
		dels              []rangedel.Fragment
		smallest, largest string
		exclusive         bool
	}{
		{entries, nil, "", "m", false},
		{entries[1:], nil, "m", "m", false},
		{entries, del("c", "m"), "", "m", false},
		{entries[1:], del("c", "m\x00"), "c", "m\x00", true},
		{nil, del("c", "d"), "c", "d", true},
		{nil, del("", "d"), "", "d", true},
	} {
		m := writeTable(t, vfs.NewMem(), "t.sst", WriterOptions{}, c.entries, c.dels)
		if m.Smallest == nil || string(m.Smallest) != c.smallest || string(m.Largest) != c.largest || m.LargestIsExclusive != c.exclusive {
			t.Errorf("%v %v: [%q, %q] %v", c.entries, c.dels, m.Smallest, m.Largest, m.LargestIsExclusive)
		}
		r := newTable(t, WriterOptions{}, nil, c.entries, c.dels...)
		if err := r.Verify(context.Background()); err != nil {
			t.Error(err)
		}
	}
}

func TestSeparatorsSeparateAndAreShort(t *testing.T) {
	for _, c := range [][3]string{
		{"abc", "abd", "abc"}, {"abc", "abzz", "abz"}, {"abc", "abz", "abd"}, {"ab\xff", "ac", "ab\xff"},
		{"ab\xff\xffq", "ac", "ab\xff\xffr"}, {"abqq", "ac", "abr"}, {"a", "b", "a"}, {"a", "a\x00", "a"}, {"", "a", ""},
		{"a", "a\x00\x00", "a\x00"}, {"k\xff\xff", "l", "k\xff\xff"},
	} {
		last, next := []byte(c[0]), []byte(c[1])
		s := string(appendSeparator(nil, last, next, commonPrefix(last, next)))
		if s != c[2] || s < c[0] || s >= c[1] {
			t.Errorf("between %q and %q: %q, want %q", c[0], c[1], s, c[2])
		}
	}
	rng := rand.New(rand.NewPCG(1, 1))
	for range 20000 {
		a, b := []byte("ab\xff\x00ba")[rng.IntN(6):], []byte("aa\xff\xffab\x00")[rng.IntN(7):]
		a, b = a[:rng.IntN(len(a)+1)], b[:rng.IntN(len(b)+1)]
		switch bytes.Compare(a, b) {
		case 0:
			continue
		case 1:
			a, b = b, a
		}
		s := appendSeparator(nil, a, b, commonPrefix(a, b))
		if bytes.Compare(s, a) < 0 || bytes.Compare(s, b) >= 0 || len(s) > max(len(a), commonPrefix(a, b)+1) {
			t.Fatalf("between %q and %q: %q", a, b, s)
		}
	}
}

func TestEstimatedSizeIsNearTheSize(t *testing.T) {
	for _, kind := range []compress.Kind{compress.None, compress.Zstd} {
		w := newWriter(t, WriterOptions{FilterBitsPerKey: 10, Compression: kind})
		for _, e := range numbered(20000, 100) {
			if err := w.Add(e.Key, e.Value); err != nil {
				t.Fatal(err)
			}
		}
		guess := w.EstimatedSize()
		m, err := w.Finish()
		if err != nil {
			t.Fatal(err)
		}
		if ratio := float64(guess) / float64(m.Size); math.Abs(ratio-1) > 0.05 {
			t.Errorf("%v: %d estimated, %d written", kind, guess, m.Size)
		}
		if w.EstimatedSize() != m.Size {
			t.Errorf("%d estimated in the end, %d written", w.EstimatedSize(), m.Size)
		}
	}
}

func TestApproximateBytes(t *testing.T) {
	entries := numbered(20000, 100)
	r := newTable(t, WriterOptions{}, nil, entries)
	size := float64(r.Properties().Size)
	at := func(i int) []byte { return entries[i].Key.User }
	for _, c := range []struct {
		start, end []byte
		share      float64
	}{
		{nil, nil, 1}, {at(0), nil, 1}, {at(5000), at(15000), 0.5}, {at(10000), nil, 0.5}, {nil, at(2000), 0.1},
		{[]byte("z"), nil, 0}, {at(100), at(50), 0},
	} {
		if got := float64(r.ApproximateBytes(c.start, c.end)) / size; math.Abs(got-c.share) > 0.02 {
			t.Errorf("[%q, %q): %.3f, want %.3f", c.start, c.end, got, c.share)
		}
	}
	if r.ApproximateBytes(at(7), at(8)) == 0 {
		t.Error("a range with an entry has no bytes")
	}
}

func TestApproximateEntries(t *testing.T) {
	testkit.Sequential(t)
	rng := rand.New(rand.NewPCG(3, 3))
	for _, n := range []int{1, 10, 300, 20000} {
		entries := numbered(n, 100)
		r := newTable(t, WriterOptions{Compression: compress.Zstd}, nil, entries)
		at := func(i int) []byte { return entries[i].Key.User }
		check := func(start, end []byte, want int) {
			t.Helper()
			got := r.ApproximateEntries(start, end)
			slack := 2 + want/15
			if want == 0 {
				slack = 0
			}
			if math.Abs(float64(got)-float64(want)) > float64(slack) || want > 0 && got == 0 {
				t.Errorf("[%q, %q) of %d entries: %d, want %d", start, end, n, got, want)
			}
		}
		check(nil, nil, n)
		check(nil, at(0), 0)
		check([]byte("z"), nil, 0)
		check(at(n-1), at(0), 0)
		check(nil, []byte("z"), n)
		check([]byte("a"), []byte("b"), 0)
		for range 100 {
			i, j := rng.IntN(n), rng.IntN(n)
			check(at(min(i, j)), at(max(i, j)), max(i, j)-min(i, j))
			check(at(i), nil, n-i)
			check(at(i), at(min(i+1, n-1)), min(1, n-1-i))
		}
	}
	if got := newTable(t, WriterOptions{}, nil, nil).ApproximateEntries(nil, nil); got != 0 {
		t.Errorf("%d entries in an empty table", got)
	}
}

// What cannot be read is counted by whole chunks.
func TestApproximateEntriesOfADamagedTable(t *testing.T) {
	entries := numbered(20000, 100)
	opts := WriterOptions{ID: testID}
	img := tableImage(t, opts, entries, nil)
	for _, h := range blocksOf(t, img)[:200] {
		img[h.offset] ^= 1
	}
	r, err := Open(&image{b: img}, "t.sst", ReaderOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got := r.ApproximateEntries(entries[100].Key.User, entries[101].Key.User); got == 0 || got > 10_000 {
		t.Fatalf("%d entries", got)
	}
	if got := r.ApproximateEntries(nil, nil); got != 20_000 {
		t.Fatalf("%d entries in all", got)
	}
}

func TestLookupOfCachedBlocksDoesNotAllocate(t *testing.T) {
	if invariants.Enabled {
		t.Skip("pools drop at random under the race detector")
	}
	entries := numbered(20000, 50)
	r := newTable(t, WriterOptions{FilterBitsPerKey: 10, Compression: compress.Zstd}, newCache(t, 64<<20), entries)
	if err := checkScans(r, IterOptions{Fill: true}, entries); err != nil {
		t.Fatal(err)
	}
	i := 0
	var res Result
	lookup := func() {
		i = (i + 4999) % len(entries)
		key := entries[i].Key.User
		if ok, err := r.Lookup(key, filter.Hash(key), base.SeqNumMax, &res); !ok || err != nil {
			t.Fatal(ok, err)
		}
		res.Release()
	}
	// On a busy machine the cache turns blocks away that come too fast. A lookup
	// offers them again.
	var n float64
	testkit.Until(t, func() bool { n = testing.AllocsPerRun(2000, lookup); return n == 0 },
		func() string { return fmt.Sprintf("%v allocations", n) })
}

func TestBlocksListsEveryBlockOnce(t *testing.T) {
	entries := numbered(3000, 100)
	r := newTable(t, WriterOptions{ChunkBytes: 50 << 10, Compression: compress.Zstd}, nil, entries)
	var blocks []Block
	if err := r.Blocks(func(b Block) error { blocks = append(blocks, b); return nil }); err != nil {
		t.Fatal(err)
	}
	p := r.Properties()
	stored := uint64(0)
	for _, b := range blocks {
		stored += b.StoredBytes
	}
	if uint64(len(blocks)) != p.DataBlocks || stored != p.StoredBytes || p.Chunks < 2 ||
		!slices.IsSortedFunc(blocks, func(a, b Block) int { return int(a.Offset) - int(b.Offset) }) {
		t.Fatalf("%d blocks, %d bytes, %+v", len(blocks), stored, p)
	}
	stop := errors.New("stop")
	if err := r.Blocks(func(Block) error { return stop }); !errors.Is(err, stop) {
		t.Fatal(err)
	}
}

func TestVerifyStopsWhenAsked(t *testing.T) {
	r := newTable(t, WriterOptions{}, nil, numbered(3000, 100))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := r.Verify(ctx); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}
