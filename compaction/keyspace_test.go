package compaction

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/iterator"
	"github.com/cordwood-db/cordwood/manifest"
	"github.com/cordwood-db/cordwood/sstable"
	"github.com/cordwood-db/cordwood/vfs"
)

// inKeyspace gives a tree and its tables to a keyspace.
func inKeyspace(tree *manifest.Tree, num uint32) *manifest.Tree {
	tree = new(*tree)
	tree.Num, tree.Name = num, fmt.Sprint("ks", num)
	for level, tables := range tree.Levels {
		tree.Levels[level] = nil
		for _, t := range tables {
			t = new(*t)
			t.Keyspace = num
			tree.Levels[level] = append(tree.Levels[level], t)
		}
	}
	return tree
}

func TestTablesStayInTheirKeyspace(t *testing.T) {
	env := testEnv(t, vfs.NewMem())
	tree, _ := twoLevels(t, env)
	tree = inKeyspace(tree, 7)
	o := PickOptions{TargetTableBytes: 400, BaseBytesMax: 1 << 20}
	plan := PickRange(tree, Busy{}, o, 0, nil, nil)
	if plan.Keyspace != 7 || !strings.HasPrefix(plan.String(), "keyspace 7: manual L0->L") {
		t.Fatalf("%s", plan)
	}
	edit, _, err := Run(context.Background(), env, tree, plan, nil, 0)
	if err != nil || len(edit.Added) == 0 {
		t.Fatalf("%v, %+v", err, edit)
	}
	next, err := applyEdit(tree, edit)
	if err != nil {
		t.Fatal(err) // a table of another keyspace in the tree
	}
	if env.Keyspace != 0 {
		t.Errorf("Run changed its Env: keyspace %d", env.Keyspace)
	}
	env.Keyspace = 9
	entries := []iterator.Entry{entry("k", 1, base.KindSet, "v")}
	out, err := WriteTables(context.Background(), env, Input{Iter: iterator.NewSlice(entries)}, WriteParams{})
	if err != nil || out.Tables[0].Keyspace != 9 {
		t.Errorf("%v: flushed to keyspace %d", err, out.Tables[0].Keyspace)
	}
	h, err := env.Tables.Get(out.Tables[0].Num, out.Tables[0].ID)
	if err != nil || h.Properties().Keyspace != 9 {
		t.Fatalf("%v: the properties name another keyspace", err)
	}
	h.Release()
	other := inKeyspace(next, 8)
	if _, _, err := Run(context.Background(), env, other, plan, nil, 0); err == nil {
		t.Error("a plan was run on another keyspace")
	}
}

func TestPlansOfOtherKeyspacesAreNotInTheWay(t *testing.T) {
	for seed := range uint64(50) {
		rng := rand.New(rand.NewPCG(seed, 3))
		one := inKeyspace(randomVersion(rng), 1)
		o := PickOptions{L0Trigger: 2, BaseBytesMax: 1 << 12, SnapshotMin: base.SeqNumMax}
		free := Pick(one, Busy{}, o)
		if free == nil {
			continue
		}
		// The same tables and keys, of another keyspace.
		same := *free
		same.Keyspace = 2
		for i := range same.Inputs {
			same.Inputs[i] = slices.Clone(same.Inputs[i])
			for k, m := range same.Inputs[i] {
				same.Inputs[i][k] = new(*m)
				same.Inputs[i][k].Num += 100_000
			}
		}
		if got := Pick(one, Busy{Plans: []*Plan{&same}}, o); got == nil || got.String() != free.String() {
			t.Fatalf("seed %d: beside %s: %v, want %s", seed, &same, got, free)
		}
		if got := Pick(one, Busy{Plans: []*Plan{free}}, o); got != nil && got.String() == free.String() {
			t.Fatalf("seed %d: %s was picked twice", seed, got)
		}
	}
}

