package model

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	"github.com/cordwood-db/cordwood/db"
	"github.com/cordwood-db/cordwood/vfs"
)

// run is one random history.
type run struct {
	rand  *rand.Rand
	fs    *vfs.Mem
	opts  db.Options
	store *db.DB
	now   time.Time
	clock atomic.Int64 // now, for the store's workers, in nanoseconds since 1970

	spaces []*space // that there are; [0] is the default one
	dead   []*space // dropped since the store was opened, with a handle
	made   int      // keyspaces made so far

	want   world
	synced int     // commits that are known to be durable
	log    []world // state after each commit since the last reopening, [0] before the first

	snapshots []*heldSnapshot
	cursors   []*heldCursor
	txs       []*heldTx
	feeds     []*heldFeed
	pages     []*heldPage
	sequences []*heldSequence
	given     map[given]bool
	commits   []madeCommit // all that the store holds, in order
	crashes   []int        // how many commits there were after each power loss
	changes   []write      // committed since the oldest of txs began, or longer
	trace     []string     // the last operations, for the report
	batch     *db.Batch

	checkpoints int // made so far
}

// heldSnapshot is an open snapshot and what it must show.
type heldSnapshot struct {
	snap *db.Snapshot
	want world
	at   int // how many commits there were
}

// madeCommit is a commit that the store holds.
type madeCommit struct {
	writes []write
	// maybe says that the store may not hold it after all: it was not durable
	// when the power was lost, and all that is there is the same without it.
	maybe bool
}

const dir = "/store"

// feedBytesEnough keeps the whole log of a history.
const feedBytesEnough = 1 << 30

// newRun opens an empty store with options drawn from seed.
func newRun(seed uint64) (*run, error) {
	r := &run{rand: rand.New(rand.NewPCG(seed, 1)), fs: vfs.NewMem(), want: world{}, now: time.Unix(1e9, 0),
		given: make(map[given]bool)}
	r.spaces = []*space{{op: db.Append()}}
	pick := func(values ...int64) int64 { return values[r.rand.IntN(len(values))] }
	r.clock.Store(r.now.UnixNano())
	r.opts = db.Options{
		FS: r.fs, Merge: db.Append(), Clock: func() time.Time { return time.Unix(0, r.clock.Load()) },
		MemoryMax:      32 << 20,
		MemtableBytes:  pick(2<<10, 8<<10, 64<<10, 1<<20),
		BlockBytes:     int(pick(1, 128, 1<<10, 16<<10, 1<<20)),
		TableBytes:     pick(4<<10, 32<<10, 1<<20),
		ValueThreshold: int(pick(-1, 1, 24, 100, 400, 1<<10)),
		Compression:    db.Compression(pick(1, 2)),
		SyncInterval:   time.Duration(pick(-1, int64(time.Millisecond), int64(100*time.Millisecond))),
		CompactionsMax: int(pick(1, 2, 4)),
		OpenFilesMax:   int(pick(8, 100)),
		SpaceAmpMax:    float64(pick(110, 125, 300)) / 100,
		FeedBytes:      pick(0, 0, 100<<10, feedBytesEnough),
	}
	if r.opts.FeedBytes == feedBytesEnough {
		r.opts.MemtableBytes = max(r.opts.MemtableBytes, 64<<10) // or there are too many segments
	}
	if r.opts.FilterBitsPerKey = 10; r.rand.IntN(4) == 0 {
		r.opts.FilterBitsPerKey = -1
	}
	r.opts.Prefix = r.drawPrefix()
	if err := r.open(); err != nil {
		return r, err
	}
	_, err := r.store.Keyspace(sequencesName, nil)
	return r, err
}

func (r *run) open() error {
	var err error
	if r.store, err = db.Open(dir, &r.opts); err != nil {
		return fmt.Errorf("open: %w", err)
	}
	r.log, r.synced = []world{r.want}, 0
	r.batch = r.store.NewBatch()
	r.dead = nil
	for _, s := range r.spaces {
		s.handle = nil
	}
	r.spaces[0].handle = r.store.Default()
	return nil
}

// note remembers an operation for the report.
func (r *run) note(format string, args ...any) {
	if len(r.trace) >= 40 {
		r.trace = r.trace[1:]
	}
	line := fmt.Sprintf(format, args...)
	r.trace = append(r.trace, line[:min(len(line), 300)])
}

