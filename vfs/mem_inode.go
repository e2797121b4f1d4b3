package vfs

import (
	"maps"
	"slices"
)

// inode is a file or a directory, whatever its names.
type inode struct {
	num uint64 // immutable; unique in a Mem and kept by its clones

	// What pathOf answers: the place where the inode was put last.
	parent *inode
	name   string

	links   int // names in the live tree
	pending int // directory operations in Mem.pending that mention it
	handles int // open handles and locks

	dir  *directory // nil: a file
	file fileState
}

// isAncestorOf says whether dir is n or below it.
func (n *inode) isAncestorOf(dir *inode) bool {
	for ; dir != nil; dir = dir.parent {
		if dir == n {
			return true
		}
	}
	return false
}

// directory is the names in a directory, live and durable.
type directory struct {
	entries map[string]*inode
	durable map[string]*inode // nil: no operation is pending, so it equals entries
	pending int               // operations in Mem.pending that change this directory
}

// names returns what a crash leaves if it drops all pending operations.
func (d *directory) names() map[string]*inode {
	if d.durable != nil {
		return d.durable
	}
	return d.entries
}

// detach keeps the durable names apart before the live ones change.
func (d *directory) detach() {
	if d.durable == nil {
		d.durable = maps.Clone(d.entries)
	}
}

// dirtySector is a sector written since the last Sync.
type dirtySector struct {
	index int64
	old   *sector // the durable bytes; nil: zeros. Never written once set.
}

// epoch is a file between two un-synced shrinkings.
//
// Invariant: durableSize <= content.size.
type epoch struct {
	content
	durableSize int64
	dirty       []dirtySector // ascending by index
}

// fileState is a file's bytes and what a crash may do to them.
type fileState struct {
	epoch         // the current one
	past  []epoch // the states just before each un-synced shrinking, oldest first
}

// clean says whether a crash leaves the file as it is.
func (f *fileState) clean() bool {
	return len(f.past) == 0 && len(f.dirty) == 0 && f.size == f.durableSize
}

// sync makes everything durable.
func (f *fileState) sync() {
	f.past, f.dirty, f.durableSize = nil, nil, f.size
}

// mark remembers the durable bytes of the sectors in [off, off+n) which are
// about to be written.
func (e *epoch) mark(off, n int64) {
	last := (off + n - 1) / sectorBytes
	for s := off / sectorBytes; s <= last; s++ {
		at := len(e.dirty)
		if at > 0 && s <= e.dirty[at-1].index {
			var found bool
			at, found = slices.BinarySearchFunc(e.dirty, s, func(d dirtySector, s int64) int {
				return int(min(max(d.index-s, -1), 1))
			})
			if found {
				continue
			}
		}
		d := dirtySector{index: s}
		if s*sectorBytes < e.durableSize && !e.blank(s) {
			old := e.sector(s)
			d.old = &old
		}
		e.dirty = slices.Insert(e.dirty, at, d)
	}
}

// shrink cuts the file. The bytes cut off stay known to a crash that drops the
// cut; one that keeps it has nothing there but zeros.
func (f *fileState) shrink(size int64) {
	f.past = append(f.past, epoch{f.share(), f.durableSize, f.dirty})
	f.truncate(size)
	f.durableSize = size
	first := (size + sectorBytes - 1) / sectorBytes // wholly cut off
	keep := make([]dirtySector, 0, len(f.dirty))
	for _, d := range f.dirty {
		if d.index >= first {
			break
		}
		if end := size - d.index*sectorBytes; d.old != nil && end < sectorBytes {
			old := *d.old
			clear(old[end:])
			d.old = &old
		}
		keep = append(keep, d)
	}
	f.dirty = keep
}

// clone copies the file with its un-synced state.
func (f *fileState) clone() fileState {
	c := fileState{epoch: epoch{f.share(), f.durableSize, slices.Clone(f.dirty)}}
	for i := range f.past {
		p := &f.past[i]
		c.past = append(c.past, epoch{p.share(), p.durableSize, p.dirty})
	}
	return c
}
