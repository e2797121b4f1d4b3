package cache

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cordwood-db/cordwood/internal/invariants"
	"github.com/cordwood-db/cordwood/internal/testkit"
)

// fill writes what the block of a key must hold.
func fill(b *Block, file, off uint64) *Block {
	data := b.Bytes()
	for i := 0; i+8 <= len(data); i += 8 {
		binary.LittleEndian.PutUint64(data[i:], mix(file+uint64(i), off))
	}
	return b
}

func check(t testing.TB, b *Block, file, off uint64) {
	t.Helper()
	data := b.Bytes()
	if len(data) == 0 {
		t.Fatalf("block %d/%d was freed under its reader", file, off)
	}
	for i := 0; i+8 <= len(data); i += 8 {
		if binary.LittleEndian.Uint64(data[i:]) != mix(file+uint64(i), off) {
			t.Fatalf("block %d/%d holds the bytes of another from %d on", file, off, i)
		}
	}
}

func loader(file, off uint64, n int) func() (*Block, error) {
	return func() (*Block, error) { return fill(NewBlock(n), file, off), nil }
}

// put loads a block into the cache and waits until the keeper decided on it.
func put(t testing.TB, c *Cache, file, off uint64, n int) {
	t.Helper()
	b, err := c.Load(file, off, true, loader(file, off, n))
	if err != nil {
		t.Fatal(err)
	}
	b.Release()
	settle(c)
}

func settle(c *Cache) {
	if k := c.keeper.Load(); k != nil {
		k.cache.Wait()
	}
}

// ripe makes the keeper at once, as if the nursery were full.
func ripe(c *Cache) *Cache {
	c.start()
	return c
}

func mustNotLoad(t testing.TB) func() (*Block, error) {
	return func() (*Block, error) {
		t.Error("load is called")
		return nil, errors.New("unexpected load")
	}
}

func TestKeptBlockIsFoundAndLoadedOnce(t *testing.T) {
	t.Run("nursery", func(t *testing.T) { testKeptBlock(t, New(1<<20)) })
	t.Run("keeper", func(t *testing.T) { testKeptBlock(t, ripe(New(1<<20))) })
}

func testKeptBlock(t *testing.T, c *Cache) {
	defer c.Close()
	if c.Get(1, 2) != nil {
		t.Fatal("an empty cache has a block")
	}
	put(t, c, 1, 2, 4096)
	b := c.Get(1, 2)
	if b == nil {
		t.Fatal("the block is gone")
	}
	check(t, b, 1, 2)
	again, err := c.Load(1, 2, true, mustNotLoad(t))
	if err != nil || again != b {
		t.Fatal(again, err)
	}
	again.Release()
	check(t, b, 1, 2)
	b.Release()
	if c.Get(2, 1) != nil || c.Get(1, 3) != nil {
		t.Fatal("found what was never loaded")
	}
	m := c.Metrics()
	if m.Hits != 1 || m.Misses != 3 || m.Bytes != 4096+overheadBytes {
		t.Fatalf("%+v", m)
	}
}

func TestBlocksOfScansAreNotKeptButFound(t *testing.T) {
	c := New(1 << 20)
	defer c.Close()
	b, err := c.Load(1, 1, false, loader(1, 1, 100))
	if err != nil {
		t.Fatal(err)
	}
	b.Release()
	if c.keeper.Load() != nil || c.Get(1, 1) != nil {
		t.Fatal("kept")
	}
	put(t, c, 1, 1, 100)
	b, err = c.Load(1, 1, false, mustNotLoad(t))
	if err != nil {
		t.Fatal(err)
	}
	b.Release()
}

func TestNothingIsKeptWithoutCapacityOrAfterClose(t *testing.T) {
	t.Run("nursery", func(t *testing.T) { testNothingKept(t, New(1<<20)) })
	t.Run("keeper", func(t *testing.T) { testNothingKept(t, ripe(New(1<<20))) })
}

func testNothingKept(t *testing.T, closed *Cache) {
	put(t, closed, 9, 9, 10)
	held := closed.Get(9, 9)
	closed.Close()
	closed.Close()
	check(t, held, 9, 9)
	held.Release()
	for _, c := range []*Cache{New(0), New(-5), closed} {
		put(t, c, 1, 1, 100)
		if c.Get(1, 1) != nil || c.keeper.Load() != nil || c.Metrics().Bytes != 0 {
			t.Fatal("kept")
		}
	}
	closed.Resize(1 << 20)
	put(t, closed, 1, 1, 100)
	if closed.keeper.Load() != nil || closed.Get(1, 1) != nil {
		t.Fatal("a closed cache keeps blocks again")
	}
}

func TestBlockLargerThanTheCacheIsNotKept(t *testing.T) {
	c := New(4096)
	defer c.Close()
	put(t, c, 1, 1, 8192)
	if c.Get(1, 1) != nil || c.Metrics().Dropped != 1 {
		t.Fatalf("%+v", c.Metrics())
	}
}

