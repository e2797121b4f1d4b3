package crash

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cordwood-db/cordwood/db"
	"github.com/cordwood-db/cordwood/vfs"
)

// Dir is where a workload has its store.
const Dir = "/store"

// Workload is one writer with its store.
type Workload struct {
	History *History
	Store   *db.DB // nil while closed
	Opts    db.Options
	Trace   []string // what it did last

	draws
	clock  *Clock
	batch  *db.Batch
	spaces map[string]*db.Keyspace // that were opened, by name
	snap   *db.Snapshot
	points int // checkpoints made so far
	noting sync.Mutex

	collections uint64 // of garbage, before the store was closed
}

// Clock is time that only tests move. Safe for concurrent use.
type Clock struct{ nanos atomic.Int64 }

// NewClock starts somewhere in 2001.
func NewClock() *Clock {
	c := new(Clock)
	c.nanos.Store(1e18)
	return c
}

// Now is the time.
func (c *Clock) Now() time.Time { return time.Unix(0, c.nanos.Load()) }

// Nanos is the time in nanoseconds since the Unix epoch.
func (c *Clock) Nanos() int64 { return c.nanos.Load() }

// NewWorkload makes a workload with options drawn from seed, on a store that
// holds base. It opens nothing.
func NewWorkload(fs vfs.FS, base *State, seed uint64, clock *Clock) *Workload {
	w := &Workload{History: NewHistory(base, nil), clock: clock, draws: draws{rand: rand.New(rand.NewPCG(seed, 2))}}
	pick := func(values ...int) int { return values[w.rand.IntN(len(values))] }
	w.Opts = db.Options{
		FS: fs, Merge: db.Append(), Clock: clock.Now,
		MemoryMax:      1 << 20,
		MemtableBytes:  int64(pick(2, 4, 8)) << 10,
		BlockBytes:     pick(256, 1<<10),
		TableBytes:     int64(pick(4, 16)) << 10,
		ValueThreshold: pick(48, 64, 200),
		Compression:    db.Compression(pick(1, 2)),
		SyncInterval:   time.Duration(pick(-1, 1, 20)) * time.Millisecond,
		CompactionsMax: pick(1, 2),
		OpenFilesMax:   pick(8, 100),
		SpaceAmpMax:    1.25,
	}
	return w
}

// Open opens the store. What it holds then is durable, and it has or has not
// the commit,
// or the change of keyspaces, that failed before.
func (w *Workload) Open() error {
	store, err := db.Open(Dir, &w.Opts)
	if err != nil {
		return err
	}
	if len(w.History.Failed()) > 0 || len(w.History.MaySpaces()) > 1 {
		items, err := ReadAll(store)
		if err != nil {
			return errors.Join(err, store.Close())
		}
		w.History.Adopt(items, w.clock.Nanos())
	}
	w.History.Durable(w.History.Acked())
	w.Store, w.batch, w.spaces = store, store.NewBatch(), make(map[string]*db.Keyspace)
	return nil
}

// Close closes the store. A nil error means that everything is durable.
func (w *Workload) Close() error {
	if w.Store == nil {
		return nil
	}
	var errs []error
	if w.snap != nil {
		errs = append(errs, w.snap.Close())
		w.snap = nil
	}
	acked := w.History.Acked()
	w.collections += w.Store.Metrics().Collections
	err := w.Store.Close()
	w.Store = nil
	if err == nil {
		w.History.Durable(acked)
	}
	return errors.Join(append(errs, err)...)
}

// note adds to the trace.
func (w *Workload) note(format string, args ...any) {
	w.noting.Lock()
	defer w.noting.Unlock()
	if len(w.Trace) >= 60 {
		w.Trace = w.Trace[1:]
	}
	w.Trace = append(w.Trace, fmt.Sprintf(format, args...))
}

// Step does one thing. An error leaves the workload usable, as far as the store
// is.
func (w *Workload) Step() error {
	if w.rand.IntN(12) == 0 {
		w.clock.nanos.Add(int64(w.rand.IntN(4)) * int64(time.Second))
	}
	switch n := w.rand.IntN(106); {
	case n >= 100:
		return w.change()
	case n < 72:
		return w.commit()
	case n < 76:
		acked := w.History.Acked()
		w.note("sync %d", acked)
		return w.durable(acked, w.Store.Sync())
	case n < 81:
		acked := w.History.Acked()
		w.note("flush %d", acked)
		return w.durable(acked, w.Store.Flush(context.Background()))
	case n < 84:
		lo, hi := w.bounds()
		return w.compact(db.Between([]byte(lo), []byte(hi)))
	case n < 87:
		return w.compact(db.All())
	case n < 93:
		w.note("collect garbage")
		return w.Store.CollectGarbage(context.Background(), w.rand.Float64()/4)
	case n < 95:
		return w.checkpoint()
	case n < 96:
		return w.toggleSnapshot()
	case n < 98:
		return w.wait()
	}
	w.note("reopen")
	if err := w.Close(); err != nil {
		return err
	}
	return w.Open()
}

// wait lets time pass in which the log is synced in the background. It needs
// time that is not spent on anything else: see testing/synctest.
func (w *Workload) wait() error {
	if w.Opts.SyncInterval < 0 {
		return nil
	}
	acked := w.History.Acked()
	w.note("wait %d", acked)
	time.Sleep(w.Opts.SyncInterval + w.Opts.SyncInterval/2)
	if w.Store.Metrics().BackgroundError == nil {
		w.History.Durable(acked)
	}
	return nil
}

// durable notes that n commits are durable, unless there was an error.
func (w *Workload) durable(n int, err error) error {
	if err == nil {
		w.History.Durable(n)
	}
	return err
}

