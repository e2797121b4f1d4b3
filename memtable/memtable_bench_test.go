package memtable

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/cordwood-db/cordwood/internal/base"
)

const benchEntries = 500_000

// benchKeys are sets of keys that memtables are known to find easy or hard.
var benchKeys = []struct {
	name string
	key  func(dst []byte, rng *rand.Rand, i int) []byte
}{
	{"random 16 bytes", func(dst []byte, rng *rand.Rand, _ int) []byte {
		dst = binary.BigEndian.AppendUint64(dst, rng.Uint64())
		return binary.BigEndian.AppendUint64(dst, rng.Uint64())
	}},
	{"user and random digits", func(dst []byte, rng *rand.Rand, _ int) []byte {
		return fmt.Appendf(dst, "user%020d", rng.Uint64())
	}},
	{"long prefix", func(dst []byte, rng *rand.Rand, _ int) []byte {
		return fmt.Appendf(dst, "tenant/00000042/objects/%016x", rng.Uint64())
	}},
	{"ascending digits", func(dst []byte, _ *rand.Rand, i int) []byte {
		return fmt.Appendf(dst, "key%016d", i)
	}},
	{"two prefixes", func(dst []byte, rng *rand.Rand, i int) []byte {
		return fmt.Appendf(dst, "table/%c/%016x", "ab"[i&1], rng.Uint64())
	}},
}

// benchOps encodes one operation per key with a value of 100 bytes.
func benchOps(key func([]byte, *rand.Rand, int) []byte, n int) [][]byte {
	rng := rand.New(rand.NewPCG(1, 2))
	value := make([]byte, 100)
	ops := make([][]byte, n)
	var k []byte
	for i := range ops {
		k = key(k[:0], rng, i)
		ops[i] = base.AppendOp(nil, base.Op{Kind: base.KindSet, Key: k, Payload: value})
	}
	return ops
}

func benchTable(b *testing.B, ops [][]byte) *Memtable {
	m := New(Options{SizeBytes: 64 << 20})
	for i, op := range ops {
		if _, _, err := m.Apply(base.SeqNum(i+1), op); err != nil {
			b.Fatal(err)
		}
	}
	return m
}

// BenchmarkInsert reports ns per insert into a memtable that grows to 500,000
// entries.
func BenchmarkInsert(b *testing.B) {
	for _, c := range benchKeys {
		b.Run(c.name, func(b *testing.B) {
			ops := benchOps(c.key, benchEntries)
			b.ReportAllocs()
			b.ResetTimer()
			n := 0
			for b.Loop() {
				m := benchTable(b, ops)
				n += len(ops)
				m.Release()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/insert")
		})
	}
}

func BenchmarkInsertBatchesOf100(b *testing.B) {
	one := benchOps(benchKeys[0].key, benchEntries)
	var ops [][]byte
	for i := 0; i < len(one); i += 100 {
		var batch []byte
		for _, op := range one[i : i+100] {
			batch = append(batch, op...)
		}
		ops = append(ops, batch)
	}
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		m := New(Options{})
		for i, op := range ops {
			if _, _, err := m.Apply(base.SeqNum(i*100+1), op); err != nil {
				b.Fatal(err)
			}
		}
		n += len(one)
		m.Release()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/insert")
}

func BenchmarkGet(b *testing.B) {
	for _, c := range benchKeys {
		b.Run(c.name, func(b *testing.B) {
			m := benchTable(b, benchOps(c.key, benchEntries))
			defer m.Release()
			keys := make([][]byte, benchEntries)
			rng := rand.New(rand.NewPCG(1, 2))
			for i := range keys {
				keys[i] = c.key(nil, rng, i)
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if _, _, ok := m.Get(keys[i], base.SeqNumMax); !ok {
					b.Fatal("missing")
				}
				if i += 7919; i >= len(keys) {
					i -= len(keys)
				}
			}
		})
	}
}

func BenchmarkGetMissing(b *testing.B) {
	m := benchTable(b, benchOps(benchKeys[0].key, benchEntries))
	defer m.Release()
	rng := rand.New(rand.NewPCG(3, 4))
	var k []byte
	b.ReportAllocs()
	for b.Loop() {
		k = benchKeys[0].key(k[:0], rng, 0)
		m.Get(k, base.SeqNumMax)
	}
}

func BenchmarkScan(b *testing.B) {
	for _, dir := range []string{"up", "down"} {
		b.Run(dir, func(b *testing.B) {
			m := benchTable(b, benchOps(benchKeys[0].key, benchEntries))
			defer m.Release()
			it := m.NewIter()
			defer it.Close()
			b.ReportAllocs()
			n, bytes := 0, 0
			for b.Loop() {
				restart, step := it.First, it.Next
				if dir == "down" {
					restart, step = it.Last, it.Prev
				}
				for ok := restart(); ok; ok = step() {
					bytes += len(it.Key().User) + len(it.Value())
					n++
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/entry")
		})
	}
}

func BenchmarkSeekAnd50Next(b *testing.B) {
	m := benchTable(b, benchOps(benchKeys[0].key, benchEntries))
	defer m.Release()
	rng := rand.New(rand.NewPCG(3, 4))
	var k []byte
	b.ReportAllocs()
	for b.Loop() {
		k = benchKeys[0].key(k[:0], rng, 0)
		it := m.NewIter()
		ok := it.SeekGE(k, base.SeekTrailer(base.SeqNumMax))
		for n := 0; ok && n < 50; n++ {
			_ = it.Key()
			ok = it.Next()
		}
		it.Close()
	}
}

// BenchmarkNewSmall is what a keyspace without writes, or a small transaction,
// pays for its memtable: made, filled with so many operations, read, released.
func BenchmarkNewSmall(b *testing.B) {
	ops := benchOps(benchKeys[0].key, 100)
	for _, sizeBytes := range []int64{0, 64 << 20} {
		for _, n := range []int{0, 1, 10, 100} {
			b.Run(fmt.Sprintf("%d of %d MiB", n, sizeBytes>>20), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					m := New(Options{SizeBytes: sizeBytes})
					for i, op := range ops[:n] {
						if _, _, err := m.Apply(base.SeqNum(i+1), op); err != nil {
							b.Fatal(err)
						}
					}
					m.Get(ops[0][3:19], base.SeqNumMax)
					m.Release()
				}
			})
		}
	}
}

// BenchmarkHeapBytes reports what an entry takes besides the arena.
func BenchmarkHeapBytes(b *testing.B) {
	for _, c := range benchKeys {
		b.Run(c.name, func(b *testing.B) {
			ops := benchOps(c.key, benchEntries)
			for b.Loop() {
				var before, after runtime.MemStats
				runtime.GC()
				runtime.GC()
				runtime.ReadMemStats(&before)
				m := benchTable(b, ops)
				runtime.GC()
				runtime.ReadMemStats(&after)
				heap := int64(after.HeapAlloc) - int64(before.HeapAlloc)
				b.ReportMetric(float64(heap)/benchEntries, "heap-bytes/entry")
				b.ReportMetric(float64(m.Bytes())/benchEntries, "claimed-bytes/entry")
				m.Release()
			}
		})
	}
}
