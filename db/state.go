package db

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/rangedel"
	"github.com/cordwood-db/cordwood/manifest"
	"github.com/cordwood-db/cordwood/memtable"
)

// readState is all that a read needs: immutable (but for what the newest
// memtables still take in) and reference-counted. It keeps its memtables and,
// through the version, its files.
type readState struct {
	refs    atomic.Int64
	gens    []*generation // newest first; gens[0] takes the writes
	version *manifest.Version
	views   []treeView // ascending by keyspace; that of the default one first
}

// treeView is one keyspace of a read state.
type treeView struct {
	num   uint32
	mems  []*memtable.Memtable // newest first
	tree  *manifest.Tree
	tombs *tableTombs // of tree
}

// view is a keyspace of the state, nil if it has been dropped.
func (s *readState) view(num uint32) *treeView {
	if num == 0 {
		return &s.views[0]
	}
	i, ok := slices.BinarySearchFunc(s.views, num, func(v treeView, n uint32) int { return cmp.Compare(v.num, n) })
	if !ok {
		return nil
	}
	return &s.views[i]
}

// keyspaces are the numbers of all that are not dropped, ascending.
func (s *readState) keyspaces() []uint32 {
	nums := make([]uint32, len(s.views))
	for i := range s.views {
		nums[i] = s.views[i].num
	}
	return nums
}

// tableTombs are the range deletes of all tables of a tree, gathered when first
// asked for.
type tableTombs struct {
	none bool // no table has any
	mu   sync.Mutex
	set  atomic.Pointer[rangedel.Set]
}

func newTableTombs(tree *manifest.Tree) *tableTombs {
	for _, tables := range tree.Levels {
		for _, t := range tables {
			if t.RangeDels > 0 {
				return &tableTombs{}
			}
		}
	}
	return &tableTombs{none: true}
}

// cached is the set if it is at hand.
func (t *tableTombs) cached() (set *rangedel.Set, ok bool) {
	if t.none {
		return nil, true
	}
	set = t.set.Load()
	return set, set != nil
}

// tableRangeDels is the set of range deletes in the tables of v, nil if there
// are none. A table that cannot be read is an error only for a caller who
// needs its keys; the others get what is known of the rest. Errors are not
// kept: the next call tries again.
func (db *DB) tableRangeDels(v *treeView, needs func(*manifest.TableMeta) bool) (*rangedel.Set, error) {
	t := v.tombs
	if set, ok := t.cached(); ok {
		return set, nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if set, ok := t.cached(); ok {
		return set, nil
	}
	var sets []*rangedel.Set
	whole := true
	for _, tables := range v.tree.Levels {
		for _, meta := range tables {
			if meta.RangeDels == 0 {
				continue
			}
			h, err := db.tables.Get(meta.Num, meta.ID)
			switch {
			case err == nil:
				sets = append(sets, h.RangeDels())
				h.Release()
			case needs(meta):
				return nil, err
			default:
				whole = false
			}
		}
	}
	set := rangedel.Merge(sets...)
	if whole {
		t.set.Store(set)
	}
	return set, nil
}

// rangeDels is the set of all range deletes that v can see in r.
func (db *DB) rangeDels(v *treeView, r Range) (*rangedel.Set, error) {
	var sets []*rangedel.Set
	for _, m := range v.mems {
		if set := m.RangeDels(); !set.Empty() {
			sets = append(sets, set)
		}
	}
	set, err := db.tableRangeDels(v, func(t *manifest.TableMeta) bool { return t.Overlaps(r.lower, r.upper) })
	if err != nil {
		return nil, err
	}
	if len(sets) == 0 {
		return set, nil
	}
	return rangedel.Merge(append(sets, set)...), nil
}

// newReadState takes over the caller's reference to version and adds its own
// references to gens. The result has one reference. What old, which may be nil,
// knows of trees that have not changed is kept.
func newReadState(gens []*generation, version *manifest.Version, old *readState) *readState {
	s := &readState{gens: gens, version: version, views: make([]treeView, 0, len(version.Trees))}
	for _, g := range gens {
		g.ref()
	}
	for _, tree := range version.Trees {
		if tree.Dropped {
			continue
		}
		v := treeView{num: tree.Num, tree: tree}
		for _, g := range gens {
			if m := g.mem(tree.Num); m != nil {
				v.mems = append(v.mems, m)
			}
		}
		if old != nil {
			if before := old.view(tree.Num); before != nil && before.tree == tree {
				v.tombs = before.tombs
			}
		}
		if v.tombs == nil {
			v.tombs = newTableTombs(tree)
		}
		s.views = append(s.views, v)
	}
	s.refs.Store(1)
	return s
}

// tryRef adds a reference unless the last one is gone already.
func (s *readState) tryRef() bool {
	for {
		n := s.refs.Load()
		if n == 0 {
			return false
		}
		if s.refs.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// acquire returns the current read state with a reference, and the sequence
// number to read it at: every commit up to it was published, and the state
// holds all of them and every value-log file that they point into.
//
// The state is loaded before the sequence number, so that no compaction can
// have dropped a version that this number needs; and again after it, so that
// no commit up to it can be missing from the state.
func (db *DB) acquire() (*readState, base.SeqNum) {
	for {
		s := db.state.Load()
		if s == nil || !s.tryRef() {
			if s == nil {
				return nil, 0
			}
			continue
		}
		seq := base.SeqNum(db.visible.Load())
		if db.state.Load() == s {
			return s, seq
		}
		db.release(s)
	}
}

// release gives a read state back and sees to files that nobody needs now.
func (db *DB) release(s *readState) {
	if s.refs.Add(-1) != 0 {
		return
	}
	for _, g := range s.gens {
		g.unref()
	}
	s.version.Unref()
	db.readers.Add(-1)
	db.wakeCleaner()
}
