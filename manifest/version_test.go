package manifest

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cordwood-db/cordwood/internal/base"
)

func levelNums(tables []*TableMeta) (nums []base.FileNum) {
	for _, t := range tables {
		nums = append(nums, t.Num)
	}
	return nums
}

// oneTree is a version with an empty default keyspace.
func oneTree() *Version { return &Version{Trees: []*Tree{{}}} }

func TestFindAndOverlaps(t *testing.T) {
	exclusive := table(3, "k", "m", 1)
	exclusive.LargestExclusive = true
	v := oneTree()
	v.Trees[0].Levels[0] = []*TableMeta{table(9, "a", "z", 90), table(8, "c", "d", 80)}
	v.Trees[0].Levels[1] = []*TableMeta{table(1, "b", "d", 1), table(2, "f", "f", 1), exclusive, table(4, "m", "p", 1)}
	for key, want := range map[string]base.FileNum{
		"a": 0, "b": 1, "c": 1, "d": 1, "d0": 0, "f": 2, "g": 0, "k": 3, "lzz": 3, "m": 4, "p": 4, "q": 0, "": 0,
	} {
		var got base.FileNum
		if m := v.Trees[0].Find(1, []byte(key)); m != nil {
			got = m.Num
		}
		if got != want {
			t.Errorf("Find(%q) = %d, want %d", key, got, want)
		}
	}
	keys := []string{"", "a", "b", "c", "d", "e", "f", "g", "k", "l", "m", "n", "p", "q", "zz"}
	for i, start := range keys {
		for _, end := range keys[i:] {
			for _, bounds := range [][2][]byte{
				{[]byte(start), []byte(end)}, {nil, []byte(end)}, {[]byte(start), nil}, {nil, nil},
			} {
				for level := range 2 {
					var want []base.FileNum
					for _, m := range v.Trees[0].Levels[level] {
						if m.Overlaps(bounds[0], bounds[1]) {
							want = append(want, m.Num)
						}
					}
					if got := levelNums(v.Trees[0].Overlaps(level, bounds[0], bounds[1])); !slices.Equal(got, want) {
						t.Errorf("Overlaps(%d, %q) = %v, want %v", level, bounds, got, want)
					}
				}
			}
		}
	}
	if exclusive.Contains([]byte("m")) || !exclusive.Contains([]byte("k")) || exclusive.Contains([]byte("j")) {
		t.Error("Contains is wrong about bounds")
	}
	if v.Trees[0].LevelBytes(0) != 2017 || v.Trees[0].LevelWeight(0) != 2027 {
		t.Errorf("level 0 has %d bytes, weighs %d", v.Trees[0].LevelBytes(0), v.Trees[0].LevelWeight(0))
	}
}

func TestTryRefFailsOnceReleased(t *testing.T) {
	s := mustCreate(t, newMem(t))
	v := s.Current()
	mustApply(t, s, &Edit{})
	if !v.TryRef() {
		t.Fatal("a version with a reference refuses another")
	}
	v.Ref()
	v.Unref()
	v.Unref()
	v.Unref()
	if v.TryRef() {
		t.Fatal("a released version came back")
	}
	if allocs := testing.AllocsPerRun(100, func() { s.Current().Unref() }); allocs != 0 {
		t.Errorf("Current allocates %v times", allocs)
	}
}

