package compaction

import (
	"bytes"
	"slices"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/rangedel"
	"github.com/cordwood-db/cordwood/manifest"
)

const (
	// densePart of a table's entries being tombstones or expired gets it
	// compacted down even where its level is within bounds.
	densePart = 0.5
	// bottomGarbagePart of a table's entries being droppable, with nothing
	// below, gets it rewritten in place.
	bottomGarbagePart = 0.1
	// l0TombstonePart of all entries below level 0 is how many tombstones a
	// dense table there must hold: flushes of a load with many deletes are
	// otherwise better compacted together.
	l0TombstonePart = 0.05
)

// covered plans to drop, unread, the tables of one level that range tombstones
// delete whole.
func (p *picker) covered() *Plan {
	if p.o.RangeDels.Empty() {
		return nil
	}
	for l := range p.tree.Levels {
		drop := p.coveredOf(l)
		if len(drop) == 0 {
			continue
		}
		plan := &Plan{Reason: ReasonCovered, StartLevel: l, OutputLevel: l, DeleteOnly: true}
		plan.Inputs[0] = drop
		if plan = p.finish(plan); plan != nil {
			return plan
		}
	}
	return nil
}

// coveredOf returns the free tables of a level that are deleted whole. It goes
// by tables or by tombstones, whichever there are fewer of.
func (p *picker) coveredOf(level int) (drop []*manifest.TableMeta) {
	add := func(tables []*manifest.TableMeta) {
		for _, t := range tables {
			if !p.isTaken(t) && p.isCovered(t) {
				drop = append(drop, t)
			}
		}
	}
	frags := p.o.RangeDels.Fragments()
	if level == 0 || len(p.tree.Levels[level]) <= len(frags) {
		add(p.tree.Levels[level])
		return drop
	}
	var last *manifest.TableMeta // reaches into the next fragment, perhaps
	for _, f := range frags {
		tables := p.tree.Overlaps(level, f.Start, f.End)
		if len(tables) > 0 && tables[0] == last {
			tables = tables[1:]
		}
		if len(tables) > 0 {
			last = tables[len(tables)-1]
			add(tables)
		}
	}
	return drop
}

// isCovered reports whether every key of t is deleted by a range tombstone that
// is newer than all of t and seen by every snapshot that sees any of t.
func (p *picker) isCovered(t *manifest.TableMeta) bool {
	limit := p.o.SnapshotMin
	if p.o.Snapshots != nil {
		limit = base.SeqNumMax
		if i, _ := slices.BinarySearch(p.o.Snapshots, t.SeqMin); i < len(p.o.Snapshots) {
			limit = p.o.Snapshots[i] // the oldest that sees any of t
		}
	}
	if !t.LargestExclusive {
		return p.o.RangeDels.Covers(t.Smallest, t.Largest, t.SeqMax, limit)
	}
	return coversUpTo(p.o.RangeDels.Truncate(t.Smallest, t.Largest), t.Smallest, t.Largest, t.SeqMax, limit)
}

// coversUpTo is Set.Covers for a range whose end is exclusive. set is cut down
// to it.
func coversUpTo(set *rangedel.Set, start, end []byte, above, visible base.SeqNum) bool {
	for _, f := range set.Fragments() {
		i := slices.IndexFunc(f.Seqs, func(s base.SeqNum) bool { return s <= visible })
		if !bytes.Equal(f.Start, start) || i < 0 || f.Seqs[i] <= above {
			return false
		}
		start = f.End
	}
	return bytes.Equal(start, end)
}

// dense picks a table that is mostly tombstones or expired entries and has
// something below that they hide.
func (p *picker) dense() *Plan {
	for l, tables := range p.tree.Levels[:lastLevel] {
		for _, t := range tables {
			if p.isTaken(t) || !p.isDense(t) || p.nothingBelow(l, t) {
				continue
			}
			var plan *Plan
			switch {
			case l > 0:
				plan = p.downFrom(l, t, ReasonDensity)
			case p.hidesMuch(t):
				plan = p.fromL0(ReasonDensity, t)
			}
			if plan != nil {
				return plan
			}
		}
	}
	return nil
}

// isDense reports whether most of t's entries are tombstones or expired.
func (p *picker) isDense(t *manifest.TableMeta) bool {
	dead := float64(t.Deletes + t.RangeDels)
	return dead > 0 && dead >= densePart*float64(t.Entries) ||
		p.expired(t) > densePart*float64(t.Entries)
}

// hidesMuch reports whether a table of level 0 has tombstones enough to be
// compacted for their sake.
func (p *picker) hidesMuch(t *manifest.TableMeta) bool {
	var below uint64
	for _, tables := range p.tree.Levels[1:] {
		for _, t := range tables {
			below += t.Entries
		}
	}
	dead := float64(t.Deletes) + p.expired(t)
	return t.RangeDels > 0 || dead >= l0TombstonePart*float64(below)
}

// expired estimates how many of t's entries have expired, assuming that expiry
// times are spread evenly. It is above 0 only if at least one has.
func (p *picker) expired(t *manifest.TableMeta) float64 {
	switch {
	case t.Expiring == 0 || t.ExpiryMin > p.o.Now:
		return 0
	case t.ExpiryMax <= p.o.Now:
		return float64(t.Expiring)
	}
	part := float64(p.o.Now-t.ExpiryMin) / float64(t.ExpiryMax-t.ExpiryMin)
	return max(1, part*float64(t.Expiring))
}

// garbagePart estimates the part of t's entries that are tombstones or expired.
func (p *picker) garbagePart(t *manifest.TableMeta) float64 {
	return min(1, (float64(t.Deletes+t.RangeDels)+p.expired(t))/float64(max(t.Entries, 1)))
}

// worthRewriting reports whether writing t anew at the given level drops at
// least part of its entries: tombstones that every snapshot sees, with nothing
// below, and expired entries. It is never true for a table that would come out
// the same.
func (p *picker) worthRewriting(t *manifest.TableMeta, level int, part float64) bool {
	dead := p.expired(t)
	rangeDels := false
	if t.SeqMax <= p.o.SnapshotMin {
		dead += float64(t.Deletes)
		rangeDels = t.RangeDels > 0
	}
	return (rangeDels || dead > 0 && dead >= part*float64(t.Entries)) && p.nothingBelow(level, t)
}

// leftovers picks a table with nothing below it to be rewritten in place.
func (p *picker) leftovers() *Plan {
	for l := 1; l < manifest.NumLevels; l++ {
		for _, t := range p.tree.Levels[l] {
			if p.isTaken(t) || !p.worthRewriting(t, l, bottomGarbagePart) {
				continue
			}
			if plan := p.inPlace(l, t, ReasonBottom); plan != nil {
				return plan
			}
		}
	}
	return nil
}

func (p *picker) inPlace(level int, t *manifest.TableMeta, reason Reason) *Plan {
	plan := &Plan{Reason: reason, StartLevel: level, OutputLevel: level}
	plan.Inputs[0] = []*manifest.TableMeta{t}
	return p.finish(plan)
}
