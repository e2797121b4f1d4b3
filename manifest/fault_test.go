package manifest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/invariants"
	"github.com/cordwood-db/cordwood/vfs"
)

// faulted runs a script of edits on a file system that fails, the way an
// engine would, and keeps book of the states that may be found later.
type faulted struct {
	t      *testing.T
	fs     vfs.FS
	set    *Set
	now    string   // in memory
	doubts []string // after edits of unknown fate
}

// step makes a table file, which must be there as long as anything may name it,
// and applies an edit that adds it and drops the oldest.
func (r *faulted) step() {
	n := r.set.NewFileNum()
	path := filepath.Join(testDir, base.FileName(base.FileTable, uint64(n)))
	key := fmt.Sprintf("%03d", n)
	meta := table(n, key, key, 1)
	if r.writeTable(path, int(meta.Size)) != nil {
		return
	}
	e := &Edit{Added: []AddedTable{add(1, meta)}}
	v := r.set.Current()
	if tables := v.Trees[0].Levels[1]; len(tables) > 2 {
		e.Deleted = []DeletedTable{{1, tables[0].Num}}
	}
	last := v.Trees[len(v.Trees)-1]
	meta.Keyspace = last.Num
	switch v.Unref(); {
	case last.Num > 0 && n%3 == 0:
		meta.Keyspace = 0
		endKeyspace(last, e)
	case n%3 == 1:
		e.KeyspacesAdded = []Keyspace{{Num: r.set.NewKeyspaceNum(), Name: key}}
	}
	next := wouldBe(r.set, e)
	v, err := r.set.Apply(e, nil)
	_, uncertain := errors.AsType[*UncertainError](err)
	switch {
	case err == nil:
		v.Unref()
		r.now, r.doubts = next, nil // one success ends all doubt
	case uncertain:
		r.doubts = append(r.doubts, next)
	default:
		_ = r.fs.Remove(path) // it is certain that nothing names it
	}
	if got := dump(r.set); got != r.now {
		r.t.Errorf("in memory:\n%s\nwant:\n%s", got, r.now)
	}
	for _, f := range r.set.Obsolete() {
		_ = r.fs.Remove(filepath.Join(testDir, base.FileName(f.Kind, uint64(f.Num))))
	}
}

// writeTable leaves the file alone if it fails: it is the caller's orphan.
func (r *faulted) writeTable(path string, size int) error {
	f, err := r.fs.Create(path)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(make([]byte, size), 0)
	return errors.Join(err, f.Sync(), f.Close(), r.fs.SyncDir(testDir))
}

func TestFaultAtEveryOperationKeepsEveryAcknowledgedEdit(t *testing.T) {
	faults := map[string]vfs.Fault{
		"EIO":    {Err: syscall.EIO},
		"ENOSPC": {Err: syscall.ENOSPC},
		"EMFILE": {Err: syscall.EMFILE},
		"short":  {Err: syscall.ENOSPC, Short: true},
	}
	runs, stride := 0, int64(1)
	if invariants.Enabled { // slow, and there is only one goroutine here
		stride = 5
	}
	for name, fault := range faults {
		for _, sticky := range []bool{false, true} {
			for n := int64(1); ; n += stride {
				runs++
				if !faultRun(t, fmt.Sprintf("%s at operation %d, sticky %v", name, n, sticky), n, fault, sticky) {
					break
				}
				if t.Failed() {
					return
				}
			}
		}
	}
	t.Logf("%d runs", runs)
}