// step does one random operation and compares.
func (r *run) step() error {
	if r.rand.IntN(50) == 0 {
		r.now = r.now.Add(time.Duration(r.rand.IntN(3000)) * time.Millisecond)
		r.clock.Store(r.now.UnixNano())
	}
	switch n := r.rand.IntN(1250); {
	case n >= 1215:
		return r.conditional()
	case n >= 1205:
		return r.useSequence()
	case n >= 1200:
		return r.estimate()
	case n >= 1185:
		return r.readPage()
	case n >= 1160:
		return r.readFeed()
	case n >= 1150:
		return r.openFeed()
	case n >= 1010:
		return r.useTx()
	case n >= 1000:
		return r.update()
	case n < 320:
		return r.write()
	case n < 420:
		return r.applyBatch()
	case n < 620:
		return r.get()
	case n < 640:
		return r.multiGet()
	case n < 680:
		s, err := r.space()
		if err != nil {
			return err
		}
		return r.scan(r.reader(s), r.want[s.id], r.now)
	case n < 880:
		return r.moveCursor()
	case n < 900:
		return r.openCursor()
	case n < 930:
		return r.useSnapshot()
	case n < 945:
		return r.openSnapshot()
	case n < 960:
		return r.closeSomething()
	}
	return r.rare()
}

// rare does one of the operations that cost more.
func (r *run) rare() error {
	ctx := context.Background()
	switch n := r.rand.IntN(400); {
	case n < 60:
		r.note("flush")
		return r.store.Flush(ctx)
	case n < 80:
		return r.compact(ctx)
	case n < 120:
		r.note("collect garbage")
		return r.store.CollectGarbage(ctx, r.rand.Float64()/2)
	case n < 140:
		r.note("sync")
		r.synced = len(r.log) - 1
		return r.store.Sync()
	case n < 145:
		return r.checkpoint(ctx)
	case n < 160:
		return r.reopen()
	case n < 165:
		return r.kill()
	case n < 170:
		return r.losePower()
	case n < 200:
		return r.changeSpaces()
	case n < 240:
		return r.useDead()
	}
	return r.checkMetrics()
}

// compact compacts a part of a keyspace.
func (r *run) compact(ctx context.Context) error {
	s, err := r.space()
	if err != nil {
		return err
	}
	lower, upper := r.bounds()
	r.note("compact keyspace %d %q %q", s.id, lower, upper)
	return s.handle.Compact(ctx, db.Between(lower, upper))
}

// key draws a key; some are long, some share prefixes, one is empty.
func (r *run) key() []byte {
	switch n := r.rand.IntN(100); {
	case n == 0:
		return []byte{}
	case n < 3:
		return bytes.Repeat([]byte{'k'}, 1+r.rand.IntN(3000))
	case n < 20: // so hot that transactions meet there
		return fmt.Appendf(nil, "user/%04d/profile", r.rand.IntN(8))
	case n < 40:
		return fmt.Appendf(nil, "user/%04d/profile", r.rand.IntN(60))
	}
	return fmt.Appendf(nil, "%03d", r.rand.IntN(300))
}

func (r *run) value() []byte {
	n := r.rand.IntN(60)
	switch r.rand.IntN(20) {
	case 0:
		n = 0
	case 1, 2, 3:
		n = r.rand.IntN(2000)
	case 4:
		n = r.rand.IntN(20000)
	}
	v := make([]byte, n)
	for i := range v {
		v[i] = byte(r.rand.IntN(8))
	}
	return v
}

// bounds draws a range; upper may be nil.
func (r *run) bounds() (lower, upper []byte) {
	lower, upper = r.key(), r.key()
	if bytes.Compare(lower, upper) > 0 {
		lower, upper = upper, lower
	}
	if r.rand.IntN(10) == 0 {
		lower = nil
	}
	if r.rand.IntN(10) == 0 {
		upper = nil
	}
	return lower, upper
}

// drawWrite draws a write to a keyspace.
func (r *run) drawWrite(s *space) write {
	w := write{in: s, now: r.now, op: "pppppppttddmmr"[r.rand.IntN(14)], key: r.key()}
	if w.op == 'm' && s.op == nil {
		w.op = 'p'
	}
	switch w.op {
	case 'r':
		w.key, w.end = r.bounds()
		if r.rand.IntN(4) > 0 { // most delete little
			w.end = append(slices.Clone(w.key), '~')
		}
	case 'd':
	case 'm':
		w.value = r.operand(s.op)
	case 'p':
		w.value, w.ttl = r.valueFor(s.op), s.ttl
	default:
		w.value = r.valueFor(s.op)
		w.ttl = time.Duration(1+r.rand.IntN(20000)) * time.Millisecond
	}
	return w
}

// operand draws something to merge.
func (r *run) operand(op db.MergeOperator) []byte {
	switch op.Name() {
	case db.Counter().Name():
		return db.CounterBytes(r.rand.Int64N(1000) - 500)
	case db.Union().Name():
		return db.UnionBytes(fmt.Append(nil, r.rand.IntN(30)), fmt.Append(nil, r.rand.IntN(30)))
	}
	return fmt.Appendf(nil, "+%d", r.rand.IntN(100))
}

