package compress

import (
	"fmt"
	"testing"
)

func BenchmarkCompress(b *testing.B) {
	for _, n := range []int{4 << 10, 16 << 10, 64 << 10} {
		b.Run(fmt.Sprintf("%dKiB", n>>10), func(b *testing.B) {
			c, src := NewCodec(), halfCompressible(1, n)
			dst := make([]byte, 0, 2*n)
			b.SetBytes(int64(n))
			b.ReportAllocs()
			for b.Loop() {
				dst, _ = c.Compress(dst[:0], src, Zstd)
			}
			b.ReportMetric(float64(n)/float64(len(dst)), "ratio")
		})
	}
}

func BenchmarkDecompress(b *testing.B) {
	for _, n := range []int{4 << 10, 16 << 10, 64 << 10} {
		for _, spare := range []int{0, overAllocBytes} {
			b.Run(fmt.Sprintf("%dKiB/spare=%d", n>>10, spare), func(b *testing.B) {
				c := NewCodec()
				enc, _ := c.Compress(nil, halfCompressible(1, n), Zstd)
				dst := make([]byte, 0, n+spare)
				b.SetBytes(int64(n))
				b.ReportAllocs()
				for b.Loop() {
					if _, err := c.Decompress(dst, enc, Zstd, n); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkFirstUse is what a process pays once, and again after a collection
// found the pools idle.
func BenchmarkFirstUse(b *testing.B) {
	b.Run("encoder", func(b *testing.B) {
		src, dst := halfCompressible(1, 4096), make([]byte, 0, 8192)
		b.ReportAllocs()
		for b.Loop() {
			newEncoder().EncodeAll(src, dst)
		}
	})
	b.Run("decoder", func(b *testing.B) {
		enc, _ := NewCodec().Compress(nil, halfCompressible(1, 4096), Zstd)
		dst := make([]byte, 0, 8192)
		b.ReportAllocs()
		for b.Loop() {
			if _, err := newDecoder().DecodeAll(enc, dst); err != nil {
				b.Fatal(err)
			}
		}
	})
}