// faultRun returns false if the fault did not come up.
func faultRun(t *testing.T, what string, n int64, fault vfs.Fault, sticky bool) bool {
	mem := newMem(t)
	rng := rand.New(rand.NewPCG(uint64(n), 5))
	hit := false
	ours := func(op vfs.Op) bool { return !strings.HasSuffix(op.Path, ".sst") }
	inner := vfs.FaultNth(n, ours, fault, sticky)
	faulty := vfs.NewFaulty(mem, func(op vfs.Op) *vfs.Fault {
		f := inner(op)
		hit = hit || f != nil
		return f
	})
	opts := testOptions(faulty)
	opts.RotateBytes = 600
	set, err := Create(opts)
	if err != nil {
		got, err := stateIn(t, mem.KillClone())
		if err != nil || (got != noDatabase && got != emptyState) {
			t.Errorf("%s: after failed Create: %q, %v", what, got, err)
		}
		return true
	}
	r := &faulted{t: t, fs: faulty, set: set, now: dump(set)}
	for range 14 {
		r.step()
	}
	allowed := append(r.doubts, r.now)
	check := func(image *vfs.Mem, name string) {
		got, err := stateIn(t, image)
		if err != nil || !slices.Contains(allowed, got) {
			t.Errorf("%s, %s: %v\n%s\nallowed:\n%s", what, name, err, got, allowed)
		}
	}
	check(mem.KillClone(), "process death")
	images(mem, rng, check)
	full := vfs.IsNoSpace(fault.Err)
	// The fault goes away: a full disk heals, a failed write or sync does not.
	faulty.SetDecide(nil)
	v, err := set.Apply(&Edit{}, nil)
	switch {
	case err == nil:
		v.Unref()
		allowed = []string{dump(set)}
		images(mem, rng, check)
	case full:
		t.Errorf("%s: did not heal: %v", what, err)
	case !errors.Is(err, fault.Err):
		t.Errorf("%s: refused without the cause: %v", what, err)
	}
	_ = set.Close()
	if mem.OpenHandles() != 0 {
		t.Errorf("%s: %d handles left", what, mem.OpenHandles())
	}
	return hit
}

func TestFailedSyncIsNeverRetried(t *testing.T) {
	mem := newMem(t)
	faulty := vfs.NewFaulty(mem, nil)
	s := mustCreate(t, faulty)
	n := s.NewFileNum()
	before := dump(s)
	faulty.SetDecide(vfs.FailNth(1, vfs.OfKind(vfs.OpSync), syscall.EIO, false))
	_, err := s.Apply(&Edit{Added: []AddedTable{add(1, table(n, "a", "b", 1))}}, nil)
	if _, ok := errors.AsType[*UncertainError](err); !ok || !errors.Is(err, syscall.EIO) {
		t.Fatalf("got %v", err)
	}
	count := faulty.Count()
	for range 3 {
		if _, err := s.Apply(&Edit{}, nil); !errors.Is(err, syscall.EIO) {
			t.Fatalf("got %v", err)
		}
	}
	if faulty.Count() != count || dump(s) != before || s.Obsolete() != nil {
		t.Fatal("something happened after the failure")
	}
	live, _ := s.LiveFiles()
	if _, ok := live[FileRef{base.FileTable, n}]; !ok {
		t.Fatal("the table of an edit in doubt is an orphan")
	}
}

func TestFullDiskSettlesByRotation(t *testing.T) {
	mem := newMem(t)
	faulty := vfs.NewFaulty(mem, nil)
	s := mustCreate(t, faulty)
	a, b := s.NewFileNum(), s.NewFileNum()
	mustApply(t, s, &Edit{Added: []AddedTable{add(1, table(a, "a", "b", 1))}})
	faulty.SetDecide(vfs.FaultNth(1, vfs.OfKind(vfs.OpWrite), vfs.Fault{Err: syscall.ENOSPC, Short: true}, true))
	move := &Edit{Deleted: []DeletedTable{{1, a}}, Added: []AddedTable{add(2, table(a, "a", "b", 1)), add(2, table(b, "c", "d", 1))}}
	_, err := s.Apply(move, nil)
	if _, ok := errors.AsType[*UncertainError](err); !ok {
		t.Fatalf("got %v", err)
	}
	_, err = s.Apply(&Edit{}, nil) // no room for a new MANIFEST either
	if _, ok := errors.AsType[*UncertainError](err); ok || !vfs.IsNoSpace(err) {
		t.Fatalf("got %v", err)
	}
	faulty.SetDecide(nil)
	_, err = s.Apply(&Edit{Added: []AddedTable{add(2, table(b, "c", "d", 1))}}, nil)
	if _, ok := errors.AsType[*EditError](err); !ok {
		t.Fatalf("a file in doubt was used again: %v", err)
	}
	mustApply(t, s, &Edit{})
	want := []FileRef{{base.FileManifest, 1}, {base.FileTable, b}}
	if got := s.Obsolete(); !slices.Equal(got, want) {
		t.Fatalf("obsolete %v, want %v", got, want)
	}
	loaded, info := mustLoad(t, mem)
	if dump(loaded) != dump(s) || !info.Durable || info.Cut {
		t.Fatalf("%+v: %s", info, dump(loaded))
	}
}

