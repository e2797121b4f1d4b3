package cache

// nurseryBytesMax: a keeper takes some 350 KB and a fifth of a millisecond to
// make. A cache that holds less than this does without: its first blocks lie
// in plain maps, one to a shard.
const nurseryBytesMax = 256 << 10

// nurse keeps the block without a keeper. False says that it is time for one.
func (c *Cache) nurse(s *shard, b *Block, cost int64) bool {
	s.guard.Lock()
	defer s.guard.Unlock()
	capacity := c.capacity.Load()
	switch {
	case c.keeper.Load() != nil:
		return false
	case capacity == 0: // closed or shrunk just now
		return true
	case c.bytes.Load()+cost > min(nurseryBytesMax, capacity):
		return false
	}
	key := blockKey{b.file, b.off}
	if s.young[key] == nil {
		if s.young == nil {
			s.young = make(map[blockKey]*Block)
		}
		b.Ref()
		c.bytes.Add(cost)
		s.young[key] = b
	}
	return true
}

// leaveNursery hands all blocks of the nursery to next, or drops them if that
// is nil. Called with mu held, after next was installed or the capacity was
// set so that nobody adds more.
func (c *Cache) leaveNursery(next *keeper) {
	for i := range c.shards {
		s := &c.shards[i]
		s.guard.Lock()
		for key, b := range s.young {
			if next != nil {
				next.set(b, mix(key.file, key.off), b.cost())
			}
			c.bytes.Add(-b.cost())
			b.Release()
		}
		s.young = nil
		s.guard.Unlock()
	}
}
