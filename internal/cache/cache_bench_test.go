package cache

import (
	"math/rand/v2"
	"testing"
)

func warm(b *testing.B, blocks uint64) *Cache {
	c := ripe(New(int64(blocks) * 8192))
	for i := range blocks {
		put(b, c, 1, i*4096, 4096)
	}
	return c
}

func BenchmarkHit(b *testing.B) {
	c := warm(b, 1000)
	defer c.Close()
	b.ReportAllocs()
	for i := uint64(0); b.Loop(); i++ {
		c.Get(1, i%1000*4096).Release()
	}
}

func BenchmarkHitParallel(b *testing.B) {
	c := warm(b, 1000)
	defer c.Close()
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for i := rand.Uint64N(1000); pb.Next(); i++ {
			c.Get(1, i%1000*4096).Release()
		}
	})
}

// BenchmarkKeeperGet is the part of a hit that ristretto takes.
func BenchmarkKeeperGet(b *testing.B) {
	c := warm(b, 1000)
	defer c.Close()
	k := c.keeper.Load()
	b.ReportAllocs()
	for i := uint64(0); b.Loop(); i++ {
		if _, ok := k.cache.Get(mix(1, i%1000*4096)); !ok {
			b.Fatal("miss")
		}
	}
}

func BenchmarkMiss(b *testing.B) {
	c := warm(b, 1000)
	defer c.Close()
	b.ReportAllocs()
	for i := uint64(0); b.Loop(); i++ {
		if c.Get(2, i) != nil {
			b.Fatal("hit")
		}
	}
}

func BenchmarkLoad(b *testing.B) {
	for name, fill := range map[string]bool{"fill": true, "pass": false} {
		b.Run(name, func(b *testing.B) {
			c := New(16 << 20)
			defer c.Close()
			b.ReportAllocs()
			load := func() (*Block, error) { return NewBlock(16 << 10), nil }
			for i := uint64(0); b.Loop(); i++ {
				blk, err := c.Load(1, i, fill, load)
				if err != nil {
					b.Fatal(err)
				}
				blk.Release()
			}
		})
	}
}

func BenchmarkNew(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		New(8 << 20).Close()
	}
}

// BenchmarkKeeper is what making and closing the keeper costs.
func BenchmarkKeeper(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		ripe(New(8 << 20)).Close()
	}
}

// BenchmarkFirstKept is what a cache costs that keeps one block.
func BenchmarkFirstKept(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		c := New(8 << 20)
		blk, err := c.Load(1, 1, true, func() (*Block, error) { return NewBlock(100), nil })
		if err != nil {
			b.Fatal(err)
		}
		blk.Release()
		c.Close()
	}
}
