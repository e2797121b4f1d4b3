package db

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/cordwood-db/cordwood/vfs"
)

func estimateKey(i int) []byte { return fmt.Appendf(nil, "k%07d", i) }

// within reports whether got is within the given part of want, or near it.
func within(got, want uint64, part float64, slack uint64) bool {
	d := max(got, want) - min(got, want)
	return float64(d) <= part*float64(want)+float64(slack)
}

// What tables and memtables say together is what is there, as long as there is
// one version of each key.
func TestEstimatesAreNearTheTruth(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	rng := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	opts := smallOptions()
	opts.MemtableBytes, opts.MemoryMax, opts.TableBytes, opts.Compression = 256<<10, 16<<20, 64<<10, CompressionNone
	store := openMem(t, vfs.NewMem(), opts)
	defer closeDB(t, store)
	const n, inline, separated = 20_000, 60, 400
	ctx := context.Background()
	check := func(when string, part float64) {
		t.Helper()
		for range 200 {
			from, to := rng.IntN(n), rng.IntN(n+1)
			from, to = min(from, to), max(from, to)
			r := Between(estimateKey(from), estimateKey(to))
			e, err := store.Estimate(r)
			must(t, err)
			keys := uint64(to - from)
			// Every fourth value is in the value log, under a header of 44 bytes,
			// with its key; the pointer is in the table.
			bytes := keys * (8*5/4 + 3*(inline+8)/4 + (separated+44+16)/4)
			if !within(e.Keys, keys, part, 60) || !within(e.Bytes, bytes, part+0.15, 30_000) {
				t.Errorf("%s: %d keys in %d bytes, estimated %d in %d", when, keys, bytes, e.Keys, e.Bytes)
			}
			if (e.Keys == 0) != (e.Bytes == 0) {
				t.Errorf("%s: %+v", when, e)
			}
		}
	}
	for i, k := range rng.Perm(n) {
		size := inline
		if k%4 == 0 {
			size = separated
		}
		must(t, store.Put(estimateKey(k), make([]byte, size)))
		if i == n/2 {
			must(t, store.Flush(ctx))
		}
	}
	check("mixed", 0.35) // a sample, where much is in memtables
	must(t, store.Flush(ctx))
	check("flushed", 0.05)
	must(t, store.Compact(ctx, All()))
	check("compacted", 0.05)
	e, err := store.Estimate(All())
	if err != nil || e.Keys != n {
		t.Errorf("%+v, %v", e, err)
	}
	for name, r := range map[string]Range{"before": Between(nil, estimateKey(0)), "behind": Prefix([]byte("l")), "empty": Between([]byte("k1"), []byte("k0")),
		"none": Between([]byte("k0000017x"), []byte("k0000017y"))} {
		if e, err := store.Estimate(r); err != nil || e != (Estimate{}) {
			t.Errorf("%s: %+v, %v", name, e, err)
		}
	}
}

func TestEstimatesCountVersionsUntilTheyAreMerged(t *testing.T) {
	opts := smallOptions()
	opts.MemtableBytes, opts.MemoryMax = 1<<20, 16<<20
	store := openMem(t, vfs.NewMem(), opts)
	defer closeDB(t, store)
	ctx := context.Background()
	for range 3 {
		for i := range 100 {
			must(t, store.Put(estimateKey(i), nil))
		}
	}
	for i := range 50 {
		must(t, store.Delete(estimateKey(i)))
	}
	if e, err := store.Estimate(All()); err != nil || e.Keys != 350 {
		t.Errorf("%+v, %v", e, err)
	}
	must(t, store.Compact(ctx, All()))
	if e, err := store.Estimate(Between(estimateKey(10), estimateKey(70))); err != nil || e.Keys != 20 {
		t.Errorf("after compaction: %+v, %v", e, err)
	}
}

func TestEstimatesAreOfOneKeyspace(t *testing.T) {
	store := openMem(t, vfs.NewMem(), smallOptions())
	defer closeDB(t, store)
	ks, err := store.Keyspace("ks", nil)
	must(t, err)
	for i := range 10 {
		must(t, ks.Put(estimateKey(i), nil))
	}
	if e, err := store.Estimate(All()); err != nil || e.Keys != 0 {
		t.Errorf("default: %+v, %v", e, err)
	}
	if e, err := ks.Estimate(From(estimateKey(4))); err != nil || e.Keys != 6 {
		t.Errorf("ks: %+v, %v", e, err)
	}
	must(t, store.DropKeyspace("ks"))
	if _, err := ks.Estimate(All()); !errors.Is(err, ErrKeyspaceDropped) {
		t.Error(err)
	}
}

func BenchmarkEstimate(b *testing.B) {
	store, err := Open(b.TempDir(), nil)
	if err != nil {
		b.Fatal(err)
	}
	const n = 1_000_000
	var batch Batch
	order := rand.New(rand.NewPCG(1, 1)).Perm(n)
	for i, k := range order {
		if err := batch.Put(estimateKey(k), make([]byte, 50)); err != nil {
			b.Fatal(err)
		}
		if i%1000 == 999 {
			if err := store.Apply(&batch, NoSync); err != nil {
				b.Fatal(err)
			}
			batch.Reset()
		}
		if i == n*9/10 {
			if err := store.Compact(context.Background(), All()); err != nil {
				b.Fatal(err)
			}
		}
		if i == n*95/100 {
			if err := store.Flush(context.Background()); err != nil {
				b.Fatal(err)
			}
		}
	}
	for _, width := range []int{1, 100, 10_000, 500_000} {
		b.Run(fmt.Sprint(width), func(b *testing.B) {
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				from := order[i] % (n - width)
				i = (i + 1) % n
				if _, err := store.Estimate(Between(estimateKey(from), estimateKey(from+width))); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	if err := store.Close(); err != nil {
		b.Fatal(err)
	}
}
