package fault

import (
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/cordwood-db/cordwood/db"
	"github.com/cordwood-db/cordwood/internal/testkit"
	"github.com/cordwood-db/cordwood/test/crash"
	"github.com/cordwood-db/cordwood/vfs"
)

// strike is one run of a test in which, during one call, operation n of those
// that a failure is for fails, and maybe all behind it.
type strike struct {
	fail   *failure
	sticky bool
	n      int64
	only   func(vfs.OpKind) bool // what may fail; nil: all that the failure is for

	mem   *vfs.Mem
	fs    *vfs.Faulty
	armed atomic.Bool
	seen  atomic.Int64
	fired atomic.Bool
	first atomic.Pointer[vfs.Op]
	wrong atomic.Pointer[error] // from events
}

func (s *strike) decide(op vfs.Op) *vfs.Fault {
	if !s.armed.Load() || s.only != nil && !s.only(op.Kind) {
		return nil
	}
	for _, k := range s.fail.ops {
		if k != op.Kind {
			continue
		}
		if n := s.seen.Add(1); n == s.n || s.sticky && n > s.n {
			if !s.fired.Swap(true) {
				s.first.Store(&op)
			}
			return &s.fail.fault
		}
	}
	return nil
}

// disarm ends the faults. Loads of tables that were under way have ended too when it
// returns: a read that comes later joins none that has failed.
func (s *strike) disarm() {
	s.armed.Store(false)
	synctest.Wait()
}

func (s *strike) event(e db.Event) {
	if d, ok := e.(db.Damage); ok {
		err := fmt.Errorf("a fault is taken for damage: %s: %w", d.File, d.Err)
		s.wrong.Store(&err)
	}
}

func (s *strike) options() db.Options {
	o := options(s.fs)
	o.Merge, o.FeedBytes, o.OpenFilesMax, o.Events = db.Append(), 1<<20, 8, s.event
	return o
}

func (s *strike) String() string {
	op := s.first.Load()
	if op == nil {
		return fmt.Sprintf("%s, operation %d, which there is not", s.fail.name, s.n)
	}
	return fmt.Sprintf("%s of operation %d, for ever %v: %v %s at %d length %d", s.fail.name, s.n, s.sticky, op.Kind, op.Path, op.Offset, op.Len)
}

// typed says what is wrong with an error that a fault has caused.
func (s *strike) typed(err error) error {
	var damage *db.CorruptionError
	var missing *db.MissingFileError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &damage), errors.As(err, &missing):
		return fmt.Errorf("a fault is taken for damage: %w", err)
	case !s.fired.Load():
		return fmt.Errorf("error without a fault: %w", err)
	case !errors.Is(err, s.fail.fault.Err):
		return fmt.Errorf("the cause is lost: %w", err)
	case vfs.IsNoSpace(err) != errors.Is(err, db.ErrDiskFull):
		return fmt.Errorf("a full disk, and not as ErrDiskFull: %w", err)
	}
	return nil
}

// closed sees that a store has left nothing open. may: Close may give an error,
// which may be that of a file which was closed long before.
func (s *strike) closed(store *db.DB, may bool) error {
	err := store.Close()
	if n := s.mem.OpenHandles(); n != 0 {
		return fmt.Errorf("%d handles open after Close, which gave %w", n, err)
	}
	if wrong := s.wrong.Load(); wrong != nil {
		return *wrong
	}
	if !may && err != nil {
		return fmt.Errorf("close: %w", err)
	}
	return s.typed(err)
}

