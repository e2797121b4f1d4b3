package fault

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cordwood-db/cordwood/db"
	"github.com/cordwood-db/cordwood/test/crash"
	"github.com/cordwood-db/cordwood/vfs"
)

// crew is one run of several writers, with a reader, a change feed and a keeper
// (who flushes, compacts, collects and makes checkpoints) beside them, in which
// operations on one kind of file fail in one way.
//
// Each writer has keys and a keyspace of its own and so knows what it must read.
// What is lost with a power failure must be the end of one order of commits that
// agrees with the order in which calls returned and began.
type crew struct {
	seed   uint64
	target target
	only   vfs.OpKind // what the first fault strikes
	nth    int64      // which one of them,
	moment int64      // or, if this is not 0, the first after so many operations of any kind

	mem     *vfs.Mem
	faulty  *vfs.Faulty
	opts    db.Options
	rand    *rand.Rand // of the goroutine that leads the run
	writers []*writer

	newest newestWAL
	ops    atomic.Int64 // so far
	hits   atomic.Int64 // of them, those that the first fault may strike
	healed atomic.Bool  // no more faults
	fired  atomic.Int64 // faults so far
	first  atomic.Pointer[vfs.Op]
	synced failedSyncs

	ticks    atomic.Int64 // orders beginnings and ends of calls
	durable  atomic.Int64 // commits that ended before this tick are durable
	store    *db.DB       // nil while closed
	readOnly atomic.Bool  // a write said so, since Open
	took     atomic.Bool  // since Open, the store took a commit or a change of keyspaces: what it found is durable
	points   []checkpoint
	attempts int    // at checkpoints
	position uint64 // of the feed
	followed bool   // there was a feed
	seen     []int  // by it: number of the last commit of each writer; -1: none yet

	mu    sync.Mutex
	wrong error // the first that is
	trace []traced
}

// checkpoint is one that was made.
type checkpoint struct {
	dir          string
	began, ended int64
}

const (
	crewWriters = 3
	crewRounds  = 2
	crewSteps   = 10
)

func newCrew(seed uint64) *crew {
	r := rand.New(rand.NewPCG(seed, 1))
	c := &crew{seed: seed, target: targets[seed%uint64(len(targets))], rand: r, mem: vfs.NewMem()}
	kinds := slices.DeleteFunc(slices.Clone(touched[c.target.file]), func(k vfs.OpKind) bool { return !c.target.hits(k) })
	c.only = kinds[r.IntN(len(kinds))]
	switch r.IntN(3) {
	case 0:
		c.nth = 1 + int64(r.IntN(3)) // what is done rarely
	case 1:
		c.nth = 1 + int64(r.IntN(1<<r.IntN(6)))
	case 2:
		c.moment = 1 + int64(r.IntN(900))
	}
	pick := func(values ...int) int { return values[r.IntN(len(values))] }
	c.faulty = vfs.NewFaulty(c.mem, c.decide)
	c.opts = db.Options{
		FS: c.faulty, Merge: db.Append(), Events: c.event,
		MemoryMax:      1 << 20,
		MemtableBytes:  int64(pick(2, 4)) << 10,
		BlockBytes:     pick(256, 1<<10),
		TableBytes:     int64(pick(4, 16)) << 10,
		ValueThreshold: pick(48, 200),
		Compression:    db.CompressionNone,
		SyncInterval:   time.Duration(pick(-1, 5)) * time.Millisecond,
		CompactionsMax: pick(1, 2),
		OpenFilesMax:   pick(8, 100),
		FeedBytes:      int64(pick(0, 16<<20, 16<<20)),
	}
	for i := range crewWriters {
		c.writers = append(c.writers, newWriter(c, i))
	}
	return c
}

// decide is asked about each operation.
func (c *crew) decide(op vfs.Op) *vfs.Fault {
	file := c.newest.kindOf(op)
	at := c.ops.Add(1)
	if op.Kind == vfs.OpSync || op.Kind == vfs.OpCreate {
		if err := c.synced.again(file, op); err != nil {
			c.report(err)
		}
	}
	if c.healed.Load() || file != c.target.file || !c.target.hits(op.Kind) || at < c.moment {
		return nil
	}
	if c.fired.Load() == 0 {
		if op.Kind != c.only || c.hits.Add(1) < c.nth {
			return nil
		}
	} else if !c.target.sticky {
		return nil
	}
	switch {
	case c.fired.Add(1) == 1:
		c.first.Store(&op)
	case !c.target.sticky:
		return nil // another was faster
	}
	if op.Kind == vfs.OpSync {
		c.synced.failed(op)
	}
	return &c.target.fail.fault
}

// failedSyncs sees that a file whose Sync has failed is not synced again, and
// that no table is written under a name that was used before.
type failedSyncs struct {
	mu      sync.Mutex
	files   map[string]bool // paths whose Sync failed since Open
	created map[string]bool // tables
}

