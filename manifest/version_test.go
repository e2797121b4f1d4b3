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
	var applied, refused int
	for i := range 600 {
		v, err := s.Apply(randomEdit(s, rng), nil)
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
	if applied < 100 || refused < 20 {
		t.Errorf("%d applied, %d refused", applied, refused)
	}
	loaded, _ := mustLoad(t, mem)
	if dump(loaded) != dump(s) {
		t.Errorf("loaded\n%s\nwant\n%s", dump(loaded), dump(s))
	}
	live, _ := s.LiveFiles()
	v := s.Current()
	defer v.Unref()
	want := map[FileRef]struct{}{{base.FileManifest, s.log.num}: {}}
	for _, tables := range v.Trees[0].Levels {
		for _, m := range tables {
			want[FileRef{base.FileTable, m.Num}] = struct{}{}
		}
	}
	for _, m := range v.Vlogs {
		want[FileRef{base.FileVlog, m.Physical}] = struct{}{}
	}
	if len(live) != len(want) {
		t.Errorf("%d files live, want %d", len(live), len(want))
	}
}

func randomEdit(s *Set, rng *rand.Rand) *Edit {
	v := s.Current()
	defer v.Unref()
	e := &Edit{}
	for range rng.IntN(4) {
		level := rng.IntN(3)
		if tables := v.Trees[0].Levels[level]; len(tables) > 0 {
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