// eachOperation lets every operation of a call fail, in every way. call arms the
// strike where the call begins. Without CI's amounts it takes only some of them.
func eachOperation(t *testing.T, from *vfs.Mem, call func(s *strike) error) {
	t.Helper()
	stride, first := int64(1), int64(1)
	if !testkit.Thorough() {
		stride = 7
		if testing.Short() {
			stride = 23
		}
		first += int64(testkit.Seed(t) % uint64(stride))
	}
	var done atomic.Int64
	// All of it fits, so that nobody waits for a worker that a failure has ended.
	jobs := make(chan manner, 2*len(failures))
	for i := range failures {
		jobs <- manner{&failures[i], false}
		jobs <- manner{&failures[i], true}
	}
	close(jobs)
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for j := range jobs {
				for n := first; !t.Failed(); n += stride {
					s := &strike{fail: j.fail, sticky: j.sticky, n: n, mem: from.KillClone()}
					s.fs = vfs.NewFaulty(s.mem, s.decide)
					var err error
					synctest.Test(t, func(*testing.T) { err = call(s) })
					if err != nil {
						t.Errorf("%v\n%v", err, s)
					}
					if !s.fired.Load() {
						break
					}
					done.Add(1)
				}
			}
		})
	}
	wg.Wait()
	t.Logf("%d runs with a fault", done.Load())
}

// manner is a way to fail.
type manner struct {
	fail   *failure
	sticky bool
}

// images are stores in the states in which Open finds them, with what they hold.
func images(t *testing.T) map[string]*vfs.Mem {
	t.Helper()
	mem := vfs.NewMem()
	o := options(mem)
	o.Merge, o.FeedBytes = db.Append(), 1<<20
	store, err := db.Open(crash.Dir, &o)
	must(t, err)
	more, err := store.Keyspace("more", &db.KeyspaceOptions{Merge: db.Append()})
	must(t, err)
	for i := range 120 {
		must(t, store.Put(keyOf(i), valueOf(i)))
		if i%3 == 0 {
			must(t, more.Merge(keyOf(i%10), valueOf(i)))
		}
	}
	must(t, store.DeleteRange(db.Between(keyOf(20), keyOf(30))))
	must(t, store.Flush(background))
	fill(t, store, 120, 135, db.Sync)
	fill(t, store, 135, 140, db.NoSync)
	all := map[string]*vfs.Mem{"none": vfs.NewMem(), "killed": mem.KillClone(),
		"power": mem.CrashClone(nil),
		"torn":  mem.CrashClone(func(vfs.CrashItem) vfs.CrashChoice { return vfs.CrashTear }),
	}
	must(t, store.Close())
	all["closed"] = mem
	return all
}

// holds is what a store holds.
func holds(t *testing.T, from *vfs.Mem) []crash.Item {
	t.Helper()
	mem := from.KillClone()
	o := options(mem)
	o.Merge = db.Append()
	store, err := db.Open(crash.Dir, &o)
	must(t, err)
	items, err := crash.ReadAll(store)
	must(t, err)
	must(t, store.Close())
	return items
}

// expects compares what a store holds.
func expects(store *db.DB, want []crash.Item) error {
	items, err := crash.ReadAll(store)
	if err != nil {
		return fmt.Errorf("read: %w", err)
	}
	return crash.Same(items, want)
}

// reopens opens the store without faults, compares, and writes to it.
func (s *strike) reopens(want []crash.Item) error {
	s.disarm()
	o := s.options()
	store, err := db.Open(crash.Dir, &o)
	if err != nil {
		return fmt.Errorf("open without faults: %w", err)
	}
	err = expects(store, want)
	if err == nil {
		err = store.Put([]byte("zz"), nil)
	}
	return errors.Join(err, s.closed(store, false))
}

func TestOpenThatFailsLeavesTheStoreAsItWas(t *testing.T) {
	testkit.Sequential(t)
	for name, image := range images(t) {
		want := holds(t, image)
		for _, readOnly := range []bool{false, true} {
			if readOnly && name == "none" {
				continue
			}
			t.Run(fmt.Sprintf("%s, read-only %v", name, readOnly), func(t *testing.T) {
				eachOperation(t, image, func(s *strike) error { return s.open(readOnly, want) })
			})
		}
	}
}

