package compaction

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/rangedel"
	"github.com/cordwood-db/cordwood/manifest"
)

// Reason is why a plan was made.
type Reason uint8

const (
	// ReasonScore says that a level is larger than its target, or refers to too
	// much of the value log.
	ReasonScore Reason = iota
	// ReasonIntraL0 says that level 0 has many tables and the way down is taken.
	ReasonIntraL0
	// ReasonCovered says that range tombstones delete whole tables.
	ReasonCovered
	// ReasonDensity says that a table is mostly tombstones or expired entries.
	ReasonDensity
	// ReasonBottom says that a table at the bottom of its range holds
	// tombstones or expired entries that nobody needs any more.
	ReasonBottom
	// ReasonManual says that someone asked for it.
	ReasonManual
	// ReasonDropped says that the keyspace was dropped.
	ReasonDropped
)

// String names the reason.
func (r Reason) String() string {
	return [...]string{"score", "intra-l0", "covered", "density", "bottom", "manual", "dropped"}[r]
}

// Plan is a compaction to be run. It is immutable once made.
type Plan struct {
	Keyspace                uint32 // whose tables
	Reason                  Reason
	StartLevel, OutputLevel int

	// Inputs are the tables to take, of StartLevel and of OutputLevel, each in
	// the order of its level. The second is empty where the levels are equal.
	Inputs [2][]*manifest.TableMeta
	// Grandparents are the tables below OutputLevel that the inputs overlap.
	Grandparents []*manifest.TableMeta

	// TrivialMove: the tables change their level, unread. DeleteOnly: they are
	// dropped, unread.
	TrivialMove, DeleteOnly bool

	// Start and End bound the user keys of all inputs, both inclusive.
	Start, End []byte

	// TargetTableBytes is where outputs are cut.
	TargetTableBytes uint64

	// Score is the urgency of the start level, 1 and more where it is over
	// target. For display.
	Score float64
}

// Tables calls fn for each input table.
func (p *Plan) Tables(fn func(level int, t *manifest.TableMeta)) {
	for _, t := range p.Inputs[0] {
		fn(p.StartLevel, t)
	}
	for _, t := range p.Inputs[1] {
		fn(p.OutputLevel, t)
	}
}

// InputBytes is the size of the input tables.
func (p *Plan) InputBytes() (n uint64) {
	p.Tables(func(_ int, t *manifest.TableMeta) { n += t.Size })
	return n
}

// String shows the plan in one line, for logs and tests. It holds no keys.
func (p *Plan) String() string {
	var b strings.Builder
	if p.Keyspace != 0 {
		fmt.Fprintf(&b, "keyspace %d: ", p.Keyspace)
	}
	fmt.Fprintf(&b, "%s L%d->L%d", p.Reason, p.StartLevel, p.OutputLevel)
	if p.TrivialMove {
		b.WriteString(" move")
	}
	if p.DeleteOnly {
		b.WriteString(" drop")
	}
	nums := func(ts []*manifest.TableMeta) {
		for i, t := range ts {
			if i > 0 {
				b.WriteByte(' ')
			}
			fmt.Fprintf(&b, "%d", t.Num)
		}
	}
	b.WriteString(" [")
	nums(p.Inputs[0])
	b.WriteString("]")
	if len(p.Inputs[1]) > 0 {
		b.WriteString(" + [")
		nums(p.Inputs[1])
		b.WriteString("]")
	}
	return b.String()
}

// setRange computes Start and End.
func (p *Plan) setRange() {
	p.Start, p.End = nil, nil
	p.Tables(func(_ int, t *manifest.TableMeta) {
		if p.Start == nil || bytes.Compare(t.Smallest, p.Start) < 0 {
			p.Start = t.Smallest
		}
		if p.End == nil || bytes.Compare(t.Largest, p.End) > 0 {
			p.End = t.Largest
		}
	})
}

// conflicts reports whether p and q, of one keyspace, may not run at the same
// time: their key ranges meet, and so do the levels they work on. Level 0 does not count, since
// its tables overlap anyhow: there the rule about older tables decides.
func (p *Plan) conflicts(q *Plan) bool {
	lo := max(p.StartLevel, q.StartLevel, 1)
	hi := min(p.OutputLevel, q.OutputLevel)
	return lo <= hi && bytes.Compare(p.Start, q.End) <= 0 && bytes.Compare(q.Start, p.End) <= 0
}

// Busy is what is being compacted at the moment. A table also counts as taken
// if its Compacting mark is set. Plans of other keyspaces make no difference.
type Busy struct {
	Plans []*Plan
}

// PickOptions are the numbers that Pick goes by. Sizes are in bytes.
//
// The defaults are for flushes of about 32 MiB. Simulated (see
// TestRandomLoadIsWrittenAFewTimes), 20 such flushes over random keys are
// written 2.2 times in all, 60 of them 4.7 times; with a trigger of 4 and a
// base of 64 MiB it would be 4.3 and 6.9 times. A base that is small next to
// what level 0 gathers only passes data on.
type PickOptions struct {
	L0Trigger        int     // tables in level 0 that make its score 1; 0 means 8
	BaseBytesMax     uint64  // largest target weight of the base level; 0 means 256 MiB
	Ratio            float64 // of targets of neighbouring levels; 0 means 10
	TargetTableBytes uint64  // where outputs are cut; 0 means 8 MiB
	Now              uint64  // nanoseconds since 1970, for expiry

	// SpaceSlack bounds the garbage that hides in the value log under
	// overwrites that compaction has not seen yet: levels above the last one
	// may refer to no more of the value log than this part of the last level's
	// weight. 0 means 0.08.
	SpaceSlack float64

	// SnapshotMin is the oldest sequence number at which someone may read;
	// base.SeqNumMax if only the newest state is read. 0 is the safe answer:
	// every tombstone may be needed.
	SnapshotMin base.SeqNum

	// Snapshots are all of them, ascending. Optional: they allow a range
	// tombstone to drop a table that is newer than some snapshots.
	Snapshots []base.SeqNum

	// RewriteBefore lets PickRange rewrite tables with a smaller number at the
	// deepest level, though nothing seems droppable there: with a number that
	// was new when a manual compaction began, a compaction filter gets to see
	// everything, once. 0: it does not.
	RewriteBefore base.FileNum

	// RangeDels are range tombstones that are stored in tables of the version
	// (those of memtables could be lost while their effect is not). Optional:
	// they let whole tables be dropped unread.
	RangeDels *rangedel.Set
}

func (o PickOptions) withDefaults() PickOptions {
	if o.L0Trigger <= 0 {
		o.L0Trigger = 8
	}
	if o.BaseBytesMax == 0 {
		o.BaseBytesMax = 256 << 20
	}
	if o.Ratio < 2 {
		o.Ratio = 10
	}
	if o.TargetTableBytes == 0 {
		o.TargetTableBytes = 8 << 20
	}
	if o.SpaceSlack <= 0 {
		o.SpaceSlack = 0.08
	}
	return o
}
