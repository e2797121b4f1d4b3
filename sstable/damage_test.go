package sstable

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/cache"
	"github.com/cordwood-db/cordwood/internal/compress"
	"github.com/cordwood-db/cordwood/internal/filter"
	"github.com/cordwood-db/cordwood/internal/iterator"
	"github.com/cordwood-db/cordwood/internal/rangedel"
	"github.com/cordwood-db/cordwood/internal/testkit"
	"github.com/cordwood-db/cordwood/vfs"
)

// image is a read-only file in memory.
type image struct {
	vfs.File
	b []byte
}

func (f *image) ReadAt(p []byte, off int64) (int, error) {
	if off >= int64(len(f.b)) {
		return 0, io.EOF
	}
	n := copy(p, f.b[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *image) Size() (int64, error) { return int64(len(f.b)), nil }
func (f *image) Close() error         { return nil }

// tableImage is the bytes of a table.
func tableImage(t testing.TB, opts WriterOptions, entries []iterator.Entry, dels []rangedel.Fragment) []byte {
	t.Helper()
	fs := vfs.NewMem()
	writeTable(t, fs, "t.sst", opts, entries, dels)
	b, err := vfs.ReadFile(fs, "t.sst", 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// smallTable has every section, several chunks and blocks, and all kinds.
func smallTable(seed uint64) (WriterOptions, []iterator.Entry, []rangedel.Fragment) {
	rng := rand.New(rand.NewPCG(seed, 9))
	opts := WriterOptions{BlockBytes: 220, ChunkBytes: 600, RestartInterval: 4, FilterBitsPerKey: 10,
		Compression: compress.Zstd, ID: testID + seed, Keyspace: 300, Prefix: base.FixedPrefix(2)}
	dels := []rangedel.Fragment{
		{Start: []byte("a"), End: []byte("b"), Seqs: []base.SeqNum{70, 3}},
		{Start: []byte("b\xff"), End: []byte("zz"), Seqs: []base.SeqNum{5}},
	}
	return opts, sample(rng, 16, 8, 60), dels
}

// isCorruption reports whether err is one that damage may give.
func isCorruption(err error) bool {
	_, ok := errors.AsType[*base.CorruptionError](err)
	return ok
}

// checkDamaged opens a damaged image: everything it answers must be right or a
// CorruptionError. It reports whether any answer was an error.
func checkDamaged(img []byte, c *cache.Cache, num base.FileNum, entries []iterator.Entry, dels []rangedel.Fragment, want *Properties) (told bool, err error) {
	r, err := Open(&image{b: img}, "t.sst", ReaderOptions{ExpectID: want.ID, Cache: c, FileNum: num})
	if err != nil {
		if !isCorruption(err) {
			return true, fmt.Errorf("open: %w", err)
		}
		return true, nil
	}
	told = r.FilterDamage() != nil
	if p := r.Properties(); !reflect.DeepEqual(p, *want) {
		return told, fmt.Errorf("properties %+v, want %+v", p, *want)
	}
	if got := r.RangeDels().Fragments(); !reflect.DeepEqual(got, dels) {
		return told, fmt.Errorf("range deletes %v", got)
	}
	for i, e := range entries {
		var res Result
		ok, err := r.Lookup(e.Key.User, filter.Hash(e.Key.User), e.Key.Trailer.SeqNum(), &res)
		switch {
		case isCorruption(err):
			told = true
		case err != nil || !ok || res.Trailer != e.Key.Trailer || !bytes.Equal(res.Payload, e.Value):
			return told, fmt.Errorf("lookup of entry %d: %v, %v", i, ok, err)
		}
		res.Release()
		if p, ok := base.PrefixOf(base.FixedPrefix(2), e.Key.User); ok && !r.MayHavePrefix(p, base.FixedPrefix(2).Name()) {
			return told, fmt.Errorf("the prefix of entry %d is lost", i)
		}
	}
	for _, o := range []IterOptions{{Fill: true}, {}, {Readahead: true}} {
		if err := checkScans(r, o, entries); isCorruption(err) {
			told = true
		} else if err != nil {
			return told, fmt.Errorf("%+v: %w", o, err)
		}
	}
	if err := r.Verify(context.Background()); (err != nil) != told {
		return told, fmt.Errorf("verify says %v", err)
	}
	return told, nil
}

func smallImage(t testing.TB, seed uint64) (img []byte, entries []iterator.Entry, dels []rangedel.Fragment, p Properties) {
	opts, entries, dels := smallTable(seed)
	img = tableImage(t, opts, entries, dels)
	r, err := Open(&image{b: img}, "t.sst", ReaderOptions{})
	if err != nil {
		t.Fatal(err)
	}
	p = r.Properties()
	if p.Chunks < 3 || p.DataBlocks < 2*p.Chunks {
		t.Fatalf("%d bytes, %d chunks, %d blocks", len(img), p.Chunks, p.DataBlocks)
	}
	if told, err := checkDamaged(img, nil, 0, entries, dels, &p); told || err != nil {
		t.Fatalf("an undamaged table: %v, %v", told, err)
	}
	return img, entries, dels, p
}

func TestEveryDamagedByteGivesTheRightAnswerOrAnError(t *testing.T) {
	testkit.Sequential(t)
	img, entries, dels, p := smallImage(t, 1)
	c := newCache(t, 8<<20)
	for i := range img {
		x := byte(1 << (i % 8))
		if i%3 == 0 {
			x = 0xff
		}
		img[i] ^= x
		told, err := checkDamaged(img, c, base.FileNum(i+1), entries, dels, &p)
		img[i] ^= x
		if err != nil {
			t.Fatalf("byte %d of %d xor %#x: %v", i, len(img), x, err)
		}
		if !told {
			t.Fatalf("byte %d of %d xor %#x went unnoticed", i, len(img), x)
		}
	}
}

func TestTruncatedAndExtendedTablesDoNotOpen(t *testing.T) {
	img, _, _, _ := smallImage(t, 1)
	for n := range len(img) {
		if _, err := Open(&image{b: img[:n]}, "t.sst", ReaderOptions{}); !isCorruption(err) {
			t.Fatalf("%d of %d bytes: %v", n, len(img), err)
		}
	}
	for _, tail := range [][]byte{{0}, make([]byte, 512), img[len(img)-footerBytes:], img} {
		longer := append(bytes.Clone(img), tail...)
		if _, err := Open(&image{b: longer}, "t.sst", ReaderOptions{}); !isCorruption(err) {
			t.Fatalf("%d bytes more: %v", len(tail), err)
		}
	}
}

// blocksOf lists all blocks of a table: data, chunk indexes, sections.
func blocksOf(t testing.TB, img []byte) []handle {
	t.Helper()
	r, err := Open(&image{b: img}, "t.sst", ReaderOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var all []handle
	for i := range r.top.n {
		idx, err := r.readChunkIndex(i)
		if err != nil {
			t.Fatal(err)
		}
		for j := range idx.n {
			all = append(all, idx.handle(j))
		}
		all = append(all, r.top.chunkIndex(i))
	}
	return append(all, r.sections[:]...)
}

func TestMisplacedBlocksAreNoticed(t *testing.T) {
	img, entries, dels, p := smallImage(t, 1)
	opts, _, _ := smallTable(1)
	opts.ID++
	twin := tableImage(t, opts, entries, dels) // the same bytes but for checksums
	if len(twin) != len(img) {
		t.Fatal("the twin has another size")
	}
	blocks := blocksOf(t, img)
	swaps := 0
	for i, h := range blocks {
		stale := bytes.Clone(img)
		copy(stale[h.offset:h.end()], twin[h.offset:h.end()])
		told, err := checkDamaged(stale, nil, 0, entries, dels, &p)
		if err != nil || !told {
			t.Fatalf("block %d of another table: %v, %v", i, told, err)
		}
		for _, o := range blocks[i+1:] {
			if o.length != h.length {
				continue
			}
			swaps++
			swapped := bytes.Clone(img)
			copy(swapped[h.offset:h.end()], img[o.offset:o.end()])
			copy(swapped[o.offset:o.end()], img[h.offset:h.end()])
			told, err := checkDamaged(swapped, nil, 0, entries, dels, &p)
			if err != nil || !told {
				t.Fatalf("blocks at %d and %d swapped: %v, %v", h.offset, o.offset, told, err)
			}
		}
	}
	if swaps == 0 {
		t.Fatal("no two blocks of one length")
	}
	// A whole table under another's name.
	if _, err := Open(&image{b: twin}, "t.sst", ReaderOptions{ExpectID: p.ID}); !isCorruption(err) {
		t.Fatal(err)
	}
}

func TestADamagedFilterOnlyCostsTime(t *testing.T) {
	img, entries, dels, p := smallImage(t, 1)
	h := blocksOf(t, img)
	at := h[len(h)-sectionCount+sectionFilter]
	img[at.offset] ^= 1
	r, err := Open(&image{b: img}, "t.sst", ReaderOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if !isCorruption(r.FilterDamage()) {
		t.Fatal("the damage is not told")
	}
	for _, e := range entries {
		if err := checkLookup(r, entries, e.Key.User, e.Key.Trailer.SeqNum()); err != nil {
			t.Fatal(err)
		}
	}
	if told, err := checkDamaged(img, nil, 0, entries, dels, &p); err != nil || !told {
		t.Fatal(told, err)
	}
}

func TestANewerVersionIsRefusedAsSuch(t *testing.T) {
	img, _, _, _ := smallImage(t, 1)
	for _, length := range []int{footerBytes, 200} {
		// A footer of a version to come, maybe longer, with the fixed tail.
		tail := make([]byte, length-footerTailBytes)
		newer := append(bytes.Clone(img[:len(img)-footerBytes]), tail...)
		newer = appendFooterTail(newer, length, formatVersion+1)
		_, err := Open(&image{b: newer}, "t.sst", ReaderOptions{})
		fe, ok := errors.AsType[*base.FormatError](err)
		if !ok || fe.Found != formatVersion+1 || fe.Known != formatVersion {
			t.Fatalf("footer of %d bytes: %v", length, err)
		}
		newer[len(newer)-40] ^= 1
		if _, err := Open(&image{b: newer}, "t.sst", ReaderOptions{}); !isCorruption(err) {
			t.Fatalf("damaged footer of %d bytes: %v", length, err)
		}
	}
}