// open fails an operation of Open.
func (s *strike) open(readOnly bool, want []crash.Item) error {
	var changes atomic.Bool
	s.mem.SetHook(func(op vfs.Op) error {
		if op.Kind.Mutates() && op.Kind != vfs.OpLock {
			changes.Store(true)
		}
		return nil
	})
	o := s.options()
	o.ReadOnly = readOnly
	s.armed.Store(true)
	store, err := db.Open(crash.Dir, &o)
	if err == nil {
		s.disarm()
		err = errors.Join(expects(store, want), s.closed(store, true))
		if err != nil {
			return err
		}
	} else {
		if n := s.mem.OpenHandles(); n != 0 {
			return fmt.Errorf("%d handles open after Open failed with %w", n, err)
		}
		if err := s.typed(err); err != nil {
			return fmt.Errorf("open: %w", err)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("a fault is taken for a missing store: %w", err)
		}
	}
	s.mem.SetHook(nil)
	if readOnly && changes.Load() {
		return errors.New("opening read-only changes something")
	}
	return s.reopens(want)
}

func TestCheckpointThatFailsIsNotThere(t *testing.T) {
	testkit.Sequential(t)
	image := images(t)["killed"]
	want := holds(t, image)
	eachOperation(t, image, func(s *strike) error { return s.checkpoint(want) })
}

// checkpoint fails an operation of Checkpoint.
func (s *strike) checkpoint(want []crash.Item) error {
	o := s.options()
	store, err := db.Open(crash.Dir, &o)
	if err != nil {
		return err
	}
	s.armed.Store(true)
	first := store.Checkpoint(background, "/first")
	s.disarm()
	err = s.typed(first)
	if _, e := s.mem.Stat("/first/CURRENT"); first != nil && !s.sticky && e == nil {
		err = fmt.Errorf("a checkpoint that failed with %w is there", first)
	}
	readOnly := store.Metrics().BackgroundError != nil
	if err == nil && !readOnly {
		err = crash.Eventually(func() error { return store.Checkpoint(background, "/second") })
		if errors.Is(err, db.ErrReadOnly) { // the fault has hit work in the background
			readOnly, err = true, s.typed(err)
		}
	}
	if err = errors.Join(err, expects(store, want), s.closed(store, true)); err != nil {
		return err
	}
	for dir, made := range map[string]bool{"/first": first == nil, "/second": !readOnly} {
		if !made {
			continue
		}
		o.FS, o.MustExist = s.mem.CrashClone(nil), true
		store, err := db.Open(dir, &o)
		if err != nil {
			return fmt.Errorf("checkpoint %s: %w", dir, err)
		}
		if err := errors.Join(expects(store, want), store.Close()); err != nil {
			return fmt.Errorf("checkpoint %s: %w", dir, err)
		}
	}
	return s.reopens(want)
}

func TestCloseThatFailsLosesNothing(t *testing.T) {
	eachOperation(t, images(t)["closed"], (*strike).close)
}

// close fails an operation of Close.
func (s *strike) close() error {
	o := s.options()
	store, err := db.Open(crash.Dir, &o)
	if err != nil {
		return err
	}
	for i := 500; i < 520; i++ {
		if err := store.Put(keyOf(i), valueOf(i)); err != nil {
			return errors.Join(err, store.Close())
		}
	}
	want, err := crash.ReadAll(store)
	if err != nil {
		return errors.Join(err, store.Close())
	}
	// What is left open is closed.
	_, e1 := store.Snapshot()
	_, e2 := store.NewCursor(db.All())
	_, e3 := store.Subscribe(db.FeedOptions{})
	if err := errors.Join(e1, e2, e3); err != nil {
		return errors.Join(err, store.Close())
	}
	s.armed.Store(true)
	first := store.Close()
	if n := s.mem.OpenHandles(); n != 0 {
		return fmt.Errorf("%d handles open after Close, which gave %w", n, first)
	}
	if err := s.typed(first); err != nil {
		return fmt.Errorf("close: %w", err)
	}
	if again := store.Close(); again != first {
		return fmt.Errorf("Close gives %w, and again %w", first, again)
	}
	if _, err := store.Get(keyOf(1)); !errors.Is(err, db.ErrClosed) {
		return fmt.Errorf("Get after Close gives %w", err)
	}
	if first == nil {
		lost := &strike{fail: s.fail, mem: s.mem.CrashClone(nil)}
		lost.fs = vfs.NewFaulty(lost.mem, nil)
		if err := lost.reopens(want); err != nil {
			return fmt.Errorf("after a power loss: %w", err)
		}
	}
	return s.reopens(want)
}