func TestKeyWithTheSameHashIsAMiss(t *testing.T) {
	c := ripe(New(1 << 20))
	defer c.Close()
	put(t, c, 1, 1, 100)
	b := fill(NewBlock(100), 7, 7)
	b.file, b.off = 7, 7
	k := c.keeper.Load()
	k.set(b, mix(1, 1), b.cost()) // as if both keys had one hash
	settle(c)
	if c.Get(1, 1) != nil {
		t.Fatal("got the block of another key")
	}
	if b.refs.Load() != 2 {
		t.Fatalf("%d references after a refused hit, want 2", b.refs.Load())
	}
	b.Release()
}

func TestFreedBlockGivesNoReference(t *testing.T) {
	b := NewBlock(10)
	if !b.tryRef() {
		t.Fatal("a live block gives no reference")
	}
	b.Release()
	b.Release()
	if b.tryRef() || b.Bytes() != nil {
		t.Fatal("a freed block gives a reference")
	}
}

func TestOneReleaseTooManyIsCaught(t *testing.T) {
	if !invariants.Enabled {
		t.Skip("invariants are off")
	}
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	b := NewBlock(10)
	b.Release()
	b.Release()
}

func TestBlockSizes(t *testing.T) {
	for n := 0; n <= 1<<classMaxBits+1; n += 1 + n/97 {
		b := NewBlock(n)
		size := len(b.buf.bytes)
		if len(b.Bytes()) != n || size < n || n > 1<<classMinBits && size > n+n/8+1 {
			t.Fatalf("%d bytes in a buffer of %d", len(b.Bytes()), size)
		}
		if class := classOf(n); class >= classCount || class >= 0 && classBytes(class) != size {
			t.Fatalf("%d bytes: class %d of %d bytes, buffer %d", n, class, classBytes(class), size)
		}
		b.Truncate(n / 2)
		if len(b.Bytes()) != n/2 {
			t.Fatal("not truncated")
		}
		b.Release()
	}
	for class := range classCount {
		if got := classOf(classBytes(class)); got != class {
			t.Fatalf("class %d: its size belongs to %d", class, got)
		}
	}
	if classOf(1<<classMaxBits+1) != -1 {
		t.Fatal("a huge buffer has a class")
	}
}

func TestCapacityIsRespected(t *testing.T) {
	const capacity = 256 << 10
	c := New(capacity)
	defer c.Close()
	for i := range uint64(1000) {
		put(t, c, 1, i, 4096)
		if got := c.Metrics().Bytes; got > capacity {
			t.Fatalf("%d bytes kept of %d after block %d", got, capacity, i)
		}
	}
	m := c.Metrics()
	if m.Bytes < capacity/2 || m.Dropped+m.Evicted < 900 {
		t.Fatalf("%+v", m)
	}
}

func TestResizeKeepsWhatFits(t *testing.T) {
	c := New(1 << 20)
	defer c.Close()
	for i := range uint64(100) {
		put(t, c, 1, i, 4096)
	}
	count := func() (n int) {
		for i := range uint64(100) {
			if b := c.Get(1, i); b != nil {
				check(t, b, 1, i)
				b.Release()
				n++
			}
		}
		return n
	}
	if n := count(); n != 100 {
		t.Fatalf("%d of 100 kept", n)
	}
	for _, step := range []struct {
		capacity int64
		min, max int
	}{{2 << 20, 100, 100}, {64 << 20, 100, 100}, {200 << 10, 40, 47}, {200 << 10, 40, 47}, {1 << 20, 40, 47}, {0, 0, 0}} {
		c.Resize(step.capacity)
		settle(c)
		if n := count(); n < step.min || n > step.max {
			t.Errorf("capacity %d: %d blocks, want %d to %d", step.capacity, n, step.min, step.max)
		}
		if got := c.Metrics().Bytes; got > step.capacity {
			t.Errorf("%d bytes kept of %d", got, step.capacity)
		}
	}
	c.Resize(1 << 20)
	put(t, c, 5, 5, 100)
	if b := c.Get(5, 5); b == nil {
		t.Error("nothing is kept after growing from zero")
	} else {
		b.Release()
	}
}

func TestFewBlocksNeedNoKeeper(t *testing.T) {
	c := New(8 << 20)
	defer c.Close()
	for i := range uint64(50) {
		put(t, c, 1, i, 4096)
		put(t, c, 1, i, 4096)
	}
	if c.keeper.Load() != nil {
		t.Fatal("a keeper for 200 KiB")
	}
	if got := c.Metrics().Bytes; got != 50*(4096+overheadBytes) {
		t.Fatalf("%d bytes", got)
	}
	c.Resize(8 << 10)
	if got := c.Metrics().Bytes; got > 8<<10 {
		t.Fatalf("%d bytes after shrinking", got)
	}
	c.Resize(8 << 20)
	for i := range uint64(100) {
		put(t, c, 1, i, 4096)
	}
	if c.keeper.Load() == nil {
		t.Fatal("no keeper for 400 KiB")
	}
	for i := range uint64(100) {
		b := c.Get(1, i)
		if b == nil {
			t.Fatalf("block %d was lost on the way out of the nursery", i)
		}
		check(t, b, 1, i)
		if got := b.refs.Load(); got != 2 {
			t.Fatalf("block %d: %d references, want the keeper's and ours", i, got)
		}
		b.Release()
	}
	if got := c.Metrics().Bytes; got != 100*(4096+overheadBytes) {
		t.Fatalf("%d bytes", got)
	}
}

