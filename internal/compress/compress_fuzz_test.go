package compress

import (
	"bytes"
	"testing"

	"github.com/cordwood-db/cordwood/internal/testkit"
)

// decompressBound: a decoder keeps tables and a window, whatever it reads.
var decompressBound = testkit.Bound{PerByte: 64, Fixed: 4 << 20}

// FuzzDecompress: any bytes give an error or at most sizeMax bytes.
func FuzzDecompress(f *testing.F) {
	for _, src := range hostileFrames(f) {
		f.Add(src, byte(Zstd))
	}
	for _, n := range []int{0, 10, 300, 5000, 70_000} {
		enc, kind := NewCodec().Compress(nil, halfCompressible(1, n), Zstd)
		f.Add(enc, byte(kind))
	}
	const sizeMax = 100_000
	f.Fuzz(func(t *testing.T, src []byte, kind byte) {
		c := NewCodec()
		var dec []byte
		var err error
		decompressBound.Run(t, len(src), func() { dec, err = c.Decompress(nil, src, Kind(kind), sizeMax) })
		if len(dec) > sizeMax || err != nil && len(dec) != 0 {
			t.Fatalf("%d bytes, %v", len(dec), err)
		}
		if err == nil {
			if size, err := c.Size(src, Kind(kind)); err != nil || size != len(dec) {
				t.Fatalf("size %d, %v; contents %d", size, err, len(dec))
			}
		}
	})
}

// FuzzRoundTrip: whatever goes in comes out.
func FuzzRoundTrip(f *testing.F) {
	f.Add([]byte("hello"), uint8(3))
	f.Add(bytes.Repeat([]byte("abc"), 100), uint8(200))
	f.Fuzz(func(t *testing.T, src []byte, times uint8) {
		c := NewCodec()
		src = bytes.Repeat(src, int(times))
		enc, kind := c.Compress(nil, src, Zstd)
		dec, err := c.Decompress(nil, enc, kind, len(src))
		if err != nil || !bytes.Equal(dec, src) {
			t.Fatalf("%d bytes: %v", len(src), err)
		}
	})
}
