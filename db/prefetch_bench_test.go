package db

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
)

// loadValues makes a store of n values in the value log, written in the order
// of keys or in a random one.
func loadValues(b *testing.B, n, size int, random bool) *DB {
	store, err := Open(b.TempDir(), nil)
	if err != nil {
		b.Fatal(err)
	}
	order := make([]int, n)
	if random {
		order = rand.New(rand.NewPCG(1, 1)).Perm(n)
	} else {
		for i := range order {
			order[i] = i
		}
	}
	value := make([]byte, size)
	for i := range value {
		value[i] = byte(rand.Uint32())
	}
	for _, i := range order {
		if err := store.Put(fmt.Appendf(nil, "user%012d", i), value); err != nil {
			b.Fatal(err)
		}
	}
	if err := store.Compact(context.Background(), All()); err != nil {
		b.Fatal(err)
	}
	return store
}

// BenchmarkScanValues walks all values of 64 MiB and reads them.
func BenchmarkScanValues(b *testing.B) {
	for _, size := range []int{1 << 10, 4 << 10, 16 << 10, 64 << 10} {
		for _, load := range []string{"sequential", "random"} {
			b.Run(fmt.Sprintf("%s/%d", load, size), func(b *testing.B) {
				store := loadValues(b, 64<<20/size, size, load == "random")
				for _, r := range []Range{All(), All().Backward()} {
					name := "forward"
					if r.backward {
						name = "backward"
					}
					b.Run(name, func(b *testing.B) { benchScan(b, store, r, -1) })
				}
				if err := store.Close(); err != nil {
					b.Fatal(err)
				}
			})
		}
	}
}

// benchScan reads the values of up to limit items of r; figures are per item.
func benchScan(b *testing.B, store *DB, r Range, limit int) {
	items := 0
	b.ReportAllocs()
	before := cpuTime()
	for b.Loop() {
		left := limit
		for item, err := range store.Scan(r) {
			if err != nil {
				b.Fatal(err)
			}
			if _, err := item.Value(); err != nil {
				b.Fatal(err)
			}
			items++
			if left--; left == 0 {
				break
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(items), "ns/item")
	b.ReportMetric(float64((cpuTime()-before).Nanoseconds())/float64(items), "cpu-ns/item")
}

// BenchmarkScanBreak is a loop that ends after a few items.
func BenchmarkScanBreak(b *testing.B) {
	store := loadValues(b, 16<<10, 1<<10, false)
	for _, limit := range []int{1, 3, 5, 10, 30} {
		b.Run(fmt.Sprint(limit), func(b *testing.B) { benchScan(b, store, Prefix([]byte("user00000000")), limit) })
	}
	if err := store.Close(); err != nil {
		b.Fatal(err)
	}
}
