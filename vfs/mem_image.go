package vfs

import "maps"

// image is a crash image under construction.
type image struct {
	m     *Mem
	names map[*inode]map[string]*inode // directories that pending operations changed
	files map[*inode]content           // files that are not clean
}

// in returns the names of a directory in the image, for reading.
func (img *image) in(dir *inode) map[string]*inode {
	if names, ok := img.names[dir]; ok {
		return names
	}
	return dir.dir.names()
}

// edit returns the names of a directory in the image, for changing.
func (img *image) edit(dir *inode) map[string]*inode {
	names, ok := img.names[dir]
	if !ok {
		names = maps.Clone(dir.dir.names())
		img.names[dir] = names
	}
	return names
}

// try makes a pending operation part of the image, unless it makes no sense
// there because one that it builds on was dropped.
//
//  1. What it moves or removes must be where it was; what it links must be there
//     under some name, perhaps a newer one that was made durable before.
//  2. It must not take the last name from a file that still has one in the
//     live tree: no order of the operations loses that file.
//  3. It must not move anything to where it cannot be reached.
func (img *image) try(op *dirOp) {
	switch op.kind {
	case dirLink:
		if img.in(op.from.dir)[op.from.name] != op.node && !img.reachable(op.node) {
			return
		}
	case dirRemove, dirRename:
		if img.in(op.from.dir)[op.from.name] != op.node {
			return
		}
	}
	if op.kind == dirRemove {
		if img.expendable(op.node) {
			op.edit(img.edit)
		}
		return
	}
	if there := img.in(op.to.dir)[op.to.name]; there == op.node || there != nil && !img.expendable(there) {
		return
	}
	if op.kind == dirRename && op.from.dir != op.to.dir {
		delete(img.edit(op.from.dir), op.from.name)
		if !img.reachable(op.to.dir) {
			img.edit(op.from.dir)[op.from.name] = op.node
			return
		}
	}
	op.edit(img.edit)
}

// expendable says whether one name of n may go.
func (img *image) expendable(n *inode) bool {
	if n.dir != nil {
		return n.links == 0 && len(img.in(n)) == 0
	}
	return n.links == 0 || img.count(img.m.root, n) > 1
}

// reachable says whether n is in the image's tree.
func (img *image) reachable(n *inode) bool {
	return n == img.m.root || img.count(img.m.root, n) > 0
}

// count returns how many names n has below dir.
func (img *image) count(dir, n *inode) int {
	total := 0
	for _, child := range img.in(dir) {
		if child == n {
			total++
		}
		if child.dir != nil {
			total += img.count(child, n)
		}
	}
	return total
}

// instantiate makes the image a file system.
func (img *image) instantiate() *Mem {
	c := newCopier(img.m)
	c.m.root = c.crashed(img, img.m.root, nil, "")
	return c.m
}

// crashed copies n, which is called name in parent, and what is below it, as
// the image has it.
func (c *copier) crashed(img *image, n, parent *inode, name string) *inode {
	fresh, known := c.inode(n)
	if known { // a hard link; maps have no order, but pathOf must not vary
		fresh.links++
		if c.m.pathOf(parent)+name < c.m.pathOf(fresh.parent)+fresh.name {
			fresh.parent, fresh.name = parent, name
		}
		return fresh
	}
	fresh.links, fresh.parent, fresh.name = 1, parent, name
	if n.dir != nil {
		names := img.in(n)
		entries := make(map[string]*inode, len(names))
		for name, child := range names {
			entries[name] = c.crashed(img, child, fresh, name)
		}
		fresh.dir = &directory{entries: entries}
		return fresh
	}
	data, dirty := img.files[n]
	if !dirty {
		data = n.file.share()
	}
	fresh.file.content = data
	fresh.file.durableSize = data.size
	c.m.used += data.allocated * pageBytes
	return fresh
}

// copier makes the inodes of a clone.
type copier struct {
	m    *Mem
	made map[*inode]*inode
}

func newCopier(from *Mem) *copier {
	c := &copier{m: &Mem{
		unsynced: map[*inode]struct{}{}, locked: map[*inode]int{},
		inodes: from.inodes, capacity: from.capacity,
	}, made: make(map[*inode]*inode, 16)}
	c.m.ops.Store(from.ops.Load()) // so that tears differ from the parent's
	return c
}

// inode returns the copy of n, and whether it was there already.
func (c *copier) inode(n *inode) (fresh *inode, known bool) {
	if fresh, known = c.made[n]; known {
		return fresh, true
	}
	fresh = &inode{num: n.num}
	c.made[n] = fresh
	c.m.used += inodeBytes
	return fresh, false
}

// KillClone returns an independent file system that holds what the sudden
// death of the process leaves: everything written, synced or not. What is not
// synced stays so: a later crash of the clone decides about it. Nothing is open
// or locked; files without a name are gone. It has m's capacity and no hook.
func (m *Mem) KillClone() *Mem {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := newCopier(m)
	c.m.root = c.killed(m.root)
	for _, op := range m.pending {
		fresh := *op
		fresh.node = c.killed(op.node)
		if op.replaced != nil {
			fresh.replaced = c.killed(op.replaced)
		}
		if op.from.dir != nil {
			fresh.from.dir = c.killed(op.from.dir)
		}
		if op.to.dir != nil {
			fresh.to.dir = c.killed(op.to.dir)
		}
		fresh.mention(+1)
		c.m.pending = append(c.m.pending, &fresh)
	}
	for _, n := range m.unsyncedFiles() {
		c.m.unsynced[c.killed(n)] = struct{}{}
	}
	for n, fresh := range c.made {
		if n.links == 0 {
			c.m.used -= inodeBytes + fresh.file.allocated*pageBytes
		}
	}
	return c.m
}

// killed copies n with all its un-synced state.
func (c *copier) killed(n *inode) *inode {
	fresh, known := c.inode(n)
	if known {
		return fresh
	}
	fresh.links, fresh.name = n.links, n.name
	if n.parent != nil {
		fresh.parent = c.killed(n.parent)
	}
	if n.dir == nil {
		fresh.file = n.file.clone()
		c.m.used += fresh.file.allocated * pageBytes
		return fresh
	}
	fresh.dir = &directory{entries: c.names(n.dir.entries)}
	if n.dir.durable != nil {
		fresh.dir.durable = c.names(n.dir.durable)
	}
	return fresh
}

func (c *copier) names(names map[string]*inode) map[string]*inode {
	fresh := make(map[string]*inode, len(names))
	for name, n := range names {
		fresh[name] = c.killed(n)
	}
	return fresh
}
