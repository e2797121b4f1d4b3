package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/vfs"
)

// tableIn is a table of a keyspace with keys from a to z.
func tableIn(s *Set, keyspace uint32) *TableMeta {
	m := table(s.NewFileNum(), "a", "z", 1)
	m.Keyspace = keyspace
	return m
}

func addKeyspace(t testing.TB, s *Set, name string) uint32 {
	t.Helper()
	num := s.NewKeyspaceNum()
	mustApply(t, s, &Edit{KeyspacesAdded: []Keyspace{{Num: num, Name: name}}})
	return num
}

// reload loads the database once as it was written, and once from the snapshot
// of another MANIFEST, and returns the latter.
func reload(t testing.TB, fs vfs.FS, s *Set) *Set {
	t.Helper()
	want := dump(s)
	loaded, _ := mustLoad(t, fs)
	if got := dump(loaded); got != want {
		t.Fatalf("loaded\n%s\nwant\n%s", got, want)
	}
	mustApply(t, loaded, &Edit{}) // starts a new MANIFEST
	again, info := mustLoad(t, fs)
	if got := dump(again); got != want || info.Edits != 0 {
		t.Fatalf("loaded from %+v\n%s\nwant\n%s", info, got, want)
	}
	return again
}

func TestLifeOfAKeyspace(t *testing.T) {
	mem := newMem(t)
	s := mustCreate(t, mem)
	one := addKeyspace(t, s, "orders")
	two := s.NewKeyspaceNum()
	zero, m := tableIn(s, 0), tableIn(s, one)
	mustApply(t, s, &Edit{ // one flush: the same keys in two trees, and a third keyspace
		KeyspacesAdded:   []Keyspace{{Num: two, Name: strings.Repeat("n", KeyspaceNameMax), MergeOperator: "sum", Settings: []byte{1, 2}}},
		KeyspacesChanged: []KeyspaceChange{{Num: one, MergeOperator: new("max")}, {Settings: []byte("zero")}},
		Added:            []AddedTable{add(1, zero), add(1, m)},
	})
	s = reload(t, mem, s)
	v := s.Current()
	if v.Tree(one).Find(1, []byte("k")).Num != m.Num || v.Tree(0).Find(1, []byte("k")).Num != zero.Num || v.Tree(9) != nil ||
		v.Tree(one).MergeOperator != "max" || string(v.Tree(0).Settings) != "zero" || !bytes.Equal(v.Tree(two).Settings, []byte{1, 2}) {
		t.Fatal(dump(s))
	}
	v.Unref()
	// Dropped: the name is free at once, the tables stay and may still come.
	mustApply(t, s, &Edit{KeyspacesDropped: []uint32{one}})
	late := tableIn(s, one)
	again := s.NewKeyspaceNum()
	mustApply(t, s, &Edit{Added: []AddedTable{add(2, late)}, KeyspacesAdded: []Keyspace{{Num: again, Name: "orders"}}})
	s = reload(t, mem, s)
	v = s.Current()
	if old := v.Tree(one); !old.Dropped || len(old.Levels[1]) != 1 || len(old.Levels[2]) != 1 || !v.Tree(again).Empty() {
		t.Fatal(dump(s))
	}
	v.Unref()
	live, _ := s.LiveFiles()
	if _, ok := live[FileRef{base.FileTable, m.Num}]; !ok {
		t.Fatal("a table of a dropped keyspace is an orphan")
	}
	mustApply(t, s, &Edit{Deleted: []DeletedTable{{1, m.Num}, {2, late.Num}}, KeyspacesRemoved: []uint32{one}})
	if got := s.Obsolete(); !slices.Contains(got, FileRef{base.FileTable, m.Num}) || !slices.Contains(got, FileRef{base.FileTable, late.Num}) {
		t.Fatalf("obsolete %v", got)
	}
	mustApply(t, s, &Edit{KeyspacesChanged: []KeyspaceChange{{Settings: []byte{}}}, KeyspacesDropped: []uint32{again}})
	mustApply(t, s, &Edit{KeyspacesRemoved: []uint32{again}})
	s = reload(t, mem, s)
	v = s.Current()
	defer v.Unref()
	if v.Tree(one) != nil || v.Tree(again) != nil || len(v.Trees) != 2 || len(v.Trees[0].Settings) != 0 || s.NextKeyspace() != again+1 {
		t.Fatal(dump(s))
	}
}

