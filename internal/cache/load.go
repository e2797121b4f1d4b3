package cache

import "errors"

// Errors of Load itself.
var (
	ErrLoadPanicked = errors.New("cache: the load of this block, started by another caller, panicked")
	ErrNoBlock      = errors.New("cache: load returned neither a block nor an error")
)

// flight is a load under way. Its fields are guarded by the shard's flightsMu
// until it is taken out of the map, and do not change once done is closed.
type flight struct {
	done    chan struct{} // made by the first waiter
	waiters int32
	fill    bool // somebody wants the block kept
	block   *Block
	err     error
}

// Load returns the block with a reference for the caller: the kept one, or the
// one that load returns. Of any number of callers that want the same block at
// one time, one calls load; the others wait and get the same block, or the
// same error, which is not remembered. fill says whether the block should be
// kept; a scan or a compaction does not want that.
//
// load returns a block made by NewBlock, with one reference, which becomes the
// caller's. If it panics, the panic goes on in its caller and the others get
// [ErrLoadPanicked]. load must not load the same block.
//
// Callers on a hot path call Get first: that needs no closure. Load counts
// neither hits nor misses.
func (c *Cache) Load(file, off uint64, fill bool, load func() (*Block, error)) (*Block, error) {
	hash := mix(file, off)
	s := c.shard(hash)
	if b := c.peek(s, hash, file, off); b != nil {
		return b, nil
	}
	key := blockKey{file, off}
	s.flightsMu.Lock()
	if f := s.flights[key]; f != nil {
		return f.wait(s, fill)
	}
	if s.flights == nil {
		s.flights = make(map[blockKey]*flight)
	}
	f := &flight{fill: fill, err: ErrLoadPanicked}
	s.flights[key] = f
	s.flightsMu.Unlock()

	defer c.land(s, key, f) // also when load panics
	f.block, f.err = load()
	if f.err == nil && f.block == nil {
		f.err = ErrNoBlock
	}
	if f.err != nil {
		if f.block != nil {
			f.block.Release()
			f.block = nil
		}
		return nil, f.err
	}
	f.block.file, f.block.off = file, off
	return f.block, nil
}

// wait joins the flight. It is called with flightsMu held and releases it,
// which keeps the count of waiters and the flight's presence in the map in
// step.
func (f *flight) wait(s *shard, fill bool) (*Block, error) {
	if f.done == nil {
		f.done = make(chan struct{})
	}
	f.waiters++
	f.fill = f.fill || fill
	s.flightsMu.Unlock()
	<-f.done
	return f.block, f.err
}

// land takes the flight out of the map, gives each waiter a reference, offers
// the block to the keeper and wakes the waiters.
func (c *Cache) land(s *shard, key blockKey, f *flight) {
	s.flightsMu.Lock()
	delete(s.flights, key)
	s.flightsMu.Unlock()
	// Nobody can join any more.
	if f.block != nil {
		if f.waiters > 0 {
			f.block.refs.Add(f.waiters)
		}
		if f.fill {
			c.insert(f.block, mix(key.file, key.off))
		}
	}
	if f.done != nil {
		close(f.done)
	}
}
