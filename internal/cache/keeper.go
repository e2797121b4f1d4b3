package cache

import (
	"sync"
	"sync/atomic"

	"github.com/cordwood-db/cordwood/internal/invariants"

	"github.com/dgraph-io/ristretto/v2"
)

const (
	// countersPerBlock: ristretto advises ten counters for each entry.
	countersPerBlock  = 10
	blockBytesTypical = 8 << 10
	countersMin       = 1 << 9
	countersMax       = 1 << 26 // 128 MiB of counters: enough for 100 GiB

	getBufferItems = 64 // as ristretto advises

	// tickerSeconds is how often ristretto looks for expired entries: we have
	// none.
	tickerSeconds = 1 << 20

	// migrateBatch stays below the length of ristretto's queue.
	migrateBatch = 8 << 10
)

// keeper is one ristretto cache and what its callbacks need.
type keeper struct {
	owner   *Cache
	cache   *ristretto.Cache[uint64, *Block]
	parity  int   // of two keepers that exist at one time, one is 0 and one is 1
	sized   int64 // the capacity that the counters were made for
	door    doorkeeper
	closing atomic.Bool // what leaves now is no eviction
}

func newKeeper(owner *Cache, capacity int64, parity int) *keeper {
	k := &keeper{owner: owner, parity: parity, sized: capacity, door: newDoorkeeper(capacity)}
	counters := capacity / blockBytesTypical * countersPerBlock
	cache, err := ristretto.NewCache(&ristretto.Config[uint64, *Block]{
		NumCounters:            min(max(counters, countersMin), countersMax),
		MaxCost:                capacity,
		BufferItems:            getBufferItems,
		IgnoreInternalCost:     true, // overheadBytes counts it
		TtlTickerDurationInSec: tickerSeconds,
		// The key is a hash already; the zero says that there is no second one.
		KeyToHash: func(key uint64) (uint64, uint64) { return key, 0 },
		OnEvict:   k.onEvict,
		OnReject:  func(*ristretto.Item[*Block]) { owner.dropped.Add(1) },
		OnExit:    k.onExit, // after OnEvict, after OnReject, and alone for a replaced block
	})
	if err != nil {
		// Only a setting that is not positive is refused, and none is.
		panic("cordwood: broken invariant: " + err.Error())
	}
	k.cache = cache
	return k
}

// set gives the keeper a reference of its own. The caller holds one, and a
// guard.
func (k *keeper) set(b *Block, hash uint64, cost int64) {
	b.Ref()
	already := b.held[k.parity].Swap(true)
	invariants.Check(!already, "cache: block offered twice")
	k.owner.bytes.Add(cost)
	if !k.cache.Set(hash, b, cost) {
		k.owner.dropped.Add(1)
		k.onExit(b)
	}
}

func (k *keeper) onEvict(*ristretto.Item[*Block]) {
	if !k.closing.Load() {
		k.owner.evicted.Add(1)
	}
}

// onExit gives the keeper's reference back. ristretto calls it when the block
// is in its map no more, and with nil for an entry that was gone already.
func (k *keeper) onExit(b *Block) {
	if b == nil || !b.held[k.parity].CompareAndSwap(true, false) {
		return
	}
	k.owner.bytes.Add(-b.cost())
	b.Release()
}

// start makes the keeper, for the first block that the nursery has no room for.
func (c *Cache) start() {
	c.mu.Lock()
	defer c.mu.Unlock()
	capacity := c.capacity.Load()
	if c.keeper.Load() == nil && !c.closed && capacity > 0 {
		c.parity ^= 1
		k := newKeeper(c, capacity, c.parity)
		c.keeper.Store(k)
		c.leaveNursery(k)
	}
}

// Resize changes the capacity. When it shrinks, or grows to several times its
// size, the keeper is replaced: as many blocks as fit move over, chosen
// arbitrarily, and what was known about how often blocks are used is lost.
// Resize after Close does nothing.
func (c *Cache) Resize(capBytes int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	capBytes = max(capBytes, 0)
	before := c.capacity.Swap(capBytes)
	old := c.keeper.Load()
	if old == nil {
		if c.bytes.Load() > capBytes {
			c.leaveNursery(nil)
		}
		return
	}
	if capBytes == before {
		return
	}
	if capBytes > before && capBytes <= old.sized*4 {
		old.cache.UpdateMaxCost(capBytes)
		return
	}
	var next *keeper
	if capBytes > 0 {
		c.parity ^= 1
		next = newKeeper(c, capBytes, c.parity)
	}
	c.replace(old, next)
	if next != nil {
		c.migrate(old, next, capBytes)
	}
	old.close()
}

// Close stops the goroutines and lets go of all blocks; those that callers hold
// stay valid. The cache may be used further and keeps nothing. It may be called
// twice and beside anything else.
func (c *Cache) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	c.capacity.Store(0)
	if old := c.keeper.Load(); old != nil {
		c.replace(old, nil)
		old.close()
	}
	c.leaveNursery(nil)
}

// replace installs next and waits until nobody is inside old. Called with mu
// held.
func (c *Cache) replace(old, next *keeper) {
	invariants.Check(c.keeper.Load() == old, "cache: keeper replaced by two")
	c.keeper.Store(next)
	for i := range c.shards {
		awaitUnlocked(&c.shards[i].guard) // whoever loaded old did so under it
	}
}

// awaitUnlocked returns once everybody who held l at the call has let go.
func awaitUnlocked(l sync.Locker) {
	l.Lock()
	defer l.Unlock()
}

// migrate copies blocks from old, which nobody else calls any more, to next.
func (c *Cache) migrate(old, next *keeper, capacity int64) {
	var moved int64
	var queued int
	old.cache.IterValues(func(b *Block) (stop bool) {
		// In the map, hence referenced: the keeper lets go after taking it out.
		cost := b.cost()
		if moved+cost > capacity {
			return true
		}
		moved += cost
		next.set(b, mix(b.file, b.off), cost)
		if queued++; queued%migrateBatch == 0 {
			next.cache.Wait()
		}
		return false
	})
}

func (k *keeper) close() {
	k.closing.Store(true)
	k.cache.Close()
}
