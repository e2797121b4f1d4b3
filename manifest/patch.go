package manifest

import (
	"bytes"
	"cmp"
	"maps"
	"slices"

	"github.com/cordwood-db/cordwood/internal/base"
)

// patch makes the next version out of v and a checked change. What the change
// does not touch is shared: a tree as a whole, a level's slice if its tables
// stay as they are, the list of value-log files only if one of them does. An error is an
// [EditError]: the result would have overlapping tables.
func (v *Version) patch(ch *change) (*Version, error) {
	next := &Version{
		Trees:         v.Trees,
		Vlogs:         v.Vlogs,
		ExpiryHorizon: ch.expiryHorizon,
		indexed:       true,
		vlogNums:      v.vlogNums,
		serial:        v.serial + 1,
	}
	if err := next.patchTrees(ch); err != nil {
		return nil, err
	}
	next.patchVlogs(ch)
	return next, nil
}

// patchTrees brings the list of trees up to date.
func (v *Version) patchTrees(ch *change) error {
	if len(ch.trees) == 0 {
		return nil
	}
	rest := v.Trees
	out := make([]*Tree, 0, len(rest)+len(ch.trees))
	for _, num := range slices.Sorted(maps.Keys(ch.trees)) {
		i, found := slices.BinarySearchFunc(rest, num, treeOrder)
		out = append(out, rest[:i]...)
		rest = rest[i:]
		old := &Tree{indexed: true} // of a keyspace that is added
		if found {
			old, rest = rest[0], rest[1:]
		}
		if ch.trees[num].removed {
			continue
		}
		t, err := old.patch(ch.trees[num])
		if err != nil {
			return err
		}
		out = append(out, t)
	}
	v.Trees = append(out, rest...)
	return nil
}

// patch makes the next tree out of t.
func (t *Tree) patch(ch *treeChange) (*Tree, error) {
	next := new(*t)
	if ch.keyspace != nil {
		next.Keyspace = *ch.keyspace
	}
	for level := range ch.levels {
		lc := &ch.levels[level]
		if len(lc.added)+len(lc.deleted) == 0 {
			continue
		}
		tables, err := patchLevel(level, t.Levels[level], lc)
		if err != nil {
			return nil, err
		}
		next.Levels[level] = tables
		next.sums[level] = next.sums[level].plus(lc)
	}
	return next, nil
}

func (s levelSum) plus(lc *levelChange) levelSum {
	for _, t := range lc.added {
		s.tableBytes += t.Size
		s.vlogBytes += t.VlogBytes
	}
	for _, t := range lc.deleted {
		s.tableBytes -= t.Size
		s.vlogBytes -= t.VlogBytes
	}
	return s
}

// levelOrder is how the tables of a level are sorted. No two tables of a level
// compare equal: in level 0 the numbers tell them apart, below that equal
// smallest keys would be an overlap.
func levelOrder(level int) func(a, b *TableMeta) int {
	if level == 0 {
		return func(a, b *TableMeta) int {
			return cmp.Or(cmp.Compare(b.SeqMax, a.SeqMax), cmp.Compare(b.Num, a.Num))
		}
	}
	return func(a, b *TableMeta) int { return bytes.Compare(a.Smallest, b.Smallest) }
}

