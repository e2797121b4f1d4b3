package compaction

import (
	"slices"

	"github.com/cordwood-db/cordwood/internal/base"
)

// stripes cuts sequence numbers at snapshots, which ascend. Stripe 0 is what
// every snapshot sees.
type stripes struct {
	snapshots []base.SeqNum
}

// newStripes copies, sorts and compacts snapshots.
func newStripes(snapshots []base.SeqNum) stripes {
	s := slices.Clone(snapshots)
	slices.Sort(s)
	return stripes{snapshots: slices.Compact(s)}
}

// of is the stripe that seq is in: the number of snapshots that do not see it.
func (s stripes) of(seq base.SeqNum) int {
	n := len(s.snapshots)
	if n == 0 || seq > s.snapshots[n-1] {
		return n // most entries are newer than all snapshots
	}
	i, _ := slices.BinarySearch(s.snapshots, seq)
	return i
}

// last is the largest sequence number of a stripe.
func (s stripes) last(stripe int) base.SeqNum {
	if stripe < len(s.snapshots) {
		return s.snapshots[stripe]
	}
	return base.SeqNumMax
}