func TestHitDoesNotAllocate(t *testing.T) {
	if invariants.Enabled {
		t.Skip("checks allocate")
	}
	c := ripe(New(1 << 20))
	defer c.Close()
	put(t, c, 1, 1, 4096)
	allocs := testing.AllocsPerRun(1000, func() {
		c.Get(1, 1).Release()
		if c.Get(1, 2) != nil {
			t.Fatal("hit")
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations for a hit and a miss", allocs)
	}
}

func TestCloseStopsTheGoroutines(t *testing.T) {
	before := runtime.NumGoroutine()
	for range 20 {
		c := ripe(New(1 << 20))
		for i := range uint64(20) {
			b, err := c.Load(1, i, true, loader(1, i, 1000))
			if err != nil {
				t.Fatal(err)
			}
			b.Release()
		}
		c.Close()
		if got := c.Metrics().Bytes; got != 0 {
			t.Fatalf("%d bytes kept after Close", got)
		}
	}
	testkit.Until(t, func() bool { return runtime.NumGoroutine() <= before },
		func() string { return fmt.Sprintf("%d goroutines, were %d", runtime.NumGoroutine(), before) })
}

// TestNobodySeesARecycledBlock hammers a cache that is far too small with
// hits, loads, scans, resizes and failing loads. Freed buffers are overwritten
// in race builds, and reused at once in all.
func TestNobodySeesARecycledBlock(t *testing.T) {
	rounds := 4000
	if invariants.Enabled {
		rounds = 1000
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	c := New(32 << 10)
	errLoad := errors.New("load fails")
	var loads, stop atomic.Int64
	var wg sync.WaitGroup
	worker := func(g uint64) {
		rng := rand.New(rand.NewPCG(seed, g))
		for range rounds {
			file, off := uint64(rng.IntN(4)), uint64(rng.IntN(12))
			b := c.Get(file, off)
			if b == nil {
				var err error
				fails := rng.IntN(20) == 0
				b, err = c.Load(file, off, rng.IntN(4) > 0, func() (*Block, error) {
					loads.Add(1)
					if rng.IntN(2) == 0 {
						runtime.Gosched()
					}
					if fails {
						return nil, errLoad
					}
					return fill(NewBlock(512+int(off)*100), file, off), nil
				})
				if errors.Is(err, errLoad) {
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
			check(t, b, file, off)
			runtime.Gosched()
			check(t, b, file, off)
			b.Release()
		}
	}
	for g := range uint64(8) {
		wg.Go(func() { worker(g) })
	}
	var side sync.WaitGroup
	side.Go(func() {
		for i := int64(0); stop.Load() == 0; i++ {
			c.Resize(i % 8 * (8 << 10))
			if got := c.Metrics().Bytes; got < 0 || got > 64<<10+slack(0)*2 {
				t.Errorf("%d bytes kept", got)
			}
			time.Sleep(time.Millisecond)
		}
	})
	wg.Wait()
	stop.Store(1)
	side.Wait()
	m := c.Metrics()
	t.Logf("%d loads, %+v", loads.Load(), m)
	if m.Hits == 0 || m.Evicted == 0 {
		t.Error("the test did not do what it is for")
	}
	c.Close()
	if got := c.Metrics().Bytes; got != 0 {
		t.Errorf("%d bytes kept after Close", got)
	}
}

func TestCloseBesideEverythingElse(t *testing.T) {
	for round := range 30 {
		c := New(64 << 10)
		if round%2 == 0 {
			ripe(c)
		}
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for i := range uint64(200) {
					if b := c.Get(1, i%10); b != nil {
						check(t, b, 1, i%10)
						b.Release()
						continue
					}
					b, err := c.Load(1, i%10, true, loader(1, i%10, 300))
					if err != nil {
						t.Error(err)
						return
					}
					check(t, b, 1, i%10)
					b.Release()
				}
			})
		}
		wg.Go(c.Close)
		wg.Go(func() { c.Resize(32 << 10) })
		wg.Wait()
		if got := c.Metrics().Bytes; got != 0 {
			t.Fatalf("%d bytes kept after Close", got)
		}
	}
}

func TestKeeperIsClosedOnlyWhenNobodyIsInside(t *testing.T) {
	c := ripe(New(1 << 20))
	k := c.keeper.Load()
	guard := &c.shards[3].guard
	guard.RLock() // somebody is inside a call
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		c.Close()
	}()
	testkit.Until(t, func() bool {
		return k.closing.Load() || testkit.Blocked("cache.(*Cache).Close(", "cache.awaitUnlocked(")
	},
		func() string { return "Close neither waits nor closes" })
	if k.closing.Load() {
		t.Error("closed under a running call")
	}
	guard.RUnlock()
	<-closed
	if !k.closing.Load() {
		t.Error("not closed")
	}
}
