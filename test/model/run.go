package model

import (
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"testing/synctest"
	"time"

	"github.com/cordwood-db/cordwood/db"
	"github.com/cordwood-db/cordwood/internal/testkit/draw"
	"github.com/cordwood-db/cordwood/vfs"
)

// run is one history.
type run struct {
	draw  *draw.Source
	fs    *vfs.Mem
	opts  db.Options
	store *db.DB
	lie   func(*run, *write) bool // a defect to plant: the write is lost; nil: none

	clock  atomic.Int64 // of the store, in nanoseconds since 1970
	now    time.Time    // by which entries expire: clock, or later if that was set back
	latest time.Time    // that clock has ever shown
	racing bool         // steps do not wait for the background

	spaces []*space // that there are; [0] is the default one
	dead   []*space // dropped since the store was opened, with a handle
	made   int      // keyspaces made so far

	want   world
	synced int      // index into log of the last commit that is known to be durable
	log    []moment // after each commit since the last opening, [0] before the first

	snapshots []*heldSnapshot
	cursors   []*heldCursor
	txs       []*heldTx
	feeds     []*heldFeed
	pages     []*heldPage
	sequences []*heldSequence
	given     map[given]bool
	commits   []madeCommit // all that the store holds, in order
	changes   []write      // committed since the oldest of txs began, or longer
	batch     *db.Batch

	events    events
	refused   uint64     // commits that met a conflict since the store was opened
	figures   []uint64   // counters of the store, as of their last look
	powerLost bool       // before the store was opened
	explains  bool       // did is kept
	did       [][]string // what each step did, for people

	checkpoints int // made so far
}

// moment is the store after a commit.
type moment struct {
	want world
	seq  uint64    // of the commit's last operation
	at   time.Time // of the machine's clock
}

// madeCommit is a commit that the store holds.
type madeCommit struct {
	writes []write
	seq    uint64 // of its last operation
}

// heldSnapshot is an open snapshot and what it must show.
type heldSnapshot struct {
	snap *db.Snapshot
	want world
	at   int // how many commits there were
}

const dir = "/store"

// play runs a history to its end, in a bubble of testing/synctest. What it
// returns as a script is what of the source was used.
func (r *run) play(stepsMax int) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
		if err != nil && r.store != nil {
			_ = r.store.Close()
		}
	}()
	if err := r.begin(); err != nil {
		return err
	}
	for r.draw.Steps() <= stepsMax {
		more, err := r.step()
		if err != nil {
			return err
		}
		if !more {
			break
		}
	}
	return r.shut(false)
}

// newRun is a history of what src gives.
func newRun(src *draw.Source) *run {
	return &run{draw: src, fs: vfs.NewMem(), now: time.Unix(1e9, 0), given: make(map[given]bool),
		spaces: []*space{{op: db.Append()}}}
}

// begin opens an empty store.
func (r *run) begin() error {
	r.draw.Begin("options")
	r.clock.Store(r.now.UnixNano())
	r.latest = r.now
	r.opts = db.Options{FS: r.fs, Merge: db.Append(), Events: r.events.note, Logger: slog.New(failures{&r.events}),
		Clock:     func() time.Time { return time.Unix(0, r.clock.Load()) },
		FeedBytes: pick[int64](r, 0, 0, 100<<10, feedBytesEnough)}
	r.drawOptions()
	r.racing = r.draw.One(2) && r.lie == nil // with a defect planted, the same must happen each time
	r.explain()
	if err := r.open(); err != nil {
		return err
	}
	_, err := r.store.Keyspace(privateName, nil)
	return err
}

// open opens the store, whose newest commit is known.
func (r *run) open() error {
	r.noteOptions()
	r.events.begin()
	r.refused, r.figures = 0, nil
	var err error
	if r.store, err = db.Open(dir, &r.opts); err != nil {
		return fmt.Errorf("open: %w", err)
	}
	r.batch = r.store.NewBatch()
	r.dead = nil
	for _, s := range r.spaces {
		s.handle = nil
	}
	r.spaces[0].handle = r.store.Default()
	seq, err := r.seq()
	r.log, r.synced = []moment{{r.want, seq, time.Now()}}, 0
	return err
}

// seq is the sequence number of the newest commit.
func (r *run) seq() (uint64, error) {
	snap, err := r.store.Snapshot()
	if err != nil {
		return 0, err
	}
	return snap.Seq(), snap.Close()
}

// explain begins the explanation of another step.
func (r *run) explain() {
	if r.explains {
		r.did = append(r.did, nil)
	}
}

// note says for people what a step does.
func (r *run) note(format string, args ...any) {
	if !r.explains || len(r.did) == 0 {
		return
	}
	line := fmt.Sprintf(format, args...)
	last := &r.did[len(r.did)-1]
	*last = append(*last, line[:min(len(line), 300)])
}

// noteWrite is note for a write.
func (r *run) noteWrite(indent string, w *write) {
	if r.explains {
		r.note("%skeyspace %d: %c %q %d bytes end %q ttl %v", indent, w.in.id, w.op, w.key, len(w.value), w.end, w.ttl)
	}
}

// committed records that the store holds one more commit. durable says that it
// was to be synced.
func (r *run) committed(writes []write, durable bool) error {
	writes = slices.DeleteFunc(slices.Clone(writes), func(w write) bool { return w.empty() })
	if r.lie != nil {
		writes = slices.DeleteFunc(writes, func(w write) bool { return r.lie(r, &w) })
	}
	seq, err := r.seq()
	if last := r.log[len(r.log)-1].seq; err == nil && seq < last+uint64(len(writes)) {
		err = fmt.Errorf("%d writes raised the sequence number from %d to %d", len(writes), last, seq)
	}
	r.want = r.want.with(writes)
	r.log = append(r.log, moment{r.want, seq, time.Now()})
	r.commits = append(r.commits, madeCommit{writes, seq})
	for i := range writes {
		if writes[i].op == 'm' {
			writes[i].in.recorded = true
		}
	}
	if r.changes = append(r.changes, writes...); len(r.txs) == 0 {
		r.changes = nil
	}
	if durable {
		r.synced = len(r.log) - 1
	}
	return err
}

// syncs reports whether a commit that asks for d is durable when it returns.
func (r *run) syncs(d db.Durability) bool {
	return d == db.Sync || d == db.DefaultDurability && r.opts.Durability == db.Sync
}

// settle waits until the background has nothing to do but wait.
func (r *run) settle() { synctest.Wait() }
