package sstable

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/cespare/xxhash/v2"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/compress"
	"github.com/cordwood-db/cordwood/internal/rangedel"
	"github.com/cordwood-db/cordwood/internal/testkit"
)

// reseal makes every checksum of an image right again, as far as it can find
// its way, so that hostile contents get past them.
func reseal(img []byte) {
	n := len(img) - footerBytes
	if n < 0 {
		return
	}
	ft := img[n:]
	copy(ft[footerMagicAt:], footerMagic)
	binary.LittleEndian.PutUint32(ft[footerVersionAt:], formatVersion)
	binary.LittleEndian.PutUint32(ft[footerLengthAt:], footerBytes)
	binary.LittleEndian.PutUint64(ft[footerSizeAt:], uint64(len(img)))
	binary.LittleEndian.PutUint64(ft[footerChecksumAt:], xxhash.Sum64(ft[:footerChecksumAt]))
	footer, err := decodeFooter("", ft, uint64(len(img)))
	if err != nil {
		return
	}
	for _, h := range footer.sections {
		resealBlock(img, footer.id, h)
	}
	top, ok := parseFuzzIndex(img, footer.id, footer.sections[sectionTopIndex])
	for i := 0; ok && i < top.n; i++ {
		resealBlock(img, footer.id, top.chunkIndex(i))
		idx, ok := parseFuzzIndex(img, footer.id, top.chunkIndex(i))
		for j := 0; ok && j < idx.n; j++ {
			resealBlock(img, footer.id, idx.handle(j))
		}
	}
}

func resealBlock(img []byte, id uint64, h handle) {
	if h.length < blockTrailerBytes || h.offset > uint64(len(img)) || h.length > uint64(len(img))-h.offset {
		return
	}
	stored := img[h.offset:h.end()]
	body := stored[:len(stored)-blockTrailerBytes]
	kind := compress.Kind(stored[len(body)])
	appendBlockTrailer(body, xxhash.Sum64(body), kind, id, h.offset)
}

func parseFuzzIndex(img []byte, id uint64, h handle) (index, bool) {
	if h.length < blockTrailerBytes || h.offset > uint64(len(img)) || h.length > uint64(len(img))-h.offset {
		return index{}, false
	}
	r := &Reader{id: id, codec: compress.NewCodec()}
	contents, err := r.contents(h, bytes.Clone(img[h.offset:h.end()]), nil)
	if err != nil {
		return index{}, false
	}
	return parseIndex(contents)
}

// tableBound is what the passes of exercise may take together: each decodes all
// blocks anew, and a compressed block may be many times what it is on disk.
var tableBound = testkit.Bound{PerByte: 16 << 10, Fixed: 64 << 20}

// exercise does all that a reader can do. Errors that say what is damaged are
// fine, all else is not.
func exercise(t *testing.T, img []byte) {
	fine := func(err error) {
		t.Helper()
		_, damage := errors.AsType[*base.CorruptionError](err)
		if _, format := errors.AsType[*base.FormatError](err); err != nil && !damage && !format {
			t.Fatalf("untyped error: %v", err)
		}
	}
	r, err := Open(&image{b: img}, "f.sst", ReaderOptions{})
	if err != nil {
		fine(err)
		return
	}
	r.Properties()
	r.PinnedBytes()
	r.ApproximateBytes([]byte("a"), []byte("k"))
	if n := r.ApproximateEntries([]byte("a"), []byte("b")); n > r.Properties().Entries {
		t.Fatal("more entries in a range than in the table")
	}
	r.RangeDels().CoveringSeq([]byte("a"), base.SeqNumMax)
	verified := r.Verify(context.Background())
	if fine(verified); verified == nil {
		consistent(t, r)
	}
	fine(r.Blocks(func(Block) error { return nil }))
	for _, o := range []IterOptions{{}, {Readahead: true}, {Lower: []byte("a"), Upper: []byte("b\xff")}} {
		it := r.NewIter(o)
		for ok, n := it.First(), 0; ok && n < 5000; ok = it.Next() {
			n++
		}
		for ok, n := it.Last(), 0; ok && n < 5000; ok = it.Prev() {
			n++
		}
		it.SeekGE([]byte("ab"), base.SeekTrailer(50))
		it.Prev()
		it.Next()
		it.SeekLT([]byte("b"))
		it.Next()
		fine(it.Close())
	}
	for _, key := range []string{"", "a", "ab", "b\xff", "\xff"} {
		var res Result
		_, err := r.Lookup([]byte(key), 0, base.SeqNumMax, &res)
		fine(err)
		res.Release()
		r.MayHavePrefix([]byte(key), r.Properties().PrefixExtractor)
	}
	fine(r.Close())
}

