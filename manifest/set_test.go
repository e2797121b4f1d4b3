package manifest

import (
	"bytes"
	"errors"
	"fmt"
	iofs "io/fs"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/vfs"
)

const testDir = "db"

// newIDs returns a deterministic Options.NewID.
func newIDs(seed uint64) func() uint64 {
	rng := rand.New(rand.NewPCG(seed, 1))
	return func() uint64 { return rng.Uint64() | 1 }
}

func testOptions(fs vfs.FS) Options {
	return Options{FS: fs, Dir: testDir, NewID: newIDs(7)}
}

func newMem(t testing.TB) *vfs.Mem {
	t.Helper()
	mem := vfs.NewMem()
	if err := errors.Join(mem.MkdirAll(testDir), mem.SyncDir(".")); err != nil {
		t.Fatal(err)
	}
	return mem
}

func mustCreate(t testing.TB, fs vfs.FS) *Set {
	t.Helper()
	s, err := Create(testOptions(fs))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func mustLoad(t testing.TB, fs vfs.FS) (*Set, LoadInfo) {
	t.Helper()
	s, info, err := Load(testOptions(fs))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, info
}

func mustApply(t testing.TB, s *Set, e *Edit) {
	t.Helper()
	v, err := s.Apply(e, nil)
	if err != nil {
		t.Fatal(err)
	}
	v.Unref()
}

// table makes a table [smallest, largest] with sequence numbers from seq to
// seq+9.
func table(num base.FileNum, smallest, largest string, seq base.SeqNum) *TableMeta {
	return &TableMeta{
		Num: num, Size: 1000 + uint64(num), ID: uint64(num) * 77,
		Smallest: []byte(smallest), Largest: []byte(largest),
		SeqMin: seq, SeqMax: seq + 9, Entries: 10, VlogBytes: 5,
	}
}

func add(level int, t *TableMeta) AddedTable { return AddedTable{level, t} }

// dump writes the state of a Set as text, to compare two of them.
func dump(s *Set) string {
	v := s.Current()
	defer v.Unref()
	return dumpVersion(v) + dumpCounters(s.MinSegment(), s.LastSeq(), s.catalog.nextKeyspace)
}

func dumpCounters(segment base.SegmentNum, seq base.SeqNum, keyspace uint32) string {
	return fmt.Sprintf("segment %d seq %d keyspaces %d\n", segment, seq, keyspace)
}

func dumpVersion(v *Version) string {
	var b bytes.Buffer
	for _, tree := range v.Trees {
		if tree.Num > 0 || tree.MergeOperator != "" || tree.Settings != nil {
			fmt.Fprintf(&b, "keyspace %+v\n", tree.Keyspace)
		}
		for level, tables := range tree.Levels {
			for _, t := range tables {
				fmt.Fprintf(&b, "L%d %v\n", level, *t)
			}
		}
	}
	for _, m := range v.Vlogs {
		fmt.Fprintf(&b, "%v\n", *m)
	}
	fmt.Fprintf(&b, "horizon %d\n", v.ExpiryHorizon)
	return b.String()
}

func TestEditsSurviveReload(t *testing.T) {
	mem := newMem(t)
	s := mustCreate(t, mem)
	a, b, vl := s.NewFileNum(), s.NewFileNum(), s.NewFileNum()
	mustApply(t, s, &Edit{
		Added:         []AddedTable{add(0, table(a, "a", "m", 1)), add(0, table(b, "c", "z", 11))},
		VlogAdded:     []VlogMeta{{Logical: vl, Physical: vl, PhysicalID: 99}},
		MinSegment:    new(base.SegmentNum(3)),
		ExpiryHorizon: new(uint64(12345)),

		KeyspacesChanged: []KeyspaceChange{{MergeOperator: new("sum"), Settings: []byte("s")}},
	})
	s.SetLastSeq(500)
	mustApply(t, s, &Edit{Deleted: []DeletedTable{{0, a}}, Added: []AddedTable{add(3, table(a, "a", "m", 1))}})
	want := dump(s)
	if s.LastSeq() != 500 || s.MinSegment() != 3 || s.catalog.keyspaces[0].MergeOperator != "sum" {
		t.Fatalf("counters: %s", want)
	}
	loaded, info := mustLoad(t, mem)
	if got := dump(loaded); got != want {
		t.Fatalf("loaded:\n%s\nwant:\n%s", got, want)
	}
	if info.Edits != 2 || info.Cut || !info.Durable || info.Manifest != 1 {
		t.Fatalf("info %+v", info)
	}
	// A second generation: the first edit starts a new MANIFEST.
	mustApply(t, loaded, &Edit{Deleted: []DeletedTable{{3, a}}})
	want = dump(loaded)
	third, info := mustLoad(t, mem)
	if got := dump(third); got != want || info.Manifest == 1 || info.Edits != 0 {
		t.Fatalf("loaded from %+v:\n%s\nwant:\n%s", info, got, want)
	}
}

func TestLoadWritesNothing(t *testing.T) {
	mem := newMem(t)
	s := mustCreate(t, mem)
	mustApply(t, s, &Edit{Added: []AddedTable{add(1, table(s.NewFileNum(), "a", "b", 1))}})
	faulty := vfs.NewFaulty(mem, func(op vfs.Op) *vfs.Fault {
		if op.Kind.Mutates() {
			t.Errorf("Load did %v of %s", op.Kind, op.Path)
		}
		return nil
	})
	loaded, _ := mustLoad(t, faulty)
	if dump(loaded) != dump(s) {
		t.Fatal("state differs")
	}
	if n := mem.OpenHandles(); n != 1 { // that of s
		t.Fatalf("%d handles open", n)
	}
}

func TestEditThatDoesNotFitIsRefusedBeforeWriting(t *testing.T) {
	mem := newMem(t)
	s := mustCreate(t, mem)
	nums := make([]base.FileNum, 12)
	for i := range nums {
		nums[i] = s.NewFileNum()
	}
	mustApply(t, s, &Edit{
		Added: []AddedTable{
			add(1, table(nums[0], "c", "f", 1)), add(1, table(nums[1], "m", "p", 1)),
			add(0, table(nums[2], "c", "f", 20)),
		},
		VlogAdded: []VlogMeta{
			{Logical: nums[3], Physical: nums[3], PhysicalID: 1},
			{Logical: nums[4], Physical: nums[4], PhysicalID: 2, Sealed: true, Bytes: 100},
		},
	})
	fresh := func(smallest, largest string) *TableMeta { return table(nums[9], smallest, largest, 100) }
	noSize := fresh("x", "y")
	noSize.Size = 0
	exclusive := fresh("x", "x")
	exclusive.LargestExclusive = true
	otherID := table(nums[0], "c", "f", 1)
	otherID.ID = 5
	badSeq := fresh("x", "y")
	badSeq.SeqMin = 200
	cases := map[string]*Edit{
		"delete unknown":             {Deleted: []DeletedTable{{1, nums[9]}}},
		"delete from other level":    {Deleted: []DeletedTable{{2, nums[0]}}},
		"delete twice":               {Deleted: []DeletedTable{{1, nums[0]}, {1, nums[0]}}},
		"delete from bad level":      {Deleted: []DeletedTable{{7, nums[0]}}},
		"add to bad level":           {Added: []AddedTable{add(-1, fresh("x", "y"))}},
		"add what is there":          {Added: []AddedTable{add(2, table(nums[0], "c", "f", 1))}},
		"add twice":                  {Added: []AddedTable{add(2, fresh("x", "y")), add(3, fresh("x", "y"))}},
		"add nil":                    {Added: []AddedTable{{Level: 1}}},
		"add number not given out":   {Added: []AddedTable{add(2, table(1000, "x", "y", 1))}},
		"add number zero":            {Added: []AddedTable{add(2, table(0, "x", "y", 1))}},
		"add without size":           {Added: []AddedTable{add(2, noSize)}},
		"add with bounds reversed":   {Added: []AddedTable{add(2, fresh("y", "x"))}},
		"add with empty range":       {Added: []AddedTable{add(2, exclusive)}},
		"add with seqs reversed":     {Added: []AddedTable{add(2, badSeq)}},
		"overlap left":               {Added: []AddedTable{add(1, fresh("f", "g"))}},
		"overlap right":              {Added: []AddedTable{add(1, fresh("g", "m"))}},
		"overlap both":               {Added: []AddedTable{add(1, fresh("a", "z"))}},
		"overlap inside":             {Added: []AddedTable{add(1, fresh("d", "e"))}},
		"overlap of two added":       {Added: []AddedTable{add(1, fresh("g", "h")), add(1, table(nums[10], "h", "i", 1))}},
		"L0 seqs overlap":            {Added: []AddedTable{add(0, table(nums[9], "d", "e", 25))}},
		"change of id":               {Deleted: []DeletedTable{{1, nums[0]}}, Added: []AddedTable{add(2, otherID)}},
		"vlog added twice":           {VlogAdded: []VlogMeta{{Logical: nums[3], Physical: nums[3]}}},
		"vlog physical taken":        {VlogAdded: []VlogMeta{{Logical: nums[9], Physical: nums[3], Rewritten: true}}},
		"vlog not in itself":         {VlogAdded: []VlogMeta{{Logical: nums[9], Physical: nums[10]}}},
		"vlog number not given out":  {VlogAdded: []VlogMeta{{Logical: 1000, Physical: 1000}}},
		"two ids":                    {VlogMoved: []VlogMove{{Logical: nums[4], From: nums[4], To: nums[9], ToID: 1}}, VlogAdded: []VlogMeta{{Logical: nums[10], Physical: nums[9], PhysicalID: 2, Rewritten: true}}},
		"seal unknown":               {VlogSealed: []VlogSeal{{Logical: nums[9]}}},
		"seal twice":                 {VlogSealed: []VlogSeal{{Logical: nums[4]}}},
		"sync unknown":               {VlogSynced: []VlogSync{{Logical: nums[9]}}},
		"move unknown":               {VlogMoved: []VlogMove{{Logical: nums[9], From: nums[9], To: nums[10]}}},
		"move unsealed":              {VlogMoved: []VlogMove{{Logical: nums[3], From: nums[3], To: nums[10]}}},
		"move from elsewhere":        {VlogMoved: []VlogMove{{Logical: nums[4], From: nums[3], To: nums[10]}}},
		"move to what is there":      {VlogMoved: []VlogMove{{Logical: nums[4], From: nums[4], To: nums[3]}}},
		"remove unknown":             {VlogRemoved: []base.FileNum{nums[9]}},
		"remove twice":               {VlogRemoved: []base.FileNum{nums[4], nums[4]}},
		"discards of file 0":         {Discards: map[base.FileNum]uint64{0: 1}},
		"discards of what never was": {Discards: map[base.FileNum]uint64{1000: 1}},
		"seq out of range":           {LastSeq: new(base.SeqNumMax + 1)},
	}
	before := dump(s)
	path := filepath.Join(testDir, base.FileName(base.FileManifest, 1))
	info, err := mem.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, e := range cases {
		v, err := s.Apply(e, nil)
		if _, ok := errors.AsType[*EditError](err); !ok || v != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if after, _ := mem.Stat(path); after != info {
		t.Errorf("MANIFEST went from %+v to %+v", info, after)
	}
	if got := dump(s); got != before {
		t.Errorf("state changed:\n%s\nfrom:\n%s", got, before)
	}
	// What only touches, or is older, fits.
	touching := table(nums[9], "f", "m", 100)
	touching.Smallest, touching.LargestExclusive = []byte("g"), true
	mustApply(t, s, &Edit{Added: []AddedTable{add(1, touching), add(0, table(nums[10], "d", "e", 5))}})
	loaded, _ := mustLoad(t, mem)
	if dump(loaded) != dump(s) {
		t.Error("loaded state differs")
	}
}

func TestPrepareSeesTheNewestVersionAndMayRefuse(t *testing.T) {
	s := mustCreate(t, newMem(t))
	n := s.NewFileNum()
	mustApply(t, s, &Edit{Added: []AddedTable{add(1, table(n, "a", "b", 1))}})
	no := errors.New("no")
	if _, err := s.Apply(&Edit{}, func(*Version) error { return no }); err != no {
		t.Fatalf("got %v", err)
	}
	e := &Edit{}
	v, err := s.Apply(e, func(v *Version) error {
		for _, t := range v.Trees[0].Levels[1] {
			e.Deleted = append(e.Deleted, DeletedTable{1, t.Num})
		}
		return nil
	})
	if err != nil || len(v.Trees[0].Levels[1]) != 0 {
		t.Fatalf("%v", err)
	}
	v.Unref()
}

func TestFilesBecomeObsoleteOnceAndOnlyWhenUnreferenced(t *testing.T) {
	s := mustCreate(t, newMem(t))
	a, b, c := s.NewFileNum(), s.NewFileNum(), s.NewFileNum()
	ref := func(n base.FileNum) FileRef { return FileRef{base.FileTable, n} }
	expect := func(want ...FileRef) {
		t.Helper()
		got := s.Obsolete()
		slices.SortFunc(got, func(a, b FileRef) int { return int(a.Num) - int(b.Num) })
		if !slices.Equal(got, want) {
			t.Fatalf("obsolete %v, want %v", got, want)
		}
	}
	v0 := s.Current()
	mustApply(t, s, &Edit{Added: []AddedTable{add(1, table(a, "a", "b", 1))}})
	v1 := s.Current()
	mustApply(t, s, &Edit{Added: []AddedTable{add(1, table(b, "c", "d", 1))}})
	v2 := s.Current()
	mustApply(t, s, &Edit{
		Deleted: []DeletedTable{{1, a}, {1, b}},
		Added:   []AddedTable{add(2, table(a, "a", "b", 1)), add(2, table(c, "c", "d", 1))},
	})
	expect() // a moved, b is still in v2
	mustApply(t, s, &Edit{Deleted: []DeletedTable{{2, a}, {2, c}}})
	expect(ref(c)) // only the version before had it; a is in v1 and v2
	live, durable := s.LiveFiles()
	if _, ok := live[ref(b)]; !ok || !durable || len(live) != 3 { // a, b, MANIFEST
		t.Fatalf("live %v, %v", live, durable)
	}
	v2.Unref()
	expect(ref(b)) // born after v1
	v0.Unref()
	expect()
	v1.Unref()
	expect(ref(a))
	expect()
}

func TestPhysicalVlogLivesAsLongAsALogicalFileIsInIt(t *testing.T) {
	mem := newMem(t)
	s := mustCreate(t, mem)
	a, b, p := s.NewFileNum(), s.NewFileNum(), s.NewFileNum()
	mustApply(t, s, &Edit{VlogAdded: []VlogMeta{
		{Logical: a, Physical: a, PhysicalID: 1}, {Logical: b, Physical: b, PhysicalID: 2},
	}})
	mustApply(t, s, &Edit{
		VlogSealed: []VlogSeal{{Logical: a, Bytes: 1000}, {Logical: b, Bytes: 2000}},
		Discards:   map[base.FileNum]uint64{a: 600, b: 300},
	})
	mustApply(t, s, &Edit{Discards: map[base.FileNum]uint64{a: 100, b: 5000}}) // while the rewrite runs
	v := s.Current()
	if v.Vlog(a).Discarded != 700 || v.Vlog(b).Discarded != 2000 {
		t.Fatalf("discards: %s", dump(s))
	}
	mustApply(t, s, &Edit{VlogMoved: []VlogMove{
		{Logical: a, From: a, To: p, ToID: 9, Bytes: 400, DeadBytes: 600},
		{Logical: b, From: b, To: p, ToID: 9, Bytes: 1700, DeadBytes: 300},
	}})
	now := s.Current()
	if m := now.Vlog(a); m.Physical != p || m.Bytes != 400 || m.Discarded != 100 || !m.Rewritten || m.PhysicalID != 9 {
		t.Fatalf("moved to %+v", m)
	}
	if m := now.Vlog(b); m.Discarded != 1700 {
		t.Fatalf("moved to %+v", m)
	}
	now.Unref()
	if got := s.Obsolete(); got != nil {
		t.Fatalf("obsolete while a version maps to them: %v", got)
	}
	v.Unref()
	if got := s.Obsolete(); len(got) != 2 {
		t.Fatalf("obsolete %v", got)
	}
	// A second collection of the same files lost the race.
	_, err := s.Apply(&Edit{VlogMoved: []VlogMove{{Logical: a, From: a, To: s.NewFileNum(), ToID: 3}}}, nil)
	if _, ok := errors.AsType[*EditError](err); !ok {
		t.Fatalf("stale move: %v", err)
	}
	mustApply(t, s, &Edit{VlogRemoved: []base.FileNum{a}})
	if got := s.Obsolete(); got != nil {
		t.Fatalf("obsolete while b is in it: %v", got)
	}
	mustApply(t, s, &Edit{Discards: map[base.FileNum]uint64{a: 10}}) // removed meanwhile: no matter
	loaded, _ := mustLoad(t, mem)
	if dump(loaded) != dump(s) {
		t.Fatalf("loaded %s want %s", dump(loaded), dump(s))
	}
	mustApply(t, s, &Edit{VlogRemoved: []base.FileNum{b}})
	if got := s.Obsolete(); !slices.Equal(got, []FileRef{{base.FileVlog, p}}) {
		t.Fatalf("obsolete %v", got)
	}
}

func TestManifestRotatesAndOldOneBecomesObsolete(t *testing.T) {
	mem := newMem(t)
	opts := testOptions(mem)
	opts.RotateBytes = 2000
	s, err := Create(opts)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	manifests := 0
	for i := range 100 {
		n := s.NewFileNum()
		key := fmt.Sprintf("%04d", i)
		mustApply(t, s, &Edit{Added: []AddedTable{add(2, table(n, key, key, 1))}})
		for _, f := range s.Obsolete() {
			if f.Kind != base.FileManifest {
				t.Fatalf("obsolete %v", f)
			}
			manifests++
			if err := mem.Remove(filepath.Join(testDir, base.FileName(f.Kind, uint64(f.Num)))); err != nil {
				t.Fatal(err)
			}
		}
		loaded, _ := mustLoad(t, mem)
		if dump(loaded) != dump(s) {
			t.Fatalf("after edit %d: loaded\n%s\nwant\n%s", i, dump(loaded), dump(s))
		}
	}
	if manifests < 2 || manifests > 6 { // the limit is scaled to the snapshot
		t.Fatalf("%d rotations", manifests)
	}
}

func TestCreateRefusesWhatIsThere(t *testing.T) {
	mem := newMem(t)
	s := mustCreate(t, mem)
	if _, err := Create(testOptions(mem)); !errors.Is(err, iofs.ErrExist) {
		t.Fatalf("got %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Apply(&Edit{}, nil); err != base.ErrClosed {
		t.Fatalf("got %v", err)
	}
	if err := s.Close(); err != nil || mem.OpenHandles() != 0 {
		t.Fatalf("%v, %d handles", err, mem.OpenHandles())
	}
	if err := mem.Remove(filepath.Join(testDir, base.CurrentName)); err != nil {
		t.Fatal(err)
	}
	// Now it is only what a crash in Create leaves.
	if found, err := Exists(mem, testDir); found || err != nil {
		t.Fatalf("%v, %v", found, err)
	}
	if _, _, err := Load(testOptions(mem)); !errors.Is(err, iofs.ErrNotExist) {
		t.Fatalf("got %v", err)
	}
	mustCreate(t, mem)
	if found, err := Exists(mem, testDir); !found || err != nil {
		t.Fatalf("%v, %v", found, err)
	}
	if found, err := Exists(mem, "elsewhere"); found || err != nil {
		t.Fatalf("%v, %v", found, err)
	}
}

func TestMissingCurrentBesideOtherFilesIsNotANewDatabase(t *testing.T) {
	missing := func(t *testing.T, mem *vfs.Mem, file string) {
		t.Helper()
		_, _, err := Load(testOptions(mem))
		if m, ok := errors.AsType[*base.MissingFileError](err); !ok || m.File != file {
			t.Fatalf("Load: %v, want missing %s", err, file)
		}
	}
	for _, name := range []string{"000007.sst", "000001.wal", "000003.vlog", "MANIFEST-000004"} {
		mem := newMem(t)
		if err := vfs.WriteFileAtomic(mem, filepath.Join(testDir, name), []byte("x")); err != nil {
			t.Fatal(err)
		}
		missing(t, mem, base.CurrentName)
		_, err := Create(testOptions(mem))
		if m, ok := errors.AsType[*base.MissingFileError](err); !ok || m.File != base.CurrentName {
			t.Fatalf("Create beside %s: %v", name, err)
		}
	}
	mem := newMem(t)
	s := mustCreate(t, mem)
	mustApply(t, s, &Edit{Added: []AddedTable{add(0, table(s.NewFileNum(), "a", "b", 1))}})
	s.Close()
	current, err := vfs.ReadFile(mem, filepath.Join(testDir, base.CurrentName), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	if err := mem.Remove(filepath.Join(testDir, base.CurrentName)); err != nil {
		t.Fatal(err)
	}
	missing(t, mem, base.CurrentName) // the first MANIFEST names a table
	if err := errors.Join(
		vfs.WriteFileAtomic(mem, filepath.Join(testDir, base.CurrentName), current),
		mem.Remove(filepath.Join(testDir, "MANIFEST-000001"))); err != nil {
		t.Fatal(err)
	}
	missing(t, mem, "MANIFEST-000001")
}

func TestCheckFilesFindsMissingAndShortFiles(t *testing.T) {
	mem := newMem(t)
	s := mustCreate(t, mem)
	a, v := s.NewFileNum(), s.NewFileNum()
	meta := table(a, "a", "b", 1)
	mustApply(t, s, &Edit{
		Added:     []AddedTable{add(1, meta)},
		VlogAdded: []VlogMeta{{Logical: v, Physical: v, PhysicalID: 4, SyncedTo: 100}},
	})
	opts := testOptions(mem)
	opts.CheckFiles = true
	put := func(name string, size int) {
		t.Helper()
		if err := vfs.WriteFileAtomic(mem, filepath.Join(testDir, name), make([]byte, size)); err != nil {
			t.Fatal(err)
		}
	}
	load := func() error {
		l, _, err := Load(opts)
		if err == nil {
			err = l.Close()
		}
		return err
	}
	tableName := base.FileName(base.FileTable, uint64(a))
	vlogName := base.FileName(base.FileVlog, uint64(v))
	if m, ok := errors.AsType[*base.MissingFileError](load()); !ok || m.File != tableName {
		t.Fatalf("got %v", m)
	}
	put(tableName, int(meta.Size)-1)
	if m, ok := errors.AsType[*base.CorruptionError](load()); !ok || m.File != tableName {
		t.Fatalf("got %v", m)
	}
	put(tableName, int(meta.Size))
	if m, ok := errors.AsType[*base.MissingFileError](load()); !ok || m.File != vlogName {
		t.Fatalf("got %v", m)
	}
	put(vlogName, 99)
	if m, ok := errors.AsType[*base.CorruptionError](load()); !ok || m.File != vlogName {
		t.Fatalf("got %v", m)
	}
	put(vlogName, 100)
	if err := load(); err != nil {
		t.Fatal(err)
	}
}

func TestFileNumbersAreNotReusedAfterReload(t *testing.T) {
	mem := newMem(t)
	s := mustCreate(t, mem)
	last := base.FileNum(0)
	for round := range 5 {
		for i := range 300 {
			n := s.NewFileNum()
			if n <= last {
				t.Fatalf("round %d: %d after %d", round, n, last)
			}
			last = n
			if i%100 == 0 {
				mustApply(t, s, &Edit{})
			}
		}
		s.Close()
		s, _ = mustLoad(t, mem)
	}
	// Numbers given out with no edit to say so: the directory tells.
	orphan := s.NewFileNum() + 5000
	name := base.FileName(base.FileTable, uint64(orphan))
	if err := vfs.WriteFileAtomic(mem, filepath.Join(testDir, name), []byte("x")); err != nil {
		t.Fatal(err)
	}
	s, _ = mustLoad(t, mem)
	if n := s.NewFileNum(); n != orphan+1 {
		t.Fatalf("%d given out beside file %d", n, orphan)
	}
}

func TestCreateWithInitialState(t *testing.T) {
	mem := newMem(t)
	if err := vfs.WriteFileAtomic(mem, filepath.Join(testDir, "000040.sst"), make([]byte, 2000)); err != nil {
		t.Fatal(err)
	}
	opts := testOptions(mem)
	opts.CheckFiles = true
	opts.Initial = &Edit{Added: []AddedTable{add(3, table(40, "a", "b", 1))}, LastSeq: new(base.SeqNum(77))}
	s, err := Create(opts)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	loaded, _, err := Load(opts)
	if err != nil || dump(loaded) != dump(s) || loaded.LastSeq() != 77 {
		t.Fatalf("%v: %s", err, dump(s))
	}
	if n := loaded.NewFileNum(); n <= 41 {
		t.Fatalf("number %d given out", n)
	}
	opts = testOptions(newMem(t))
	opts.Initial = &Edit{Added: []AddedTable{add(3, table(40, "a", "m", 1)), add(3, table(41, "m", "z", 1))}}
	_, err = Create(opts)
	if _, ok := errors.AsType[*EditError](err); !ok {
		t.Fatalf("overlapping tables: %v", err)
	}
}

// TestVersionsBesideEdits is for the race detector.
func TestVersionsBesideEdits(t *testing.T) {
	s := mustCreate(t, newMem(t))
	done := make(chan struct{})
	var readers, writer sync.WaitGroup
	var reads atomic.Int64
	for range 3 {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				v := s.Current()
				if err := v.Check(); err != nil {
					t.Error(err)
				}
				v.Trees[0].Find(1, []byte("5"))
				v.Unref()
				s.LiveFiles()
				reads.Add(1)
			}
		})
	}
	reported := map[FileRef]bool{}
	writer.Go(func() {
		var last base.FileNum
		for i := range int64(200) {
			for reads.Load() < i/10 { // on a slow machine, too, some between the edits
				time.Sleep(time.Millisecond)
			}
			n := s.NewFileNum()
			e := &Edit{Added: []AddedTable{add(1, table(n, "1", "9", 1))}}
			if last != 0 {
				e.Deleted = []DeletedTable{{1, last}}
			}
			last = n
			v, err := s.Apply(e, nil)
			if err != nil {
				t.Error(err)
				return
			}
			v.Unref()
			for _, f := range s.Obsolete() {
				if reported[f] || f.Num == n {
					t.Errorf("%v reported", f)
				}
				reported[f] = true
			}
		}
	})
	writer.Wait()
	close(done)
	readers.Wait()
	for _, f := range s.Obsolete() {
		reported[f] = true
	}
	if len(reported) != 199 {
		t.Errorf("%d files obsolete, not 199", len(reported))
	}
}

// No check of edits lets this through; should one ever do, the store is not lost.
func TestEditThatCouldNotBeReadIsNotWritten(t *testing.T) {
	mem := newMem(t)
	s := mustCreate(t, mem)
	unreadable := &Edit{Discards: map[base.FileNum]uint64{0: 1}}
	if err := s.appendEdit(unreadable, &change{}); !errors.Is(err, errMalformedEdit) {
		t.Error(err)
	}
	if _, err := s.writeSnapshot(s.NewFileNum(), 1, unreadable); !errors.Is(err, errMalformedEdit) {
		t.Error(err)
	}
	mustApply(t, s, &Edit{LastSeq: new(base.SeqNum(5))}) // it goes on
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	again, _ := mustLoad(t, mem)
	if again.LastSeq() != 5 {
		t.Errorf("sequence number %d, want 5", again.LastSeq())
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
}