// patchLevel merges a change into the sorted tables of a level. Runs between
// the touched places are copied whole, without a look at the tables in them.
func patchLevel(level int, old []*TableMeta, lc *levelChange) ([]*TableMeta, error) {
	order := levelOrder(level)
	added := slices.SortedFunc(slices.Values(lc.added), order)
	deleted := slices.SortedFunc(slices.Values(lc.deleted), order)
	out := make([]*TableMeta, 0, len(old)+len(added)-len(deleted))
	places := make([]int, 0, len(added)) // of the added ones in out
	from := 0                            // everything of old before it is done
	for len(added)+len(deleted) > 0 {
		if len(deleted) > 0 && (len(added) == 0 || order(deleted[0], added[0]) <= 0) {
			i, _ := slices.BinarySearchFunc(old[from:], deleted[0], order)
			i += from
			if i == len(old) || old[i] != deleted[0] {
				return nil, editErrorf("table %d is not where level %d should have it", deleted[0].Num, level)
			}
			out = append(out, old[from:i]...)
			from = i + 1
			deleted = deleted[1:]
			continue
		}
		i, _ := slices.BinarySearchFunc(old[from:], added[0], order)
		out = append(out, old[from:from+i]...)
		from += i
		places = append(places, len(out))
		out = append(out, added[0])
		added = added[1:]
	}
	out = append(out, old[from:]...)
	for _, i := range places {
		if err := checkPlace(level, out, i); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// checkPlace checks the table at i against the others of its level.
func checkPlace(level int, tables []*TableMeta, i int) error {
	if level == 0 {
		for j, t := range tables {
			if j != i && !mayCoexist(tables[min(i, j)], tables[max(i, j)]) {
				return editErrorf("tables %d and %d of level 0 share keys and sequence numbers", tables[i].Num, t.Num)
			}
		}
		return nil
	}
	if i > 0 && !tables[i-1].endsBefore(tables[i].Smallest) {
		return overlapError(level, tables[i-1], tables[i])
	}
	if i+1 < len(tables) && !tables[i].endsBefore(tables[i+1].Smallest) {
		return overlapError(level, tables[i], tables[i+1])
	}
	return nil
}

func overlapError(level int, a, b *TableMeta) error {
	return editErrorf("tables %d [%q, %q] and %d [%q, %q] of level %d overlap",
		a.Num, a.Smallest, a.Largest, b.Num, b.Smallest, b.Largest, level)
}

// mayCoexist reports whether two tables of level 0 may be read one after the
// other, newer first: either they share no key, or all of newer is newer than
// all of older. Entries whose sequence numbers compaction has set to zero say
// nothing about age; they have no older version anywhere.
func mayCoexist(newer, older *TableMeta) bool {
	if newer.SeqMin > older.SeqMax || newer.SeqMin == 0 {
		return true
	}
	return newer.endsBefore(older.Smallest) || older.endsBefore(newer.Smallest)
}

// patchVlogs brings the list of value-log files up to date.
func (v *Version) patchVlogs(ch *change) {
	if len(ch.vlogs) == 0 {
		return
	}
	old, oldNums := v.Vlogs, v.vlogNums
	changed := slices.Sorted(maps.Keys(ch.vlogs))
	out := make([]*VlogMeta, 0, len(old)+len(changed))
	sameFiles := true
	from := 0 // everything of old before it is done
	for _, logical := range changed {
		i, found := slices.BinarySearch(oldNums[from:], logical)
		out = append(out, old[from:from+i]...)
		from += i
		if found {
			from++
		}
		m := ch.vlogs[logical]
		if m != nil {
			out = append(out, m)
		}
		sameFiles = sameFiles && found && m != nil
	}
	v.Vlogs = append(out, old[from:]...)
	if !sameFiles {
		v.vlogNums = logicalNums(v.Vlogs)
	}
}

func logicalNums(metas []*VlogMeta) []base.FileNum {
	nums := make([]base.FileNum, len(metas))
	for i, m := range metas {
		nums[i] = m.Logical
	}
	return nums
}

// version builds a version of everything in the catalog.
func (c *catalog) version() *Version {
	v := &Version{ExpiryHorizon: c.expiryHorizon, indexed: true, serial: 1}
	v.Trees = c.trees()
	for _, logical := range slices.Sorted(maps.Keys(c.vlogs)) {
		v.Vlogs = append(v.Vlogs, c.vlogs[logical])
	}
	v.vlogNums = logicalNums(v.Vlogs)
	return v
}

// snapshot is the edit that makes the state v, with the scalars of ch, out of
// nothing.
func (v *Version) snapshot(ch *change, nextFile base.FileNum) *Edit {
	e := &Edit{
		NextFile:      nextFile,
		MinSegment:    new(ch.minSegment),
		MinSegmentID:  ch.minSegmentID,
		LastSeq:       new(ch.lastSeq),
		ExpiryHorizon: new(ch.expiryHorizon),
	}
	e.AddKeyspaces(v.Trees, ch.nextKeyspace)
	for level, t := range v.Tables() {
		e.Added = append(e.Added, AddedTable{level, t})
	}
	for _, m := range v.Vlogs {
		e.VlogAdded = append(e.VlogAdded, *m)
	}
	return e
}
