package compaction

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strconv"
	"testing"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/manifest"
)

// simulation plays a load of flushes over uniformly spread keys against Pick,
// with tables that are only sizes and ranges, to see what the shape of the tree
// costs.
type simulation struct {
	t       *testing.T
	v       *manifest.Tree
	o       PickOptions
	num     base.FileNum
	overlap bool // a flush overwrites: bytes of equal keys merge into one

	flushed, written, moved uint64
}

func simKey(k uint64) []byte { return fmt.Appendf(nil, "%012d", k) }

func simRange(m *manifest.TableMeta) (lo, hi float64) {
	l, _ := strconv.ParseUint(string(m.Smallest), 10, 64)
	h, _ := strconv.ParseUint(string(m.Largest), 10, 64)
	return float64(l), float64(h) + 1
}

func (s *simulation) table(lo, hi, size, vlog uint64) *manifest.TableMeta {
	s.num++
	return &manifest.TableMeta{Num: s.num, ID: 1, Size: max(size, 1), VlogBytes: vlog, Smallest: simKey(lo), Largest: simKey(hi),
		Entries: 1000, SeqMin: base.SeqNum(s.num), SeqMax: base.SeqNum(s.num)}
}

// flush adds a table of all keys and compacts until nothing is left to do.
func (s *simulation) flush(lo, hi, size, vlog uint64) {
	s.flushed += size
	s.apply(&manifest.Edit{Added: []manifest.AddedTable{{Meta: s.table(lo, hi, size, vlog)}}})
	for range 10000 {
		plan := Pick(s.v, Busy{}, s.o)
		if plan == nil {
			return
		}
		s.apply(s.merge(plan))
	}
	s.t.Fatal("no end")
}

func (s *simulation) apply(e *manifest.Edit) {
	next, err := applyEdit(s.v, e)
	if err != nil {
		s.t.Fatal(err)
	}
	s.v = next
}

// merge plays a plan: bytes are spread evenly over the range of their table,
// and of what two levels have at one place, the share that the upper one
// overwrites is gone.
func (s *simulation) merge(plan *Plan) *manifest.Edit {
	edit := &manifest.Edit{}
	var cuts []float64
	plan.Tables(func(level int, m *manifest.TableMeta) {
		edit.Deleted = append(edit.Deleted, manifest.DeletedTable{Level: level, Num: m.Num})
		if plan.TrivialMove {
			edit.Added = append(edit.Added, manifest.AddedTable{Level: plan.OutputLevel, Meta: m})
			s.moved += m.Size
		}
		lo, hi := simRange(m)
		cuts = append(cuts, lo, hi)
	})
	if plan.TrivialMove {
		return edit
	}
	slices.Sort(cuts)
	cuts = slices.Compact(cuts)
	out := s.table(uint64(cuts[0]), 0, 0, 0)
	var size, vlog float64
	finish := func(end float64) {
		out.Largest = simKey(uint64(end) - 1)
		out.Size, out.VlogBytes = max(uint64(size), 1), uint64(vlog)
		s.written += out.Size
		if bytes.Compare(out.Smallest, out.Largest) <= 0 {
			edit.Added = append(edit.Added, manifest.AddedTable{Level: plan.OutputLevel, Meta: out})
		}
		out = s.table(uint64(end), 0, 0, 0)
		size, vlog = 0, 0
	}
	for i := 0; i+1 < len(cuts); i++ {
		density, vlogDensity := s.density(plan, cuts[i], cuts[i+1])
		for at := cuts[i]; at < cuts[i+1]; {
			end := cuts[i+1]
			if density > 0 {
				end = min(end, at+math.Ceil((float64(plan.TargetTableBytes)-size)/density))
			}
			size += (end - at) * density
			vlog += (end - at) * vlogDensity
			at = end
			if size >= float64(plan.TargetTableBytes) && plan.OutputLevel > 0 {
				finish(at)
			}
		}
	}
	if size > 0 {
		finish(cuts[len(cuts)-1])
	}
	return edit
}

// density is the bytes per key that the plan's tables have between two cuts.
func (s *simulation) density(plan *Plan, lo, hi float64) (size, vlog float64) {
	const perKey = 64 // bytes of a key in a table that has it
	missing, count := 1.0, 0.0
	plan.Tables(func(_ int, m *manifest.TableMeta) {
		l, h := simRange(m)
		if l <= lo && hi <= h {
			d, v := float64(m.Size)/(h-l), float64(m.VlogBytes)/(h-l)
			missing *= 1 - min(1, d/perKey)
			size, vlog, count = size+d, vlog+v, count+1
		}
	})
	if s.overlap && size > 0 {
		distinct := (1 - missing) * perKey
		vlog *= distinct / size
		size = distinct
	}
	return size, vlog
}

func (s *simulation) amplification() float64 {
	return float64(s.flushed+s.written) / float64(s.flushed)
}

func (s *simulation) String() string {
	str := fmt.Sprintf("flushed %d MiB, written %.2f times, moved %d MiB;", s.flushed>>20, s.amplification(), s.moved>>20)
	for l := range s.v.Levels {
		if n := len(s.v.Levels[l]); n > 0 {
			str += fmt.Sprintf(" L%d %d tables %d MiB", l, n, s.v.LevelWeight(l)>>20)
		}
	}
	return str
}

func TestSequentialLoadIsOnlyMoved(t *testing.T) {
	s := &simulation{t: t, v: &manifest.Tree{}, o: PickOptions{SnapshotMin: base.SeqNumMax}}
	for i := range uint64(60) {
		s.flush(i*1000, i*1000+999, 32<<20, 0)
	}
	t.Log(s)
	if s.written > 0 {
		t.Errorf("%d bytes written again", s.written)
	}
}

func TestRandomLoadIsWrittenAFewTimes(t *testing.T) {
	for _, c := range []struct {
		flushes int
		o       PickOptions
		most    float64
	}{
		{20, PickOptions{}, 2.4},
		{60, PickOptions{}, 5},
		{60, PickOptions{L0Trigger: 4, BaseBytesMax: 64 << 20}, 7.2},
	} {
		s := &simulation{t: t, v: &manifest.Tree{}, o: c.o}
		s.o.SnapshotMin = base.SeqNumMax
		for range c.flushes {
			s.flush(0, 1<<36, 32<<20, 0)
		}
		t.Log(s)
		if s.amplification() > c.most {
			t.Errorf("%+v: %v, more than %.1f", c.o, s, c.most)
		}
	}
}

func TestOverwritesLeaveLittleGarbageInTheValueLog(t *testing.T) {
	// A million values of 1 KiB, overwritten 10 times at random.
	const keys = 1 << 20
	s := &simulation{t: t, overlap: true, v: &manifest.Tree{}, o: PickOptions{SnapshotMin: base.SeqNumMax, TargetTableBytes: 8 << 20}}
	worst := 0.0
	for i := range 160 {
		s.flush(0, keys-1, 4<<20, 64<<20)
		if i > 50 {
			var vlog uint64
			for l := range s.v.Levels {
				for _, m := range s.v.Levels[l] {
					vlog += m.VlogBytes
				}
			}
			worst = max(worst, float64(vlog)/(keys*1024))
		}
	}
	t.Log(s, "value log referred to at worst", worst)
	if worst > 1.15 {
		t.Errorf("%.2f bytes referred to for each live byte", worst)
	}
}
