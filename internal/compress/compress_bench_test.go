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

// BenchmarkFirstUse is what the program pays when it starts (decoder), and at
// the first block and after a collection found the pool idle (encoder).
func BenchmarkFirstUse(b *testing.B) {
	b.Run("encoder", func(b *testing.B) {
		src := halfCompressible(1, 4096)
		b.ReportAllocs()
		for b.Loop() {
			e := newEncoder(effortFull)
			e.zstd.Reset(e)
			if _, err := e.zstd.Write(src); err != nil {
				b.Fatal(err)
			}
			if err := e.zstd.Close(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("decoder", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			newDecoder()
		}
	})
}
