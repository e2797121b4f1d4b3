package compaction

import (
	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/manifest"
)

// droppedTablesMax is how many tables of a dropped keyspace go at once: their
// properties are read, and the edit should stay small.
const droppedTablesMax = 64

// PickDropped plans to drop, unread, tables of a dropped keyspace, from up to
// two of its levels. It is nil if the keyspace is not dropped, or has no tables
// other than those of plans that are running. Nobody reads the tree any more, so
// that neither keys nor levels stand in the way of what is running.
//
// It is pure, and goes by busy alone: a table that is marked Compacting without
// being in a plan is one that is left alone because it is damaged, and such a
// one goes too.
func PickDropped(tree *manifest.Tree, busy Busy) *Plan {
	if !tree.Dropped {
		return nil
	}
	running := make(map[base.FileNum]bool)
	for _, q := range busy.Plans {
		if q.Keyspace == tree.Num {
			q.Tables(func(_ int, t *manifest.TableMeta) { running[t.Num] = true })
		}
	}
	plan := &Plan{Keyspace: tree.Num, Reason: ReasonDropped, DeleteOnly: true}
	lists, left := 0, droppedTablesMax
	for l, tables := range tree.Levels {
		var free []*manifest.TableMeta
		for _, t := range tables {
			if len(free) < left && !running[t.Num] {
				free = append(free, t)
			}
		}
		if len(free) == 0 {
			continue
		}
		if lists == 0 {
			plan.StartLevel = l
		}
		plan.OutputLevel = l
		plan.Inputs[lists] = free
		left -= len(free)
		if lists++; lists == len(plan.Inputs) || left == 0 {
			break
		}
	}
	if lists == 0 {
		return nil
	}
	plan.setRange()
	return plan
}