// consistent fails unless a table that Verify has found to be whole is: it has
// the same entries in both directions, in order, and each of them is found.
func consistent(t *testing.T, r *Reader) {
	it := r.NewIter(IterOptions{})
	defer it.Close() // Verify has read it all
	var forward []base.InternalKey
	for ok := it.First(); ok; ok = it.Next() {
		forward = append(forward, base.InternalKey{User: bytes.Clone(it.Key().User), Trailer: it.Key().Trailer})
	}
	n := len(forward)
	for ok := it.Last(); ok; ok = it.Prev() {
		if n--; n < 0 || forward[n].Compare(it.Key()) != 0 {
			t.Fatalf("backward, entry %d of %d is %v", n, len(forward), it.Key())
		}
	}
	if n != 0 || uint64(len(forward)) != r.Properties().Entries {
		t.Fatalf("%d entries forward, %d fewer backward, the table says %d", len(forward), n, r.Properties().Entries)
	}
	for i, key := range forward {
		if i > 0 && forward[i-1].Compare(key) >= 0 {
			t.Fatalf("%v does not follow %v", key, forward[i-1])
		}
		if !it.SeekGE(key.User, key.Trailer) || it.Key().Compare(key) != 0 {
			t.Fatalf("%v is not found", key)
		}
	}
}

func FuzzOpen(f *testing.F) {
	for seed := range uint64(3) {
		opts, entries, dels := smallTable(seed)
		opts.Compression = compress.Kind(seed % 2)
		f.Add(tableImage(f, opts, entries[:20], dels), seed%2 == 0)
	}
	f.Add(tableImage(f, WriterOptions{}, nil, nil), true)
	f.Fuzz(func(t *testing.T, img []byte, seal bool) {
		img = bytes.Clone(img)
		if seal {
			reseal(img)
		}
		tableBound.Run(t, len(img), func() { exercise(t, img) })
	})
}

func FuzzBlock(f *testing.F) {
	b := blockBuilder{interval: 3}
	for i, key := range []string{"", "a", "ab", "abc", "abd", "b", "bcd"} {
		shared := 0
		if i > 0 {
			shared = commonPrefix([]byte(key), []byte([]string{"", "a", "ab", "abc", "abd", "b"}[i-1]))
		}
		b.add([]byte(key), shared, base.MakeTrailer(base.SeqNum(i), base.KindSet), []byte("payload"))
	}
	f.Add(b.finish(), []byte("abc"), uint64(3))
	f.Add([]byte{1, 0, 0, 0}, []byte(""), uint64(0))
	f.Fuzz(func(t *testing.T, contents, key []byte, trailer uint64) {
		b, ok := parseBlock(contents)
		if !ok {
			return
		}
		c := blockCursor{}
		c.reset(b)
		steps := 0
		for ok := c.first(); ok; ok = c.next() {
			steps++
		}
		if steps > len(contents) {
			t.Fatalf("%d entries in %d bytes", steps, len(contents))
		}
		c.reset(b)
		for ok := c.last(); ok && steps > -1000; ok = c.prev() {
			steps--
		}
		c.reset(b)
		if c.seekGE(key, base.Trailer(trailer)) {
			c.prev()
			c.next()
		}
		c.reset(b)
		if c.seekLT(key) {
			c.next()
			c.prev()
		}
	})
}

