package vfs

import (
	iofs "io/fs"
	"math"
	"path/filepath"
	"strings"
)

// newInode makes a file or directory without a name and charges for it.
func (m *Mem) newInode(dir bool) *inode {
	m.inodes++
	n := &inode{num: m.inodes}
	if dir {
		n.dir = &directory{entries: map[string]*inode{}}
	}
	m.used += inodeBytes
	return n
}

// room returns the bytes left.
func (m *Mem) room() int64 {
	if m.capacity < 0 {
		return math.MaxInt64
	}
	return max(0, m.capacity-m.used)
}

// release gives back the space of an inode that nobody can reach any more. The
// bytes stay for as long as a crash could bring them back.
func (m *Mem) release(n *inode) {
	if n.links == 0 && n.handles == 0 {
		m.used -= inodeBytes + n.file.allocated*pageBytes
	}
}

// clean brings path to the form in which the tree is walked: separated by
// slashes, without a leading one; the root is empty.
func clean(path string) string {
	path = strings.TrimLeft(filepath.ToSlash(filepath.Clean(path)), "/")
	if path == "." {
		return ""
	}
	return path
}

// find returns the inode at path.
func (m *Mem) find(path string) (*inode, error) {
	at := m.root
	for rest := clean(path); rest != ""; {
		if at.dir == nil {
			return nil, errNotDir
		}
		var name string
		name, rest, _ = strings.Cut(rest, "/")
		if at = at.dir.entries[name]; at == nil {
			return nil, iofs.ErrNotExist
		}
	}
	return at, nil
}

// place is a name in a directory, taken or not.
type place struct {
	dir  *inode
	name string
}

// node returns what is at the place now.
func (p place) node() *inode { return p.dir.dir.entries[p.name] }

// findPlace returns the place that path names; its directory must exist.
func (m *Mem) findPlace(path string) (place, error) {
	path = clean(path)
	if path == "" {
		return place{}, errBusy // the root has no name
	}
	parent, name := "", path
	if i := strings.LastIndexByte(path, '/'); i >= 0 {
		parent, name = path[:i], path[i+1:]
	}
	dir, err := m.find(parent)
	if err != nil {
		return place{}, err
	}
	if dir.dir == nil {
		return place{}, errNotDir
	}
	return place{dir, name}, nil
}

// create makes a file or directory at a free place.
func (m *Mem) create(at place, dir bool) (*inode, error) {
	if m.room() < inodeBytes {
		return nil, errNoSpace
	}
	n := m.newInode(dir)
	m.apply(&dirOp{kind: dirCreate, to: at, node: n})
	return n, nil
}
