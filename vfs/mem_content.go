package vfs

import "slices"

const (
	// pageBytes is the unit of copy-on-write and of space accounting.
	pageBytes = 4096
	// sectorBytes is the unit of what a power loss keeps or drops.
	sectorBytes = 512
	// memFileBytesMax bounds the page table that a wild offset can ask for.
	memFileBytesMax = 1 << 36
)

type sector [sectorBytes]byte

// page is written in place only by the content whose owner it carries.
type page struct {
	owner *contentOwner // immutable
	bytes [pageBytes]byte
}

// contentOwner is an identity, compared by address; hence not of size zero.
type contentOwner struct{ _ byte }

// preallocated stands for a page that has its space but was never written. It
// has no owner: nothing writes it.
var preallocated = &page{}

// content is the bytes of a file as a copy-on-write page table.
//
// Invariants:
//  1. Without an owner, the page slice and all pages may be shared with other
//     contents, of other file systems too: neither is written.
//  2. With an owner, the slice is this content's own, and so are the pages
//     that carry that owner. All others are shared and never written again.
//  3. A nil page is a hole. Pages past the end of the slice are holes.
//  4. Bytes past size are zero in every page.
type content struct {
	pages     []*page
	size      int64
	allocated int64 // pages that are not holes
	owner     *contentOwner
}

// share returns a copy of c in constant time. Both copy what they write from
// now on.
func (c *content) share() content {
	c.owner = nil
	return content{pages: c.pages, size: c.size, allocated: c.allocated}
}

// own makes the page slice writable and long enough for pages [0, n).
func (c *content) own(n int) {
	if c.owner == nil {
		c.pages = slices.Clone(c.pages)
		c.owner = new(contentOwner)
	}
	if n > len(c.pages) {
		c.pages = append(c.pages, make([]*page, n-len(c.pages))...)
	}
}

// writable returns page i for writing; own(i+1) has run.
func (c *content) writable(i int) *page {
	p := c.pages[i]
	if p != nil && p.owner == c.owner {
		return p
	}
	fresh := &page{owner: c.owner}
	switch p {
	case nil:
		c.allocated++
	case preallocated:
	default:
		fresh.bytes = p.bytes
	}
	c.pages[i] = fresh
	return fresh
}

// readAt fills p from off and returns how much of it lies before the end.
func (c *content) readAt(p []byte, off int64) int {
	if off >= c.size {
		return 0
	}
	p = p[:min(int64(len(p)), c.size-off)]
	for done := 0; done < len(p); {
		at := off + int64(done)
		rest := p[done:min(len(p), done+pageBytes-int(at%pageBytes))]
		if i := at / pageBytes; i < int64(len(c.pages)) && c.pages[i] != nil {
			copy(rest, c.pages[i].bytes[at%pageBytes:])
		} else {
			clear(rest)
		}
		done += len(rest)
	}
	return len(p)
}

// writeAt writes p at off and extends the size.
func (c *content) writeAt(p []byte, off int64) {
	if len(p) == 0 {
		return
	}
	end := off + int64(len(p))
	c.own(int((end + pageBytes - 1) / pageBytes))
	for len(p) > 0 {
		pg := c.writable(int(off / pageBytes))
		n := copy(pg.bytes[off%pageBytes:], p)
		p, off = p[n:], off+int64(n)
	}
	c.size = max(c.size, end)
}

// fits returns how many of the n bytes at off can be written when budget holes
// may be filled.
func (c *content) fits(off, n, budget int64) int64 {
	for at := off; at < off+n; at = (at/pageBytes + 1) * pageBytes {
		if i := at / pageBytes; i < int64(len(c.pages)) && c.pages[i] != nil {
			continue
		}
		if budget--; budget < 0 {
			return at - off
		}
	}
	return n
}

// preallocate fills the holes in [off, off+n) and extends the size.
func (c *content) preallocate(off, n int64) {
	last := int((off + n + pageBytes - 1) / pageBytes)
	c.own(last)
	for i := int(off / pageBytes); i < last; i++ {
		if c.pages[i] == nil {
			c.pages[i] = preallocated
			c.allocated++
		}
	}
	c.size = max(c.size, off+n)
}

// truncate sets the size.
func (c *content) truncate(size int64) {
	if keep := int((size + pageBytes - 1) / pageBytes); keep < len(c.pages) {
		c.own(0)
		for _, p := range c.pages[keep:] {
			if p != nil {
				c.allocated--
			}
		}
		clear(c.pages[keep:])
		c.pages = c.pages[:keep]
	}
	if i := int(size / pageBytes); size < c.size && i < len(c.pages) {
		if p := c.pages[i]; p != nil && p != preallocated {
			c.own(0)
			clear(c.writable(i).bytes[size%pageBytes:])
		}
	}
	c.size = size
}

// blank says whether the sector was never written.
func (c *content) blank(index int64) bool {
	i := index * sectorBytes / pageBytes
	return i >= int64(len(c.pages)) || c.pages[i] == nil || c.pages[i] == preallocated
}

// sector returns the bytes of a sector, zeros past the end.
func (c *content) sector(index int64) (s sector) {
	c.readAt(s[:], index*sectorBytes)
	return s
}

// setSector overwrites the part of a sector that lies before the end.
func (c *content) setSector(index int64, s *sector) {
	off := index * sectorBytes
	if off < c.size {
		c.writeAt(s[:min(sectorBytes, c.size-off)], off)
	}
}
