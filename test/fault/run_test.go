package fault

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cordwood-db/cordwood/db"
	"github.com/cordwood-db/cordwood/test/crash"
	"github.com/cordwood-db/cordwood/vfs"
)

// kind is a way to fail.
type kind struct {
	name   string
	filter vfs.Filter
	fault  vfs.Fault
	sticky bool
	reads  bool // reads may fail
	lasts  bool // the store may become read-only
	ops    int  // about how many of the operations there are in a run
}

// grows lets through what needs room on the disk.
var grows = vfs.OfKind(vfs.OpCreate, vfs.OpWrite, vfs.OpPreallocate, vfs.OpLink, vfs.OpMkdir)

// kinds are all that are tried.
func kinds() []kind {
	eio, full := vfs.Fault{Err: syscall.EIO}, vfs.Fault{Err: syscall.ENOSPC}
	short := func(f vfs.Fault) vfs.Fault { f.Short = true; return f }
	write := vfs.OfKind(vfs.OpWrite)
	syncs := vfs.OfKind(vfs.OpSync, vfs.OpSyncDir)
	all := []kind{
		{name: "EIO of anything", filter: vfs.AnyOp, fault: eio, reads: true, lasts: true, ops: 500},
		{name: "EIO of changes", filter: vfs.Mutating, fault: eio, lasts: true, ops: 300},
		{name: "EIO of a half write", filter: write, fault: short(eio), lasts: true, ops: 120},
		{name: "EIO of syncs", filter: syncs, fault: eio, lasts: true, ops: 100},
		{name: "ENOSPC of syncs", filter: syncs, fault: full, lasts: true, ops: 100},
		{name: "ENOSPC", filter: grows, fault: full, ops: 150},
		{name: "ENOSPC of a half write", filter: write, fault: short(full), ops: 110},
		{name: "EIO of tables", filter: vfs.Filter(vfs.Mutating).And(vfs.OnFile("*.sst")), fault: eio, ops: 30},
		{name: "EMFILE", filter: vfs.OfKind(vfs.OpOpen, vfs.OpOpenRW, vfs.OpCreate), fault: vfs.Fault{Err: syscall.EMFILE}, reads: true, lasts: true, ops: 60},
	}
	for _, k := range all {
		k.name, k.sticky = k.name+", for ever", true
		all = append(all, k)
	}
	return all
}

// spread is a prime: its multiples modulo some hundreds come to every number, in
// an order that soon covers all parts.
const spread = 7_919

// run is one run of the workload.
type run struct {
	kind   kind
	n      int64
	seed   uint64
	mem    *vfs.Mem
	faulty *vfs.Faulty
	clock  *crash.Clock
	w      *crash.Workload
	fired  atomic.Int64 // faults so far
	first  atomic.Pointer[vfs.Op]
	rand   *rand.Rand

	readOnly bool // a write said so
	images   []*crash.Image
}

// singleSteps is what a run does.
const singleSteps = 30

// newRun draws a run. Neighbouring seeds take the kinds in turn, and those of a
// kind fail operations evenly spread over all that there are.
func newRun(seed uint64) *run {
	all := kinds()
	k := all[seed%uint64(len(all))]
	n := 1 + int64(seed/uint64(len(all))*spread%uint64(k.ops))
	r := &run{kind: k, n: n, seed: seed, mem: vfs.NewMem(), clock: crash.NewClock(), rand: rand.New(rand.NewPCG(seed, uint64(n)))}
	decide := vfs.FaultNth(n, k.filter, k.fault, k.sticky)
	r.faulty = vfs.NewFaulty(r.mem, func(op vfs.Op) *vfs.Fault {
		f := decide(op)
		if f != nil && r.fired.Add(1) == 1 {
			r.first.Store(&op)
		}
		return f
	})
	r.w = crash.NewWorkload(r.faulty, crash.Empty(), seed, r.clock)
	return r
}

// String describes the run for a failure message.
func (r *run) String() string {
	s := fmt.Sprintf("%s, operation %d", r.kind.name, r.n)
	if op := r.first.Load(); op != nil {
		s += fmt.Sprintf(": %v %s at %d length %d", op.Kind, op.Path, op.Offset, op.Len)
	}
	return fmt.Sprintf("%s\noptions: %+v\n%s", s, r.w.Opts, strings.Join(r.w.Trace, "\n"))
}

// hangAfter is how long a run may take, in the time of its bubble.
const hangAfter = 10 * time.Minute

// work is the part of the run that has faults.
func (r *run) work() error {
	watchdog := time.AfterFunc(hangAfter, func() { panic("a run hangs: " + r.String()) })
	defer watchdog.Stop()
	defer func() {
		if r.w.Store != nil { // it went wrong
			_ = r.w.Close()
		}
	}()
	for range singleSteps {
		if r.w.Store == nil {
			if err := r.open(); err != nil {
				return err
			}
			continue
		}
		if err := r.judge(r.w.Step()); err != nil {
			return err
		}
		if r.w.Store != nil && r.rand.IntN(4) == 0 {
			if err := r.compare(); err != nil {
				return err
			}
		}
	}
	r.shoot()
	if err := r.resume(); err != nil {
		return err
	}
	if err := r.judge(r.w.Close()); err != nil {
		return fmt.Errorf("close: %w", err)
	}
	if n := r.mem.OpenHandles(); n != 0 {
		return fmt.Errorf("%d handles open after Close", n)
	}
	return nil
}

