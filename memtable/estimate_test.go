package memtable

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/iterator"
	"github.com/cordwood-db/cordwood/internal/testkit"
)

// sums is what Estimate should say, for any range of sorted entries.
type sums struct {
	entries []iterator.Entry
	bytes   []uint64 // of the first i entries
}

func newSums(entries []iterator.Entry) *sums {
	s := &sums{entries: entries, bytes: []uint64{0}}
	for i, e := range entries {
		s.bytes = append(s.bytes, s.bytes[i]+uint64(len(e.Key.User)+len(e.Value)))
	}
	return s
}

func (s *sums) between(lower, upper []byte) (entries, size uint64) {
	at := func(key []byte) int {
		i, _ := slices.BinarySearchFunc(s.entries, key, func(e iterator.Entry, key []byte) int {
			if bytes.Compare(e.Key.User, key) < 0 {
				return -1
			}
			return 1
		})
		return i
	}
	i, j := at(lower), len(s.entries)
	if upper != nil {
		j = max(i, at(upper))
	}
	return uint64(j - i), s.bytes[j] - s.bytes[i]
}

// randomBound is a key of the memtable, one near it, or an open end.
func (s *sums) randomBound(rng *rand.Rand) []byte {
	if rng.IntN(10) == 0 {
		return nil
	}
	key := slices.Clone(s.entries[rng.IntN(len(s.entries))].Key.User)
	if n := len(key); n > 0 && rng.IntN(4) == 0 {
		key[n-1]++
	}
	return key
}

func TestEstimatesOfFewEntriesAreExact(t *testing.T) {
	testkit.Sequential(t)
	for name, key := range keyStyles {
		for _, n := range []int{1, 200, 300, 800, 1500, 20_000} {
			rng := rand.New(rand.NewPCG(uint64(n), 3))
			m, b := New(Options{}), newBuilder()
			fill(t, rng, m, b, key, n)
			s := newSums(b.sorted())
			for i := range 400 {
				lower, upper := s.randomBound(rng), s.randomBound(rng)
				if i&1 == 0 { // a short range
					at := rng.IntN(len(s.entries))
					lower = s.entries[at].Key.User
					upper = s.entries[min(at+rng.IntN(300), len(s.entries)-1)].Key.User
				}
				entries, size := m.Estimate(lower, upper)
				want, wantSize := s.between(lower, upper)
				exact := want <= estimateExactMax || len(s.entries) < sampleFirstEntries
				if exact && (entries != want || size != wantSize) {
					t.Fatalf("%s, %d entries: [%q, %q) has %d, %d bytes, not %d, %d", name, len(s.entries), lower, upper, want, wantSize, entries, size)
				}
				if !exact && (entries <= estimateExactMax || entries > uint64(len(s.entries))) {
					t.Fatalf("%s, %d entries: [%q, %q) has %d, not %d", name, len(s.entries), lower, upper, want, entries)
				}
			}
			entries, size := m.Estimate(nil, nil)
			if want, wantSize := s.between(nil, nil); entries != want || size != wantSize {
				t.Fatalf("%s: %d entries, %d bytes, want %d, %d", name, entries, size, want, wantSize)
			}
			m.Release()
		}
	}
}

func TestEstimatesOfEmptyRanges(t *testing.T) {
	m, b := New(Options{}), newBuilder()
	defer m.Release()
	check := func(lower, upper string) {
		t.Helper()
		if entries, size := m.Estimate([]byte(lower), []byte(upper)); entries != 0 || size != 0 {
			t.Errorf("%d entries and %d bytes in [%q, %q)", entries, size, lower, upper)
		}
	}
	check("a", "z")
	b.add(base.KindRangeDelete, []byte("a"), []byte("z"))
	b.commit(t, m, 1)
	check("a", "z") // range deletes do not count
	fill(t, rand.New(rand.NewPCG(1, 1)), m, b, keyStyles["common prefix"], 10_000)
	check("z", "a")
	check("user/5", "user/5")
	check("user/9", "user/1")
	check("v", "z")
	check("", "")
	check("", "a")
}

// estimateErrors estimates ranges that hold about the given share of the
// entries, and returns the errors in units of the documented standard error.
func estimateErrors(rng *rand.Rand, m *Memtable, s *sums, share float64) (entries, size []float64) {
	n := len(s.entries)
	width := int(share * float64(n))
	for range 60 {
		at := rng.IntN(n - width)
		lower, upper := s.entries[at].Key.User, s.entries[at+width].Key.User
		got, gotSize := m.Estimate(lower, upper)
		want, wantSize := s.between(lower, upper)
		sigma := 1 / math.Sqrt(sampleMax/2*float64(want)/float64(n))
		entries = append(entries, (float64(got)/float64(want)-1)/sigma)
		size = append(size, (float64(gotSize)/float64(wantSize)-1)/sigma)
	}
	return entries, size
}

