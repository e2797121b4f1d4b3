package vfs

import (
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestFaultyFailsExactlyTheNthMatchingOperation(t *testing.T) {
	for _, sticky := range []bool{false, true} {
		m := newDB(t)
		fs := NewFaulty(m, FailNth(3, OfKind(OpWrite).And(OnFile("*.wal")), syscall.ENOSPC, sticky))
		other, err := fs.Create("/db/x.sst")
		must(t, err)
		f, err := fs.Create("/db/1.wal")
		must(t, err)
		for i := range 6 {
			if _, err := other.WriteAt([]byte("x"), 0); err != nil {
				t.Fatal(err)
			}
			n, err := f.WriteAt([]byte("abcd"), int64(4*i))
			wantFail := i == 2 || sticky && i > 2
			if !wantFail && (n != 4 || err != nil) {
				t.Errorf("write %d: %d, %v", i+1, n, err)
			}
			if wantFail && (n != 0 || !IsNoSpace(err) || !strings.Contains(err.Error(), "1.wal")) {
				t.Errorf("write %d did not fail well: %d, %v", i+1, n, err)
			}
		}
		fs.SetDecide(nil)
		_, err = f.WriteAt([]byte("z"), 0)
		must(t, err)
		must(t, f.Close())
		must(t, other.Close())
	}
}

func TestFaultyShortWriteLeavesTheFirstHalf(t *testing.T) {
	m := newDB(t)
	fs := NewFaulty(m, FaultNth(1, OfKind(OpWrite), Fault{Err: ErrInjected, Short: true}, false))
	f, err := fs.Create("/db/f")
	must(t, err)
	n, err := f.WriteAt([]byte("abcdefg"), 0)
	if n != 3 || !errors.Is(err, ErrInjected) {
		t.Fatalf("%d, %v", n, err)
	}
	must(t, f.Close())
	if got := dump(t, m); got != "f=[a*1 b*1 c*1]" {
		t.Errorf("the file holds %s", got)
	}
}

func TestFaultyShortWriteReportsARealErrorFirst(t *testing.T) {
	m := newDB(t)
	fs := NewFaulty(m, nil)
	f, err := fs.Create("/db/f")
	must(t, err)
	defer f.Close()
	fs.SetDecide(FaultNth(1, AnyOp, Fault{Err: ErrInjected, Short: true}, false))
	m.SetCapacity(m.Used())
	if n, err := f.WriteAt([]byte("abcdefg"), 0); n != 0 || !IsNoSpace(err) || errors.Is(err, ErrInjected) {
		t.Errorf("%d, %v", n, err)
	}
}

func TestFaultyDelaysThroughTheInjectedSleeper(t *testing.T) {
	fs := NewFaulty(newDB(t), FaultNth(1, OfKind(OpStat), Fault{Delay: time.Hour}, true))
	var slept time.Duration
	fs.SetSleep(func(d time.Duration) { slept += d })
	for range 3 {
		_, err := fs.Stat("/db")
		must(t, err)
	}
	if slept != 3*time.Hour {
		t.Errorf("slept %v", slept)
	}
}

func TestFaultyClosesEvenWhenCloseFails(t *testing.T) {
	m := newDB(t)
	fs := NewFaulty(m, FailNth(1, OfKind(OpClose), ErrInjected, true))
	f, err := fs.Create("/db/f")
	must(t, err)
	l, err := fs.Lock("/db/LOCK")
	must(t, err)
	for _, c := range []io.Closer{f, l} {
		if err := c.Close(); !errors.Is(err, ErrInjected) {
			t.Errorf("close: %v", err)
		}
		if err := c.Close(); !errors.Is(err, iofs.ErrClosed) {
			t.Errorf("second close: %v", err)
		}
	}
	if n := m.OpenHandles(); n != 0 {
		t.Errorf("%d handles leaked", n)
	}
}

// everyOp does one operation of each kind and returns their errors.
func everyOp(fs FS) map[OpKind]error {
	errs := map[OpKind]error{}
	f, err := fs.Create("/db/f")
	errs[OpCreate] = err
	if err != nil {
		return errs
	}
	_, errs[OpWrite] = f.WriteAt([]byte("data"), 0)
	_, errs[OpRead] = f.ReadAt(make([]byte, 4), 0)
	errs[OpSync] = f.Sync()
	errs[OpFlush] = f.Flush(0, 4)
	errs[OpPreallocate] = f.Preallocate(0, 4)
	errs[OpTruncate] = f.Truncate(4)
	_, errs[OpSize] = f.Size()
	errs[OpClose] = f.Close()
	if g, err := fs.Open("/db/f"); err != nil {
		errs[OpOpen] = err
	} else if err := g.Close(); err != nil && errs[OpClose] == nil {
		errs[OpClose] = err
	}
	if g, err := fs.OpenReadWrite("/db/f"); err != nil {
		errs[OpOpenRW] = err
	} else if err := g.Close(); err != nil && errs[OpClose] == nil {
		errs[OpClose] = err
	}
	errs[OpLink] = fs.Link("/db/f", "/db/g")
	errs[OpRename] = fs.Rename("/db/f", "/db/h")
	errs[OpRemove] = fs.Remove("/db/h")
	errs[OpMkdir] = fs.MkdirAll("/db/sub")
	_, errs[OpList] = fs.List("/db")
	_, errs[OpStat] = fs.Stat("/db")
	errs[OpSyncDir] = fs.SyncDir("/db")
	_, errs[OpFree] = fs.Free("/db")
	if l, err := fs.Lock("/db/LOCK"); err != nil {
		errs[OpLock] = err
	} else if err := l.Close(); err != nil && errs[OpClose] == nil {
		errs[OpClose] = err
	}
	return errs
}

func TestEveryKindOfOperationCanFail(t *testing.T) {
	for kind := range opKinds {
		decide := FailNth(1, OfKind(kind), ErrInjected, true)
		faulty := NewFaulty(newDB(t), decide)
		hooked := newDB(t)
		hooked.SetHook(func(op Op) error {
			if fault := decide(op); fault != nil {
				return fault.Err
			}
			return nil
		})
		for name, fs := range map[string]FS{"Faulty": faulty, "hook": hooked} {
			errs := everyOp(fs)
			if err := errs[kind]; !errors.Is(err, ErrInjected) || !strings.Contains(err.Error(), "/db") {
				t.Errorf("%s: %v: got %v", name, kind, err)
			}
		}
		if n := hooked.OpenHandles(); n != 0 {
			t.Errorf("%v: %d handles left", kind, n)
		}
	}
	fs := NewFaulty(newDB(t), nil)
	for kind, err := range everyOp(fs) {
		if err != nil {
			t.Errorf("%v without faults: %v", kind, err)
		}
	}
	if fs.Count() < int64(opKinds) {
		t.Errorf("counted %d operations", fs.Count())
	}
}

func TestAFailedOperationHasNoEffect(t *testing.T) {
	m := newDB(t)
	f := putDurable(t, m, "/db/f", "data")
	m.SetHook(func(op Op) error {
		if op.Kind.Mutates() {
			return ErrInjected
		}
		return nil
	})
	_, werr := f.WriteAt([]byte("x"), 0)
	for i, err := range []error{
		werr, f.Truncate(0), f.Preallocate(0, 9000), m.Remove("/db/f"), m.Rename("/db/f", "/db/g"),
		m.Link("/db/f", "/db/g"), m.MkdirAll("/db/x"), f.Sync(), m.SyncDir("/db"),
	} {
		if !errors.Is(err, ErrInjected) {
			t.Errorf("operation %d: %v", i, err)
		}
	}
	m.SetHook(nil)
	if got := dump(t, m); got != "f=[d*1 a*1 t*1 a*1]" || len(m.Unsynced()) != 0 {
		t.Errorf("now %s, un-synced %v", got, m.Unsynced())
	}
}

func TestFaultScript(t *testing.T) {
	decide, err := ParseFaults(`
		# disk full from the third write on
		write *.wal 3rd ENOSPC sticky
		create,rename CURRENT* EIO short
		any * every delay=1ms   # everything is slow
		sync *.sst 2nd-3rd injected
	`)
	must(t, err)
	ask := func(kind OpKind, path string) string {
		fault := decide(Op{Kind: kind, Path: path})
		if fault == nil {
			return "none"
		}
		return fmt.Sprint(fault.Err, fault.Short, fault.Delay)
	}
	slow := fmt.Sprint(nil, false, time.Millisecond)
	full := fmt.Sprint(syscall.ENOSPC, false, time.Duration(0))
	for i, want := range []string{slow, slow, full, full} {
		if got := ask(OpWrite, "/db/7.wal"); got != want {
			t.Errorf("write %d: %s", i+1, got)
		}
	}
	if got := ask(OpRename, "/db/CURRENT"); got != fmt.Sprint(syscall.EIO, true, time.Duration(0)) {
		t.Errorf("rename: %s", got)
	}
	if got := ask(OpRename, "/db/CURRENT"); got != slow {
		t.Errorf("second rename: %s", got)
	}
}

func TestFaultScriptErrorsSayWhereAndWhat(t *testing.T) {
	for script, want := range map[string]string{
		"write":                             "line 1: want OPERATIONS PATTERN",
		"\n# x\nfrobnicate * EIO":           `line 3: unknown operation "frobnicate"`,
		"write [ EIO":                       `line 1: pattern "["`,
		"write * EIO EIO":                   `repeated word "EIO"`,
		"write * ENOTHING":                  `unknown or repeated word "ENOTHING"`,
		"write * 0th EIO":                   `want an ordinal such as 3rd, got "0th"`,
		"write * 3 EIO":                     `got "3"`,
		"write * 3rd-x EIO":                 `got "x"`,
		"write * 3rd-2nd EIO":               `range "3rd-2nd" is empty`,
		"write * 3rd":                       "neither an error nor a mere delay",
		"write * short delay=1s":            "neither an error nor a mere delay",
		"write * delay=fast":                "delay: ",
		"write * every EIO every":           `repeated word "every"`,
		"write * 99999999999999999th EIO":   "",
		"write * 9999999999999999999th EIO": "want an ordinal",
	} {
		_, err := ParseFaults(script)
		if want == "" {
			must(t, err)
		} else if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", script, err, want)
		}
	}
}
