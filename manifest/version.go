package manifest

import (
	"cmp"
	"iter"
	"slices"
	"sync/atomic"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/invariants"
)

// Version is the set of live files at one moment. All of it is immutable;
// slices must not be changed. Lookups work on any Version, also one that a test
// has put together by hand.
type Version struct {
	// Trees holds the keyspaces, ascending by Num. The first is the default
	// keyspace, which is always there. A dropped one stays until it is removed.
	Trees []*Tree

	// Vlogs holds the logical value-log files, ascending by Logical.
	Vlogs []*VlogMeta

	// ExpiryHorizon is a time, in nanoseconds since 1970, up to which expired
	// data may be gone already: readers judge expiry by the larger of it and
	// their clock.
	ExpiryHorizon uint64

	// Derived, immutable, valid if indexed is set. vlogNums runs parallel to
	// Vlogs, so that a search stays in a few cache lines.
	indexed  bool
	vlogNums []base.FileNum

	// Reference counting; see files.go.
	owner   *liveness // nil for a hand-made version
	serial  uint64
	refs    atomic.Int64
	zombies []zombie // guarded by owner.mu
}

// Ref adds a reference. The caller must hold one.
func (v *Version) Ref() {
	n := v.refs.Add(1)
	invariants.Check(n > 1 || v.owner == nil, "manifest: Ref of a released version")
}

// TryRef adds a reference unless the last one is gone already. It never waits.
func (v *Version) TryRef() bool {
	for {
		n := v.refs.Load()
		if n <= 0 {
			return false
		}
		if v.refs.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// Unref gives a reference back. Files that only this version held become
// obsolete with the last one.
func (v *Version) Unref() {
	n := v.refs.Add(-1)
	invariants.Check(n >= 0 || v.owner == nil, "manifest: Unref of a released version")
	if n == 0 && v.owner != nil {
		v.owner.release(v)
	}
}

// Tree returns the keyspace with the given number, or nil if the version has
// none.
func (v *Version) Tree(num uint32) *Tree {
	if len(v.Trees) > 0 && v.Trees[0].Num == num {
		return v.Trees[0]
	}
	i, ok := slices.BinarySearchFunc(v.Trees, num, treeOrder)
	if !ok {
		return nil
	}
	return v.Trees[i]
}

// Tables goes through all tables with their levels, keyspace by keyspace,
// dropped ones included.
func (v *Version) Tables() iter.Seq2[int, *TableMeta] {
	return func(yield func(int, *TableMeta) bool) {
		for _, tree := range v.Trees {
			for level, tables := range tree.Levels {
				for _, t := range tables {
					if !yield(level, t) {
						return
					}
				}
			}
		}
	}
}

// Vlog returns the logical value-log file, or nil if it is not in the version.
func (v *Version) Vlog(logical base.FileNum) *VlogMeta {
	var i int
	var ok bool
	if v.indexed {
		i, ok = slices.BinarySearch(v.vlogNums, logical)
	} else {
		i, ok = slices.BinarySearchFunc(v.Vlogs, logical, func(m *VlogMeta, n base.FileNum) int {
			return cmp.Compare(m.Logical, n)
		})
	}
	if !ok {
		return nil
	}
	return v.Vlogs[i]
}
