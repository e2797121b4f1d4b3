package rangedel

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/cordwood-db/cordwood/internal/base"
)

func benchTombstones(n int) ([]Tombstone, [][]byte) {
	rng := rand.New(rand.NewPCG(1, 2))
	ts := make([]Tombstone, n)
	for i, p := range rng.Perm(n) {
		ts[i] = Tombstone{fmt.Appendf(nil, "key%08d", 3*p), fmt.Appendf(nil, "key%08d", 3*p+2), base.SeqNum(i + 1)}
	}
	keys := make([][]byte, 3*n)
	for i := range keys {
		keys[i] = fmt.Appendf(nil, "key%08d", i)
	}
	return ts, keys
}

func BenchmarkBuild1000(b *testing.B) {
	ts, _ := benchTombstones(1000)
	b.ReportAllocs()
	for b.Loop() {
		Build(ts)
	}
}

func BenchmarkCoveringSeqOf1000(b *testing.B) {
	ts, keys := benchTombstones(1000)
	s := Build(ts)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		s.CoveringSeq(keys[i%len(keys)], 500)
		i += 7
	}
}

func BenchmarkCursorAscendingOver1000(b *testing.B) {
	ts, keys := benchTombstones(1000)
	c := NewCursor(Build(ts))
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		c.CoveringSeq(keys[i], base.SeqNumMax)
		if i++; i == len(keys) {
			i = 0
		}
	}
}
