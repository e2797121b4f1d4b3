package compaction

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/rangedel"
	"github.com/cordwood-db/cordwood/manifest"
)

// A scripted case of testdata/pick is a drawing and a command:
//
//	# name of the case
//	options trigger=4 base=64 target=8 ratio=10 now=0 snapmin=50 slack=0.08 rewrite=12
//	rangedel a-f#30
//	L0: 7:a-m:4 6:c-z:4
//	L5: 10:a-c:8:del=60 11:d-f:8:vlog=100
//	pick
//	----
//	what comes out
//
// A table is number:smallest-largest:size, in MiB, with more attributes behind:
// vlog (MiB), n (entries, 100), del, rd, seq=min-max, exp=count/min/max, busy,
// and x (the largest key is exclusive). Sequence numbers of level 0 default to
// the table's number. "running" before a command is a compaction under way:
// its inputs are listed as in a plan. Commands: pick, range <level> <start>
// <end>, debt, shape. UPDATE_TESTDATA=1 rewrites the answers.
type pickCase struct {
	v    *manifest.Tree
	o    PickOptions
	busy Busy
	dels []rangedel.Tombstone
}

func TestPickDoesAsDrawn(t *testing.T) {
	files, err := filepath.Glob("testdata/pick/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal(err, "no cases")
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) { runScript(t, file, answer) })
	}
}

// answer carries out one case.
func answer(text string) (string, error) {
	c := pickCase{v: &manifest.Tree{}}
	c.o = PickOptions{L0Trigger: 4, BaseBytesMax: 64 << 20, TargetTableBytes: 8 << 20, Ratio: 10, SnapshotMin: base.SeqNumMax}
	for _, line := range strings.Split(text, "\n") {
		f := strings.Fields(line)
		if len(f) == 0 || f[0] == "#" {
			continue
		}
		var err error
		switch {
		case f[0] == "options":
			err = c.options(f[1:])
		case f[0] == "rangedel":
			err = c.rangeDel(f[1])
		case f[0] == "running":
			err = c.running(line)
		case f[0][0] == 'L':
			err = c.level(f)
		default:
			return c.command(f)
		}
		if err != nil {
			return "", fmt.Errorf("%q: %w", line, err)
		}
	}
	return "", fmt.Errorf("no command")
}

func (c *pickCase) options(fields []string) error {
	for _, f := range fields {
		name, value, _ := strings.Cut(f, "=")
		x, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return err
		}
		switch name {
		case "trigger":
			c.o.L0Trigger = int(x)
		case "base":
			c.o.BaseBytesMax = uint64(x * (1 << 20))
		case "target":
			c.o.TargetTableBytes = uint64(x * (1 << 20))
		case "ratio":
			c.o.Ratio = x
		case "now":
			c.o.Now = uint64(x)
		case "snapmin":
			c.o.SnapshotMin = base.SeqNum(x)
		case "snap":
			c.o.Snapshots = append(c.o.Snapshots, base.SeqNum(x))
			c.o.SnapshotMin = c.o.Snapshots[0]
		case "rewrite":
			c.o.RewriteBefore = base.FileNum(x)
		case "slack":
			c.o.SpaceSlack = x
		default:
			return fmt.Errorf("unknown option %s", name)
		}
	}
	return nil
}

func (c *pickCase) rangeDel(text string) error {
	bounds, seq, _ := strings.Cut(text, "#")
	start, end, _ := strings.Cut(bounds, "-")
	n, err := strconv.ParseUint(seq, 10, 56)
	c.dels = append(c.dels, rangedel.Tombstone{Start: []byte(start), End: []byte(end), Seq: base.SeqNum(n)})
	c.o.RangeDels = rangedel.Build(c.dels)
	return err
}

func (c *pickCase) level(fields []string) error {
	l, err := strconv.Atoi(strings.Trim(fields[0], "L:"))
	if err != nil || l >= manifest.NumLevels {
		return fmt.Errorf("bad level")
	}
	for _, f := range fields[1:] {
		m, err := parseTable(f)
		if err != nil {
			return fmt.Errorf("%s: %w", f, err)
		}
		c.v.Levels[l] = append(c.v.Levels[l], m)
	}
	return nil
}

