package wal

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/testkit"
	"github.com/cordwood-db/cordwood/vfs"
)

// faultRun is a fixed history on a file system one of whose operations fails.
// It goes on after every error, as a stubborn database would.
type faultRun struct {
	fs      vfs.FS
	m       *vfs.Mem
	l       *Log
	next    int   // number of the next record
	acked   []int // appended without an error
	maybe   []int // failed with ErrFailed: on disk or not
	durable int   // how many of acked are synced
	failed  bool  // the log said ErrFailed
	errs    []error
	broken  error // what must not happen
}

func (r *faultRun) saw(what string, err error) {
	if err == nil {
		if r.failed {
			r.broken = fmt.Errorf("%s works on a failed log", what)
		}
		return
	}
	r.errs = append(r.errs, err)
	r.failed = r.failed || errors.Is(err, ErrFailed)
	if r.failed && !errors.Is(err, ErrFailed) {
		r.broken = fmt.Errorf("%s on a failed log gives %w", what, err)
	}
}

func (r *faultRun) append(n int) {
	i := r.next
	r.next++
	end, err := r.l.Append(payload(i, n))
	r.saw("append", err)
	switch {
	case err == nil:
		r.acked = append(r.acked, i)
		if end != r.l.EndLSN() {
			r.broken = fmt.Errorf("end LSN %d, not %d", r.l.EndLSN(), end)
		}
	case errors.Is(err, ErrFailed):
		r.maybe = append(r.maybe, i)
	}
}

func (r *faultRun) sync() {
	lsn, err := r.l.Sync()
	r.saw("sync", err)
	if err == nil {
		r.durable = len(r.acked)
		r.l.MarkSynced(lsn)
	}
}

func (r *faultRun) rotate() {
	seg := r.l.Segment()
	err := r.l.Rotate(seg + 1)
	r.saw("rotate", err)
	if moved := r.l.Segment() != seg; moved != (err == nil) {
		r.broken = fmt.Errorf("segment %d after rotating %d: %w", r.l.Segment(), seg, err)
	}
}

// session opens the log, uses it and closes it. ok is false if it cannot be
// opened.
func (r *faultRun) session() (ok bool) {
	res, err := Replay(r.fs, testDir, 0, nil)
	if err == nil && res.Cut != nil {
		err = Repair(r.fs, testDir, *res.Cut)
	}
	if err != nil {
		r.errs = append(r.errs, err)
		return false
	}
	opts := testOptions(r.fs)
	opts.NewID = ids(uint64(res.NextSegment) * 1000)
	opts.Synced = res.EndLSN
	for range 3 {
		if r.l, err = Create(opts, res.NextSegment, res.EndLSN); err == nil {
			break
		}
		r.errs = append(r.errs, err)
		if errors.Is(err, ErrFailed) {
			return false
		}
	}
	if err != nil {
		return false
	}
	r.failed = false
	r.durable = len(r.acked)
	r.append(100)
	r.append(2000)
	r.sync()
	r.append(5000)
	r.rotate()
	r.append(10)
	r.saw("proof", r.l.WriteProof())
	r.rotate()
	r.append(700)
	r.sync()
	r.l.Retire(0)
	r.append(3)
	if err := r.l.Close(); err != nil {
		r.errs = append(r.errs, err)
	}
	if err := r.l.Close(); err != nil {
		r.broken = fmt.Errorf("second close: %w", err)
	}
	return true
}

// check replays an image, which must hold acked, at least up to min records of
// it, and behind it perhaps something of maybe.
func (r *faultRun) check(m *vfs.Mem, min int) (res ReplayResult, err error) {
	got, err := replayDir(m, testDir, 0)
	if err != nil {
		return got.ReplayResult, err
	}
	if len(got.records) < min {
		return res, fmt.Errorf("%d records, want at least %d of %d", len(got.records), min, len(r.acked))
	}
	for i, n := range got.records {
		switch {
		case i < len(r.acked) && r.acked[i] == n:
		case i == len(r.acked) && len(r.maybe) > 0 && n == r.maybe[0]:
		default:
			return res, fmt.Errorf("record %d is number %d; acknowledged %v, perhaps %v", i, n, r.acked, r.maybe)
		}
	}
	return got.ReplayResult, nil
}