func TestKeyspaceNumbersAreNeverUsedTwice(t *testing.T) {
	mem := newMem(t)
	s := mustCreate(t, mem)
	last := uint32(0)
	for i := range 5 {
		num := addKeyspace(t, s, "same")
		if num <= last {
			t.Fatalf("%d after %d", num, last)
		}
		last = num
		mustApply(t, s, &Edit{KeyspacesDropped: []uint32{num}})
		mustApply(t, s, &Edit{KeyspacesRemoved: []uint32{num}})
		if i%2 == 0 {
			s = reload(t, mem, s)
		}
		_, err := s.Apply(&Edit{KeyspacesAdded: []Keyspace{{Num: num, Name: "again"}}}, nil)
		if _, ok := errors.AsType[*EditError](err); !ok {
			t.Fatalf("number %d was used twice: %v", num, err)
		}
	}
	// A copy goes on from there, whatever is left.
	opts := testOptions(newMem(t))
	opts.Initial = &Edit{}
	v := s.Current()
	opts.Initial.AddKeyspaces(v.Trees, s.NextKeyspace())
	v.Unref()
	c, err := Create(opts)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if num := c.NewKeyspaceNum(); num != last+1 {
		t.Errorf("the copy gives out %d after %d", num, last)
	}
}

func TestUsedUpKeyspaceNumbersAreRefused(t *testing.T) {
	opts := testOptions(newMem(t))
	opts.Initial = &Edit{NextKeyspace: math.MaxUint32 - 1}
	s, err := Create(opts)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if num := addKeyspace(t, s, "last"); num != math.MaxUint32-1 {
		t.Fatalf("%d given out", num)
	}
	for range 3 {
		num := s.NewKeyspaceNum()
		_, err = s.Apply(&Edit{KeyspacesAdded: []Keyspace{{Num: num, Name: "one more"}}}, nil)
		if _, ok := errors.AsType[*EditError](err); !ok || num != math.MaxUint32 {
			t.Fatalf("%d: %v", num, err)
		}
	}
	if s.NextKeyspace() != math.MaxUint32 {
		t.Errorf("next is %d", s.NextKeyspace())
	}
}