func parseTable(text string) (*manifest.TableMeta, error) {
	parts := strings.Split(text, ":")
	if len(parts) < 3 {
		return nil, fmt.Errorf("not a table")
	}
	start, end, _ := strings.Cut(parts[1], "-")
	m := &manifest.TableMeta{Smallest: []byte(start), Largest: []byte(end), Entries: 100, ID: 1}
	var size float64
	_, err := fmt.Sscan(parts[0]+" "+parts[2], &m.Num, &size)
	m.Size = uint64(size * (1 << 20))
	m.SeqMin, m.SeqMax = base.SeqNum(m.Num), base.SeqNum(m.Num)
	for _, a := range parts[3:] {
		name, value, _ := strings.Cut(a, "=")
		n, _ := strconv.ParseUint(value, 10, 64)
		switch name {
		case "vlog":
			m.VlogBytes = n << 20
		case "n":
			m.Entries = n
		case "del":
			m.Deletes = n
		case "rd":
			m.RangeDels = n
		case "seq":
			_, err = fmt.Sscanf(value, "%d-%d", &m.SeqMin, &m.SeqMax)
		case "exp":
			_, err = fmt.Sscanf(value, "%d/%d/%d", &m.Expiring, &m.ExpiryMin, &m.ExpiryMax)
		case "busy":
			m.Compacting = true
		case "x":
			m.LargestExclusive = true
		default:
			return nil, fmt.Errorf("unknown attribute %s", name)
		}
	}
	return m, err
}

// running adds a plan in the form that Plan.String gives: "running L0->L5 [1 2] + [3]".
func (c *pickCase) running(line string) error {
	p := &Plan{}
	if _, err := fmt.Sscanf(line, "running L%d->L%d", &p.StartLevel, &p.OutputLevel); err != nil {
		return err
	}
	lists := strings.Split(line, "[")[1:]
	for i, list := range lists {
		level := []int{p.StartLevel, p.OutputLevel}[i]
		for _, f := range strings.Fields(strings.Trim(list, " ]+")) {
			n, err := strconv.ParseUint(f, 10, 64)
			if err != nil {
				return err
			}
			j := slices.IndexFunc(c.v.Levels[level], func(m *manifest.TableMeta) bool { return uint64(m.Num) == n })
			if j < 0 {
				return fmt.Errorf("no table %d in level %d", n, level)
			}
			p.Inputs[i] = append(p.Inputs[i], c.v.Levels[level][j])
		}
	}
	p.setRange()
	c.busy.Plans = append(c.busy.Plans, p)
	return nil
}

func (c *pickCase) command(f []string) (string, error) {
	if err := checkTree(c.v); err != nil {
		return "", err
	}
	var plan *Plan
	switch {
	case f[0] == "pick":
		plan = Pick(c.v, c.busy, c.o)
	case f[0] == "range" && len(f) == 4:
		l, err := strconv.Atoi(f[1])
		if err != nil {
			return "", err
		}
		plan = PickRange(c.v, c.busy, c.o, l, []byte(f[2]), []byte(f[3]))
	case f[0] == "debt":
		return fmt.Sprintf("%.1f MiB", float64(Debt(c.v, c.o))/(1<<20)), nil
	case f[0] == "shape":
		return c.shape(), nil
	default:
		return "", fmt.Errorf("unknown command %v", f)
	}
	if plan == nil {
		return "nothing", nil
	}
	s := plan.String()
	for i, g := range plan.Grandparents {
		if i == 0 {
			s += "; below:"
		}
		s += fmt.Sprintf(" %d", g.Num)
	}
	return s, nil
}

