package sstable

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/cache"
	"github.com/cordwood-db/cordwood/internal/compress"
	"github.com/cordwood-db/cordwood/internal/invariants"
	"github.com/cordwood-db/cordwood/internal/iterator"
	"github.com/cordwood-db/cordwood/vfs"
)

// openMaxDefault is how many tables stay open where nobody says.
const openMaxDefault = 1000

// shardCount spreads lookups of open tables over as many locks.
const shardCount = 16

// TableCache keeps tables open, by file number, and closes those that were not
// used for long when they become too many. Which those are is decided by the
// clock algorithm (Corbató, A Paging Experiment with the Multics System, 1968),
// which approximates LRU and lets a hit do without a lock of its own. It is
// safe for concurrent use.
//
// Lock order: mu, then a shard's mu. No I/O happens under either.
type TableCache struct {
	// Immutable.
	fs      vfs.FS
	dir     string
	openMax int
	blocks  *cache.Cache
	codec   *compress.Codec

	shards [shardCount]tableShard
	pinned atomic.Int64 // memory of all open readers

	// Guarded by mu.
	mu       sync.Mutex
	clock    []*Handle // the tables that the cache holds
	hand     int       // next candidate in clock
	opening  map[base.FileNum]*opening
	closed   bool
	closeErr error // of all files so far
}

// tableShard finds the tables that the cache holds.
type tableShard struct {
	mu     sync.RWMutex
	tables map[base.FileNum]*Handle
}

// opening is an open under way.
type opening struct {
	done chan struct{}

	// Guarded by the cache's mu until done is closed.
	waiters int32
	evicted bool // not to be kept

	h   *Handle
	err error
}

// Handle is a counted reference to an open table. All holders of a table share
// one Handle; each calls Release once for each Get.
type Handle struct {
	*Reader
	cache *TableCache
	num   base.FileNum
	refs  atomic.Int64 // holders, and the cache itself
	used  atomic.Bool  // since the clock's hand last came by
	slot  int          // in clock; guarded by the cache's mu
}

// NewTableCache returns a cache of tables in dir that keeps up to openMax of
// them open while nobody uses them; 0 means 1000. Tables in use stay open
// beyond that. blocks may be nil.
func NewTableCache(fs vfs.FS, dir string, openMax int, blocks *cache.Cache, codec *compress.Codec) *TableCache {
	if openMax <= 0 {
		openMax = openMaxDefault
	}
	c := &TableCache{
		fs: fs, dir: dir, openMax: openMax, blocks: blocks, codec: codec,
		opening: make(map[base.FileNum]*opening),
	}
	for i := range c.shards {
		c.shards[i].tables = make(map[base.FileNum]*Handle)
	}
	return c
}

func (c *TableCache) shard(num base.FileNum) *tableShard { return &c.shards[num%shardCount] }

// Get returns table num, whose ID must be id (0: whatever it is), and opens it
// if need be; of several callers at one time, one opens it. The caller releases
// the handle. A failed open is not remembered. A hit does not allocate.
//
// Errors: *base.MissingFileError; base.ErrClosed; those of Open.
func (c *TableCache) Get(num base.FileNum, id uint64) (*Handle, error) {
	h := c.lookup(num)
	if h == nil {
		var err error
		if h, err = c.open(num, id); err != nil {
			return nil, err
		}
	}
	if id != 0 && h.id != id {
		err := base.Corruptf(h.name, int64(h.size-footerBytes), "table ID %#x, the MANIFEST names %#x", h.id, id)
		h.Release()
		return nil, err
	}
	return h, nil
}

// lookup returns table num with a reference if the cache holds it.
func (c *TableCache) lookup(num base.FileNum) *Handle {
	s := c.shard(num)
	s.mu.RLock()
	defer s.mu.RUnlock()
	h := s.tables[num]
	if h != nil {
		h.refs.Add(1) // the cache's own reference is there as long as the table is in the map
		if !h.used.Load() {
			h.used.Store(true)
		}
	}
	return h
}

// open opens table num, or waits for somebody who does.
func (c *TableCache) open(num base.FileNum, id uint64) (*Handle, error) {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil, base.ErrClosed
	}
	if h := c.lookup(num); h != nil { // came in between
		c.mu.Unlock()
		return h, nil
	}
	if o := c.opening[num]; o != nil {
		o.waiters++
		c.mu.Unlock()
		<-o.done
		return o.h, o.err
	}
	o := &opening{done: make(chan struct{})}
	c.opening[num] = o
	c.mu.Unlock()

	o.h, o.err = c.openFile(num, id)

	c.mu.Lock()
	delete(c.opening, num)
	var victim *Handle
	if o.err == nil {
		o.h.refs.Store(int64(1 + o.waiters))
		c.pinned.Add(o.h.PinnedBytes())
		if !o.evicted && !c.closed {
			victim = c.keep(o.h)
		}
	}
	c.mu.Unlock()
	close(o.done)
	if victim != nil {
		victim.Release()
	}
	return o.h, o.err
}

