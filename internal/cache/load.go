package cache

import (
	"errors"
	"sync"
)

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

// flights are reused: most are over before anybody joins them.
var flights = sync.Pool{New: func() any { return new(flight) }}

// Load is [LoadFrom] for a loader that is a closure.
func (c *Cache) Load(file, off uint64, fill bool, load func() (*Block, error)) (*Block, error) {
	return LoadFrom(c, file, off, fill, load, callLoader)
}

func callLoader(load func() (*Block, error)) (*Block, error) { return load() }

// LoadFrom returns the block with a reference for the caller: the kept one, or
// the one that load makes of from. Of any number of callers that want the same
// block at one time, one calls load; the others wait and get the same block, or
// the same error, which is not remembered. fill says whether the block should
// be kept; a compaction does not want that.
//
// load returns a block made by NewBlock, with one reference, which becomes the
// caller's. If it panics, the panic goes on in its caller and the others get
// [ErrLoadPanicked]. load must not load the same block.
//
// Callers on a hot path pass a function that captures nothing, and what it
// needs by value in from: that allocates no closure. LoadFrom counts neither
// hits nor misses; whoever wants that calls Get first.
func LoadFrom[S any](c *Cache, file, off uint64, fill bool, from S, load func(S) (*Block, error)) (*Block, error) {
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
	f := flights.Get().(*flight)
	f.fill, f.err = fill, ErrLoadPanicked
	s.flights[key] = f
	s.flightsMu.Unlock()

	defer c.land(s, key, hash, f) // also when load panics
	f.block, f.err = load(from)
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
// the block to the keeper and wakes the waiters. The caller uses f no more.
func (c *Cache) land(s *shard, key blockKey, hash uint64, f *flight) {
	s.flightsMu.Lock()
	delete(s.flights, key)
	s.flightsMu.Unlock()
	// Nobody can join any more.
	if f.block != nil {
		if f.waiters > 0 {
			f.block.refs.Add(f.waiters)
		}
		if f.fill {
			c.insert(f.block, hash)
		}
	}
	if f.done != nil {
		close(f.done)
		return // waiters still read it
	}
	*f = flight{}
	flights.Put(f)
}