func TestUrgencyFollowsTheScores(t *testing.T) {
	if got := Urgency(&manifest.Tree{}, PickOptions{}); got != 0 {
		t.Errorf("empty tree: %v", got)
	}
	var urgent int
	for seed := range uint64(50) {
		tree := randomVersion(rand.New(rand.NewPCG(seed, 9)))
		o := PickOptions{L0Trigger: 3, BaseBytesMax: 1 << 13}
		want := slices.Max(newPicker(tree, Busy{}, o).score[:])
		if got := Urgency(tree, o); got != want {
			t.Errorf("seed %d: %v, want %v", seed, got, want)
		}
		if want >= 1 {
			urgent++
		}
		dropped := *tree
		dropped.Dropped = true
		if Urgency(&dropped, o) != 0 || Debt(&dropped, o) != 0 || Pick(&dropped, Busy{}, o) != nil ||
			PickRange(&dropped, Busy{}, o, 0, nil, nil) != nil {
			t.Errorf("seed %d: a dropped keyspace is compacted", seed)
		}
	}
	if urgent < 10 {
		t.Errorf("only %d trees are urgent", urgent)
	}
}

func TestDroppedKeyspaceEndsWithoutTables(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	for range 20 {
		tree := inKeyspace(randomVersion(rng), 4)
		if PickDropped(tree, Busy{}) != nil {
			t.Fatal("a keyspace that is not dropped loses tables")
		}
		tree.Dropped = true
		var all []*manifest.TableMeta
		for _, tables := range tree.Levels {
			all = append(all, tables...)
		}
		running := &Plan{Keyspace: 4}
		if len(all) > 0 {
			running.Inputs[0] = all[:1]
			all[len(all)-1].Compacting = true // left alone, as a damaged table is
		}
		gone := map[base.FileNum]bool{}
		for n := 0; ; n++ {
			plan := PickDropped(tree, Busy{Plans: []*Plan{running}})
			if plan == nil {
				break
			}
			count := 0
			plan.Tables(func(int, *manifest.TableMeta) { count++ })
			if !plan.DeleteOnly || plan.Keyspace != 4 || count > droppedTablesMax || n > 10 {
				t.Fatalf("%d: %s", n, plan)
			}
			edit, stats, err := Run(context.Background(), dropEnv(t), tree, plan, nil, 0)
			if err != nil || stats.TablesIn != count {
				t.Fatal(err, stats)
			}
			next, err := applyEdit(tree, edit)
			if err != nil {
				t.Fatal(err)
			}
			next.Dropped = true
			for _, d := range edit.Deleted {
				gone[d.Num] = true
			}
			tree = next
		}
		if len(gone) != max(len(all)-1, 0) || len(all) > 0 && gone[all[0].Num] {
			t.Fatalf("%d of %d tables are gone", len(gone), len(all))
		}
	}
}

func TestDropTakesSoManyTablesAtOnce(t *testing.T) {
	tree := &manifest.Tree{Keyspace: manifest.Keyspace{Num: 1, Name: "x", Dropped: true}}
	for i := range 150 {
		key := fmt.Appendf(nil, "%03d", i)
		tree.Levels[2+i%2] = append(tree.Levels[2+i%2], &manifest.TableMeta{Num: base.FileNum(i + 1), Size: 1, Keyspace: 1, Smallest: key, Largest: key})
	}
	var busy Busy
	var counts []int
	for plan := PickDropped(tree, busy); plan != nil; plan = PickDropped(tree, busy) {
		count := 0
		plan.Tables(func(int, *manifest.TableMeta) { count++ })
		counts = append(counts, count)
		busy.Plans = append(busy.Plans, plan)
	}
	if !slices.Equal(counts, []int{64, 64, 22}) {
		t.Errorf("plans of %v tables", counts)
	}
}

// dropEnv is an Env for tables without a value log, which are not opened.
func dropEnv(t *testing.T) *Env {
	fs := vfs.NewMem()
	env := testEnv(t, fs)
	env.OnDamage = func(*manifest.TableMeta, error) {} // files are not there
	return env
}

