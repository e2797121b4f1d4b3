package db

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cordwood-db/cordwood/vfs"
)

func TestMultiGetReadsNeighboursTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 2500
		store, fs := separated(t, n)
		defer closeDB(t, store)
		var keys [][]byte
		for i := range n {
			keys = append(keys, aheadKey(n-1-i))
		}
		keys = append(keys, []byte("missing"), aheadKey(7), aheadKey(7))
		values, err := store.MultiGet(keys...)
		must(t, err)
		for i := range n {
			if !bytes.Equal(values[i], aheadValue(n-1-i)) {
				t.Fatalf("value of %s: %d bytes", keys[i], len(values[i]))
			}
		}
		if values[n] != nil || !bytes.Equal(values[n+1], aheadValue(7)) || !bytes.Equal(values[n+2], aheadValue(7)) {
			t.Error("missing and repeated keys are wrong")
		}
		if &values[n+1][0] == &values[n+2][0] {
			t.Error("two keys share their memory")
		}
		if reads := fs.n.Load(); reads > 10 {
			t.Errorf("%d values took %d reads", n, reads)
		}
	})
}

func TestMultiGetIsAsManyGets(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	rng := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	var clock jumpingClock
	clock.set(time.Unix(1000, 0).UnixNano())
	opts := smallOptions()
	opts.ValueThreshold, opts.Merge = 100, Counter()
	opts.Clock = clock.Now
	store := openMem(t, vfs.NewMem(), opts)
	defer closeDB(t, store)
	for range 3000 {
		key := aheadKey(rng.IntN(500))
		switch rng.IntN(8) {
		case 0:
			must(t, store.Delete(key))
		case 1:
			must(t, store.PutTTL(key, aheadValue(rng.IntN(300)), time.Second))
		case 2:
			must(t, store.Put(key, CounterBytes(4)), store.Merge(key, CounterBytes(1)))
		case 3:
			must(t, store.Put(key, nil))
		case 4:
			must(t, store.DeleteRange(Between(key, append(key, '9'))))
		default:
			must(t, store.Put(key, aheadValue(rng.IntN(300))[:rng.IntN(200)]))
		}
	}
	clock.set(clock.latest + int64(2*time.Second))
	for range 20 {
		var keys [][]byte
		for range rng.IntN(300) {
			keys = append(keys, aheadKey(rng.IntN(500)))
		}
		values, err := store.MultiGet(keys...)
		must(t, err)
		for i, key := range keys {
			want, err := store.Get(key)
			if errors.Is(err, ErrNotFound) {
				if values[i] != nil {
					t.Fatalf("%s has %d bytes, want none", key, len(values[i]))
				}
				continue
			}
			if err != nil || values[i] == nil || !bytes.Equal(values[i], want) {
				t.Fatalf("%s: %d bytes, want %d, %v", key, len(values[i]), len(want), err)
			}
		}
	}
}

func TestMultiGetOfADamagedValueFails(t *testing.T) {
	store, fs := separated(t, 100)
	defer closeDB(t, store)
	fail := func(op vfs.Op) bool { return op.Offset > 64 }
	fs.fail.Store(&fail)
	if values, err := store.MultiGet(aheadKey(3), aheadKey(50)); values != nil || !errors.Is(err, vfs.ErrInjected) {
		t.Fatalf("%d values, %v", len(values), err)
	}
	fs.fail.Store(nil)
	values, err := store.MultiGet(aheadKey(3), aheadKey(50))
	if err != nil || !bytes.Equal(values[1], aheadValue(50)) {
		t.Fatal(err)
	}
}

// BenchmarkMultiGet compares it with as many calls of Get; figures are per key.
func BenchmarkMultiGet(b *testing.B) {
	for _, size := range []int{100, 1 << 10, 4 << 10} {
		for _, load := range []string{"sequential", "random"} {
			b.Run(fmt.Sprintf("%s/%d", load, size), func(b *testing.B) {
				n := 64 << 20 / max(size, 1<<10)
				store := loadValues(b, n, size, load == "random")
				const group = 100
				keys := make([][]byte, group)
				rng := rand.New(rand.NewPCG(1, 2))
				choose := map[string]func(){
					"neighbours": func() {
						from := rng.IntN(n - group)
						for i := range keys {
							keys[i] = fmt.Appendf(keys[i][:0], "user%012d", from+i)
						}
					},
					"scattered": func() {
						for i := range keys {
							keys[i] = fmt.Appendf(keys[i][:0], "user%012d", rng.IntN(n))
						}
					},
				}
				for _, which := range []string{"neighbours", "scattered"} {
					b.Run(which+"/Get", func(b *testing.B) {
						benchPerKey(b, group, func() error {
							choose[which]()
							for _, key := range keys {
								if _, err := store.Get(key); err != nil {
									return err
								}
							}
							return nil
						})
					})
					b.Run(which+"/MultiGet", func(b *testing.B) {
						benchPerKey(b, group, func() error {
							choose[which]()
							_, err := store.MultiGet(keys...)
							return err
						})
					})
				}
				if err := store.Close(); err != nil {
					b.Fatal(err)
				}
			})
		}
	}
}

func benchPerKey(b *testing.B, keys int, f func() error) {
	b.ReportAllocs()
	before := cpuTime()
	for b.Loop() {
		if err := f(); err != nil {
			b.Fatal(err)
		}
	}
	n := float64(b.N * keys)
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/n, "ns/key")
	b.ReportMetric(float64((cpuTime()-before).Nanoseconds())/n, "cpu-ns/key")
}