func runFault(t *testing.T, decide func(vfs.Op) *vfs.Fault, what string, seed uint64) (ops int64, errs []error) {
	t.Helper()
	m := newMem(t)
	faulty := vfs.NewFaulty(m, decide)
	r := &faultRun{fs: faulty, m: m}
	for range 2 {
		if !r.session() || len(r.maybe) > 0 {
			break
		}
	}
	faulty.SetDecide(nil)
	if r.broken != nil {
		t.Fatalf("%s: %v (errors %v)", what, r.broken, r.errs)
	}
	if n := m.OpenHandles(); n != 0 {
		t.Fatalf("%s: %d handles left open (errors %v)", what, n, r.errs)
	}
	if _, err := r.check(m.KillClone(), len(r.acked)); err != nil {
		t.Fatalf("%s: killed: %v (errors %v)", what, err, r.errs)
	}
	rng := rand.New(rand.NewPCG(seed, 3))
	subsets(m, rng, 4, func(img *vfs.Mem, crash string) {
		if _, err := r.check(img, r.durable); err != nil {
			t.Fatalf("%s: power loss, %s: %v (errors %v)", what, crash, err, r.errs)
		}
		again := &faultRun{fs: img, m: img, next: 1000}
		if !again.session() || again.broken != nil || len(again.errs) > 0 {
			t.Fatalf("%s: power loss, %s: reopen: %v, %v", what, crash, again.errs, again.broken)
		}
	})
	return faulty.Count(), r.errs
}

func TestEveryFailureIsToldAndLosesNothing(t *testing.T) {
	testkit.Sequential(t)
	total, errs := runFault(t, nil, "no fault", 0)
	if total < 50 || len(errs) > 0 {
		t.Fatalf("%d operations, %v", total, errs)
	}
	for _, fault := range []vfs.Fault{
		{Err: syscall.EIO}, {Err: syscall.EIO, Short: true},
		{Err: syscall.ENOSPC}, {Err: syscall.ENOSPC, Short: true},
	} {
		for _, sticky := range []bool{false, true} {
			for _, filter := range []vfs.Filter{
				vfs.AnyOp, vfs.Mutating, vfs.OfKind(vfs.OpWrite), vfs.OfKind(vfs.OpWrite, vfs.OpTruncate), vfs.OfKind(vfs.OpRemove, vfs.OpWrite),
			} {
				for n := int64(1); n <= total; n++ {
					hit, used := false, false
					decide := vfs.FaultNth(n, filter, fault, sticky)
					what := fmt.Sprintf("operation %d, %v, short %v, sticky %v", n, fault.Err, fault.Short, sticky)
					_, errs := runFault(t, func(op vfs.Op) *vfs.Fault {
						f := decide(op)
						used = used || f != nil
						// Space that cannot be reserved is no error.
						hit = hit || f != nil && !(op.Kind == vfs.OpPreallocate && vfs.IsNoSpace(f.Err))
						return f
					}, what, uint64(n))
					if !used {
						break
					}
					if hit != (len(errs) > 0) {
						t.Fatalf("%s: fault %v, errors %v", what, hit, errs)
					}
					for _, err := range errs {
						var damage *base.CorruptionError
						if errors.As(err, &damage) {
							t.Fatalf("%s: taken for damage: %v", what, err)
						}
					}
				}
			}
		}
	}
}

