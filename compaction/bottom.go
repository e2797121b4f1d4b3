package compaction

import (
	"bytes"
	"slices"
	"sort"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/manifest"
)

// older answers whether tables outside a plan may hold versions of keys that
// are older than the plan's.
//
// These are all tables below the start level that are no inputs, and, for a
// plan from level 0, tables of level 0 that are no inputs and older than the
// newest input. While the plan runs no others can come to lie there: data only
// moves down, what is above is newer, and invariant 14 keeps other plans away
// from the levels between.
type older struct {
	levels [][]*manifest.TableMeta // ascending and disjoint in each
	at     []int                   // tables before it end before the last key asked for
	l0     []*manifest.TableMeta
}

func newOlder(tree *manifest.Tree, plan *Plan) *older {
	inputs := map[base.FileNum]bool{}
	plan.Tables(func(_ int, t *manifest.TableMeta) { inputs[t.Num] = true })
	isInput := func(t *manifest.TableMeta) bool { return inputs[t.Num] }

	o := &older{}
	if plan.StartLevel == 0 {
		tables := tree.Levels[0]
		if i := slices.IndexFunc(tables, isInput); i >= 0 {
			o.l0 = slices.DeleteFunc(slices.Clone(tables[i:]), isInput)
		}
	}
	for l := plan.StartLevel + 1; l < manifest.NumLevels; l++ {
		tables := tree.Overlaps(l, plan.Start, plan.End)
		if slices.ContainsFunc(tables, isInput) {
			tables = slices.DeleteFunc(slices.Clone(tables), isInput)
		}
		if len(tables) > 0 {
			o.levels = append(o.levels, tables)
		}
	}
	o.at = make([]int, len(o.levels))
	return o
}

// bottom reports that no such table holds key. Keys ascend from call to call.
func (o *older) bottom(key []byte) bool {
	for i, tables := range o.levels {
		at := o.at[i]
		for at < len(tables) && endsBefore(tables[at], key) {
			at++
		}
		o.at[i] = at
		if at < len(tables) && bytes.Compare(tables[at].Smallest, key) <= 0 {
			return false
		}
	}
	return !slices.ContainsFunc(o.l0, func(t *manifest.TableMeta) bool { return t.Contains(key) })
}

// bottomRange reports that no such table meets [start, end).
func (o *older) bottomRange(start, end []byte) bool {
	meets := func(t *manifest.TableMeta) bool {
		return !endsBefore(t, start) && bytes.Compare(t.Smallest, end) < 0
	}
	for _, tables := range o.levels {
		i := sort.Search(len(tables), func(i int) bool { return !endsBefore(tables[i], start) })
		if i < len(tables) && meets(tables[i]) {
			return false
		}
	}
	return !slices.ContainsFunc(o.l0, meets)
}

// deepest reports that no level below the plan's output has keys of its range.
func deepest(tree *manifest.Tree, plan *Plan) bool {
	for l := plan.OutputLevel + 1; l < manifest.NumLevels; l++ {
		if len(tree.Overlaps(l, plan.Start, plan.End)) > 0 {
			return false
		}
	}
	return true
}