// valueFor draws a value that an operator can merge into.
func (r *run) valueFor(op db.MergeOperator) []byte {
	switch {
	case op != nil && op.Name() == db.Counter().Name():
		return db.CounterBytes(r.rand.Int64N(1000))
	case op != nil && op.Name() == db.Union().Name():
		return db.UnionBytes(r.value(), r.value())
	}
	return r.value()
}

// committed records that the store holds one more commit.
func (r *run) committed(writes []write, durable bool) {
	r.want = r.want.with(writes)
	r.log = append(r.log, r.want)
	r.commits = append(r.commits, madeCommit{writes: writes})
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
}

func (r *run) noteWrite(indent string, w *write) {
	r.note("%skeyspace %d: %c %q %d bytes end %q ttl %v", indent, w.in.id, w.op, w.key, len(w.value), w.end, w.ttl)
}

func (r *run) write() error {
	s, err := r.space()
	if err != nil {
		return err
	}
	if s.op == nil && r.rand.IntN(50) == 0 {
		if err := s.handle.Merge(r.key(), nil); !errors.Is(err, db.ErrNoMerge) {
			return fmt.Errorf("merge without an operator: %v", err)
		}
	}
	w := r.drawWrite(s)
	r.noteWrite("", &w)
	if err := w.do(r.writer(s)); err != nil {
		return err
	}
	r.committed([]write{w}, false)
	return nil
}

func (r *run) applyBatch() error {
	r.batch.Reset()
	n := r.rand.IntN(12)
	if r.rand.IntN(200) == 0 {
		n = r.rand.IntN(600) // larger than a small memtable
	}
	durable := r.rand.IntN(4) == 0
	r.note("batch of %d, sync %v", n, durable)
	writes := make([]write, n)
	for i := range writes {
		s, err := r.space()
		if err != nil {
			return err
		}
		writes[i] = r.drawWrite(s)
		r.noteWrite("  ", &writes[i])
		if err := writes[i].do(r.batched(s)); err != nil {
			return err
		}
	}
	d := db.NoSync
	if durable {
		d = db.Sync
	}
	if err := r.store.Apply(r.batch, d); err != nil {
		return err
	}
	r.committed(writes, durable)
	return nil
}

func (r *run) get() error {
	s, err := r.space()
	if err != nil {
		return err
	}
	return r.getFrom(r.reader(s), r.want[s.id])
}

func (r *run) getFrom(from db.Reader, want state) error {
	key := r.key()
	r.note("get %q", key)
	got, err := from.Get(key)
	value, ok := want.get(string(key), r.now)
	if err := same(key, got, err, value, ok); err != nil {
		return err
	}
	has, err := from.Has(key)
	if err != nil || has != ok {
		return fmt.Errorf("Has(%q) = %v, %v; want %v", key, has, err, ok)
	}
	return nil
}

// same compares what a read gave with what it should have given.
func same(key, got []byte, err error, want []byte, ok bool) error {
	switch {
	case !ok && errors.Is(err, db.ErrNotFound):
		return nil
	case ok && err == nil && got != nil && bytes.Equal(got, want):
		return nil
	}
	return fmt.Errorf("read of %q = %s, %v; want %s, %v", key, brief(got), err, brief(want), ok)
}

func brief(b []byte) string {
	if len(b) <= 40 {
		return fmt.Sprintf("%q", b)
	}
	return fmt.Sprintf("%q... (%d bytes)", b[:40], len(b))
}

func (r *run) multiGet() error {
	s, err := r.space()
	if err != nil {
		return err
	}
	keys := make([][]byte, r.rand.IntN(10))
	for i := range keys {
		keys[i] = r.key()
	}
	r.note("multiget of %d", len(keys))
	values, err := r.reader(s).MultiGet(keys...)
	if err != nil {
		return err
	}
	for i, key := range keys {
		want, ok := r.want[s.id].get(string(key), r.now)
		if (values[i] != nil) != ok || !bytes.Equal(values[i], want) {
			return fmt.Errorf("MultiGet: %q = %s; want %s, %v", key, brief(values[i]), brief(want), ok)
		}
	}
	return nil
}

// checkMetrics looks at what must hold of the figures.
func (r *run) checkMetrics() error {
	m := r.store.Metrics()
	if m.BackgroundError != nil {
		return m.BackgroundError
	}
	if m.Snapshots != len(r.snapshots) || m.Cursors != len(r.cursors) {
		return fmt.Errorf("%d snapshots, %d cursors open; want %d, %d", m.Snapshots, m.Cursors, len(r.snapshots), len(r.cursors))
	}
	if len(m.Keyspaces) != len(r.spaces)+1 {
		return fmt.Errorf("figures of %d keyspaces, want %d", len(m.Keyspaces), len(r.spaces)+1)
	}
	if names := r.store.Keyspaces(); !slices.Equal(names, r.names()) {
		return fmt.Errorf("keyspaces %q, want %q", names, r.names())
	}
	return nil
}