func TestAFailedSyncIsNeverRepeated(t *testing.T) {
	m := newMem(t)
	syncs := 0
	faulty := vfs.NewFaulty(m, nil)
	l, err := Create(testOptions(faulty), 1, 0)
	must(t, err)
	mustAppend(t, l, 0, 10)
	must(t, l.Rotate(2))
	mustAppend(t, l, 1, 10)
	faulty.SetDecide(func(op vfs.Op) *vfs.Fault {
		if op.Kind == vfs.OpSync {
			syncs++
			return &vfs.Fault{Err: syscall.EIO}
		}
		return nil
	})
	for range 3 {
		_, err := l.Sync()
		if !errors.Is(err, ErrFailed) || !errors.Is(err, syscall.EIO) {
			t.Fatal(err)
		}
	}
	if syncs != 1 {
		t.Fatalf("%d syncs", syncs)
	}
	if _, err := l.Append(nil); !errors.Is(err, ErrFailed) {
		t.Fatal(err)
	}
	if err := l.Rotate(3); !errors.Is(err, ErrFailed) {
		t.Fatal(err)
	}
	if err := l.WriteProof(); !errors.Is(err, ErrFailed) {
		t.Fatal(err)
	}
	must(t, l.Close())
}

func TestAnAppendWithoutSpaceIsTakenBackAndMayBeRepeated(t *testing.T) {
	m := newMem(t)
	l, err := Create(testOptions(m), 1, 0)
	must(t, err)
	mustAppend(t, l, 0, 10)
	m.SetCapacity(m.Used() + 4096)
	for range 3 {
		_, err = l.Append(payload(77, 50000))
		if !vfs.IsNoSpace(err) || errors.Is(err, ErrFailed) {
			t.Fatal(err)
		}
		if r := mustReplay(t, m.KillClone(), 0); len(r.records) != 1 || r.Cut != nil {
			t.Fatalf("%+v", r)
		}
	}
	mustAppend(t, l, 1, 100) // a small one still has room
	m.SetCapacity(m.Used())
	if err := l.Rotate(2); !vfs.IsNoSpace(err) || errors.Is(err, ErrFailed) {
		t.Fatal(err)
	}
	m.SetCapacity(-1)
	mustAppend(t, l, 2, 50000)
	must(t, l.Rotate(2))
	mustAppend(t, l, 3, 50000)
	mustSync(t, l)
	must(t, l.Close())
	if r := mustReplay(t, m, 0); len(r.records) != 4 || r.Cut != nil {
		t.Fatalf("%+v", r)
	}
}

func TestATakingBackWithoutSpaceIsDoneLater(t *testing.T) {
	m := newMem(t)
	full := false
	faulty := vfs.NewFaulty(m, func(op vfs.Op) *vfs.Fault {
		switch {
		case !full || op.Kind == vfs.OpClose:
			return nil
		case op.Kind == vfs.OpWrite && op.Offset == 0:
			return nil // let a new segment come as far as its header
		case op.Kind.Mutates() && op.Kind != vfs.OpCreate && op.Kind != vfs.OpSync && op.Kind != vfs.OpSyncDir:
			return &vfs.Fault{Err: syscall.ENOSPC, Short: true}
		}
		return nil
	})
	l, err := Create(testOptions(faulty), 1, 0)
	must(t, err)
	mustAppend(t, l, 0, 10)
	full = true
	for range 2 {
		if _, err := l.Append(payload(9, 900)); !vfs.IsNoSpace(err) || errors.Is(err, ErrFailed) {
			t.Fatal(err)
		}
		if err := l.Rotate(2); !vfs.IsNoSpace(err) || errors.Is(err, ErrFailed) {
			t.Fatal(err)
		}
		if r := mustReplay(t, m.KillClone(), 0); len(r.records) != 1 || r.Cut == nil {
			t.Fatalf("%+v", r)
		}
	}
	if nums, err := List(m, testDir); err != nil || len(nums) != 2 {
		t.Fatal(nums, err)
	}
	full = false
	mustAppend(t, l, 1, 10)
	must(t, l.Rotate(2))
	mustAppend(t, l, 2, 10)
	must(t, l.Close())
	if r := mustReplay(t, m, 0); len(r.records) != 3 || r.Cut != nil {
		t.Fatalf("%+v", r)
	}
}
