package manifest

import (
	"cmp"
	"slices"

	"github.com/cordwood-db/cordwood/internal/base"
)

// pairsCheckedMax bounds the work of checking level 0, where every pair of
// tables whose sequence numbers overlap is compared. Level 0 never has more
// than a few hundred tables; a hostile MANIFEST can name a million.
const pairsCheckedMax = 1 << 20

// Check returns an [EditError] if the version breaks an invariant: keyspaces
// and levels in order, names unique, each table in its keyspace, no two tables where a reader could take the older for the newer, no
// table twice, one id for each physical value-log file. Sorting apart, its
// cost is linear.
func (v *Version) Check() error {
	seen := make(map[base.FileNum]bool)
	names := make(map[string]bool)
	if len(v.Trees) == 0 || v.Trees[0].Num != 0 {
		return editErrorf("there is no default keyspace")
	}
	for i, t := range v.Trees {
		if i > 0 && v.Trees[i-1].Num >= t.Num {
			return editErrorf("keyspaces %d and %d are out of order", v.Trees[i-1].Num, t.Num)
		}
		if err := t.checkName(); err != nil {
			return err
		}
		if names[t.Name] && !t.Dropped {
			return editErrorf("keyspace %q is there twice", t.Name)
		}
		names[t.Name] = names[t.Name] || !t.Dropped
		if err := t.check(seen); err != nil {
			return err
		}
	}
	return v.checkVlogs()
}

// check is Version.Check for one tree. seen are the tables of those before it.
func (t *Tree) check(seen map[base.FileNum]bool) error {
	for level, tables := range t.Levels {
		for _, m := range tables {
			if seen[m.Num] {
				return editErrorf("table %d is there twice", m.Num)
			}
			seen[m.Num] = true
			if m.Keyspace != t.Num {
				return editErrorf("table %d of keyspace %d is in keyspace %d", m.Num, m.Keyspace, t.Num)
			}
			if err := m.check(); err != nil {
				return err
			}
		}
		if err := checkLevel(level, tables); err != nil {
			return err
		}
	}
	byHand := Tree{Levels: t.Levels}
	for level := range t.Levels {
		if got, want := t.levelSum(level), byHand.levelSum(level); got != want {
			return editErrorf("level %d adds up to %+v, not %+v", level, want, got)
		}
	}
	return nil
}

func checkLevel(level int, tables []*TableMeta) error {
	order := levelOrder(level)
	for i := 1; i < len(tables); i++ {
		if order(tables[i-1], tables[i]) >= 0 {
			return editErrorf("tables %d and %d of level %d are out of order", tables[i-1].Num, tables[i].Num, level)
		}
		if level > 0 && !tables[i-1].endsBefore(tables[i].Smallest) {
			return overlapError(level, tables[i-1], tables[i])
		}
	}
	if level > 0 {
		return nil
	}
	pairs := 0
	for i, t := range tables {
		for _, older := range tables[i+1:] {
			if pairs++; older.SeqMax < t.SeqMin || pairs > pairsCheckedMax {
				break // the rest is older still
			}
			if !mayCoexist(t, older) {
				return editErrorf("tables %d and %d of level 0 share keys and sequence numbers", t.Num, older.Num)
			}
		}
	}
	return nil
}

func (v *Version) checkVlogs() error {
	ids := make(map[base.FileNum]uint64)
	for i, m := range v.Vlogs {
		if i > 0 && v.Vlogs[i-1].Logical >= m.Logical {
			return editErrorf("value-log files %d and %d are out of order", v.Vlogs[i-1].Logical, m.Logical)
		}
		if id, ok := ids[m.Physical]; ok && id != m.PhysicalID {
			return editErrorf("physical value-log file %d has two ids", m.Physical)
		}
		ids[m.Physical] = m.PhysicalID
		if m.Sealed && m.Discarded > m.Bytes {
			return editErrorf("value-log file %d has more garbage than bytes", m.Logical)
		}
	}
	if v.indexed && !slices.EqualFunc(v.Vlogs, v.vlogNums, func(m *VlogMeta, n base.FileNum) bool {
		return cmp.Compare(m.Logical, n) == 0
	}) {
		return editErrorf("the index of value-log files does not fit")
	}
	return nil
}
