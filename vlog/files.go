package vlog

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/cache"
	"github.com/cordwood-db/cordwood/vfs"
)

// Location says where the records of a logical file are now. It comes from the
// manifest's version; the file is not unlinked while that version is in use.
type Location struct {
	Physical  base.FileNum
	ID        uint64 // of the physical file
	Rewritten bool   // by a Rewriter: offsets need translating
}

// FileCache reads records, through a bounded set of open files. It is safe for
// concurrent use.
//
// Handles are counted: a file that is evicted while somebody reads it is closed
// when the last reader is done, so for that long there may be more open files
// than openMax.
type FileCache struct {
	// Immutable.
	fs      vfs.FS
	dir     string
	openMax int
	blocks  *cache.Cache // may be nil: translation blocks are then not cached

	pinned atomic.Int64

	mu sync.Mutex
	// Guarded by mu.
	files    map[base.FileNum]*handle
	lru      handle // ring: next is the most recently used, prev the least
	closed   bool
	closeErr error // the first failure to close a file
}

// handle is one open file.
type handle struct {
	num  base.FileNum
	refs atomic.Int32 // the cache's own included; acquired under FileCache.mu while that is held

	next, prev *handle // guarded by FileCache.mu

	// ready is closed when the fields below are set; they are immutable then.
	ready     chan struct{}
	err       error
	f         vfs.File
	name      string
	id        uint64
	seed      uint32
	version   uint32 // of the format
	rewritten bool
	sections  *sectionIndex // of a rewritten file
	end       atomic.Int64  // where records end; grows while the file is active
}

// NewFileCache returns a cache of the value-log files in dir that keeps at most
// openMax of them open (at least one). blocks holds the translation blocks of
// rewritten files; nil means that each use reads them. Nothing is opened before
// it is needed.
func NewFileCache(fsys vfs.FS, dir string, openMax int, blocks *cache.Cache) *FileCache {
	c := &FileCache{
		fs: fsys, dir: dir, openMax: max(openMax, 1), blocks: blocks,
		files: make(map[base.FileNum]*handle),
	}
	c.lru.next, c.lru.prev = &c.lru, &c.lru
	return c
}

// PinnedBytes is the memory that open files hold for their indexes, in bytes.
func (c *FileCache) PinnedBytes() int64 { return c.pinned.Load() }

// Evict forgets file num, if it is open. Readers that are at it may finish.
// Call it before the file is removed.
func (c *FileCache) Evict(num base.FileNum) {
	c.mu.Lock()
	h := c.files[num]
	if h != nil {
		c.drop(h)
	}
	c.mu.Unlock()
	if h != nil {
		c.release(h)
	}
}

// Close closes all files, or has their last readers close them. It returns the
// first error in closing any file, also earlier ones. Reads fail with
// base.ErrClosed from then on.
func (c *FileCache) Close() error {
	c.mu.Lock()
	var all []*handle
	for _, h := range c.files {
		c.drop(h)
		all = append(all, h)
	}
	c.closed = true
	c.mu.Unlock()
	for _, h := range all {
		c.release(h)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closeErr
}

// acquire returns the open file of loc. The caller releases it.
func (c *FileCache) acquire(loc Location) (*handle, error) {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil, fmt.Errorf("vlog: %w", base.ErrClosed)
	}
	h := c.files[loc.Physical]
	var victim *handle
	opens := h == nil
	if opens {
		if len(c.files) >= c.openMax {
			victim = c.lru.prev
			c.drop(victim)
		}
		h = &handle{num: loc.Physical, name: fileName(loc.Physical), ready: make(chan struct{})}
		h.refs.Store(1)
		c.files[loc.Physical] = h
	} else {
		h.unlink()
	}
	h.linkAfter(&c.lru)
	h.refs.Add(1)
	c.mu.Unlock()
	if victim != nil {
		c.release(victim)
	}
	if opens {
		c.open(h)
	} else {
		<-h.ready
	}
	err := h.err
	if err == nil {
		err = h.check(loc)
	}
	if err != nil {
		c.release(h)
		return nil, err
	}
	return h, nil
}

