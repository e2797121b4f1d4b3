package compaction

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/iterator"
	"github.com/cordwood-db/cordwood/internal/rangedel"
	"github.com/cordwood-db/cordwood/manifest"
	"github.com/cordwood-db/cordwood/vfs"
)

// numbered are n keys with values of 100 random bytes, one version each.
func numbered(n int) (entries []iterator.Entry) {
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range n {
		v := make([]byte, 100)
		for j := range v {
			v[j] = byte(rng.Uint32())
		}
		entries = append(entries, entry(fmt.Sprintf("k%05d", i), base.SeqNum(n-i), base.KindSet, string(v)))
	}
	return entries
}

func writeTest(t *testing.T, in Input, p WriteParams) *Output {
	t.Helper()
	env := testEnv(t, vfs.NewMem())
	env.Writer.BlockBytes, env.Writer.ChunkBytes = 1<<10, 16<<10
	out, err := WriteTables(context.Background(), env, in, p)
	if err != nil {
		t.Fatal(err)
	}
	v := &manifest.Tree{}
	v.Levels[6] = out.Tables
	if err := checkTree(v); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestTablesAreCutAtTheTarget(t *testing.T) {
	out := writeTest(t, Input{Iter: iterator.NewSlice(numbered(1000))}, WriteParams{LevelHint: 5, TargetTableBytes: 10000})
	if n := len(out.Tables); n < 10 || n > 14 {
		t.Errorf("%d tables", n)
	}
	for i, m := range out.Tables {
		if m.Size > 11500 || i < len(out.Tables)-1 && m.Size < 9000 {
			t.Errorf("table %d has %d bytes", i, m.Size)
		}
	}
}

func TestFlushGivesOneTableUnlessHuge(t *testing.T) {
	in := iterator.NewSlice(numbered(500))
	if out := writeTest(t, Input{Iter: in}, WriteParams{TargetTableBytes: 10000}); len(out.Tables) != 1 {
		t.Errorf("%d tables", len(out.Tables))
	}
	if out := writeTest(t, Input{Iter: in}, WriteParams{TargetTableBytes: 2000}); len(out.Tables) < 3 || len(out.Tables) > 5 {
		t.Errorf("huge: %d tables", len(out.Tables))
	}
	if out := writeTest(t, Input{Iter: in}, WriteParams{}); len(out.Tables) != 1 {
		t.Errorf("no target: %d tables", len(out.Tables))
	}
	if out := writeTest(t, Input{Iter: in}, WriteParams{LevelHint: 3}); len(out.Tables) != 1 {
		t.Errorf("no target, level 3: %d tables", len(out.Tables))
	}
}

func TestVersionsOfAKeyStayTogether(t *testing.T) {
	var entries []iterator.Entry
	var snapshots []base.SeqNum
	for i := range 1000 {
		seq := base.SeqNum(1000 - i)
		entries = append(entries, entry("same", seq, base.KindSet, "0123456789012345678901234567890123456789"))
		snapshots = append(snapshots, seq)
	}
	out := writeTest(t, Input{Iter: iterator.NewSlice(entries)}, WriteParams{LevelHint: 5, TargetTableBytes: 500, Snapshots: snapshots})
	if len(out.Tables) != 1 || out.Tables[0].Entries != 1000 {
		t.Errorf("%d tables", len(out.Tables))
	}
}

// grandparents are tables of the given size over ranges of 100 keys each.
func grandparents(n int, size uint64) (ts []*manifest.TableMeta) {
	for i := range n {
		ts = append(ts, &manifest.TableMeta{Num: base.FileNum(1000 + i), Size: size,
			Smallest: fmt.Appendf(nil, "k%05d", i*100), Largest: fmt.Appendf(nil, "k%05d", i*100+99)})
	}
	return ts
}

func TestTablesEndWhereGrandparentsDo(t *testing.T) {
	// 100 keys make 12,000 bytes: more than half the target.
	out := writeTest(t, Input{Iter: iterator.NewSlice(numbered(1000))},
		WriteParams{LevelHint: 5, TargetTableBytes: 20000, Grandparents: grandparents(10, 1000)})
	if len(out.Tables) != 10 {
		t.Fatalf("%d tables", len(out.Tables))
	}
	for i, m := range out.Tables {
		if want := fmt.Sprintf("k%05d", i*100+99); string(m.Largest) != want {
			t.Errorf("table %d ends at %s, not %s", i, m.Largest, want)
		}
	}
}

func TestTablesOverlapABoundedPartOfTheGrandparents(t *testing.T) {
	const target = 1 << 20
	gps := grandparents(10, 3*target)
	out := writeTest(t, Input{Iter: iterator.NewSlice(numbered(1000))},
		WriteParams{LevelHint: 5, TargetTableBytes: target, Grandparents: gps})
	if len(out.Tables) != 3 { // of 4, 4 and 2 grandparents
		t.Errorf("%d tables", len(out.Tables))
	}
	v := &manifest.Tree{}
	v.Levels[6] = gps
	for _, m := range out.Tables {
		if n := len(v.Overlaps(6, m.Smallest, m.Largest)); n > 4 {
			t.Errorf("a table overlaps %d grandparents", n)
		}
	}
}

func TestWideRangeTombstoneIsCutAtGrandparents(t *testing.T) {
	const target = 1 << 20
	gps := grandparents(100, 5*target)
	rd := rangedel.Build([]rangedel.Tombstone{{Start: []byte("a"), End: []byte("z"), Seq: 99}})
	for _, entries := range [][]iterator.Entry{nil, {entry("k00000", 100, base.KindSet, "v")}, {entry("k09999", 100, base.KindSet, "v")}} {
		out := writeTest(t, Input{Iter: iterator.NewSlice(entries), RangeDels: rd},
			WriteParams{LevelHint: 5, TargetTableBytes: target, Grandparents: gps})
		if n := len(out.Tables); n < 45 || n > 55 {
			t.Errorf("%d tables", n)
		}
		at := []byte("a")
		for _, m := range out.Tables {
			if !bytes.Equal(m.Smallest, at) {
				t.Errorf("hole in the tombstone: %s to %s", at, m.Smallest)
			}
			at = m.Largest
		}
		if string(at) != "z" {
			t.Errorf("tombstone ends at %s", at)
		}
	}
}

func TestNoTableWhereNothingIsLeft(t *testing.T) {
	mem := vfs.NewMem()
	env := testEnv(t, mem)
	rd := rangedel.Build([]rangedel.Tombstone{{Start: []byte("a"), End: []byte("z"), Seq: 99}})
	out, err := WriteTables(context.Background(), env, Input{Iter: iterator.NewSlice(numbered(10)), RangeDels: rd}, WriteParams{
		LevelHint: 5, TargetTableBytes: 1000,
		Bottom:      func([]byte) bool { return true },
		BottomRange: func(_, _ []byte) bool { return true },
	})
	if err != nil || len(out.Tables) != 0 || len(listNames(t, mem)) != 0 {
		t.Fatalf("%+v, %v", out, err)
	}
	if s := out.Stats; s.EntriesIn != 10 || s.Covered != 10 || s.EntriesOut != 0 {
		t.Errorf("%+v", s)
	}
}

func TestRepeatedRangeDeletesBecomeOneFragment(t *testing.T) {
	var ts []rangedel.Tombstone
	for i := range 100 {
		ts = append(ts, rangedel.Tombstone{Start: []byte("a"), End: fmt.Appendf(nil, "t%03d", i), Seq: base.SeqNum(i + 1)})
	}
	in := Input{Iter: iterator.NewSlice(nil), RangeDels: rangedel.Build(ts)}
	if out := writeTest(t, in, WriteParams{}); out.Tables[0].RangeDels != 1 {
		t.Errorf("%d range tombstones", out.Tables[0].RangeDels)
	}
	if out := writeTest(t, in, WriteParams{Snapshots: []base.SeqNum{50}}); out.Tables[0].RangeDels != 3 {
		// [a, t049): 100 and 50, [t049, t099): 100.
		t.Errorf("with a snapshot: %d range tombstones", out.Tables[0].RangeDels)
	}
}
