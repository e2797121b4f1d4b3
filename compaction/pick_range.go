package compaction

import (
	"github.com/cordwood-db/cordwood/manifest"
)

// PickRange is one step of a manual compaction of the user keys [start, end],
// both inclusive, nil meaning unbounded: it takes tables of the given level
// that meet the range into the next level, or, at the deepest level that holds
// anything of the range, rewrites those in place that hold something droppable,
// or are older than o.RewriteBefore.
//
// A caller goes through the levels from 0 down, and stays at a level until the
// answer is nil: nothing is left to do there, or, if busy is not empty, what is
// left collides with it and the caller asks again later.
func PickRange(tree *manifest.Tree, busy Busy, o PickOptions, level int, start, end []byte) *Plan {
	if level < 0 || level >= manifest.NumLevels || tree.Dropped {
		return nil
	}
	p := newPicker(tree, busy, o)
	deepest := 0
	for l := range tree.Levels {
		if len(tree.Overlaps(l, start, end)) > 0 {
			deepest = l
		}
	}
	for _, t := range tree.Overlaps(level, start, end) {
		if p.isTaken(t) {
			continue
		}
		var plan *Plan
		switch {
		case level == 0:
			plan = p.fromL0(ReasonManual, t)
		case level < deepest:
			plan = p.downFrom(level, t, ReasonManual)
		case t.Num < o.RewriteBefore || p.worthRewriting(t, level, 0):
			plan = p.inPlace(level, t, ReasonManual)
		}
		if plan != nil {
			return plan
		}
	}
	return nil
}