func TestRotationWithoutRoomGoesOnWithTheOldManifest(t *testing.T) {
	mem := newMem(t)
	faulty := vfs.NewFaulty(mem, vfs.FailNth(1, vfs.OfKind(vfs.OpCreate).And(vfs.OnFile("MANIFEST-*")).And(
		func(op vfs.Op) bool { return filepath.Base(op.Path) != "MANIFEST-000001" }), syscall.EMFILE, true))
	opts := testOptions(faulty)
	opts.RotateBytes = 500
	s, err := Create(opts)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for i := range 30 {
		key := fmt.Sprintf("%02d", i)
		mustApply(t, s, &Edit{Added: []AddedTable{add(1, table(s.NewFileNum(), key, key, 1))}})
	}
	loaded, info := mustLoad(t, mem)
	if dump(loaded) != dump(s) || info.Manifest != 1 || info.Edits != 30 {
		t.Fatalf("%+v: %s", info, dump(loaded))
	}
}

func TestLostProofWriteStartsANewManifest(t *testing.T) {
	mem := newMem(t)
	faulty := vfs.NewFaulty(mem, nil)
	s := mustCreate(t, faulty)
	faulty.SetDecide(vfs.FailNth(2, vfs.OfKind(vfs.OpWrite), syscall.EIO, false)) // the edit, then the proof
	mustApply(t, s, &Edit{LastSeq: new(base.SeqNum(5))})
	loaded, info := mustLoad(t, mem)
	if loaded.LastSeq() != 5 || info.Durable {
		t.Fatalf("%d, %+v", loaded.LastSeq(), info)
	}
	mustApply(t, s, &Edit{LastSeq: new(base.SeqNum(6))})
	loaded, info = mustLoad(t, mem)
	if loaded.LastSeq() != 6 || !info.Durable || info.Manifest == 1 {
		t.Fatalf("%d, %+v", loaded.LastSeq(), info)
	}
}

func TestReadFaultsFailTheLoad(t *testing.T) {
	mem := newMem(t)
	s := mustCreate(t, mem)
	mustApply(t, s, &Edit{})
	opts := testOptions(mem)
	for n := int64(1); ; n++ {
		hit := false
		decide := vfs.FailNth(n, vfs.AnyOp, syscall.EIO, false)
		opts.FS = vfs.NewFaulty(mem, func(op vfs.Op) *vfs.Fault {
			f := decide(op)
			hit = hit || f != nil
			return f
		})
		l, _, err := Load(opts)
		if !hit {
			if err != nil {
				t.Fatal(err)
			}
			l.Close()
			break
		}
		if !errors.Is(err, syscall.EIO) {
			t.Fatalf("operation %d: %v", n, err)
		}
		if mem.OpenHandles() != 1 {
			t.Fatalf("operation %d: %d handles", n, mem.OpenHandles())
		}
	}
	for n := int64(1); n < 10; n++ {
		empty := newMem(t)
		opts.FS = vfs.NewFaulty(empty, vfs.FailNth(n, vfs.AnyOp, syscall.EIO, false))
		if l, err := Create(opts); err == nil {
			l.Close()
		} else if !errors.Is(err, syscall.EIO) || empty.OpenHandles() != 0 {
			t.Fatalf("operation %d: %v", n, err)
		}
	}
}