// check says whether the open file is the one that loc means.
func (h *handle) check(loc Location) error {
	if h.id != loc.ID {
		return base.Corruptf(h.name, 0, "another file is under this name: id %016x, want %016x", h.id, loc.ID)
	}
	if h.rewritten != loc.Rewritten {
		return base.Corruptf(h.name, 0, "rewritten: %v, want %v", h.rewritten, loc.Rewritten)
	}
	return nil
}

// open fills h in for everybody who waits for it. A failure is not remembered.
func (c *FileCache) open(h *handle) {
	h.err = h.load(c.fs, c.dir)
	if h.err == nil {
		c.pinned.Add(h.sections.pinnedBytes())
		close(h.ready)
		return
	}
	close(h.ready)
	c.mu.Lock()
	mine := c.files[h.num] == h
	if mine {
		c.drop(h)
	}
	c.mu.Unlock()
	if mine {
		c.release(h)
	}
}

// drop takes h out of the cache. The caller then releases the cache's reference,
// without mu. It needs mu.
func (c *FileCache) drop(h *handle) {
	delete(c.files, h.num)
	h.unlink()
}

// release gives a reference back and closes the file with the last one.
func (c *FileCache) release(h *handle) {
	if h.refs.Add(-1) > 0 {
		return
	}
	if h.f == nil { // the last reference to a file that did not open
		return
	}
	c.pinned.Add(-h.sections.pinnedBytes())
	if err := h.f.Close(); err != nil {
		c.mu.Lock()
		if c.closeErr == nil {
			c.closeErr = fmt.Errorf("vlog: close %s: %w", h.name, err)
		}
		c.mu.Unlock()
	}
}

func (h *handle) unlink() {
	h.prev.next, h.next.prev = h.next, h.prev
	h.next, h.prev = nil, nil
}

func (h *handle) linkAfter(at *handle) {
	h.prev, h.next = at, at.next
	h.prev.next, h.next.prev = h, h
}

// load opens the file and reads what has to be known of it.
func (h *handle) load(fsys vfs.FS, dir string) error {
	f, err := openFile(fsys, dir, h.num)
	if err != nil {
		return err
	}
	hdr, size, err := readFileHeader(f, h.name, h.num)
	if err == nil && hdr.rewritten {
		h.sections, err = readSectionIndex(f, h.name, hdr.id, size)
	}
	if err != nil {
		return errors.Join(err, f.Close())
	}
	h.f, h.id, h.seed, h.version, h.rewritten = f, hdr.id, idSeed(hdr.id), hdr.version, hdr.rewritten
	h.end.Store(size)
	if h.rewritten {
		h.end.Store(h.sections.recordsEnd)
	}
	return nil
}

// openFile opens value-log file num for reading. It gives a
// *base.MissingFileError if there is none.
func openFile(fsys vfs.FS, dir string, num base.FileNum) (vfs.File, error) {
	name := fileName(num)
	f, err := fsys.Open(filepath.Join(dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &base.MissingFileError{File: name}
	}
	if err != nil {
		return nil, fmt.Errorf("vlog: open %s: %w", name, err)
	}
	return f, nil
}

// readFileHeader reads the header of file num, and its size.
func readFileHeader(f vfs.File, name string, num base.FileNum) (h fileHeader, size int64, err error) {
	size, err = f.Size()
	if err != nil {
		return h, 0, fmt.Errorf("vlog: size of %s: %w", name, err)
	}
	b := make([]byte, min(size, fileHeaderLen))
	if err := readFull(f, name, b, 0); err != nil {
		return h, 0, err
	}
	h, err = decodeFileHeader(name, b)
	if err == nil && h.number != num {
		err = base.Corruptf(name, 0, "this is file %d under another's name", h.number)
	}
	return h, size, err
}