func (c *pickCase) shape() string {
	p := newPicker(c.v, c.busy, c.o)
	s := fmt.Sprintf("base L%d", p.base)
	for l := range p.raw {
		if p.weight[l] > 0 || p.target[l] > 0 {
			s += fmt.Sprintf("\nL%d weight %.1f target %.1f raw %.2f score %.2f", l,
				float64(p.weight[l])/(1<<20), float64(p.target[l])/(1<<20), p.raw[l], p.score[l])
		}
	}
	return s
}

func TestPlansCollideOnlyOnSharedLevelsAndKeys(t *testing.T) {
	plan := func(start, output int, lo, hi string) *Plan {
		return &Plan{StartLevel: start, OutputLevel: output, Start: []byte(lo), End: []byte(hi)}
	}
	for _, c := range []struct {
		a, b *Plan
		want bool
	}{
		{plan(0, 5, "a", "f"), plan(0, 5, "g", "k"), false},
		{plan(0, 5, "a", "f"), plan(0, 5, "f", "k"), true},
		{plan(0, 5, "a", "f"), plan(0, 0, "a", "k"), false}, // tables are told apart by their marks
		{plan(0, 5, "a", "f"), plan(5, 6, "c", "d"), true},
		{plan(0, 4, "a", "f"), plan(5, 6, "c", "d"), false},
		{plan(0, 6, "a", "f"), plan(4, 5, "c", "d"), true}, // in between
		{plan(5, 5, "a", "f"), plan(5, 6, "c", "d"), true},
		{plan(4, 5, "a", "f"), plan(6, 6, "c", "d"), false},
		{plan(4, 5, "b", "b"), plan(5, 6, "a", "c"), true},
	} {
		if c.a.conflicts(c.b) != c.want || c.b.conflicts(c.a) != c.want {
			t.Errorf("%v %s-%s, %v %s-%s: want %v", c.a, c.a.Start, c.a.End, c.b, c.b.Start, c.b.End, c.want)
		}
	}
}

func TestPicksComeToAnEnd(t *testing.T) {
	for seed := range uint64(100) {
		rng := rand.New(rand.NewPCG(seed, 7))
		v := randomVersion(rng)
		o := PickOptions{
			L0Trigger: 1 + rng.IntN(6), BaseBytesMax: 1 << (10 + rng.IntN(8)), Ratio: float64(2 + rng.IntN(9)),
			TargetTableBytes: 1 << (8 + rng.IntN(6)), Now: uint64(rng.IntN(1000)),
			SnapshotMin: base.SeqNum(rng.IntN(2000)), SpaceSlack: rng.Float64() / 4,
		}
		if rng.IntN(2) == 0 {
			o.SnapshotMin = base.SeqNumMax
		}
		num := base.FileNum(10000)
		manual := rng.IntN(3) == 0
		for n := 0; ; n++ {
			plan := Pick(v, Busy{}, o)
			if plan == nil && manual {
				for l := range manifest.NumLevels {
					if plan = PickRange(v, Busy{}, o, l, nil, nil); plan != nil {
						break
					}
				}
			}
			if plan == nil {
				break
			}
			if n > 2000 {
				t.Fatalf("seed %d: still at it: %s", seed, plan)
			}
			next, err := applyEdit(v, fakeRun(v, plan, o, &num))
			if err != nil {
				t.Fatalf("seed %d: after %s: %v", seed, plan, err)
			}
			v = next
		}
		for l, s := range newPicker(v, Busy{}, o).raw {
			if s > 1 {
				t.Fatalf("seed %d: came to an end with level %d at %.2f", seed, l, s)
			}
		}
	}
}

