package trace

import (
	"encoding/binary"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// BenchmarkRecord is what recording adds to a Get, without the store.
func BenchmarkRecord(b *testing.B) {
	for _, hashed := range []bool{false, true} {
		name := "raw"
		if hashed {
			name = "hashed"
		}
		b.Run(name, func(b *testing.B) {
			r, err := Create(filepath.Join(b.TempDir(), "t"), Options{HashKeys: hashed})
			must(b, err)
			defer r.Close()
			s := scope{r: r}
			key := make([]byte, 16)
			rng := rand.New(rand.NewPCG(1, 2))
			b.ReportAllocs()
			for b.Loop() {
				binary.BigEndian.PutUint64(key[8:], rng.Uint64N(100_000))
				s.point(KindGet, s.begin(), key, 100, true, nil)
			}
			b.ReportMetric(float64(r.Dropped())/float64(b.N), "dropped/op")
		})
	}
}

// BenchmarkGet is a Get of a store in memory, bare and recorded.
func BenchmarkGet(b *testing.B) {
	store := openStore(b)
	key := make([]byte, 16)
	for i := range uint64(100_000) {
		binary.BigEndian.PutUint64(key[8:], i)
		must(b, store.Put(key, make([]byte, 100)))
	}
	var dst []byte
	rng := rand.New(rand.NewPCG(1, 2))
	get := func(b *testing.B, from interface {
		AppendGet(dst, key []byte) ([]byte, error)
	}) {
		b.ReportAllocs()
		for b.Loop() {
			binary.BigEndian.PutUint64(key[8:], rng.Uint64N(100_000))
			dst, _ = from.AppendGet(dst[:0], key)
		}
	}
	b.Run("bare", func(b *testing.B) { get(b, store) })
	b.Run("recorded", func(b *testing.B) {
		r, err := Create(filepath.Join(b.TempDir(), "t"), Options{})
		must(b, err)
		defer r.Close()
		get(b, Wrap(store, r))
	})
}

// BenchmarkRead is the reading of one operation.
func BenchmarkRead(b *testing.B) {
	path := sample(b, 200_000, true, 100_000, 0)
	b.ReportAllocs()
	r, err := Open(path)
	must(b, err)
	var op Op
	for b.Loop() {
		if r.Next(&op) != nil {
			must(b, r.Close())
			r, err = Open(path)
			must(b, err)
		}
	}
	must(b, r.Close())
}

// sample is a trace of half gets and half puts of 16-byte keys of 100-byte
// values, evenly spread or, with a skew above 1, after Zipf. Times are as those
// of an application with 50,000 operations a second.
func sample(t testing.TB, n int, hashed bool, keys uint64, skew float64) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sample.trace")
	f, err := os.Create(path)
	must(t, err)
	w, err := newWriter(f, header{hashed: hashed, id: 1, started: time.Unix(0, 0), tick: tickDefault}, secret{1, 2})
	must(t, err)
	rng := rand.New(rand.NewPCG(1, 2))
	next := func() uint64 { return rng.Uint64N(keys) }
	if skew > 1 {
		next = rand.NewZipf(rng, skew, 1, keys-1).Uint64
	}
	key := []byte("user0000........")
	end := time.Duration(0)
	for range n {
		end += time.Duration(rng.ExpFloat64() * 20_000)
		binary.BigEndian.PutUint64(key[8:], mix(next()))
		op := Op{Kind: KindGet, Key: key, Length: 100, Found: true, Took: time.Duration(1000 + rng.ExpFloat64()*3000)}
		if rng.Uint32()&1 == 0 {
			op.Kind, op.Found = KindPut, false
		}
		op.Start = max(end-op.Took, 0)
		w.put(&op)
	}
	must(t, w.close(0, end))
	return path
}

func TestSizeOfATrace(t *testing.T) {
	for _, c := range []struct {
		name   string
		hashed bool
		keys   uint64
		skew   float64
		max    float64
	}{
		{"hashed, 100,000 keys evenly", true, 100_000, 0, 12},
		{"hashed, 10 million keys evenly", true, 10_000_000, 0, 16},
		{"hashed, 10 million keys after Zipf", true, 10_000_000, 1.1, 12},
		{"raw, 100,000 keys evenly", false, 100_000, 0, 13},
	} {
		const n = 100_000
		if testing.Short() && c.keys > 100_000 {
			continue
		}
		info, err := os.Stat(sample(t, n, c.hashed, c.keys, c.skew))
		must(t, err)
		size := float64(info.Size()) / n
		t.Logf("%s: %.2f bytes an operation", c.name, size)
		if size > c.max {
			t.Errorf("%s: %.2f bytes an operation, more than %.0f", c.name, size, c.max)
		}
	}
}
