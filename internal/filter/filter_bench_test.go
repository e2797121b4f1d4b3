package filter

import "testing"

func BenchmarkMayContain(b *testing.B) {
	for _, c := range []struct {
		name    string
		keys    int
		present bool
	}{
		{"cached/present", 4_000, true},
		{"cached/absent", 4_000, false},
		{"4MiB/present", 3_000_000, true},
		{"4MiB/absent", 3_000_000, false},
	} {
		b.Run(c.name, func(b *testing.B) {
			hashes := keyHashes("k", c.keys)
			f := mustOpen(b, build(hashes, 10))
			if !c.present {
				hashes = keyHashes("other", min(c.keys, 100_000))
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				sink = f.MayContain(hashes[i])
				if i++; i == len(hashes) {
					i = 0
				}
			}
		})
	}
}

var sink bool

func BenchmarkBuild(b *testing.B) {
	hashes := keyHashes("k", 20_000)
	var bl Builder
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		bl.Reset()
		for _, h := range hashes {
			bl.Add(h)
		}
		dst = bl.Finish(dst[:0], 10)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(hashes)), "ns/key")
}
