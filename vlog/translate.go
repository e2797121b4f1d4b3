package vlog

import (
	"encoding/binary"
	"slices"
	"sort"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/cache"
)

// translate returns where ptr's record is in a rewritten file. It makes no
// allocation when the translation block is cached.
func (c *FileCache) translate(h *handle, ptr base.Pointer) (int64, error) {
	s := h.sections.find(ptr.File)
	if s == nil {
		return 0, dangling(h, ptr)
	}
	i, found := slices.BinarySearch(s.firsts, ptr.Offset)
	if !found {
		i-- // the block that starts before it
	}
	if i < 0 {
		return 0, dangling(h, ptr)
	}
	off, entries := s.blockAt(i)
	block, err := c.block(h, s, off, entries)
	if err != nil {
		return 0, err
	}
	physical, ok := findEntry(block.Bytes(), entries, ptr.Offset)
	block.Release()
	if !ok {
		return 0, dangling(h, ptr)
	}
	if physical < s.start || physical+int64(ptr.Size) > s.end {
		return 0, base.Corruptf(h.name, physical, "pointer to %d bytes reaches out of its section", ptr.Size)
	}
	return physical, nil
}

func dangling(h *handle, ptr base.Pointer) error {
	return base.Corruptf(h.name, -1, "dangling pointer to file %d, offset %d", ptr.File, ptr.Offset)
}

// findEntry looks a logical offset up in the entries of a block.
func findEntry(b []byte, entries int, logical uint32) (physical int64, ok bool) {
	le := binary.LittleEndian
	i := sort.Search(entries, func(i int) bool { return le.Uint32(b[i*entryLen:]) >= logical })
	if i == entries || le.Uint32(b[i*entryLen:]) != logical {
		return 0, false
	}
	return int64(le.Uint32(b[i*entryLen+4:])), true
}

// block returns a checked translation block. The caller releases it.
func (c *FileCache) block(h *handle, s *section, off int64, entries int) (*cache.Block, error) {
	if c.blocks == nil {
		return h.loadBlock(s, off, entries)
	}
	b := c.blocks.Get(h.id, uint64(off))
	if b == nil {
		var err error
		b, err = c.blocks.Load(h.id, uint64(off), true, func() (*cache.Block, error) {
			return h.loadBlock(s, off, entries)
		})
		if err != nil {
			return nil, err
		}
	}
	if len(b.Bytes()) != entries*entryLen+blockSumLen {
		b.Release()
		return nil, base.Corruptf(h.name, off, "the block cache holds something else for this translation block")
	}
	return b, nil
}

// loadBlock reads and checks a translation block.
func (h *handle) loadBlock(s *section, off int64, entries int) (*cache.Block, error) {
	b := cache.NewBlock(entries*entryLen + blockSumLen)
	if err := readFull(h.f, h.name, b.Bytes(), off); err != nil {
		b.Release()
		return nil, err
	}
	data, sum := b.Bytes()[:entries*entryLen], b.Bytes()[entries*entryLen:]
	if sumAt(h.id, off, s.logical, data) != binary.LittleEndian.Uint32(sum) {
		b.Release()
		return nil, base.Corruptf(h.name, off, "checksum mismatch in translation block")
	}
	return b, nil
}
