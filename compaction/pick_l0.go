package compaction

import (
	"slices"

	"github.com/cordwood-db/cordwood/manifest"
)

// Tables of level 0 overlap. What may leave it is a set that is closed
// downward in age: with a table go all older ones that overlap it (invariant
// 15). Newer ones may stay, so that sets over different keys can be compacted
// at the same time.

// fromL0 picks a set of level 0 to compact into the base level: of those that
// may run now, and are not too large, the one that rewrites the fewest bytes of
// the base level for each byte moved. seed restricts it to the set of one
// table.
func (p *picker) fromL0(reason Reason, seed *manifest.TableMeta) *Plan {
	tables := p.tree.Levels[0]
	var best *Plan
	var bestShare float64
	skip := map[*manifest.TableMeta]bool{} // in a set that was looked at
	for i, t := range tables {
		if seed != nil && t != seed || skip[t] {
			continue
		}
		inputs := p.closeL0(i)
		if inputs == nil {
			continue
		}
		plan := &Plan{Reason: reason, StartLevel: 0, OutputLevel: p.base}
		plan.Inputs[0] = inputs
		plan.setRange()
		plan.Inputs[1] = p.tree.Overlaps(p.base, plan.Start, plan.End)
		if plan = p.finish(plan); plan == nil {
			continue
		}
		moved := tableBytes(inputs)
		share := float64(moved) / float64(max(plan.InputBytes(), 1))
		if large := max(4*p.o.BaseBytesMax, 32*p.o.TargetTableBytes); moved > large && len(inputs) > 1 {
			share-- // a last resort; an older seed may give less
		} else {
			for _, t := range inputs {
				skip[t] = true // less of the same would be less efficient
			}
		}
		if best == nil || share > bestShare {
			best, bestShare = plan, share
		}
	}
	return best
}

// closeL0 returns the table at index i of level 0 with all older ones that it
// needs, newest first; nil if one of them is taken.
func (p *picker) closeL0(i int) []*manifest.TableMeta {
	tables := p.tree.Levels[0]
	var set []*manifest.TableMeta
	for j := i; j < len(tables); j++ {
		t := tables[j]
		// Tables in set are newer than t.
		if j > i && !slices.ContainsFunc(set, func(s *manifest.TableMeta) bool { return overlap(s, t) }) {
			continue
		}
		if p.isTaken(t) {
			return nil
		}
		set = append(set, t)
	}
	return set
}

const (
	// intraL0TablesMin is how many tables are worth merging within level 0.
	intraL0TablesMin = 4
	// intraL0TablesMax bounds one such merge.
	intraL0TablesMax = 32
)

// intraL0 merges a run of neighbours in age into one table of level 0, when
// the way to the base level is taken and they pile up: reads get cheaper
// meanwhile. It takes the newest run that is free, from its new end for as long
// as the work for each table saved goes down, so that one large table is not
// rewritten for the sake of a few small ones.
func (p *picker) intraL0() *Plan {
	tables := p.tree.Levels[0]
	i := slices.IndexFunc(tables, func(t *manifest.TableMeta) bool { return !p.isTaken(t) })
	if i < 0 {
		return nil
	}
	total, perSaved := tables[i].Size, uint64(0)
	j := i + 1
	for ; j < len(tables) && j-i < intraL0TablesMax && !p.isTaken(tables[j]); j++ {
		t := total + tables[j].Size
		saved := t / uint64(j-i)
		if perSaved > 0 && saved > perSaved {
			break
		}
		total, perSaved = t, saved
	}
	n := j - i
	if n < max(intraL0TablesMin, p.o.L0Trigger/2) {
		return nil
	}
	if outputs := total/(l0TableTargets*p.o.TargetTableBytes) + 1; outputs > uint64(n/2) {
		return nil // it would give nearly as many tables
	}
	plan := &Plan{Reason: ReasonIntraL0}
	plan.Inputs[0] = tables[i:j:j]
	return p.finish(plan)
}

func tableBytes(ts []*manifest.TableMeta) (n uint64) {
	for _, t := range ts {
		n += t.Size
	}
	return n
}
