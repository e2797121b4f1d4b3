package mvcc

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/cordwood-db/cordwood/db"
	"github.com/cordwood-db/cordwood/vfs"
)

// Keys of 16 bytes and values of 100 in several levels; in memory, so that what
// is measured is computing.
const (
	benchKeys  = 100_000
	benchRound = 1000 // keys of one commit
)

// measured runs op over and over, each time for so many items, and reports the
// processor time of one.
func measured(b *testing.B, items int, op func()) {
	b.ReportAllocs()
	before, n := cpuTime(), 0
	for b.Loop() {
		op()
		n += items
	}
	b.ReportMetric(float64((cpuTime()-before).Nanoseconds())/float64(n), "cpu-ns/item")
}

func benchKey(dst []byte, i int) []byte { return fmt.Appendf(dst[:0], "user%012d", i) }

// benchStore holds, in the keyspace "plain", one value of each key, and in a
// space so many versions. They are written in random order.
func benchStore(b *testing.B, versions int) (*db.Keyspace, *Space) {
	store, err := db.Open("/db", &db.Options{FS: vfs.NewMem(), MemoryMax: 128 << 20, MemtableBytes: 4 << 20, TableBytes: 2 << 20})
	must(b, err)
	b.Cleanup(func() { must(b, store.Close()) })
	plain, err := store.Keyspace("plain", nil)
	must(b, err)
	s, err := Open(store, "v", nil)
	must(b, err)
	rng := rand.New(rand.NewPCG(1, 1))
	value := make([]byte, 100)
	var key []byte
	for version := range versions {
		order := rng.Perm(benchKeys)
		for len(order) > 0 {
			batch, versioned := store.NewBatch(), s.NewBatch()
			for _, i := range order[:benchRound] {
				key = benchKey(key, i)
				for k := range 50 {
					value[k] = byte(rng.Uint32())
				}
				if version == 0 {
					must(b, batch.In(plain).Put(key, value))
				}
				must(b, versioned.Put(key, value))
			}
			must(b, versioned.CommitWith(batch, Timestamp(version+1), db.NoSync))
			order = order[benchRound:]
		}
	}
	must(b, store.Flush(ctx))
	for before := time.Duration(-1); cpuTime()-before > 20*time.Millisecond; time.Sleep(200 * time.Millisecond) {
		before = cpuTime() // until compactions have come to rest
		time.Sleep(200 * time.Millisecond)
	}
	return plain, s
}

func BenchmarkGet(b *testing.B) {
	for _, versions := range []int{1, 4} {
		plain, s := benchStore(b, versions)
		rng := rand.New(rand.NewPCG(2, 2))
		v := at(b, s, Timestamp(versions+1)/2)
		var key []byte
		if versions == 1 {
			b.Run("plain", func(b *testing.B) {
				measured(b, 1, func() {
					key = benchKey(key, rng.IntN(benchKeys))
					_, err := plain.Get(key)
					must(b, err)
				})
			})
		}
		b.Run(fmt.Sprintf("versions=%d", versions), func(b *testing.B) {
			measured(b, 1, func() {
				key = benchKey(key, rng.IntN(benchKeys))
				_, err := v.Get(key)
				must(b, err)
			})
		})
		b.Run(fmt.Sprintf("absent/versions=%d", versions), func(b *testing.B) {
			measured(b, 1, func() {
				key = append(benchKey(key, rng.IntN(benchKeys)), 'x')
				if ok, err := v.Has(key); ok || err != nil {
					b.Fatal(ok, err)
				}
			})
		})
		keys := make([][]byte, 16)
		b.Run(fmt.Sprintf("multi/versions=%d", versions), func(b *testing.B) {
			measured(b, len(keys), func() {
				for i := range keys {
					keys[i] = benchKey(keys[i], rng.IntN(benchKeys))
				}
				_, err := v.MultiGet(keys...)
				must(b, err)
			})
		})
		must(b, v.Close())
	}
}

func BenchmarkScan(b *testing.B) {
	for _, versions := range []int{1, 4} {
		plain, s := benchStore(b, versions)
		if versions == 1 {
			b.Run("plain", func(b *testing.B) {
				measured(b, benchKeys, func() {
					for _, err := range plain.Scan(db.All()) {
						must(b, err)
					}
				})
			})
		}
		v := at(b, s, Timestamp(versions+1)/2)
		for _, r := range []db.Range{db.All(), db.All().Backward()} {
			b.Run(fmt.Sprintf("backward=%v/versions=%d", r.IsBackward(), versions), func(b *testing.B) {
				measured(b, benchKeys, func() {
					for _, err := range v.Scan(r) {
						must(b, err)
					}
				})
			})
		}
		must(b, v.Close())
	}
}

func BenchmarkPut(b *testing.B) {
	open := func(b *testing.B) *db.DB {
		store, err := db.Open("/db", &db.Options{FS: vfs.NewMem()})
		must(b, err)
		b.Cleanup(func() { must(b, store.Close()) })
		return store
	}
	value := make([]byte, 100)
	var key []byte
	i := 0
	b.Run("plain", func(b *testing.B) {
		store := open(b)
		measured(b, 1, func() {
			i++
			key = benchKey(key, i*7919%benchKeys)
			must(b, store.Put(key, value))
		})
	})
	b.Run("mvcc", func(b *testing.B) {
		s, err := Open(open(b), "v", nil)
		must(b, err)
		batch := s.NewBatch()
		measured(b, 1, func() {
			i++
			key = benchKey(key, i*7919%benchKeys)
			batch.Reset()
			must(b, batch.Put(key, value), batch.Commit(Timestamp(i), db.NoSync))
		})
	})
}

func BenchmarkAt(b *testing.B) {
	_, s := newSpace(b)
	measured(b, 1, func() {
		v, err := s.At(5)
		must(b, err, v.Close())
	})
}
