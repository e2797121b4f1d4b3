package sstable

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/compress"
	"github.com/cordwood-db/cordwood/internal/filter"
	"github.com/cordwood-db/cordwood/internal/iterator"
	"github.com/cordwood-db/cordwood/vfs"
)

const (
	benchEntries  = 500_000
	benchValueLen = 80 // with a key of 20 bytes: 100 bytes an entry
)

var benchOptions = WriterOptions{FilterBitsPerKey: 10, Compression: compress.Zstd, ID: testID}

func benchKey(dst []byte, i int) []byte { return fmt.Appendf(dst, "user%016d", i*7) }

var benchData = sync.OnceValue(func() []iterator.Entry {
	rng := rand.New(rand.NewPCG(1, 2))
	entries := make([]iterator.Entry, benchEntries)
	for i := range entries {
		entries[i] = iterator.Entry{
			Key:   base.InternalKey{User: benchKey(nil, i), Trailer: base.MakeTrailer(base.SeqNum(i+1), base.KindSet)},
			Value: halfRandom(rng, benchValueLen),
		}
	}
	return entries
})

// benchTable is on the machine's own file system: I/O is a part of the cost.
func benchTable(b *testing.B, opts WriterOptions, cacheBytes int64) *Reader {
	path := filepath.Join(b.TempDir(), "bench.sst")
	writeTable(b, vfs.OS(), path, opts, benchData(), nil)
	if cacheBytes == 0 {
		return openTable(b, vfs.OS(), path, nil)
	}
	return openTable(b, vfs.OS(), path, newCache(b, cacheBytes))
}

func BenchmarkWrite(b *testing.B) {
	for _, kind := range []compress.Kind{compress.None, compress.Zstd} {
		b.Run(kind.String(), func(b *testing.B) {
			entries := benchData()
			opts := benchOptions
			opts.Compression = kind
			dir := b.TempDir()
			raw := 0
			for _, e := range entries {
				raw += len(e.Key.User) + len(e.Value)
			}
			b.SetBytes(int64(raw))
			b.ReportAllocs()
			for b.Loop() {
				path := filepath.Join(dir, "w.sst")
				writeTable(b, vfs.OS(), path, opts, entries, nil)
				if err := os.Remove(path); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(entries)), "ns/entry")
		})
	}
}

func BenchmarkLookup(b *testing.B) {
	for _, interval := range []int{4, 8, 16} {
		opts := benchOptions
		opts.RestartInterval = interval
		r := benchTable(b, opts, 256<<20)
		it := r.NewIter(IterOptions{Fill: true})
		for ok := it.First(); ok; ok = it.Next() {
		}
		it.Close()
		var keys [4096][]byte
		var hashes [4096]uint64
		rng := rand.New(rand.NewPCG(3, 4))
		for i := range keys {
			keys[i] = benchKey(nil, rng.IntN(benchEntries))
			hashes[i] = filter.Hash(keys[i])
		}
		for _, bc := range []struct {
			name string
			seq  base.SeqNum
			xor  uint64
		}{{"hit", base.SeqNumMax, 0}, {"absent", base.SeqNumMax, 0x5555555555555555}} {
			b.Run(fmt.Sprintf("%s/interval=%d", bc.name, interval), func(b *testing.B) {
				var res Result
				i, found := 0, 0
				b.ReportAllocs()
				for b.Loop() {
					i++
					ok, err := r.Lookup(keys[i%4096], hashes[i%4096]^bc.xor, bc.seq, &res)
					if err != nil {
						b.Fatal(err)
					}
					if ok {
						found++
					}
					res.Release()
				}
				b.ReportMetric(float64(found)/float64(i), "found")
			})
		}
	}
}

func BenchmarkScan(b *testing.B) {
	for _, kind := range []compress.Kind{compress.None, compress.Zstd} {
		opts := benchOptions
		opts.Compression = kind
		for _, bc := range []struct {
			name  string
			o     IterOptions
			cache int64
		}{
			{"ahead", IterOptions{Readahead: true}, 0},
			{"adaptive", IterOptions{}, 0},
			{"cached", IterOptions{Fill: true}, 256 << 20},
		} {
			for _, back := range []bool{false, true} {
				b.Run(fmt.Sprintf("%v/%s/back=%v", kind, bc.name, back), func(b *testing.B) {
					r := benchTable(b, opts, bc.cache)
					b.ReportAllocs()
					n := 0
					for b.Loop() {
						it := r.NewIter(bc.o)
						if back {
							for ok := it.Last(); ok; ok = it.Prev() {
								n += len(it.Value())
							}
						} else {
							for ok := it.First(); ok; ok = it.Next() {
								n += len(it.Value())
							}
						}
						if err := it.Close(); err != nil {
							b.Fatal(err)
						}
					}
					b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchEntries, "ns/entry")
				})
			}
		}
	}
}

func BenchmarkSeekGE(b *testing.B) {
	r := benchTable(b, benchOptions, 256<<20)
	it := r.NewIter(IterOptions{Fill: true})
	for ok := it.First(); ok; ok = it.Next() {
	}
	rng := rand.New(rand.NewPCG(3, 4))
	var keys [4096][]byte
	for i := range keys {
		keys[i] = benchKey(nil, rng.IntN(benchEntries))
	}
	b.Run("random", func(b *testing.B) {
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			i++
			it.SeekGE(keys[i%4096], trailerMax)
		}
	})
	b.Run("newiter", func(b *testing.B) {
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			i++
			it := r.NewIter(IterOptions{Fill: true})
			it.SeekGE(keys[i%4096], trailerMax)
			it.Close()
		}
	})
	it.Close()
}
