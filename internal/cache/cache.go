package cache

import (
	"math/bits"
	"sync"
	"sync/atomic"
)

const shardCount = 16

// Cache keeps blocks up to a capacity in bytes. See the package comment.
type Cache struct {
	shards [shardCount]shard

	keeper   atomic.Pointer[keeper] // nil: none yet, or closed
	capacity atomic.Int64           // bytes; 0 keeps nothing
	bytes    atomic.Int64           // held by keepers, their queues included
	dropped  atomic.Uint64
	evicted  atomic.Uint64

	mu     sync.Mutex // serializes making, replacing and closing the keeper
	closed bool       // guarded by mu
	parity int        // guarded by mu; of the newest keeper
}

// shard spreads what every call touches over several cache lines.
type shard struct {
	guard sync.RWMutex        // held around each call into the keeper
	young map[blockKey]*Block // guarded by guard; the nursery, before there is a keeper
	hits  atomic.Uint64
	miss  atomic.Uint64

	flightsMu sync.Mutex
	flights   map[blockKey]*flight // guarded by flightsMu

	_ [64]byte
}

type blockKey struct{ file, off uint64 }

// Metrics are counts since New, and the bytes kept now.
type Metrics struct {
	Hits    uint64 // Gets that returned a block
	Misses  uint64 // Gets that returned nil
	Dropped uint64 // blocks not kept: rejected by the policy, or the queue was full
	Evicted uint64 // blocks that made room for others
	Bytes   int64  // kept, with overhead, waiting ones included
}

// New returns a cache that keeps up to capBytes bytes of blocks; with 0 or
// less it keeps none, but still collapses loads. It costs next to nothing: the
// rest is made when there are blocks to keep.
func New(capBytes int64) *Cache {
	c := &Cache{}
	c.capacity.Store(max(capBytes, 0))
	return c
}

// Get returns the block with a reference for the caller, or nil. It does not
// allocate.
func (c *Cache) Get(file, off uint64) *Block {
	hash := mix(file, off)
	s := c.shard(hash)
	b := c.lookup(s, hash, file, off)
	if b == nil {
		s.miss.Add(1)
		return nil
	}
	s.hits.Add(1)
	return b
}

func (c *Cache) lookup(s *shard, hash, file, off uint64) *Block {
	s.guard.RLock()
	var b *Block
	if k := c.keeper.Load(); k != nil {
		b, _ = k.cache.Get(hash)
	} else if s.young != nil {
		b = s.young[blockKey{file, off}]
	}
	s.guard.RUnlock()
	if b == nil || !b.tryRef() {
		return nil
	}
	if b.file != file || b.off != off {
		b.Release()
		return nil
	}
	return b
}

// peek is lookup for those who asked before: it looks without counting a use
// of the key where there is nothing to find, which would count it twice.
func (c *Cache) peek(s *shard, hash, file, off uint64) *Block {
	s.guard.RLock()
	found := s.young != nil
	if k := c.keeper.Load(); k != nil {
		_, found = k.cache.GetTTL(hash)
	}
	s.guard.RUnlock()
	if !found {
		return nil
	}
	return c.lookup(s, hash, file, off)
}

// insert offers a block, of which the caller holds a reference, to the keeper.
func (c *Cache) insert(b *Block, hash uint64) {
	capacity, cost := c.capacity.Load(), b.cost()
	if capacity == 0 {
		return
	}
	if cost > capacity || c.bytes.Load()+cost > capacity+slack(capacity) {
		c.dropped.Add(1)
		return
	}
	s := c.shard(hash)
	if c.keeper.Load() == nil {
		if c.nurse(s, b, cost) {
			return
		}
		c.start()
	}
	s.guard.RLock()
	defer s.guard.RUnlock()
	k := c.keeper.Load()
	switch {
	case k == nil:
	case c.bytes.Load()+cost > capacity-capacity/fullShare && !k.door.pass(hash):
		c.dropped.Add(1)
	default:
		k.set(b, hash, cost)
	}
}

// fullShare: with less than 1/32 of the capacity left the keeper counts as full.
const fullShare = 32

// slack is how far the keeper's queue may exceed the capacity: the keeper
// weighs a block only when it takes it out of there.
func slack(capacity int64) int64 { return max(capacity/8, 1<<20) }

// Metrics returns the current figures.
func (c *Cache) Metrics() Metrics {
	m := Metrics{Dropped: c.dropped.Load(), Evicted: c.evicted.Load(), Bytes: c.bytes.Load()}
	for i := range c.shards {
		m.Hits += c.shards[i].hits.Load()
		m.Misses += c.shards[i].miss.Load()
	}
	return m
}

// shard uses the upper bits; the keeper uses the lower ones.
func (c *Cache) shard(hash uint64) *shard { return &c.shards[hash>>60%shardCount] }

// mix hashes a key, with the finalizer of SplitMix64 (Steele, Lea, Flood: Fast
// Splittable Pseudorandom Number Generators, OOPSLA 2014).
func mix(file, off uint64) uint64 {
	h := file*0x9e3779b97f4a7c15 + bits.RotateLeft64(off*0xd6e8feb86659fd93, 32)
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}