func TestCheckFindsWhatMustNotBe(t *testing.T) {
	twoIDs := []*VlogMeta{{Logical: 1, Physical: 5, PhysicalID: 1}, {Logical: 2, Physical: 5, PhysicalID: 2}}
	older, newer := table(1, "a", "c", 1), table(2, "b", "d", 5)
	zeroed := table(3, "b", "d", 5)
	zeroed.SeqMin = 0
	levels := func(level int, tables ...*TableMeta) *Version {
		v := oneTree()
		v.Trees[0].Levels[level] = tables
		return v
	}
	keyspaces := func(ks ...Keyspace) *Version {
		v := &Version{}
		for _, k := range ks {
			v.Trees = append(v.Trees, &Tree{Keyspace: k})
		}
		return v
	}
	inBoth := keyspaces(Keyspace{}, Keyspace{Num: 1, Name: "a"})
	copied := *older
	copied.Keyspace = 1
	inBoth.Trees[0].Levels[1] = []*TableMeta{older}
	inBoth.Trees[1].Levels[1] = []*TableMeta{&copied}
	stray := keyspaces(Keyspace{}, Keyspace{Num: 1, Name: "a"})
	stray.Trees[1].Levels[1] = []*TableMeta{older}
	badSum := levels(1, older)
	badSum.Trees[0].indexed = true
	vlogs := func(metas ...*VlogMeta) *Version {
		v := oneTree()
		v.Vlogs = metas
		return v
	}
	badIndex := vlogs(twoIDs[:1]...)
	badIndex.indexed = true
	twice := levels(1, older)
	twice.Trees[0].Levels[2] = []*TableMeta{older}
	for name, v := range map[string]*Version{
		"no default":        keyspaces(Keyspace{Num: 1, Name: "a"}),
		"no tree":           keyspaces(),
		"default dropped":   keyspaces(Keyspace{Dropped: true}),
		"default named":     keyspaces(Keyspace{Name: "a"}),
		"no name":           keyspaces(Keyspace{}, Keyspace{Num: 1}),
		"one name":          keyspaces(Keyspace{}, Keyspace{Num: 1, Name: "a"}, Keyspace{Num: 2, Name: "a"}),
		"keyspace order":    keyspaces(Keyspace{}, Keyspace{Num: 2, Name: "a"}, Keyspace{Num: 1, Name: "b"}),
		"keyspace twice":    keyspaces(Keyspace{}, Keyspace{Num: 2, Name: "a"}, Keyspace{Num: 2, Name: "b"}),
		"in two keyspaces":  inBoth,
		"stray":             stray,
		"overlap":           levels(1, older, newer),
		"order":             levels(1, table(2, "x", "y", 1), older),
		"twice":             twice,
		"oldest first":      levels(0, older, table(2, "x", "y", 50)),
		"shared seqs":       levels(0, newer, older),
		"facts":             levels(1, &TableMeta{Num: 1}),
		"sums":              badSum,
		"vlog index":        badIndex,
		"vlog order":        vlogs(twoIDs[1], twoIDs[0]),
		"vlog ids":          vlogs(twoIDs...),
		"vlog over-discard": vlogs(&VlogMeta{Logical: 1, Physical: 1, Sealed: true, Bytes: 1, Discarded: 2}),
	} {
		if err := v.Check(); err == nil {
			t.Errorf("%s: no error", name)
		} else if _, ok := err.(*EditError); !ok {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, v := range map[string]*Version{
		"one name, dropped": keyspaces(Keyspace{}, Keyspace{Num: 1, Name: "a", Dropped: true},
			Keyspace{Num: 2, Name: "a"}, Keyspace{Num: 3, Name: "a", Dropped: true}),
		"empty": oneTree(), "disjoint": levels(0, newer, table(1, "x", "y", 1)),
		"disjoint seqs": levels(0, table(2, "b", "d", 11), older), "zeroed seqs": levels(0, zeroed, older),
	} {
		if err := v.Check(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCheckOfHugeLevelZeroIsBounded(t *testing.T) {
	v := oneTree()
	for i := range 20_000 {
		m := table(base.FileNum(i+1), fmt.Sprintf("%06d", i), fmt.Sprintf("%06d", i), 1)
		v.Trees[0].Levels[0] = append(v.Trees[0].Levels[0], m)
	}
	slices.SortFunc(v.Trees[0].Levels[0], levelOrder(0))
	if err := v.Check(); err != nil {
		t.Fatal(err)
	}
}

// TestPatchedVersionEqualsOneBuiltAnew applies random edits, good and bad ones,
// and compares the patched version with one that is sorted from nothing.
func TestPatchedVersionEqualsOneBuiltAnew(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	mem := newMem(t)
	s := mustCreate(t, mem)
	var applied, refused, removed int
	for i := range 800 {
		e := randomEdit(s, rng)
		before := s.Current()
		v, err := s.Apply(e, nil)
		if err == nil {
			removed += len(e.KeyspacesRemoved)
			checkShared(t, e, before, v)
		}
		before.Unref()
		if err != nil {
			if _, ok := err.(*EditError); !ok {
				t.Fatalf("edit %d: %v", i, err)
			}
			refused++
			continue
		}
		applied++
		if err := v.Check(); err != nil {
			t.Fatalf("edit %d: %v", i, err)
		}
		if got, want := dumpVersion(v), dumpVersion(s.catalog.version()); got != want {
			t.Fatalf("edit %d: patched\n%s\nanew\n%s", i, got, want)
		}
		v.Unref()
		s.Obsolete()
	}
	if applied < 100 || refused < 20 || removed < 3 {
		t.Errorf("%d applied, %d refused, %d keyspaces removed", applied, refused, removed)
	}
	loaded, _ := mustLoad(t, mem)
	if dump(loaded) != dump(s) {
		t.Errorf("loaded\n%s\nwant\n%s", dump(loaded), dump(s))
	}
	live, _ := s.LiveFiles()
	v := s.Current()
	defer v.Unref()
	want := map[FileRef]struct{}{{base.FileManifest, s.log.num}: {}}
	for _, m := range v.Tables() {
		want[FileRef{base.FileTable, m.Num}] = struct{}{}
	}
	for _, m := range v.Vlogs {
		want[FileRef{base.FileVlog, m.Physical}] = struct{}{}
	}
	if len(live) != len(want) {
		t.Errorf("%d files live, want %d", len(live), len(want))
	}
}

// checkShared: a tree is the same value if and only if the edit left it alone.
func checkShared(t *testing.T, e *Edit, before, after *Version) {
	t.Helper()
	touched := map[uint32]bool{}
	for _, a := range e.Added {
		touched[a.Meta.Keyspace] = true
	}
	for _, m := range before.Tables() {
		if slices.ContainsFunc(e.Deleted, func(d DeletedTable) bool { return d.Num == m.Num }) {
			touched[m.Keyspace] = true
		}
	}
	for _, num := range e.KeyspacesDropped {
		touched[num] = true
	}
	for _, kc := range e.KeyspacesChanged {
		touched[kc.Num] = true
	}
	for _, tree := range before.Trees {
		now := after.Tree(tree.Num)
		if removed := slices.Contains(e.KeyspacesRemoved, tree.Num); removed != (now == nil) {
			t.Fatalf("keyspace %d: removed %v, but it is %v", tree.Num, removed, now)
		}
		if now != nil && touched[tree.Num] == (now == tree) {
			t.Fatalf("keyspace %d: touched %v, but shared %v", tree.Num, touched[tree.Num], now == tree)
		}
	}
}

func randomEdit(s *Set, rng *rand.Rand) *Edit {
	v := s.Current()
	defer v.Unref()
	e := &Edit{}
	randomKeyspaces(s, rng, v, e)
	for range rng.IntN(4) {
		level := rng.IntN(3)
		tree := v.Trees[rng.IntN(len(v.Trees))]
		if tables := tree.Levels[level]; len(tables) > 0 {
			m := tables[rng.IntN(len(tables))]
			e.Deleted = append(e.Deleted, DeletedTable{level, m.Num})
			if rng.IntN(3) == 0 {
				e.Added = append(e.Added, add(rng.IntN(3), m)) // moves
			}
		}
	}
	for range rng.IntN(3) {
		a, b := []byte{byte(rng.IntN(256))}, []byte{byte(rng.IntN(256))}
		if rng.IntN(3) > 0 {
			b = append(a[:1:1], 1)
		}
		if bytes.Compare(a, b) > 0 {
			a, b = b, a
		}
		m := table(s.NewFileNum(), string(a), string(b), base.SeqNum(rng.IntN(1000)))
		m.Keyspace = v.Trees[rng.IntN(len(v.Trees))].Num
		if rng.IntN(40) == 0 {
			m.Keyspace = uint32(rng.IntN(20))
		}
		m.LargestExclusive = !bytes.Equal(a, b) && rng.IntN(3) == 0
		e.Added = append(e.Added, add(rng.IntN(3), m))
	}
	for range rng.IntN(2) {
		n := s.NewFileNum()
		e.VlogAdded = append(e.VlogAdded, VlogMeta{Logical: n, Physical: n, PhysicalID: 1, Sealed: rng.IntN(2) == 0, Bytes: 100})
	}
	to := s.NewFileNum()
	for _, m := range v.Vlogs {
		switch rng.IntN(12) {
		case 0:
			e.VlogRemoved = append(e.VlogRemoved, m.Logical)
		case 1:
			if m.Sealed {
				e.VlogMoved = append(e.VlogMoved, VlogMove{Logical: m.Logical, From: m.Physical, To: to, ToID: 2, Bytes: m.Bytes / 2})
			} else {
				e.VlogSealed = append(e.VlogSealed, VlogSeal{Logical: m.Logical, Bytes: 100})
			}
		case 2:
			e.Discards = map[base.FileNum]uint64{m.Logical: 60, 1: 4}
		}
	}
	return e
}

// randomKeyspaces now and then adds, drops, changes or removes a keyspace.
func randomKeyspaces(s *Set, rng *rand.Rand, v *Version, e *Edit) {
	tree := v.Trees[rng.IntN(len(v.Trees))]
	switch rng.IntN(12) {
	case 0:
		e.KeyspacesAdded = []Keyspace{{Num: s.NewKeyspaceNum(), Name: fmt.Sprint("ks", rng.IntN(6))}}
	case 1:
		e.KeyspacesDropped = []uint32{tree.Num} // the default one now and then
	case 2:
		e.KeyspacesChanged = []KeyspaceChange{{Num: tree.Num, Settings: []byte{byte(rng.IntN(3))}}}
	case 3, 4, 5:
		for _, tree := range v.Trees {
			if !tree.Dropped {
				continue
			}
			e.KeyspacesRemoved = []uint32{tree.Num}
			for level, tables := range tree.Levels {
				for _, m := range tables {
					if rng.IntN(20) > 0 { // else the edit does not fit
						e.Deleted = append(e.Deleted, DeletedTable{level, m.Num})
					}
				}
			}
			break
		}
	}
}

func TestVlogOfAVersionMadeByHand(t *testing.T) {
	v := &Version{Vlogs: []*VlogMeta{{Logical: 3}, {Logical: 7}}}
	if v.Vlog(7) != v.Vlogs[1] || v.Vlog(5) != nil {
		t.Error("not found, or found what is not there")
	}
}

func TestDiscardsDoNotOverflow(t *testing.T) {
	s := mustCreate(t, newMem(t))
	n := s.NewFileNum()
	mustApply(t, s, &Edit{VlogAdded: []VlogMeta{{Logical: n, Physical: n}}})
	for range 2 {
		mustApply(t, s, &Edit{Discards: map[base.FileNum]uint64{n: math.MaxUint64 - 5}})
	}
	v := s.Current()
	defer v.Unref()
	if got := v.Vlog(n).Discarded; got != math.MaxUint64 {
		t.Errorf("%d bytes discarded", got)
	}
}
