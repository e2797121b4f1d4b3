package manifest

import (
	"errors"
	"fmt"
	iofs "io/fs"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/invariants"
	"github.com/cordwood-db/cordwood/internal/testkit"
	"github.com/cordwood-db/cordwood/vfs"
)

// engine is as much of a database as it takes to crash a Set in earnest: it
// makes the files that its edits name, and removes the obsolete ones.
type engine struct {
	fs  vfs.FS
	set *Set
	rng *rand.Rand

	acked []string // states after each step that succeeded; the first is no database
	next  string   // state after the edit that is being applied; empty if none is
}

const (
	noDatabase = "no database"
	emptyState = "horizon 0\nsegment 0 seq 0 keyspaces 1\n" // of a new one
)

func newEngine(fs vfs.FS, seed uint64) *engine {
	return &engine{fs: fs, rng: rand.New(rand.NewPCG(seed, 2)), acked: []string{noDatabase}}
}

func (g *engine) options() Options {
	return Options{FS: g.fs, Dir: testDir, NewID: g.rng.Uint64, RotateBytes: 700, CheckFiles: true}
}

func (g *engine) last() string { return g.acked[len(g.acked)-1] }

func (g *engine) create() error {
	// The state of a new database does not depend on where it is.
	g.next = emptyState
	set, err := Create(g.options())
	return g.done(set, err)
}

func (g *engine) done(set *Set, err error) error {
	if err == nil {
		g.set = set
		g.acked = append(g.acked, dump(set))
		g.next = ""
	}
	return err
}

// recover opens the database as an engine does: orphans go only once the state
// is known to be durable.
func (g *engine) recover() error {
	if found, err := Exists(g.fs, testDir); err != nil || !found {
		if err == nil {
			err = g.create()
		}
		return err
	}
	set, _, err := Load(g.options())
	if err != nil {
		return err
	}
	g.set = set
	if !set.Durable() {
		if err := g.apply(&Edit{}); err != nil {
			return err
		}
	}
	return g.removeOrphans()
}

func (g *engine) removeOrphans() error {
	live, durable := g.set.LiveFiles()
	if !durable {
		return errors.New("not durable after an edit")
	}
	infos, err := g.fs.List(testDir)
	if err != nil {
		return err
	}
	for _, info := range infos {
		kind, num := base.ParseFileName(info.Name)
		_, ok := live[FileRef{kind, base.FileNum(num)}]
		if ok || kind == base.FileCurrent {
			continue
		}
		if err := g.fs.Remove(filepath.Join(testDir, info.Name)); err != nil {
			return err
		}
	}
	return nil
}