func (w *Workload) toggleSnapshot() error {
	if w.snap != nil {
		w.note("close snapshot")
		err := w.snap.Close()
		w.snap = nil
		return err
	}
	w.note("open snapshot")
	var err error
	w.snap, err = w.Store.Snapshot()
	return err
}

// checkpoint makes one, in place of an older one.
func (w *Workload) checkpoint() error {
	if w.points > 0 {
		old := fmt.Sprintf("/checkpoint%d", w.points)
		w.History.DropCheckpoint(old)
		if err := removeAll(w.Opts.FS, old); err != nil {
			return err
		}
	}
	w.points++
	dir := fmt.Sprintf("/checkpoint%d", w.points)
	w.note("checkpoint %s %d", dir, w.History.Acked())
	w.History.Checkpoint(dir, false)
	err := w.Store.Checkpoint(context.Background(), dir)
	if err == nil {
		w.History.Checkpoint(dir, true)
	}
	return err
}

// removeAll removes a directory of files, if it is there.
func removeAll(fs vfs.FS, dir string) error {
	if _, err := fs.Stat(dir); err != nil {
		return nil
	}
	files, err := fs.List(dir)
	if err != nil {
		return err
	}
	for _, f := range files {
		if err := fs.Remove(dir + "/" + f.Name); err != nil {
			return err
		}
	}
	return fs.Remove(dir)
}

// change makes a keyspace, or drops one.
func (w *Workload) change() error {
	name := string("abc"[w.rand.IntN(3)])
	if _, ok := w.History.Spaces()[name]; ok {
		return w.dropSpace(name)
	}
	return w.makeSpace(name, &db.KeyspaceOptions{Merge: db.Append(),
		ValueThreshold: []int{0, -1, 40, 100}[w.rand.IntN(4)], BlockBytes: []int{0, 200}[w.rand.IntN(2)]})
}

func (w *Workload) makeSpace(name string, o *db.KeyspaceOptions) error {
	w.note("make %q %+v", name, *o)
	w.History.Change(name, false)
	_, err := w.Store.Keyspace(name, o)
	return w.changed(err)
}

func (w *Workload) dropSpace(name string) error {
	w.note("drop %q", name)
	w.History.Change(name, true)
	err := w.Store.DropKeyspace(name)
	if err == nil {
		delete(w.spaces, name)
	}
	return w.changed(err)
}

// changed notes what became of a change of keyspaces.
func (w *Workload) changed(err error) error {
	w.History.Changed(err)
	if err != nil {
		w.note("  failed: %v", err)
	}
	return err
}

// space draws a keyspace; half of the time it is the default one.
func (w *Workload) space() string {
	if w.rand.IntN(2) == 0 {
		return ""
	}
	names := slices.Sorted(maps.Keys(w.History.Spaces()))
	if len(names) == 0 {
		return ""
	}
	return names[w.rand.IntN(len(names))]
}

// handle is an open keyspace.
func (w *Workload) handle(name string) (*db.Keyspace, error) {
	if ks := w.spaces[name]; ks != nil {
		return ks, nil
	}
	ks, err := keyspace(w.Store, name)
	if err == nil {
		w.spaces[name] = ks
	}
	return ks, err
}

// compact compacts a range of a keyspace.
func (w *Workload) compact(r db.Range) error {
	name := w.space()
	w.note("compact %q", name)
	ks, err := w.handle(name)
	if err != nil {
		return err
	}
	return ks.Compact(context.Background(), r)
}

// commit makes a commit of some size.
func (w *Workload) commit() error {
	n := 1
	switch k := w.rand.IntN(40); {
	case k == 0:
		n = 100 // larger than a memtable
	case k < 12:
		n = 1 + w.rand.IntN(8)
	}
	return w.Commit(n, w.rand.IntN(6) == 0)
}

// Commit makes a commit of n writes.
func (w *Workload) Commit(n int, durable bool) error {
	writes := make([]Write, n)
	for i := range writes {
		writes[i] = w.draw()
		writes[i].Space = w.space()
	}
	d := db.NoSync
	if durable {
		d = db.Sync
	}
	if w.rand.IntN(3) == 0 {
		return w.ApplyTx(writes, d)
	}
	return w.Apply(writes, d)
}

// Apply makes a commit.
func (w *Workload) Apply(writes []Write, d db.Durability) error {
	w.batch.Reset()
	for i := range writes {
		ks, err := w.handle(writes[i].Space)
		if err != nil {
			return err
		}
		if err := writes[i].do(w.batch.In(ks)); err != nil {
			return err
		}
	}
	return w.acked(writes, d, func() error { return w.Store.Apply(w.batch, d) })
}

// ApplyTx makes a commit by way of a transaction.
func (w *Workload) ApplyTx(writes []Write, d db.Durability) error {
	tx, err := w.Store.Begin(db.TxOptions{Durability: d})
	if err != nil {
		return err
	}
	defer tx.Discard()
	for i := range writes {
		ks, err := w.handle(writes[i].Space)
		if err != nil {
			return err
		}
		if err := writes[i].do(tx.In(ks)); err != nil {
			return err
		}
	}
	return w.acked(writes, d, tx.Commit)
}

// acked notes a commit and what became of it.
func (w *Workload) acked(writes []Write, d db.Durability, commit func() error) error {
	w.History.Begin(writes, w.clock.Nanos())
	w.note("commit %d: %d writes from %c %q/%q, %v", w.History.Begun(), len(writes), writes[0].Op, writes[0].Space, writes[0].Key, d)
	if err := commit(); err != nil {
		w.note("  failed: %v", err)
		w.History.Fail()
		return err
	}
	w.History.Ack(d == db.Sync)
	return nil
}