func (f *failedSyncs) failed(op vfs.Op) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.files[op.Path] = true
}

func (f *failedSyncs) again(file fileKind, op vfs.Op) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case op.Kind == vfs.OpSync && f.files[op.Path] && file != tempFile:
		return fmt.Errorf("a failed sync is tried again: %s", op.Path)
	case op.Kind == vfs.OpCreate && (file == tempFile || file == walFile):
		delete(f.files, op.Path) // another file
	case op.Kind == vfs.OpCreate && file == tableFile:
		if f.created[op.Path] {
			return fmt.Errorf("a table is created twice: %s", op.Path)
		}
		f.created[op.Path] = true
	}
	return nil
}

// reset forgets what an earlier opening has done.
func (f *failedSyncs) reset() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.files, f.created = make(map[string]bool), make(map[string]bool)
}

// event looks at what the store tells of itself. A table of a dropped keyspace
// that the disk cannot read is told as damage too: see compaction.Run.
func (c *crew) event(e db.Event) {
	if d, ok := e.(db.Damage); ok && !(c.target.file == tableFile && errors.Is(d.Err, syscall.EIO)) {
		c.report(fmt.Errorf("a fault is taken for damage: %s: %w", d.File, d.Err))
	}
}

// report notes what is wrong, the first time.
func (c *crew) report(err error) {
	if err == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.wrong == nil {
		c.wrong = err
		c.traceLocked("WRONG: %v", err)
	}
}

// ok reports whether nothing is wrong so far.
func (c *crew) ok() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.wrong == nil
}

func (c *crew) note(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.traceLocked(format, args...)
}

func (c *crew) traceLocked(format string, args ...any) {
	c.trace = append(c.trace, traced{c.ops.Load(), format, args})
}

// traced is a line about what was done.
type traced struct {
	ops    int64 // of the file system by then
	format string
	args   []any // values that do not change
}

func (c *crew) tick() int64 { return c.ticks.Add(1) }

// settled notes that what had been acknowledged at a tick is durable.
func (c *crew) settled(tick int64) {
	for {
		old := c.durable.Load()
		if old >= tick || c.durable.CompareAndSwap(old, tick) {
			return
		}
	}
}

// String describes the run for a failure message.
func (c *crew) String() string {
	s := c.target.String()
	if op := c.first.Load(); op != nil {
		s += fmt.Sprintf("; first operation %d: %v %s at %d length %d", op.Index, op.Kind, op.Path, op.Offset, op.Len)
	}
	o := c.opts
	o.FS, o.Merge, o.Events = nil, nil, nil
	var b strings.Builder
	fmt.Fprintf(&b, "%s\noptions: %+v\n", s, o)
	for _, t := range c.trace {
		fmt.Fprintf(&b, "%d: %s\n", t.ops, fmt.Sprintf(t.format, t.args...))
	}
	return b.String()
}

// heal ends the faults.
func (c *crew) heal() { c.healed.Store(true) }

// work is the part of the run that has faults.
func (c *crew) work() error {
	watchdog := time.AfterFunc(hangAfter, func() { panic("a run hangs: " + c.String()) })
	defer watchdog.Stop()
	c.report(c.rounds())
	if c.store != nil { // it went wrong
		_ = c.store.Close()
		c.store = nil
	}
	return c.wrong
}

func (c *crew) rounds() error {
	for round := range crewRounds {
		if c.store != nil && c.rand.IntN(2) == 0 {
			c.note("reopen")
			if err := c.close(); err != nil {
				return err
			}
		}
		if c.store == nil {
			if err := c.open(); err != nil {
				return fmt.Errorf("open: %w", err)
			}
		}
		c.round(round)
		if !c.ok() {
			return nil // told already
		}
	}
	if err := c.images(); err != nil {
		return err
	}
	if err := c.resume(); err != nil {
		return err
	}
	if err := c.close(); err != nil {
		return err
	}
	return c.after()
}

// round lets all work beside each other.
func (c *crew) round(round int) {
	var writing, beside sync.WaitGroup
	done := make(chan struct{})
	for i, besides := range []func(*rand.Rand, <-chan struct{}){c.read, c.keep, c.follow} {
		beside.Go(func() { besides(rand.New(rand.NewPCG(c.seed, uint64(100+10*round+i))), done) })
	}
	for _, w := range c.writers {
		writing.Go(func() {
			for range crewSteps {
				if c.ok() {
					c.report(w.step())
				}
			}
		})
	}
	writing.Wait()
	close(done)
	beside.Wait()
	for _, w := range c.writers {
		c.report(w.release())
	}
}

