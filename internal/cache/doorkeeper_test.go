package cache

import (
	"math/rand/v2"
	"testing"

	"github.com/cordwood-db/cordwood/internal/invariants"
)

const useBytes = blockBytesTypical - overheadBytes

// use gets or loads a block, as a reader does, and reports a hit.
func use(t testing.TB, c *Cache, file, off uint64) bool {
	t.Helper()
	b := c.Get(file, off)
	if b != nil {
		b.Release()
		return true
	}
	b, err := c.Load(file, off, true, func() (*Block, error) { return NewBlock(useBytes), nil })
	if err != nil {
		t.Fatal(err)
	}
	b.Release()
	return false
}

// full is a cache with room for about blocks blocks that holds blocks of file.
func full(t testing.TB, file uint64, blocks int64) *Cache {
	t.Helper()
	c := ripe(New(blocks * blockBytesTypical))
	for i := range uint64(2 * blocks) {
		use(t, c, file, i)
		if i%64 == 0 {
			settle(c)
		}
	}
	settle(c)
	return c
}

func TestFullKeeperIsNotBotheredWithBlocksThatComeOnce(t *testing.T) {
	c := full(t, 1, 1000)
	defer c.Close()
	before := c.Metrics()
	for i := range uint64(5000) {
		use(t, c, 2, i)
	}
	settle(c)
	m := c.Metrics()
	if m.Evicted != before.Evicted || m.Dropped-before.Dropped != 5000 {
		t.Fatalf("%+v, before %+v", m, before)
	}
}

func TestBlocksThatAreMissedAgainSoonReachAFullKeeper(t *testing.T) {
	c := full(t, 1, 1000)
	defer c.Close()
	// The keeper counts uses late and loses some: it takes a few rounds.
	for round := range 500 {
		hits := 0
		for i := range uint64(200) {
			if use(t, c, 2, i) {
				hits++
			}
		}
		if hits >= 150 {
			return
		}
		if round == 0 && hits > 0 {
			t.Fatal("hit at first sight")
		}
		settle(c)
	}
	t.Fatal("blocks that are used over and over are not kept")
}

func TestNewBlocksReplaceOldOnesThatAreUsedNoMore(t *testing.T) {
	c := full(t, 1, 1000)
	defer c.Close()
	rng := rand.New(rand.NewPCG(1, 2))
	for range 100 {
		hits := 0
		for i := range 4000 {
			if use(t, c, 2, rng.Uint64N(900)) {
				hits++
			}
			if i%64 == 0 {
				settle(c)
			}
		}
		if hits > 3200 {
			return
		}
	}
	t.Fatal("blocks of a file that nobody reads any more stay")
}

func TestDoorkeeperForgetsWhomItLetThrough(t *testing.T) {
	d := newDoorkeeper(1 << 20)
	h := mix(1, 1)
	for i, want := range []bool{false, true, false, true} {
		if d.pass(h) != want {
			t.Fatalf("visit %d: %v", i, !want)
		}
	}
}

func TestDoorkeeperTellsBlocksOfOneSlotApart(t *testing.T) {
	d := newDoorkeeper(1 << 20)
	h := mix(1, 1)
	other := h ^ 1<<40
	passed := 0
	for i := range 100 {
		if d.pass(h + uint64(i)<<41) {
			t.Fatal("a block got through with the visit of another")
		}
		// Two that come in turns do not keep each other out.
		if d.pass(h) {
			passed++
		}
		if d.pass(other) {
			passed++
		}
	}
	if passed < 10 {
		t.Fatalf("%d of 200 passed", passed)
	}
}

func TestDoorkeeperIsSizedForItsKeeper(t *testing.T) {
	for capacity, want := range map[int64]int{0: doorSlotsMin, 320 << 20: 10 << 10, 1 << 50: doorSlotsMax} {
		if got := len(newDoorkeeper(capacity).slots); got != want {
			t.Errorf("%d bytes: %d slots, want %d", capacity, got, want)
		}
	}
}

// BenchmarkHitRatio reports how many reads of 40,000 blocks hit a cache with
// room for 4,000.
func BenchmarkHitRatio(b *testing.B) {
	for name, pick := range map[string]func(*rand.Rand) func() uint64{
		"uniform": func(r *rand.Rand) func() uint64 { return func() uint64 { return r.Uint64N(40_000) } },
		"zipf1.1": func(r *rand.Rand) func() uint64 { return rand.NewZipf(r, 1.1, 8, 40_000).Uint64 },
	} {
		b.Run(name, func(b *testing.B) {
			rng := rand.New(rand.NewPCG(3, 4))
			next := pick(rng)
			c := full(b, 1, 4000)
			defer c.Close()
			for range 400_000 {
				use(b, c, 2, next())
			}
			before := c.Metrics()
			b.ReportAllocs()
			for b.Loop() {
				use(b, c, 2, next())
			}
			m := c.Metrics()
			hits, misses := m.Hits-before.Hits, m.Misses-before.Misses
			b.ReportMetric(100*float64(hits)/float64(hits+misses), "%hits")
		})
	}
}

func TestMissOfAFullKeeperAllocatesTheBlockOnly(t *testing.T) {
	if invariants.Enabled {
		t.Skip("pools of race builds forget at random")
	}
	c := full(t, 1, 1000)
	defer c.Close()
	type key struct{ file, off uint64 }
	next := key{file: 3}
	n := testing.AllocsPerRun(2000, func() {
		next.off++
		b, err := LoadFrom(c, next.file, next.off, true, next, func(key) (*Block, error) {
			return NewBlock(useBytes), nil
		})
		if err != nil {
			t.Fatal(err)
		}
		b.Release()
	})
	if n > 1 {
		t.Fatalf("%g allocations, want the block", n)
	}
}
