package compaction

import (
	"github.com/cordwood-db/cordwood/manifest"
)

const lastLevel = manifest.NumLevels - 1

// shape is what the tree should look like, and how far from it it is.
//
// The idea of choosing level sizes from the bottom up, so that nine tenths of
// the data is always in the last level however large the database, is from
// RocksDB ("dynamic level size"; Dong et al., "Optimizing Space Amplification
// in RocksDB", CIDR 2017, section 3).
type shape struct {
	base int // level 0 is compacted into it; levels 1 to base-1 are empty
	last int // deepest level that holds anything, 0 if none below level 0 does

	weight [manifest.NumLevels]uint64 // without tables that are being compacted
	vlog   [manifest.NumLevels]uint64 // likewise, value-log bytes alone
	count0 int                        // tables of level 0 that are not being compacted
	target [manifest.NumLevels]uint64 // of weight; 0 for level 0, and for levels to be emptied

	raw   [manifest.NumLevels]float64 // over target from 1 on
	score [manifest.NumLevels]float64 // raw, less where the next level is over target too
}

// measure computes the shape. taken tells which tables are being compacted, nil
// that none is, which costs no look at the tables; base0 bounds the base level from above: the output level of compactions of
// level 0 that are running.
func measure(tree *manifest.Tree, o PickOptions, taken func(*manifest.TableMeta) bool, base0 int) shape {
	var s shape
	first := lastLevel
	var largest uint64
	for l := range tree.Levels {
		s.weigh(tree, l, taken)
		if l > 0 && len(tree.Levels[l]) > 0 {
			first = min(first, l)
			s.last = l
			largest = max(largest, tree.LevelWeight(l))
		}
	}
	s.setTargets(largest, min(first, base0), o)
	s.setScores(tree, o)
	return s
}

// weigh measures the tables of a level that are not being compacted.
func (s *shape) weigh(tree *manifest.Tree, level int, taken func(*manifest.TableMeta) bool) {
	tables := tree.Levels[level]
	if taken == nil {
		s.weight[level] = tree.LevelWeight(level)
		s.vlog[level] = s.weight[level] - tree.LevelBytes(level)
		if level == 0 {
			s.count0 = len(tables)
		}
		return
	}
	for _, t := range tables {
		if taken(t) {
			continue
		}
		s.weight[level] += t.Size + t.VlogBytes
		s.vlog[level] += t.VlogBytes
		if level == 0 {
			s.count0++
		}
	}
}

// setTargets goes up from the last level, each target a Ratio smaller, until
// one is within BaseBytesMax: the base. Levels above it that still hold
// something get target 0, to be emptied, and the first of them is the base
// until they are.
func (s *shape) setTargets(largest uint64, first int, o PickOptions) {
	floor := float64(o.BaseBytesMax) / o.Ratio
	size := float64(largest)
	s.base = lastLevel
	s.target[lastLevel] = max(largest, o.BaseBytesMax)
	for size > float64(o.BaseBytesMax) && s.base > 1 {
		s.base--
		size = max(size/o.Ratio, floor)
		s.target[s.base] = max(uint64(size), 1)
	}
	s.base = min(s.base, first)
}

func (s *shape) setScores(tree *manifest.Tree, o PickOptions) {
	s.raw[0] = max(float64(s.count0)/float64(o.L0Trigger), float64(s.weight[0])/(2*float64(o.BaseBytesMax)))
	for l := s.base; l < lastLevel; l++ {
		switch {
		case s.weight[l] == 0:
		case s.target[l] == 0:
			s.raw[l] = 1
		default:
			s.raw[l] = float64(s.weight[l]) / float64(s.target[l])
		}
	}
	if l := s.slackLevel(tree, o); l >= 0 {
		s.raw[l] = max(s.raw[l], 1)
	}
	for l := 0; l < lastLevel; l++ {
		next := l + 1
		if l == 0 {
			next = s.base
		}
		s.score[l] = s.raw[l] / max(s.raw[next], 1)
	}
}

// slackLevel is the level that refers to most of the value log, if those above
// the last one together refer to more than the slack allows; -1 otherwise.
func (s *shape) slackLevel(tree *manifest.Tree, o PickOptions) int {
	if s.last == 0 {
		return -1
	}
	var above uint64
	most := 0
	for l := range s.last {
		above += s.vlog[l]
		if s.vlog[l] > s.vlog[most] {
			most = l
		}
	}
	if float64(above) <= o.SpaceSlack*float64(tree.LevelWeight(s.last)) {
		return -1
	}
	return most
}

// Urgency is the highest score of a level: 1 or more where one is over its
// target, 0 for a tree that is empty or dropped. It is for choosing which tree
// to ask Pick about first, and costs next to nothing: it goes by the sums of
// the levels, so that tables that are being compacted count as well, and the
// caller need not hold a lock. Pick may find work in a tree of any urgency,
// such as tombstones at the bottom, and none in an urgent one that is busy.
func Urgency(tree *manifest.Tree, o PickOptions) (most float64) {
	if tree.Dropped {
		return 0
	}
	s := measure(tree, o.withDefaults(), nil, lastLevel)
	for _, score := range s.score {
		most = max(most, score)
	}
	return most
}

// Debt estimates the table bytes that must still be rewritten until no level
// is over its target, for slowing writers down. It is 0 where none is, and for
// a dropped keyspace.
func Debt(tree *manifest.Tree, o PickOptions) (bytes uint64) {
	if tree.Dropped {
		return 0
	}
	o = o.withDefaults()
	s := measure(tree, o, nil, lastLevel)
	var carry, weight float64 // table bytes and weight that come down from above
	if s.raw[0] > 1 {
		carry, weight = float64(tree.LevelBytes(0)), float64(s.weight[0])
		bytes += tree.LevelBytes(0) + min(tree.LevelBytes(s.base), uint64(carry*o.Ratio))
	}
	for l := s.base; l < lastLevel; l++ {
		size, have := float64(tree.LevelBytes(l))+carry, float64(s.weight[l])+weight
		over := have - float64(s.target[l])
		if over <= 0 || have == 0 {
			carry, weight = 0, 0
			continue
		}
		// Of what is over target, the share that is table bytes moves down
		// and takes with it what it overlaps of the next level.
		carry, weight = size*over/have, over
		below := float64(tree.LevelBytes(l+1)) * min(1, over/have)
		bytes += uint64(carry + min(below, carry*o.Ratio))
	}
	return bytes
}
