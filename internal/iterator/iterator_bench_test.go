package iterator

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cordwood-db/cordwood/internal/base"
)

// benchSources deals n entries to k sources at random, or with ten times as
// many in each source as in the one before, as the levels of a tree hold them.
func benchSources(n, k int, format string, levels bool) []Iterator {
	rng := rand.New(rand.NewPCG(1, 2))
	parts := make([][]Entry, k)
	for i := range n {
		to := rng.IntN(k)
		if levels {
			for to = k - 1; to > 0 && rng.IntN(10) == 0; {
				to--
			}
		}
		user := fmt.Appendf(nil, format, uint64(i)*0x9E3779B97F4A7C15)
		parts[to] = append(parts[to], Entry{base.InternalKey{User: user, Trailer: base.MakeTrailer(base.SeqNum(i), base.KindSet)}, user})
	}
	iters := make([]Iterator, k)
	for i, p := range parts {
		slices.SortFunc(p, func(a, b Entry) int { return a.Key.Compare(b.Key) })
		iters[i] = NewSlice(p)
	}
	return iters
}

func BenchmarkMergingNext(b *testing.B) {
	for _, c := range []struct {
		name   string
		k      int
		format string
		levels bool
	}{
		{"1 source", 1, "%016x", false},
		{"4 sources", 4, "%016x", false},
		{"4 sources, common prefix", 4, "user00000000%016x", false},
		{"16 sources", 16, "%016x", false},
		{"6 levels", 6, "%016x", true},
	} {
		b.Run(c.name, func(b *testing.B) {
			m := NewMerging(benchSources(20_000, c.k, c.format, c.levels)...)
			b.ReportAllocs()
			m.First()
			bytes := 0
			for b.Loop() {
				bytes += len(m.Key().User)
				if !m.Next() {
					m.First()
				}
			}
		})
	}
}

func BenchmarkMergingPrev4Sources(b *testing.B) {
	m := NewMerging(benchSources(20_000, 4, "%016x", false)...)
	b.ReportAllocs()
	m.Last()
	for b.Loop() {
		if !m.Prev() {
			m.Last()
		}
	}
}

func BenchmarkMergingSeekGE4Sources(b *testing.B) {
	m := NewMerging(benchSources(20_000, 4, "%016x", false)...)
	var key [16]byte
	b.ReportAllocs()
	i := uint64(0)
	for b.Loop() {
		i++
		copy(key[:], fmt.Appendf(key[:0], "%016x", i*0x9E3779B97F4A7C15))
		m.SeekGE(key[:], base.SeekTrailer(5))
	}
}