func TestManifestInDoubtIsKeptUntilAnotherIsCurrent(t *testing.T) {
	mem := newMem(t)
	faulty := vfs.NewFaulty(mem, nil)
	s := mustCreate(t, faulty)
	s.Close()
	s, _ = mustLoad(t, faulty)
	// The first edit makes a new MANIFEST and CURRENT; that CURRENT is renamed,
	// but whether the new name lasts is not known.
	faulty.SetDecide(vfs.FailNth(2, vfs.OfKind(vfs.OpSyncDir), syscall.ENOSPC, true))
	_, err := s.Apply(&Edit{}, nil)
	if _, ok := errors.AsType[*UncertainError](err); !ok {
		t.Fatalf("got %v", err)
	}
	live, _ := s.LiveFiles()
	if len(live) != 2 || s.Obsolete() != nil {
		t.Fatalf("live %v", live)
	}
	faulty.SetDecide(nil)
	mustApply(t, s, &Edit{})
	live, _ = s.LiveFiles()
	if got := s.Obsolete(); len(got) != 2 || len(live) != 3 { // reported now, so live until then
		t.Fatalf("obsolete %v, live %v", got, live)
	}
	if live, durable := s.LiveFiles(); len(live) != 1 || !durable {
		t.Fatalf("live %v", live)
	}
}

func TestFaultsBesideOldFilesAreReported(t *testing.T) {
	leftover := func() *vfs.Mem { // what a crash in Create leaves
		mem := newMem(t)
		mustCreate(t, mem).Close()
		if err := mem.Remove(filepath.Join(testDir, base.CurrentName)); err != nil {
			t.Fatal(err)
		}
		return mem
	}
	mem := leftover()
	for n := int64(1); ; n++ {
		hit := false
		decide := vfs.FailNth(n, vfs.AnyOp, syscall.EIO, false)
		faulty := vfs.NewFaulty(mem, func(op vfs.Op) *vfs.Fault {
			f := decide(op)
			hit = hit || f != nil
			return f
		})
		found, err := Exists(faulty, testDir)
		if !hit {
			break
		}
		if found || !errors.Is(err, syscall.EIO) {
			t.Errorf("operation %d: %v, %v", n, found, err)
		}
		if _, _, err := Load(testOptions(vfs.NewFaulty(mem, vfs.FailNth(n+1, vfs.AnyOp, syscall.EIO, false)))); !errors.Is(err, syscall.EIO) {
			t.Errorf("operation %d: %v", n, err)
		}
	}
	for n := int64(1); n < 30; n++ {
		mem := leftover()
		s, err := Create(testOptions(vfs.NewFaulty(mem, vfs.FailNth(n, vfs.AnyOp, syscall.EIO, false))))
		if err == nil {
			s.Close()
		} else if !errors.Is(err, syscall.EIO) || mem.OpenHandles() != 0 {
			t.Errorf("operation %d: %v, %d handles", n, err, mem.OpenHandles())
		}
		if state, err := stateIn(t, mem); err != nil {
			t.Errorf("operation %d: %q, %v", n, state, err)
		}
	}
}

func TestCloseReportsItsFailure(t *testing.T) {
	faulty := vfs.NewFaulty(newMem(t), nil)
	s := mustCreate(t, faulty)
	faulty.SetDecide(vfs.FailNth(1, vfs.OfKind(vfs.OpClose), syscall.EIO, false))
	if err := s.Close(); !errors.Is(err, syscall.EIO) {
		t.Fatalf("got %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatalf("second time: %v", err)
	}
}
