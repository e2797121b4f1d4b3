package filter

import (
	"testing"

	"github.com/cordwood-db/cordwood/internal/testkit"
)

// FuzzOpen: any bytes open or give an error, and no lookup in what opened
// leaves the bytes.
func FuzzOpen(f *testing.F) {
	f.Add([]byte{}, uint64(0))
	f.Add(build(nil, 10), uint64(1))
	f.Add(build(keyHashes("k", 3), 10), uint64(2))
	f.Add(build(keyHashes("k", 60), 20), ^uint64(0))
	f.Fuzz(func(t *testing.T, b []byte, hash uint64) {
		testkit.Bounded(t, len(b), func() {
			flt, err := Open(b)
			if err != nil {
				return
			}
			for range 64 {
				flt.MayContain(hash)
				hash = hash*6364136223846793005 + 1442695040888963407
			}
		})
	})
}

// FuzzBuild: whatever is added is found.
func FuzzBuild(f *testing.F) {
	f.Add(uint64(1), uint16(10), 10.0)
	f.Add(uint64(2), uint16(1000), 1.0)
	f.Fuzz(func(t *testing.T, seed uint64, n uint16, bitsPerKey float64) {
		hashes := make([]uint64, n%2048)
		for i := range hashes {
			seed = seed*6364136223846793005 + 1442695040888963407
			hashes[i] = seed
		}
		flt := mustOpen(t, build(hashes, bitsPerKey))
		for _, h := range hashes {
			if !flt.MayContain(h) {
				t.Fatalf("%x is lost", h)
			}
		}
	})
}
