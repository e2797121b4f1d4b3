package manifest

import (
	"bytes"
	"cmp"
	"sort"
)

// Keyspace is what the MANIFEST knows about a keyspace, its tables apart. The
// default keyspace has the number 0 and the name "".
type Keyspace struct {
	Num  uint32 // never used twice
	Name string

	// Dropped says that the name is free again and nobody reads the tables any
	// more; they are on their way out.
	Dropped bool

	// MergeOperator is the name of the operator that merge operands in the
	// tables and in the WAL are meant for; empty if none was ever recorded.
	MergeOperator string

	// Settings are the engine's, opaque here, nil if there are none. They must
	// not be changed.
	Settings []byte
}

// Tree is one keyspace with its tables at one moment. It is immutable, and
// shared by all versions that do not change it: equal pointers mean an equal
// tree. Lookups work on any Tree, also one that a test has put together by
// hand. Slices must not be changed.
type Tree struct {
	Keyspace

	// Levels holds the tables. Level 0 is newest first, by SeqMax; the others
	// ascend by Smallest and are disjoint.
	Levels [NumLevels][]*TableMeta

	// sums is derived, and valid if indexed is set.
	indexed bool
	sums    [NumLevels]levelSum
}

// treeOrder sorts trees by number.
func treeOrder(t *Tree, num uint32) int { return cmp.Compare(t.Num, num) }

// levelSum is what the metrics and the compaction score need of a level.
type levelSum struct {
	tableBytes, vlogBytes uint64
}

// Find returns the table of a level of 1 or more whose range holds key, or nil.
func (t *Tree) Find(level int, key []byte) *TableMeta {
	tables := t.Levels[level]
	i := firstNotBefore(tables, key)
	if i < len(tables) && bytes.Compare(tables[i].Smallest, key) <= 0 {
		return tables[i]
	}
	return nil
}

// Overlaps returns the tables of a level whose range meets [start, end], both
// inclusive; a nil start or end is unbounded. The order is that of the level.
// The result must not be changed: it may be part of the tree.
func (t *Tree) Overlaps(level int, start, end []byte) []*TableMeta {
	tables := t.Levels[level]
	if level == 0 {
		var out []*TableMeta
		for _, m := range tables {
			if m.Overlaps(start, end) {
				out = append(out, m)
			}
		}
		return out
	}
	i, j := 0, len(tables)
	if start != nil {
		i = firstNotBefore(tables, start)
	}
	if end != nil {
		j = i + sort.Search(len(tables)-i, func(k int) bool {
			return bytes.Compare(tables[i+k].Smallest, end) > 0
		})
	}
	return tables[i:j:j]
}

// firstNotBefore is the index of the first table of a sorted level that does
// not end before key.
func firstNotBefore(tables []*TableMeta, key []byte) int {
	return sort.Search(len(tables), func(i int) bool { return !tables[i].endsBefore(key) })
}

// LevelBytes is the size of a level's tables.
func (t *Tree) LevelBytes(level int) uint64 { return t.levelSum(level).tableBytes }

// LevelWeight is the size of a level's tables and of the value-log records
// that they refer to.
func (t *Tree) LevelWeight(level int) uint64 {
	s := t.levelSum(level)
	return s.tableBytes + s.vlogBytes
}

func (t *Tree) levelSum(level int) levelSum {
	if t.indexed {
		return t.sums[level]
	}
	var s levelSum
	for _, m := range t.Levels[level] {
		s.tableBytes += m.Size
		s.vlogBytes += m.VlogBytes
	}
	return s
}

// Empty reports whether the tree has no tables.
func (t *Tree) Empty() bool {
	for _, tables := range t.Levels {
		if len(tables) > 0 {
			return false
		}
	}
	return true
}