// openFile opens the file of table num.
func (c *TableCache) openFile(num base.FileNum, id uint64) (*Handle, error) {
	name := base.FileName(base.FileTable, uint64(num))
	f, err := c.fs.Open(filepath.Join(c.dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &base.MissingFileError{File: name}
	}
	if err != nil {
		return nil, fmt.Errorf("sstable: open %s: %w", name, err)
	}
	r, err := Open(f, name, ReaderOptions{Cache: c.blocks, Codec: c.codec, ExpectID: id, FileNum: num})
	if err != nil {
		return nil, err
	}
	return &Handle{Reader: r, cache: c, num: num}, nil
}

// keep makes the cache hold h. If that makes too many, it returns one that the
// cache no longer holds, whose reference the caller releases. mu is held.
func (c *TableCache) keep(h *Handle) (victim *Handle) {
	if len(c.clock) >= c.openMax {
		for c.clock[c.hand].used.Swap(false) {
			c.hand = (c.hand + 1) % len(c.clock)
		}
		victim = c.clock[c.hand]
		c.remove(victim)
	}
	h.refs.Add(1)
	h.used.Store(true)
	h.slot = len(c.clock)
	c.clock = append(c.clock, h)
	s := c.shard(h.num)
	s.mu.Lock()
	s.tables[h.num] = h
	s.mu.Unlock()
	return victim
}

// remove takes h out of the cache; its reference is the caller's. mu is held.
func (c *TableCache) remove(h *Handle) {
	s := c.shard(h.num)
	s.mu.Lock()
	delete(s.tables, h.num)
	s.mu.Unlock()
	last := len(c.clock) - 1
	c.clock[h.slot] = c.clock[last]
	c.clock[h.slot].slot = h.slot
	c.clock[last] = nil
	c.clock = c.clock[:last]
	if c.hand >= last {
		c.hand = 0
	}
}

// Evict makes the cache let go of table num: its file is closed now or, if it
// is in use, with the last Release. Called when the file is about to be
// removed; a Get that comes later opens it again.
func (c *TableCache) Evict(num base.FileNum) {
	c.mu.Lock()
	if o := c.opening[num]; o != nil {
		o.evicted = true
	}
	s := c.shard(num)
	s.mu.RLock()
	h := s.tables[num]
	s.mu.RUnlock()
	if h != nil {
		c.remove(h)
	}
	c.mu.Unlock()
	if h != nil {
		h.Release()
	}
}

// Close lets go of all tables. Those in use are closed with their last Release.
// It returns what went wrong in closing files so far. Get fails afterwards.
func (c *TableCache) Close() error {
	c.mu.Lock()
	c.closed = true
	var all []*Handle
	for len(c.clock) > 0 {
		h := c.clock[len(c.clock)-1]
		c.remove(h)
		all = append(all, h)
	}
	c.mu.Unlock()
	for _, h := range all {
		h.Release()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closeErr
}

// PinnedBytes is about how much memory all open tables hold: top indexes,
// filters, range tombstones.
func (c *TableCache) PinnedBytes() int64 { return c.pinned.Load() }

// OpenTables is how many tables the cache holds, without those that are only
// open because somebody still uses them.
func (c *TableCache) OpenTables() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.clock)
}

// Release gives back one reference. The last one closes the table; an error in
// closing a file that was only read loses nothing, and is reported by the
// cache's Close.
func (h *Handle) Release() {
	n := h.refs.Add(-1)
	invariants.Check(n >= 0, "sstable: handle of table %d released twice", h.num)
	if n != 0 {
		return
	}
	c := h.cache
	c.pinned.Add(-h.PinnedBytes())
	if err := h.Reader.Close(); err != nil {
		c.mu.Lock()
		c.closeErr = errors.Join(c.closeErr, err)
		c.mu.Unlock()
	}
}

// NewIter returns an iterator that holds a reference of its own: it stays
// usable after h is released.
func (h *Handle) NewIter(opts IterOptions) iterator.Iterator {
	h.refs.Add(1)
	it := h.Reader.newIter(opts)
	it.handle = h
	return it
}