func (g *engine) writeFile(kind base.FileKind, num base.FileNum, size int) error {
	f, err := g.fs.Create(filepath.Join(testDir, base.FileName(kind, uint64(num))))
	if err != nil {
		return err
	}
	_, err = f.WriteAt(make([]byte, size), 0)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func (g *engine) apply(e *Edit) error {
	g.next = wouldBe(g.set, e)
	v, err := g.set.Apply(e, nil)
	if err != nil {
		return err
	}
	v.Unref()
	if err := g.done(g.set, nil); err != nil {
		return err
	}
	for _, f := range g.set.Obsolete() {
		if err := g.fs.Remove(filepath.Join(testDir, base.FileName(f.Kind, uint64(f.Num)))); err != nil {
			return err
		}
	}
	return nil
}

// wouldBe is what dump would say after the edit.
func wouldBe(s *Set, e *Edit) string {
	ch, err := s.catalog.check(e, s.given())
	if err != nil {
		return "refused"
	}
	next, err := s.current.Load().patch(ch)
	if err != nil {
		return "refused"
	}
	return dumpVersion(next) + dumpCounters(ch.minSegment, ch.lastSeq, ch.nextKeyspace)
}

// step is a flush, a compaction, or the collection of a value-log file.
func (g *engine) step() error {
	v := g.set.Current()
	e := &Edit{MinSegment: new(g.set.MinSegment() + 1)}
	trees := v.Trees
	tree := trees[g.rng.IntN(len(trees))]
	tables := tree.Levels[2]
	vlogs := v.Vlogs
	v.Unref()
	num := g.set.NewFileNum()
	switch kind := g.rng.IntN(7); {
	case kind == 4 && len(trees) < 4:
		e.KeyspacesAdded = []Keyspace{{Num: g.set.NewKeyspaceNum(), Name: fmt.Sprint("ks", num), Settings: []byte{1}}}
	case kind == 5 && trees[len(trees)-1].Num > 0:
		endKeyspace(trees[len(trees)-1], e)
	case kind == 6:
		e.KeyspacesChanged = []KeyspaceChange{{Num: trees[len(trees)-1].Num, MergeOperator: new(fmt.Sprint("op", num))}}
	case kind == 0 && len(vlogs) > 0:
		m := vlogs[g.rng.IntN(len(vlogs))]
		if err := g.writeFile(base.FileVlog, num, 400); err != nil {
			return err
		}
		e.VlogMoved = []VlogMove{{Logical: m.Logical, From: m.Physical, To: num, ToID: 5, Bytes: 300, DeadBytes: 100}}
	case kind == 1:
		if err := g.writeFile(base.FileVlog, num, 600); err != nil {
			return err
		}
		e.VlogAdded = []VlogMeta{{Logical: num, Physical: num, PhysicalID: 5, Sealed: true, Bytes: 500}}
		if len(vlogs) > 3 {
			e.VlogRemoved = []base.FileNum{vlogs[0].Logical}
		}
	default:
		key := fmt.Sprintf("%03d", num)
		meta := table(num, key, key, base.SeqNum(num)*10)
		meta.Keyspace = tree.Num
		if err := g.writeFile(base.FileTable, num, int(meta.Size)); err != nil {
			return err
		}
		e.Added = []AddedTable{add(2, meta)}
		if len(tables) > 3 {
			e.Deleted = []DeletedTable{{2, tables[g.rng.IntN(len(tables))].Num}}
		}
		for _, m := range vlogs {
			e.Discards = map[base.FileNum]uint64{m.Logical: 50}
		}
	}
	if err := g.fs.SyncDir(testDir); err != nil {
		return err
	}
	return g.apply(e)
}

// endKeyspace drops a keyspace, or, if that was done before, its tables and it.
func endKeyspace(tree *Tree, e *Edit) {
	if !tree.Dropped {
		e.KeyspacesDropped = []uint32{tree.Num}
		return
	}
	for level, tables := range tree.Levels {
		for _, m := range tables {
			e.Deleted = append(e.Deleted, DeletedTable{level, m.Num})
		}
	}
	e.KeyspacesRemoved = []uint32{tree.Num}
}

// run is the script: edits, with a restart now and then.
func (g *engine) run(steps int) error {
	if err := g.create(); err != nil {
		return err
	}
	for i := range steps {
		if i%13 == 12 {
			if err := errors.Join(g.set.Close(), g.recover()); err != nil {
				return err
			}
		}
		if err := g.step(); err != nil {
			return err
		}
	}
	return g.set.Close()
}

// stateIn loads a file system and says what it finds.
func stateIn(t *testing.T, fs vfs.FS) (string, error) {
	t.Helper()
	opts := testOptions(fs)
	opts.CheckFiles = true
	s, _, err := Load(opts)
	if errors.Is(err, iofs.ErrNotExist) {
		return noDatabase, nil
	}
	if err != nil {
		return "", err
	}
	defer s.Close()
	return dump(s), nil
}

// images calls check with what a power loss now may leave: all subsets of the
// un-synced items if they are few, else some.
func images(mem *vfs.Mem, rng *rand.Rand, check func(*vfs.Mem, string)) {
	items := mem.Unsynced()
	image := func(name string, choose func(i int) vfs.CrashChoice) {
		i := -1
		check(mem.CrashClone(func(vfs.CrashItem) vfs.CrashChoice { i++; return choose(i) }), name)
	}
	if len(items) <= 4 {
		for set := range 1 << len(items) {
			image(fmt.Sprintf("subset %b", set), func(i int) vfs.CrashChoice { return vfs.CrashChoice(set >> i & 1) })
		}
	} else {
		image("none", func(int) vfs.CrashChoice { return vfs.CrashDrop })
		image("all", func(int) vfs.CrashChoice { return vfs.CrashKeep })
		for k := range items {
			image(fmt.Sprintf("only %v", items[k]), func(i int) vfs.CrashChoice {
				return map[bool]vfs.CrashChoice{true: vfs.CrashKeep, false: vfs.CrashDrop}[i == k]
			})
			image(fmt.Sprintf("all but %v", items[k]), func(i int) vfs.CrashChoice {
				return map[bool]vfs.CrashChoice{true: vfs.CrashDrop, false: vfs.CrashKeep}[i == k]
			})
		}
	}
	for range 3 {
		seed := rng.Uint64()
		picks := rand.New(rand.NewPCG(seed, 3))
		image(fmt.Sprintf("random %#x", seed), func(int) vfs.CrashChoice { return vfs.CrashChoice(picks.IntN(3)) })
	}
}

func TestCrashAtEveryOperationLeavesOldOrNewState(t *testing.T) {
	steps, againOneIn := 30, 150
	if invariants.Enabled { // slow, and there is only one goroutine here
		steps = 10
	}
	budget, first := testkit.Amount{Short: 1, Normal: 1, CI: 1, Full: 1000}.Budget(t), testkit.FirstSeed(t)
	count := 0
	for seed := first; budget.More(int(seed-first)) && !t.Failed(); seed++ {
		count += crashEverywhere(t, steps, againOneIn, seed)
	}
	testkit.Count(t, "crash images of the MANIFEST", count)
}

// crashEverywhere runs a history and opens what crashes before each of its
// operations leave. It returns how many images that were.
func crashEverywhere(t *testing.T, steps, againOneIn int, seed uint64) (count int) {
	mem := newMem(t)
	g := newEngine(mem, seed+10)
	rng := rand.New(rand.NewPCG(seed+11, 12))
	inside := false
	mem.SetHook(func(op vfs.Op) error {
		if inside || !op.Kind.Mutates() || t.Failed() {
			return nil
		}
		inside = true
		defer func() { inside = false }()
		allowed := []string{g.last(), g.next}
		check := func(image *vfs.Mem, name string, again bool) {
			count++
			got, err := stateIn(t, image)
			if err != nil || !slices.Contains(allowed, got) {
				t.Errorf("before %v (%v), image %s: %v\n%s\nallowed:\n%s", op, op.Kind, name, err, got, allowed)
			}
			if again && rng.IntN(againOneIn) == 0 && !t.Failed() {
				count += crashAgain(t, image, got, rng)
			}
		}
		images(mem, rng, func(image *vfs.Mem, name string) { check(image, name, true) })
		check(mem.KillClone(), "process death", false) // see the next test
		return nil
	})
	if err := g.run(steps); err != nil {
		t.Fatal(err)
	}
	if t.Failed() {
		t.Logf("%s=%d", testkit.SeedEnv, seed)
	}
	return count
}

// crashAgain recovers an image and crashes at every operation of that. What
// the image held must stay.
func crashAgain(t *testing.T, image *vfs.Mem, state string, rng *rand.Rand) (count int) {
	g := newEngine(image, rng.Uint64())
	g.acked = append(g.acked, state)
	inside := false
	image.SetHook(func(op vfs.Op) error {
		if inside || !op.Kind.Mutates() || t.Failed() {
			return nil
		}
		inside = true
		defer func() { inside = false }()
		allowed := []string{g.last(), g.next}
		images(image, rng, func(again *vfs.Mem, name string) {
			count++
			got, err := stateIn(t, again)
			if err != nil || !slices.Contains(allowed, got) {
				t.Errorf("recovering, before %v (%v), image %s: %v\n%s\nallowed:\n%s", op, op.Kind, name, err, got, allowed)
			}
		})
		return nil
	})
	defer image.SetHook(nil)
	if err := g.recover(); err != nil {
		t.Errorf("recovery: %v", err)
		return count
	}
	if err := errors.Join(g.step(), g.step(), g.set.Close()); err != nil {
		t.Errorf("after recovery: %v", err)
	}
	return count
}

// TestPowerLossAfterProcessDeathLosesNoFile kills the process at every
// operation, recovers, removes orphans, and then cuts the power: what the
// process left un-synced in the page cache must not have decided what is
// removed.
func TestPowerLossAfterProcessDeathLosesNoFile(t *testing.T) {
	mem := newMem(t)
	g := newEngine(mem, 21)
	rng := rand.New(rand.NewPCG(22, 22))
	count, inside := 0, false
	mem.SetHook(func(op vfs.Op) error {
		if inside || !op.Kind.Mutates() || t.Failed() {
			return nil
		}
		inside = true
		defer func() { inside = false }()
		killed := mem.KillClone()
		state, err := stateIn(t, killed)
		if err != nil {
			t.Errorf("before %v: %v", op, err)
			return nil
		}
		h := newEngine(killed, 23)
		h.acked = append(h.acked, state)
		if err := h.recover(); err != nil {
			t.Errorf("recovery before %v: %v", op, err)
			return nil
		}
		allowed := []string{h.last()}
		images(killed, rng, func(image *vfs.Mem, name string) {
			count++
			got, err := stateIn(t, image)
			if err != nil || !slices.Contains(allowed, got) {
				t.Errorf("killed before %v (%v), then image %s: %v\n%s\nallowed:\n%s", op, op.Kind, name, err, got, allowed)
			}
		})
		return nil
	})
	if err := g.run(map[bool]int{false: 40, true: 15}[invariants.Enabled]); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d images", count)
}