// Whatever the keys, and however the sequence numbers are spread over the
// keyspaces of a database, errors keep to what Estimate promises.
func TestEstimatesErrWithinBounds(t *testing.T) {
	testkit.Sequential(t)
	for name, key := range keyStyles {
		if name == "few keys" || name == "any bytes" {
			continue // ranges cannot be cut as wished
		}
		for _, step := range []base.SeqNum{256, 1, 2, 7, 16} {
			rng := rand.New(rand.NewPCG(uint64(step), 5))
			m, b := New(Options{}), newBuilder()
			for i := range 60_000 {
				b.add(base.KindSet, key(rng, i), make([]byte, rng.IntN(200)))
				b.entries[i].Key.Trailer = base.MakeTrailer(b.seq, base.KindSet)
				b.seq--
				if _, _, err := m.Apply(b.seq, b.ops); err != nil {
					t.Fatal(err)
				}
				b.ops, b.seq = b.ops[:0], b.seq+step
			}
			s := newSums(b.sorted())
			for _, share := range []float64{0.9, 0.3, 0.1, 0.02} {
				entries, size := estimateErrors(rng, m, s, share)
				for _, errs := range [][]float64{entries, size} {
					sum, worst := 0.0, 0.0
					for _, e := range errs {
						sum, worst = sum+e*e, max(worst, math.Abs(e))
					}
					if rms := math.Sqrt(sum / float64(len(errs))); rms > 2 || worst > 5 {
						t.Errorf("%s, every %dth, share %g: errors of %.1f standard errors, up to %.1f", name, step, share, rms, worst)
					}
				}
			}
			m.Release()
		}
	}
}

func TestSamplesAreBounded(t *testing.T) {
	testkit.Sequential(t)
	rng := rand.New(rand.NewPCG(1, 1))
	m, b := New(Options{}), newBuilder()
	defer m.Release()
	for n := 0; n < 100_000; n += 5000 {
		fill(t, rng, m, b, keyStyles["common prefix"], 5000)
		s := m.sample
		if size := len(s.run) + len(s.tail); size > sampleMax+2*sampleTail || len(b.entries) > 6*sampleMax && size < sampleMax*9/20 {
			t.Fatalf("%d of %d entries are in the sample", size, len(b.entries))
		}
		if memory := cap(s.run) + cap(s.spare) + cap(s.tail) + cap(s.fresh); memory > 4*sampleMax {
			t.Fatalf("room for %d", memory)
		}
		if !slices.IsSortedFunc(s.run, func(x, y sampled) int {
			if m.body.Load().less(x.item, y.item) {
				return -1
			}
			return 1
		}) {
			t.Fatal("the run is not in order")
		}
	}
}

func TestEstimatesBesideCommits(t *testing.T) {
	m, b := New(Options{}), newBuilder()
	defer m.Release()
	var wg sync.WaitGroup
	var estimates atomic.Int64
	stop := make(chan struct{})
	for range 2 {
		wg.Go(func() {
			last := uint64(0)
			for {
				select {
				case <-stop:
					return
				default:
				}
				all, _ := m.Estimate(nil, nil)
				half, _ := m.Estimate([]byte("user/025"), []byte("user/075"))
				few, _ := m.Estimate([]byte("user/0"), []byte("user/0"))
				now, _ := m.Estimate(nil, nil)
				if all < last || half > now || few != 0 {
					t.Errorf("%d, then %d entries, %d in half of them, then %d", last, all, half, now)
					return
				}
				last = all
				estimates.Add(1)
			}
		})
	}
	rng := rand.New(rand.NewPCG(1, 1))
	for want := range int64(10) { // on a slow machine, too, some between the commits
		fill(t, rng, m, b, keyStyles["common prefix"], 2000)
		testkit.Until(t, func() bool { return estimates.Load() >= want || t.Failed() }, func() string { return "nobody estimates" })
	}
	close(stop)
	wg.Wait()
}

func BenchmarkEstimate(b *testing.B) {
	m := New(Options{SizeBytes: 64 << 20})
	defer m.Release()
	value := make([]byte, 100)
	var ops []byte
	for i := range 500_000 {
		ops = base.AppendOp(ops[:0], base.Op{Kind: base.KindSet, Key: fmt.Appendf(nil, "user%08d", i*7919%500_000), Payload: value})
		if _, _, err := m.Apply(base.SeqNum(i+1), ops); err != nil {
			b.Fatal(err)
		}
	}
	for _, n := range []int{1, 200, 300, 20_000, 400_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			at := 0
			var lower, upper []byte
			for b.Loop() {
				at = (at + 7919) % (500_000 - n)
				lower, upper = fmt.Appendf(lower[:0], "user%08d", at), fmt.Appendf(upper[:0], "user%08d", at+n)
				m.Estimate(lower, upper)
			}
		})
	}
}
