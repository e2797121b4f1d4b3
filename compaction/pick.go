package compaction

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/manifest"
)

// Pick says what to compact next, or nil if nothing is worth it, or all that is
// worth it collides with what is busy. It is pure; the caller holds the lock
// that guards TableMeta.Compacting, and adds the plan to busy before it calls
// again. A dropped keyspace is never compacted: see PickDropped.
//
// In this order: tables that range tombstones delete whole; levels over their
// target, the most urgent first; tables that are mostly tombstones or expired,
// ahead of levels that are only a little over target; leftovers at the bottom.
func Pick(tree *manifest.Tree, busy Busy, o PickOptions) *Plan {
	if tree.Dropped {
		return nil
	}
	p := newPicker(tree, busy, o)
	if plan := p.covered(); plan != nil {
		return plan
	}
	urgent := 0.0
	for _, s := range p.score {
		urgent = max(urgent, s)
	}
	steps := []func() *Plan{p.dense, p.overTarget}
	if urgent >= 1.5 {
		steps[0], steps[1] = steps[1], steps[0]
	}
	for _, step := range append(steps, p.leftovers) {
		if plan := step(); plan != nil {
			return plan
		}
	}
	return nil
}

// picker is the state of one call of Pick.
type picker struct {
	shape
	tree  *manifest.Tree
	o     PickOptions
	busy  []*Plan // of this keyspace
	taken map[base.FileNum]struct{}
}

func newPicker(tree *manifest.Tree, busy Busy, o PickOptions) *picker {
	p := &picker{tree: tree, o: o.withDefaults(), taken: map[base.FileNum]struct{}{}}
	base0 := lastLevel
	for _, q := range busy.Plans {
		if q.Keyspace != tree.Num {
			continue
		}
		p.busy = append(p.busy, q)
		q.Tables(func(_ int, t *manifest.TableMeta) { p.taken[t.Num] = struct{}{} })
		if q.StartLevel == 0 && q.OutputLevel > 0 {
			base0 = min(base0, q.OutputLevel)
		}
	}
	p.shape = measure(tree, p.o, p.isTaken, base0)
	return p
}

func (p *picker) isTaken(t *manifest.TableMeta) bool {
	if t.Compacting {
		return true
	}
	_, ok := p.taken[t.Num]
	return ok
}

func (p *picker) anyTaken(ts []*manifest.TableMeta) bool { return slices.ContainsFunc(ts, p.isTaken) }

// finish completes a plan whose levels and inputs are set, or returns nil if
// it may not run now.
func (p *picker) finish(plan *Plan) *Plan {
	plan.Keyspace = p.tree.Num
	plan.setRange()
	if p.anyTaken(plan.Inputs[0]) || p.anyTaken(plan.Inputs[1]) ||
		slices.ContainsFunc(p.busy, plan.conflicts) {
		return nil
	}
	plan.TargetTableBytes = p.o.TargetTableBytes
	plan.Score = p.score[plan.StartLevel]
	if out := plan.OutputLevel; out > 0 && out < lastLevel {
		plan.Grandparents = p.tree.Overlaps(out+1, plan.Start, plan.End)
	}
	plan.TrivialMove = p.trivial(plan)
	return plan
}

// trivial reports whether the plan's table can move down unread: nothing to
// merge it with, not too expensive to compact further, nothing to gain.
func (p *picker) trivial(plan *Plan) bool {
	if plan.DeleteOnly || plan.StartLevel == plan.OutputLevel ||
		len(plan.Inputs[0]) != 1 || len(plan.Inputs[1]) > 0 {
		return false
	}
	var overlap uint64
	for _, g := range plan.Grandparents {
		overlap += g.Size
	}
	t := plan.Inputs[0][0]
	return overlap <= grandparentTargets*p.o.TargetTableBytes &&
		!p.worthRewriting(t, plan.OutputLevel, bottomGarbagePart)
}