func TestDropDiscardsAllThatTheTablesReferTo(t *testing.T) {
	mem := vfs.NewMem()
	env := testEnv(t, mem)
	tree, _ := twoLevels(t, env)
	tree.Num, tree.Name, tree.Dropped = 3, "gone", true
	want := map[base.FileNum]uint64{}
	for _, tables := range tree.Levels {
		for _, m := range tables {
			m.Keyspace = 3
			want[9] += m.VlogBytes
		}
	}
	plan := PickDropped(tree, Busy{})
	edit, _, err := Run(context.Background(), env, tree, plan, nil, 0)
	if err != nil || !maps.Equal(edit.Discards, want) || want[9] == 0 {
		t.Fatalf("%v: discards %v, want %v", err, edit.Discards, want)
	}
	// Tables that say they refer to a file that never existed are damaged.
	told := 0
	strange := new(*env)
	strange.LastFileNum = func() base.FileNum { return 8 }
	strange.OnDamage = func(_ *manifest.TableMeta, err error) { told++ }
	edit, _, err = Run(context.Background(), strange, tree, plan, nil, 0)
	if err != nil || len(edit.Discards) != 0 || told == 0 {
		t.Errorf("%v: discards %v, told %d times", err, edit.Discards, told)
	}
	// A damaged table goes too: what it refers to is not known.
	bad := tree.Levels[0][0]
	flip := func(path string) error { return flipByte(mem, path, int64(bad.Size)-9) }
	for _, c := range []struct {
		name string
		harm func(path string) error
	}{{"damaged", flip}, {"missing", mem.Remove}} {
		name := c.name
		if err := c.harm(testDir + "/" + base.FileName(base.FileTable, uint64(bad.Num))); err != nil {
			t.Fatal(err)
		}
		env.Tables = sstable.NewTableCache(mem, testDir, 100, nil, env.Writer.Codec)
		var told []*manifest.TableMeta
		env.OnDamage = func(m *manifest.TableMeta, err error) {
			if !isLost(err) {
				t.Errorf("%s: %v", name, err)
			}
			told = append(told, m)
		}
		edit, _, err := Run(context.Background(), env, tree, plan, nil, 0)
		if err != nil || len(told) != 1 || told[0] != bad || len(edit.Deleted) != len(plan.Inputs[0])+len(plan.Inputs[1]) ||
			edit.Discards[9] != want[9]-bad.VlogBytes {
			t.Errorf("%s: %v, told %d, discards %v of %v", name, err, len(told), edit.Discards, want)
		}
		env.OnDamage = nil
		if _, _, err := Run(context.Background(), env, tree, plan, nil, 0); err != nil {
			t.Errorf("%s, nobody listens: %v", name, err)
		}
		alive := new(*tree)
		alive.Dropped = false
		if _, _, err := Run(context.Background(), env, alive, plan, nil, 0); !isLost(err) {
			t.Errorf("%s, in a keyspace that lives: %v", name, err)
		}
		env.Tables.Close()
	}
}

func TestDropFailsWhereReadingAgainMayHelp(t *testing.T) {
	for _, cause := range []error{vfs.ErrInjected, syscall.EMFILE, syscall.EIO} {
		faulty := vfs.NewFaulty(vfs.NewMem(), nil)
		env := testEnv(t, faulty)
		tree, _ := twoLevels(t, env)
		tree.Dropped = true
		env.Tables = sstable.NewTableCache(faulty, testDir, 100, nil, env.Writer.Codec)
		told := 0
		env.OnDamage = func(*manifest.TableMeta, error) { told++ }
		faulty.SetDecide(vfs.FailNth(3, vfs.AnyOp, cause, false))
		edit, _, err := Run(context.Background(), env, tree, PickDropped(tree, Busy{}), nil, 0)
		if lost := cause == syscall.EIO; lost && (err != nil || told != 1) ||
			!lost && (!errors.Is(err, cause) || edit != nil || told > 0) {
			t.Errorf("%v: %v, told %d times, %+v", cause, err, told, edit)
		}
		env.Tables.Close()
	}
}

func flipByte(mem *vfs.Mem, path string, at int64) error {
	f, err := mem.OpenReadWrite(path)
	if err != nil {
		return err
	}
	b := make([]byte, 1)
	_, err = f.ReadAt(b, at)
	b[0] ^= 0x55
	if err == nil {
		_, err = f.WriteAt(b, at)
	}
	return errors.Join(err, f.Close())
}