// randomVersion is a version of fake tables over four-digit keys.
func randomVersion(rng *rand.Rand) *manifest.Tree {
	v := &manifest.Tree{}
	num := base.FileNum(0)
	table := func(lo, hi int, seq base.SeqNum) *manifest.TableMeta {
		num++
		m := &manifest.TableMeta{Num: num, ID: 1, Smallest: fmt.Appendf(nil, "%04d", lo), Largest: fmt.Appendf(nil, "%04d", hi),
			Size: uint64(100 + rng.IntN(2000)), Entries: uint64(10 + rng.IntN(50)), SeqMin: seq, SeqMax: seq + 9}
		switch rng.IntN(6) {
		case 0:
			m.Deletes = uint64(rng.IntN(int(m.Entries)))
		case 1:
			m.RangeDels = 1
		case 2:
			m.VlogBytes = uint64(rng.IntN(20000))
		case 3:
			m.Expiring = 1 + uint64(rng.IntN(int(m.Entries)))
			m.ExpiryMin = uint64(rng.IntN(1000))
			m.ExpiryMax = m.ExpiryMin + uint64(rng.IntN(1000))
		}
		return m
	}
	for l := range manifest.NumLevels {
		if rng.IntN(3) == 0 {
			continue
		}
		for i := range rng.IntN(20) {
			seq := base.SeqNum(1 + (manifest.NumLevels-l)*200 - i*10)
			if l == 0 {
				lo := rng.IntN(9000)
				v.Levels[0] = append(v.Levels[0], table(lo, lo+rng.IntN(1000), seq))
			} else {
				v.Levels[l] = append(v.Levels[l], table(i*400+rng.IntN(100), i*400+100+rng.IntN(300), seq))
			}
		}
	}
	return v
}

// fakeRun is the edit that running the plan on real tables would give, roughly:
// what can be dropped for sure is gone, nothing else.
func fakeRun(v *manifest.Tree, plan *Plan, o PickOptions, num *base.FileNum) *manifest.Edit {
	edit := &manifest.Edit{}
	sum := manifest.TableMeta{SeqMin: base.SeqNumMax}
	plan.Tables(func(level int, m *manifest.TableMeta) {
		edit.Deleted = append(edit.Deleted, manifest.DeletedTable{Level: level, Num: m.Num})
		sum.Size += m.Size
		sum.VlogBytes += m.VlogBytes
		sum.Entries += m.Entries
		sum.Deletes += m.Deletes
		sum.RangeDels += m.RangeDels
		sum.SeqMin, sum.SeqMax = min(sum.SeqMin, m.SeqMin), max(sum.SeqMax, m.SeqMax)
		if m.Expiring > 0 && m.ExpiryMax > o.Now {
			sum.Expiring++
			sum.ExpiryMin, sum.ExpiryMax = o.Now+1, max(sum.ExpiryMax, m.ExpiryMax)
		} else {
			sum.Entries -= m.Expiring
		}
		if plan.TrivialMove {
			edit.Added = append(edit.Added, manifest.AddedTable{Level: plan.OutputLevel, Meta: m})
		}
	})
	if plan.TrivialMove || plan.DeleteOnly {
		return edit
	}
	below := newOlder(v, plan)
	if below.bottomRange(plan.Start, append(bytes.Clone(plan.End), 0)) && sum.SeqMax <= o.SnapshotMin {
		sum.Entries -= min(sum.Entries, sum.Deletes)
		sum.Deletes, sum.RangeDels = 0, 0
	}
	sum.Num, sum.ID, sum.Smallest, sum.Largest = *num, 1, plan.Start, plan.End
	sum.Entries = max(sum.Entries, sum.Deletes+sum.Expiring, 1)
	// Two tables, so that levels have some to choose from.
	lo, hi := sum, sum
	hi.Num++
	*num += 2
	lo.Largest = plan.Start
	hi.Smallest = append(bytes.Clone(plan.Start), 0)
	lo.Size, lo.VlogBytes, lo.Entries, lo.Deletes, lo.RangeDels, lo.Expiring, lo.ExpiryMin, lo.ExpiryMax = 1, 0, 1, 0, 0, 0, 0, 0
	edit.Added = append(edit.Added, manifest.AddedTable{Level: plan.OutputLevel, Meta: &hi})
	if bytes.Compare(hi.Smallest, hi.Largest) <= 0 {
		if plan.OutputLevel > 0 {
			edit.Added = append(edit.Added, manifest.AddedTable{Level: plan.OutputLevel, Meta: &lo})
		}
	} else {
		hi.Smallest = plan.Start
	}
	return edit
}