// overTarget picks from the levels over target, the most urgent first.
func (p *picker) overTarget() *Plan {
	var levels []int
	for l, raw := range p.raw {
		if raw >= 1 {
			levels = append(levels, l)
		}
	}
	slices.SortStableFunc(levels, func(a, b int) int { return cmp.Compare(p.score[b], p.score[a]) })
	for _, l := range levels {
		plan := p.fromLevel(l)
		if plan != nil {
			return plan
		}
	}
	return nil
}

func (p *picker) fromLevel(level int) *Plan {
	if level > 0 {
		return p.down(level, ReasonScore)
	}
	if plan := p.fromL0(ReasonScore, nil); plan != nil {
		return plan
	}
	return p.intraL0()
}

// down picks the table of a level of 1 or more that is cheapest to compact
// into the next one: the fewest bytes to rewrite for each byte of weight that
// moves, with garbage in it making it cheaper.
func (p *picker) down(level int, reason Reason) *Plan {
	type seed struct {
		table *manifest.TableMeta
		cost  float64
	}
	var seeds []seed
	for _, t := range p.tree.Levels[level] {
		if p.isTaken(t) {
			continue
		}
		work := t.Size
		for _, o := range p.tree.Overlaps(level+1, t.Smallest, t.Largest) {
			work += o.Size
		}
		cost := float64(work) / float64(max(t.Size+t.VlogBytes, 1))
		seeds = append(seeds, seed{t, cost * (1 - p.garbagePart(t)/2)})
	}
	slices.SortStableFunc(seeds, func(a, b seed) int { return cmp.Compare(a.cost, b.cost) })
	for _, s := range seeds {
		if plan := p.downFrom(level, s.table, reason); plan != nil {
			return plan
		}
	}
	return nil
}

// downFrom plans the compaction of t, and what comes along for free, into the
// level below; nil if it may not run now.
func (p *picker) downFrom(level int, t *manifest.TableMeta, reason Reason) *Plan {
	plan := &Plan{Reason: reason, StartLevel: level, OutputLevel: level + 1}
	plan.Inputs[0] = []*manifest.TableMeta{t}
	plan.Inputs[1] = p.tree.Overlaps(level+1, t.Smallest, t.Largest)
	if plan = p.finish(plan); plan == nil || plan.TrivialMove {
		return plan
	}
	return cmp.Or(p.widen(plan), plan)
}

// inputTargets times the target size is the largest input of a compaction that
// was widened.
const inputTargets = 25

// widen returns the plan with more tables of its start level, where that takes
// no more of the output level; nil if there are none.
func (p *picker) widen(plan *Plan) *Plan {
	wide := p.tree.Overlaps(plan.StartLevel, plan.Start, plan.End)
	if bytes.Compare(wide[0].Smallest, plan.Start) < 0 {
		wide = wide[1:]
	}
	if n := len(wide) - 1; bytes.Compare(wide[n].Largest, plan.End) > 0 {
		wide = wide[:n]
	}
	if len(wide) <= len(plan.Inputs[0]) {
		return nil
	}
	next := &Plan{Reason: plan.Reason, StartLevel: plan.StartLevel, OutputLevel: plan.OutputLevel}
	next.Inputs = [2][]*manifest.TableMeta{wide, plan.Inputs[1]}
	if next.InputBytes() > inputTargets*p.o.TargetTableBytes {
		return nil
	}
	if next = p.finish(next); next == nil {
		return nil
	}
	if len(p.tree.Overlaps(next.OutputLevel, next.Start, next.End)) != len(plan.Inputs[1]) {
		return nil
	}
	return next
}

// nothingBelow reports whether no table deeper than level meets t's range.
func (p *picker) nothingBelow(level int, t *manifest.TableMeta) bool {
	for l := level + 1; l < manifest.NumLevels; l++ {
		if len(p.tree.Overlaps(l, t.Smallest, t.Largest)) > 0 {
			return false
		}
	}
	return true
}

func overlap(a, b *manifest.TableMeta) bool {
	return bytes.Compare(a.Smallest, b.Largest) <= 0 && bytes.Compare(b.Smallest, a.Largest) <= 0
}
