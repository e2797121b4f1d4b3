package manifest

import (
	"bytes"
	"cmp"
	"slices"
	"sort"
	"sync/atomic"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/invariants"
)

// Version is the set of live files at one moment. All of it is immutable;
// slices must not be changed. Lookups work on any Version, also one that a test
// has put together by hand.
type Version struct {
	// Levels holds the tables. Level 0 is newest first, by SeqMax; the others
	// ascend by Smallest and are disjoint.
	Levels [NumLevels][]*TableMeta

	// Vlogs holds the logical value-log files, ascending by Logical.
	Vlogs []*VlogMeta

	// ExpiryHorizon is a time, in nanoseconds since 1970, up to which expired
	// data may be gone already: readers judge expiry by the larger of it and
	// their clock.
	ExpiryHorizon uint64

	// Derived, immutable. sums is valid if indexed is set; vlogNums runs
	// parallel to Vlogs, so that a search stays in a few cache lines.
	indexed  bool
	sums     [NumLevels]levelSum
	vlogNums []base.FileNum

	// Reference counting; see files.go.
	owner   *liveness // nil for a hand-made version
	serial  uint64
	refs    atomic.Int64
	zombies []zombie // guarded by owner.mu
}

// levelSum is what the metrics and the compaction score need of a level.
type levelSum struct {
	tableBytes, vlogBytes uint64
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

// Find returns the table of a level of 1 or more whose range holds key, or nil.
func (v *Version) Find(level int, key []byte) *TableMeta {
	tables := v.Levels[level]
	i := firstNotBefore(tables, key)
	if i < len(tables) && bytes.Compare(tables[i].Smallest, key) <= 0 {
		return tables[i]
	}
	return nil
}

// Overlaps returns the tables of a level whose range meets [start, end], both
// inclusive; a nil start or end is unbounded. The order is that of the level.
// The result must not be changed: it may be part of the version.
func (v *Version) Overlaps(level int, start, end []byte) []*TableMeta {
	tables := v.Levels[level]
	if level == 0 {
		var out []*TableMeta
		for _, t := range tables {
			if t.Overlaps(start, end) {
				out = append(out, t)
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
func (v *Version) LevelBytes(level int) uint64 { return v.levelSum(level).tableBytes }

// LevelWeight is the size of a level's tables and of the value-log records
// that they refer to.
func (v *Version) LevelWeight(level int) uint64 {
	s := v.levelSum(level)
	return s.tableBytes + s.vlogBytes
}

func (v *Version) levelSum(level int) levelSum {
	if v.indexed {
		return v.sums[level]
	}
	var s levelSum
	for _, t := range v.Levels[level] {
		s.tableBytes += t.Size
		s.vlogBytes += t.VlogBytes
	}
	return s
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