func TestKeyspaceEditsThatDoNotFit(t *testing.T) {
	mem := newMem(t)
	s := mustCreate(t, mem)
	live, full, dropped := addKeyspace(t, s, "live"), addKeyspace(t, s, "full"), addKeyspace(t, s, "dropped")
	m := tableIn(s, full)
	mustApply(t, s, &Edit{Added: []AddedTable{add(1, m)}, KeyspacesDropped: []uint32{full, dropped}})
	next, more := s.NewKeyspaceNum(), s.NewKeyspaceNum()
	moved := *m
	moved.Keyspace = live
	named := func(num uint32, name string) *Edit {
		return &Edit{KeyspacesAdded: []Keyspace{{Num: num, Name: name}}}
	}
	cases := map[string]*Edit{
		"add number zero":          named(0, "a"),
		"add number in use":        named(live, "a"),
		"add number not given out": named(more+1, "a"),
		"add without a name":       named(next, ""),
		"add long name":            named(next, strings.Repeat("n", KeyspaceNameMax+1)),
		"add bad name":             named(next, "a\xff"),
		"add name in use":          named(next, "live"),
		"add one name twice":       {KeyspacesAdded: []Keyspace{{Num: next, Name: "a"}, {Num: more, Name: "a"}}},
		"add one number twice":     {KeyspacesAdded: []Keyspace{{Num: next, Name: "a"}, {Num: next, Name: "b"}}},
		"add in descending order":  {KeyspacesAdded: []Keyspace{{Num: more, Name: "a"}, {Num: next, Name: "b"}}},
		"drop the default":         {KeyspacesDropped: []uint32{0}},
		"drop unknown":             {KeyspacesDropped: []uint32{next}},
		"drop dropped":             {KeyspacesDropped: []uint32{dropped}},
		"drop twice":               {KeyspacesDropped: []uint32{live, live}},
		"drop what is added":       {KeyspacesAdded: []Keyspace{{Num: next, Name: "a"}}, KeyspacesDropped: []uint32{next}},
		"remove the default":       {KeyspacesRemoved: []uint32{0}},
		"remove unknown":           {KeyspacesRemoved: []uint32{next}},
		"remove live":              {KeyspacesRemoved: []uint32{live}},
		"remove with the drop":     {KeyspacesDropped: []uint32{live}, KeyspacesRemoved: []uint32{live}},
		"remove twice":             {KeyspacesRemoved: []uint32{dropped, dropped}},
		"remove with tables":       {KeyspacesRemoved: []uint32{full}},
		"remove with moved table":  {KeyspacesRemoved: []uint32{full}, Deleted: []DeletedTable{{1, m.Num}}, Added: []AddedTable{add(2, m)}},
		"remove with new table":    {KeyspacesRemoved: []uint32{dropped}, Added: []AddedTable{add(2, tableIn(s, dropped))}},
		"change unknown":           {KeyspacesChanged: []KeyspaceChange{{Num: next, Settings: []byte{1}}}},
		"two operators":            {KeyspacesChanged: []KeyspaceChange{{MergeOperator: new("a")}, {MergeOperator: new("b")}}},
		"two settings":             {KeyspacesChanged: []KeyspaceChange{{Num: live, Settings: []byte{1}}, {Num: live, Settings: []byte{2}}}},
		"table of unknown":         {Added: []AddedTable{add(1, tableIn(s, next))}},
		"table changes keyspace":   {Deleted: []DeletedTable{{1, m.Num}}, Added: []AddedTable{add(1, &moved)}},
		"overlap in one tree":      {Added: []AddedTable{add(1, tableIn(s, full))}},
		"counter out of range":     {NextKeyspace: math.MaxUint32, KeyspacesAdded: []Keyspace{{Num: math.MaxUint32, Name: "a"}}},
	}
	before := dump(s)
	for name, e := range cases {
		v, err := s.Apply(e, nil)
		if _, ok := errors.AsType[*EditError](err); !ok || v != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := dump(s); got != before {
		t.Errorf("state changed:\n%s\nfrom:\n%s", got, before)
	}
	// What fits: a name changes hands in one edit, a new keyspace gets a table
	// and settings, the default one's keys may be those of another.
	mustApply(t, s, &Edit{
		KeyspacesDropped: []uint32{live}, KeyspacesAdded: []Keyspace{{Num: next, Name: "live"}},
		KeyspacesChanged: []KeyspaceChange{{Num: next, Settings: []byte{1}}, {Num: live, MergeOperator: new("x")}, {Num: next, MergeOperator: new("y")}},
		Added:            []AddedTable{add(1, tableIn(s, next)), add(1, tableIn(s, 0))},
		KeyspacesRemoved: []uint32{dropped},
	})
	// The name is the new one's, whatever becomes of the facts of the old one.
	mustApply(t, s, &Edit{KeyspacesChanged: []KeyspaceChange{{Num: live, Settings: []byte{2}}}})
	if _, err := s.Apply(named(more, "live"), nil); err == nil {
		t.Error("a name was taken twice")
	}
	reload(t, mem, s)
}

func TestEditLeavesTheCallersKeyspacesAlone(t *testing.T) {
	s := mustCreate(t, newMem(t))
	num := s.NewKeyspaceNum()
	e := &Edit{
		KeyspacesAdded:   []Keyspace{{Num: num, Name: "a"}},
		KeyspacesChanged: []KeyspaceChange{{Num: num, MergeOperator: new("sum")}},
	}
	mustApply(t, s, e)
	if e.KeyspacesAdded[0].MergeOperator != "" {
		t.Error("Apply changed the edit's keyspace")
	}
}

func TestManyKeyspacesSurviveRotation(t *testing.T) {
	mem := newMem(t)
	opts := testOptions(mem)
	opts.RotateBytes = 3000
	s, err := Create(opts)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for i := range 120 {
		num := s.NewKeyspaceNum()
		e := &Edit{KeyspacesAdded: []Keyspace{{Num: num, Name: fmt.Sprint("ks", i), Settings: []byte{byte(i)}}}}
		e.Added = []AddedTable{add(i%6, tableIn(s, num)), add(6, tableIn(s, num))}
		if i > 0 && i%10 == 0 {
			e.KeyspacesDropped = []uint32{num - 5}
		}
		mustApply(t, s, e)
	}
	loaded, info := mustLoad(t, mem)
	if dump(loaded) != dump(s) || info.Manifest == 1 {
		t.Fatalf("%+v: %s", info, dump(loaded))
	}
}
