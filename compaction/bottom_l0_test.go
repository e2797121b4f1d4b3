package compaction

import (
	"testing"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/manifest"
)

// A compaction within level 0 leaves older tables of it where they are: what
// lies in them, a tombstone still has to hide.
func TestOlderTablesOfLevelZeroAreBelow(t *testing.T) {
	table := func(num base.FileNum, smallest, largest string, seq base.SeqNum) *manifest.TableMeta {
		return &manifest.TableMeta{Num: num, Size: 1, Smallest: []byte(smallest), Largest: []byte(largest), SeqMin: seq, SeqMax: seq}
	}
	tree := &manifest.Tree{}
	tree.Levels[0] = []*manifest.TableMeta{
		table(4, "a", "z", 40), // newer: hides nothing of the inputs' own
		table(3, "a", "z", 30),
		table(2, "a", "z", 20),
		table(1, "g", "m", 10),
	}
	plan := &Plan{Reason: ReasonIntraL0}
	plan.Inputs[0] = tree.Levels[0][1:3]
	plan.setRange()
	below := newOlder(tree, plan)
	for _, c := range []struct {
		key    string
		bottom bool
	}{{"b", true}, {"g", false}, {"h", false}, {"m", false}, {"n", true}} {
		if got := below.bottom([]byte(c.key)); got != c.bottom {
			t.Errorf("bottom(%q) = %v", c.key, got)
		}
	}
	if below.bottomRange([]byte("h"), []byte("i")) || !below.bottomRange([]byte("n"), []byte("o")) {
		t.Error("ranges do not see what keys see")
	}
}