// open opens the store. If the fault keeps it from that, it ends.
func (c *crew) open() error {
	c.synced.reset()
	store, err := db.Open(crash.Dir, &c.opts)
	if err != nil {
		c.note("open failed: %v", err)
		if n := c.mem.OpenHandles(); n != 0 {
			return fmt.Errorf("%d handles open after Open failed with %w", n, err)
		}
		if err := c.judge(err, true); err != nil {
			return err
		}
		if c.target.sticky {
			c.heal()
		}
		c.synced.reset()
		if store, err = db.Open(crash.Dir, &c.opts); err != nil {
			return fmt.Errorf("without faults: %w", err)
		}
	}
	c.store = store
	c.readOnly.Store(false)
	if err := c.adopt(); err != nil {
		return err
	}
	for _, w := range c.writers {
		if err := w.begin(); err != nil {
			return err
		}
	}
	return nil
}

// adopt takes over what the store holds when it was opened, which is durable; but
// for keyspaces whose making or drop had failed, which are so from the first thing
// on that the store takes.
func (c *crew) adopt() error {
	f, err := c.find(c.store)
	for tries := 0; err != nil; tries++ {
		if err := c.judge(err, c.target.reads()); err != nil {
			return err
		}
		if tries > 2 {
			c.heal()
		}
		if tries > 3 {
			return err
		}
		f, err = c.find(c.store)
	}
	if err := f.check(false); err != nil {
		return fmt.Errorf("after the death of the process: %w", err)
	}
	f.adopt()
	return nil
}

// close closes the store. A nil error means that everything is durable.
func (c *crew) close() error {
	began := c.tick()
	store := c.store
	c.store = nil
	err := store.Close()
	if err == nil {
		c.settled(began)
	}
	if n := c.mem.OpenHandles(); n != 0 {
		return fmt.Errorf("%d handles open after Close, which gave %w", n, err)
	}
	if err = c.judge(err, true); err != nil {
		return fmt.Errorf("close: %w", err)
	}
	return nil
}

// judge says what is wrong with an error of the store, if anything; may: the
// call may fail with the error that was injected.
func (c *crew) judge(err error, may bool) error {
	if err == nil {
		return nil
	}
	if c.fired.Load() == 0 {
		return fmt.Errorf("error without a fault: %w", err)
	}
	var damage *db.CorruptionError
	var missing *db.MissingFileError
	injected := errors.Is(err, c.target.fail.fault.Err)
	switch {
	case errors.As(err, &damage), errors.As(err, &missing):
		return fmt.Errorf("a fault is taken for damage: %w", err)
	case errors.Is(err, db.ErrReadOnly):
		c.readOnly.Store(true)
		switch {
		case !c.target.lasts():
			return fmt.Errorf("read-only after a fault that passes: %w", err)
		case !injected:
			return fmt.Errorf("read-only without the cause: %w", err)
		}
		return nil
	case vfs.IsNoSpace(err) != errors.Is(err, db.ErrDiskFull):
		return fmt.Errorf("a full disk, and not as ErrDiskFull, or the reverse: %w", err)
	case injected && (may || errors.Is(err, db.ErrDiskFull)):
		return nil
	}
	return fmt.Errorf("unexpected: %w", err)
}

// refuses reports whether err may refuse a commit without making the store
// read-only: while memtables cannot be flushed, for any reason but a write to a
// log that failed, there is no room for more, and commits are told why.
func refuses(err error) bool {
	p, ok := errors.AsType[*fs.PathError](err)
	if !ok {
		return false
	}
	if strings.Contains(err.Error(), "compaction: ") {
		return true // which writes the tables of a flush, too
	}
	ext := filepath.Ext(p.Path)
	return p.Op != vfs.OpWrite.String() && p.Op != vfs.OpSync.String() || ext != ".wal" && ext != ".vlog"
}

// judgeRead is judge for a read.
func (c *crew) judgeRead(err error) error {
	if err != nil && errors.Is(err, db.ErrReadOnly) {
		return fmt.Errorf("a read of a read-only store fails: %w", err)
	}
	return c.judge(err, c.target.reads())
}

// resume ends the faults and sees whether the store takes writes again.
func (c *crew) resume() error {
	if c.target.sticky && c.rand.IntN(2) == 0 {
		return nil // close with the fault there
	}
	c.heal()
	for _, w := range c.writers {
		before := c.readOnly.Load()
		err := crash.Eventually(func() error { return w.commit(nil) })
		switch {
		case errors.Is(err, db.ErrReadOnly):
			if err := c.judge(err, false); err != nil {
				return err
			}
			if c.store.Metrics().BackgroundError == nil {
				return errors.New("no background error in a read-only store")
			}
		case err != nil:
			return fmt.Errorf("write after the faults ended: %w", err)
		case before:
			return errors.New("a read-only store takes writes again")
		}
		if err := w.compare(); err != nil {
			return err
		}
	}
	return nil
}