// open opens the store. If the fault keeps it from that, it ends.
func (r *run) open() error {
	err := r.w.Open()
	if err == nil {
		r.readOnly = false
		return nil
	}
	if n := r.mem.OpenHandles(); n != 0 {
		return fmt.Errorf("%d handles open after Open failed with %w", n, err)
	}
	if err := r.judge(err); err != nil {
		return fmt.Errorf("open: %w", err)
	}
	if r.kind.sticky {
		r.faulty.SetDecide(nil)
	}
	if err := r.w.Open(); err != nil {
		return fmt.Errorf("open without faults: %w", err)
	}
	r.readOnly = false
	return nil
}

// judge says what is wrong with an error of the store, if anything.
func (r *run) judge(err error) error {
	if err == nil {
		return nil
	}
	if r.fired.Load() == 0 {
		return fmt.Errorf("error without a fault: %w", err)
	}
	var damage *db.CorruptionError
	var missing *db.MissingFileError
	switch {
	case errors.As(err, &damage), errors.As(err, &missing):
		return fmt.Errorf("a fault is taken for damage: %w", err)
	case errors.Is(err, db.ErrReadOnly):
		r.readOnly = true
		if !r.kind.lasts {
			return fmt.Errorf("read-only after a fault that passes: %w", err)
		}
		return nil
	case errors.Is(err, db.ErrDiskFull), errors.Is(err, r.kind.fault.Err):
		return nil
	case errors.Is(err, fs.ErrExist) && strings.Contains(err.Error(), "checkpoint"):
		return nil // what a failure has left of an earlier one
	}
	return fmt.Errorf("unexpected: %w", err)
}

// compare reads everything, and tries to write where that was refused.
func (r *run) compare() error {
	items, err := crash.ReadAll(r.w.Store)
	if err != nil {
		if !r.kind.reads {
			return fmt.Errorf("read failed: %w", err)
		}
		return r.judge(err)
	}
	h := r.w.History
	if err := crash.Same(items, h.Items(r.clock.Nanos())); err != nil {
		return fmt.Errorf("running store: %w", err)
	}
	if !r.readOnly {
		return nil
	}
	if err := r.w.Commit(1, false); !errors.Is(err, db.ErrReadOnly) {
		return fmt.Errorf("a write to a read-only store gives %v", err)
	}
	if r.w.Store.Metrics().BackgroundError == nil {
		return fmt.Errorf("no background error in a read-only store")
	}
	return nil
}

// shoot takes images of what the death of the process or a power loss leaves.
func (r *run) shoot() {
	h := r.w.History
	now := r.clock.Nanos()
	kill := &crash.Image{FS: r.mem.KillClone(), Lo: h.Acked(), Hi: h.Acked(), Now: now, Failed: h.Failed(), Spaces: h.MaySpaces(), Kind: "kill"}
	none := &crash.Image{FS: r.mem.CrashClone(nil), Lo: h.Synced(), Hi: h.Acked(), Now: now, Failed: h.Failed(), Spaces: h.MaySpaces(), Kind: "none"}
	some := &crash.Image{FS: r.mem.CrashClone(func(vfs.CrashItem) vfs.CrashChoice {
		return vfs.CrashChoice(r.rand.IntN(3))
	}), Lo: h.Synced(), Hi: h.Acked(), Now: now, Failed: h.Failed(), Spaces: h.MaySpaces(), Kind: "some"}
	r.images = append(r.images, kill, none, some)
}

// resume ends the faults and sees whether the store takes writes again.
func (r *run) resume() error {
	if r.rand.IntN(2) == 0 && r.kind.sticky {
		return nil // close with the fault there
	}
	r.faulty.SetDecide(nil)
	if r.w.Store == nil {
		return r.w.Open()
	}
	err := crash.Eventually(func() error { return r.w.Commit(1, true) })
	switch {
	case errors.Is(err, db.ErrReadOnly):
		return r.judge(err)
	case err != nil:
		return fmt.Errorf("write after the faults ended: %w", err)
	case r.readOnly:
		return fmt.Errorf("a read-only store takes writes again")
	}
	return r.compare()
}

// after opens what the run has left.
func (r *run) after() error {
	h := r.w.History
	closed := &crash.Image{FS: r.mem.KillClone(), Lo: h.Acked(), Hi: h.Acked(), Now: r.clock.Nanos(), Failed: h.Failed(), Spaces: h.MaySpaces(), Kind: "closed"}
	power := &crash.Image{FS: r.mem.CrashClone(nil), Lo: h.Synced(), Hi: h.Acked(), Now: r.clock.Nanos(), Failed: h.Failed(), Spaces: h.MaySpaces(), Kind: "closed, then a power loss"}
	for i, img := range append(r.images, closed, power) {
		if _, err := (crash.Check{Use: i == 3, Seed: r.seed}).Run(h, img, r.w.Opts); err != nil {
			return fmt.Errorf("%w\n%s", err, img.Explain(r.w.Opts))
		}
	}
	return nil
}