func FuzzIndex(f *testing.F) {
	var b indexBuilder
	b.add([]byte("a"), 5, handle{0, 100}, 0)
	b.add([]byte("b"), 0, handle{100, 50}, 0)
	f.Add(b.finish(nil), uint64(0), uint64(150), false, []byte("ab"))
	b.reset()
	b.add([]byte("a"), 5, handle{0, 100}, 20)
	f.Add(b.finish(nil), uint64(0), uint64(120), true, []byte("ab"))
	f.Fuzz(func(t *testing.T, contents []byte, offset, end uint64, top bool, key []byte) {
		if end < offset {
			return
		}
		var x index
		var reason string
		testkit.Bounded(t, len(contents), func() { x, reason = checkIndex(contents, offset, end, top) })
		if reason != "" {
			return
		}
		i := x.search(key, 7)
		if i < x.n && x.before(i, key, 7) || i > 0 && !x.before(i-1, key, 7) {
			t.Fatalf("search for %q ends at %d of %d", key, i, x.n)
		}
	})
}

func FuzzProperties(f *testing.F) {
	p := Properties{Meta: Meta{Smallest: []byte("a"), Largest: []byte("b"), Entries: 3, SeqMax: 9, Keyspace: 300},
		Vlogs: map[base.FileNum]uint64{3: 4, 5: 6}, PrefixExtractor: "cordwood.prefix.fixed.8", FilterPrefixes: 2}
	f.Add(p.append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		var p Properties
		var ok bool
		testkit.Bounded(t, len(b), func() { p, ok = decodeProperties(b) })
		if !ok {
			return
		}
		again, ok := decodeProperties(p.append(nil))
		if !ok || again.Entries != p.Entries || !bytes.Equal(again.Smallest, p.Smallest) || len(again.Vlogs) != len(p.Vlogs) || again.Keyspace != p.Keyspace ||
			again.PrefixExtractor != p.PrefixExtractor || again.FilterPrefixes != p.FilterPrefixes {
			t.Fatalf("%+v became %+v", p, again)
		}
	})
}

func FuzzRangeDels(f *testing.F) {
	w := Writer{rangeDels: blockBuilder{interval: 1}}
	_ = w.AddRangeDel(rangedel.Fragment{Start: []byte("a"), End: []byte("c"), Seqs: []base.SeqNum{5, 4}})
	_ = w.AddRangeDel(rangedel.Fragment{Start: []byte("c"), End: []byte("d"), Seqs: []base.SeqNum{5}})
	f.Add(w.rangeDels.finish())
	f.Fuzz(func(t *testing.T, contents []byte) {
		var frags []rangedel.Fragment
		var ok bool
		testkit.Bounded(t, len(contents), func() { frags, ok = decodeRangeDels(contents) })
		if !ok {
			return
		}
		seqs := 0
		for _, fr := range frags {
			seqs += len(fr.Seqs)
		}
		if seqs*entryHeaderMin > len(contents) {
			t.Fatalf("%d tombstones in %d bytes", seqs, len(contents))
		}
		rangedel.FromFragments(frags)
	})
}

func FuzzFooter(f *testing.F) {
	img := tableImage(f, WriterOptions{ID: testID}, nil, nil)
	f.Add(img[len(img)-footerBytes:], uint64(len(img)))
	old := bytes.Clone(img[len(img)-footerBytes:])
	clear(old[footerVersionAt:][:4]) // there is no version 0
	f.Add(old, uint64(len(img)))
	f.Fuzz(func(t *testing.T, tail []byte, size uint64) {
		if uint64(len(tail)) > size || size > 1<<62 {
			return
		}
		for _, seal := range []bool{false, true} {
			if tail = bytes.Clone(tail); seal && len(tail) >= footerBytes {
				ft := tail[len(tail)-footerBytes:]
				copy(ft[footerMagicAt:], footerMagic)
				binary.LittleEndian.PutUint64(ft[footerChecksumAt:], xxhash.Sum64(ft[:footerChecksumAt]))
			}
			ft, err := decodeFooter("f.sst", tail, size)
			if err != nil {
				continue
			}
			if ft.sections[sectionTopIndex].end() != size-footerBytes || !bytes.Equal(ft.append(nil), tail[len(tail)-footerBytes:]) {
				t.Fatalf("%+v in %d bytes", ft, size)
			}
		}
	})
}
