package vfs

import "slices"

// dirOpKind is what a directory operation does to the names.
type dirOpKind uint8

const (
	dirCreate dirOpKind = iota // to := node
	dirLink                    // to := node, which is at from too
	dirRemove                  // from := nothing
	dirRename                  // from := nothing, to := node
)

// dirOp is a change of one or two directories that a crash undoes as a whole
// or not at all.
type dirOp struct {
	kind     dirOpKind
	from, to place
	node     *inode
	replaced *inode // what a rename found at to, or nil
}

// dirs calls fn for each directory that the operation changes.
func (op *dirOp) dirs(fn func(d *inode)) {
	if op.kind == dirRemove || op.kind == dirRename {
		fn(op.from.dir)
	}
	if op.kind != dirRemove && (op.kind != dirRename || op.to.dir != op.from.dir) {
		fn(op.to.dir)
	}
}

// edit makes the change in the name maps that names answers for each directory.
func (op *dirOp) edit(names func(dir *inode) map[string]*inode) {
	if op.kind == dirRemove || op.kind == dirRename {
		if from := names(op.from.dir); from[op.from.name] == op.node {
			delete(from, op.from.name)
		}
	}
	if op.kind != dirRemove {
		names(op.to.dir)[op.to.name] = op.node
	}
}

// mention adds by to the counts of pending operations.
func (op *dirOp) mention(by int) {
	op.node.pending += by
	if op.replaced != nil {
		op.replaced.pending += by
	}
	op.dirs(func(d *inode) { d.dir.pending += by })
}

// apply makes a change in the live tree and remembers that it is not durable.
func (m *Mem) apply(op *dirOp) {
	op.dirs(func(d *inode) { d.dir.detach() })
	op.mention(+1)
	m.pending = append(m.pending, op)
	op.edit(func(d *inode) map[string]*inode { return d.dir.entries })
	switch op.kind {
	case dirCreate, dirLink:
		op.node.links++
	case dirRemove:
		op.node.links--
	}
	if op.replaced != nil {
		op.replaced.links--
	}
	if op.kind != dirRemove {
		op.node.parent, op.node.name = op.to.dir, op.to.name
	}
}

// loses returns the inode that the operation takes a name from, or nil.
func (op *dirOp) loses() *inode {
	if op.kind == dirRemove {
		return op.node
	}
	return op.replaced
}

// commit makes the names in dir durable, and with them those earlier changes of
// other directories without which something would be lost or seen twice: the
// other half of a rename, the creation of a directory that something was moved
// to, another name of a file that lost one here. A journal that is written in
// order, as of ext4, XFS and NTFS, would make all earlier changes durable.
func (m *Mem) commit(dir *inode) {
	if dir.dir.pending == 0 {
		return
	}
	changed := map[*inode]bool{dir: true} // all operations in these
	exists := map[*inode]bool{}           // the creation or move of these
	chosen := make([]bool, len(m.pending))
	for i, op := range slices.Backward(m.pending) {
		hit := op.kind != dirRemove && exists[op.node]
		op.dirs(func(d *inode) { hit = hit || changed[d] })
		if !hit {
			continue
		}
		chosen[i] = true
		op.dirs(func(d *inode) { changed[d] = true })
		if op.kind == dirRename && op.from.dir != op.to.dir || exists[op.node] {
			exists[op.to.dir] = true
		}
		if gone := op.loses(); gone != nil && gone.links > 0 {
			exists[gone] = true
		}
	}
	rest := m.pending[:0:0]
	for i, op := range m.pending {
		if !chosen[i] {
			rest = append(rest, op)
			continue
		}
		op.edit(func(d *inode) map[string]*inode { return d.dir.durable })
		op.mention(-1)
	}
	m.pending = slices.DeleteFunc(rest, func(op *dirOp) bool {
		// A removed directory takes along what was pending in it.
		dead := true
		op.dirs(func(d *inode) { dead = dead && d.links == 0 && d.pending == 0 })
		if dead {
			op.mention(-1)
		}
		return dead
	})
	for d := range changed {
		if d.dir.pending == 0 {
			d.dir.durable = nil
		}
	}
}
