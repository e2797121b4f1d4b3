package fault

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"

	"github.com/cordwood-db/cordwood/db"
	"github.com/cordwood-db/cordwood/test/crash"
)

// writer is one of a crew. It alone writes its keys, all of which begin with its
// name, and its keyspace.
type writer struct {
	crew  *crew
	id    int
	rand  *rand.Rand
	batch *db.Batch
	store *db.DB // the batch's
	ks    *db.Keyspace

	snap     *db.Snapshot // held open
	snapshot state

	mu      sync.Mutex // guards what follows, which others look at
	numbers int        // of the last commit begun
	acked   []*change  // since the store was opened; the first is what it held then
	history []*change  // acknowledged or found, ever
	pending *change
	failed  []*change // after the last one acknowledged: the next Open may find one
	lives   int
	life    int   // of the keyspace; 0: there is none
	maybe   []int // lives that the next Open may find, beside that one
	others  []int // lives that were possible before Open: see crew.took
}

// change is one commit.
type change struct {
	number       int
	writes       []crash.Write
	state        state // after it
	began, ended int64
	durable      bool
}

// place is a key in a life of the writer's keyspace; 0: in the default one.
type place struct {
	life int
	key  string
}

// state is what a writer's commits have left. It is never changed.
type state map[place]string

func newWriter(c *crew, id int) *writer {
	empty := []*change{{state: state{}}}
	return &writer{crew: c, id: id, rand: rand.New(rand.NewPCG(c.seed, uint64(10+id))), acked: empty, history: empty}
}

// name begins every key.
func (w *writer) name() string { return fmt.Sprintf("w%d/", w.id) }

// marker is the key that each commit writes its number to. It is the first.
func (w *writer) marker() string { return w.name() + "#" }

func (w *writer) space() string { return fmt.Sprintf("space%d", w.id) }

const writerKeys = 12

func (w *writer) key() string { return fmt.Sprintf("%s%02d", w.name(), w.rand.IntN(writerKeys)) }

// now is what the writer must read.
func (w *writer) now() state { return w.acked[len(w.acked)-1].state }

// begin takes over the store after it was opened. Opening a keyspace that is
// there changes no file.
func (w *writer) begin() (err error) {
	if w.crew.store == w.store {
		return nil
	}
	w.store, w.batch, w.ks = w.crew.store, w.crew.store.NewBatch(), nil
	if w.life > 0 {
		w.ks, err = w.store.Keyspace(w.space(), &db.KeyspaceOptions{Merge: db.Append(), MustExist: true})
	}
	return err
}

// step does one thing.
func (w *writer) step() error {
	switch n := w.rand.IntN(20); {
	case n < 13:
		return w.judge(w.commit(nil))
	case n < 14:
		return w.judge(w.commit(w.large()))
	case n < 16:
		return w.changeSpace()
	case n < 17:
		return w.hold()
	}
	return w.compare()
}

// judge is about the error of a commit.
func (w *writer) judge(err error) error {
	if err == nil || errors.Is(err, db.ErrReadOnly) || errors.Is(err, db.ErrDiskFull) || refuses(err) {
		return w.crew.judge(err, true)
	}
	return fmt.Errorf("a commit fails with neither ErrReadOnly nor ErrDiskFull: %w", err)
}

// draw makes some writes.
func (w *writer) draw() []crash.Write {
	writes := make([]crash.Write, 1+w.rand.IntN(4))
	for i := range writes {
		c := crash.Write{Op: "ppppdm"[w.rand.IntN(6)], Key: w.key()}
		if w.rand.IntN(12) == 0 {
			c.Op, c.End = 'r', w.key()+"+"
			if c.End < c.Key {
				c.Key, c.End = c.End, c.Key
			}
		}
		switch c.Op {
		case 'p':
			c.Value = w.value(c.Key, 8+w.rand.IntN(300))
		case 'm':
			c.Value = w.value("+", 6+w.rand.IntN(12))
		}
		if w.life > 0 && w.rand.IntN(3) == 0 {
			c.Space = w.space()
		}
		writes[i] = c
	}
	return writes
}

// large is a commit that does not fit into a memtable.
func (w *writer) large() []crash.Write {
	writes := make([]crash.Write, writerKeys)
	for i := range writes {
		key := fmt.Sprintf("%s%02d", w.name(), i)
		writes[i] = crash.Write{Op: 'p', Key: key, Value: w.value(key, 400+w.rand.IntN(400))}
	}
	return writes
}

// value is one that no other write has.
func (w *writer) value(key string, n int) []byte {
	s := fmt.Appendf(nil, "%d.%d.%s.", w.id, w.numbers+1, key)
	for len(s) < n {
		s = append(s, byte('a'+w.rand.IntN(26)))
	}
	return s
}

// after is the state with the writes done.
func (s state) after(writes []crash.Write, life int) state {
	next := maps.Clone(s)
	for _, c := range writes {
		at := place{key: c.Key}
		if c.Space != "" {
			at.life = life
		}
		switch c.Op {
		case 'p':
			next[at] = string(c.Value)
		case 'm':
			next[at] += string(c.Value)
		case 'd':
			delete(next, at)
		case 'r':
			maps.DeleteFunc(next, func(p place, _ string) bool {
				return p.life == at.life && p.key >= c.Key && p.key < c.End
			})
		}
	}
	return next
}

// commit makes a commit of the writes, or of some that it draws.
func (w *writer) commit(writes []crash.Write) error {
	if writes == nil {
		writes = w.draw()
	}
	w.numbers++
	writes = append(writes, crash.Write{Op: 'p', Key: w.marker(), Value: strconv.AppendInt(nil, int64(w.numbers), 10)})
	c := &change{number: w.numbers, writes: writes, state: w.now().after(writes, w.life), durable: w.rand.IntN(4) == 0}
	w.mu.Lock()
	c.began, w.pending = w.crew.tick(), c
	w.mu.Unlock()
	readOnly := w.crew.readOnly.Load()
	var err error
	if w.rand.IntN(3) == 0 {
		err = w.applyTx(c)
	} else {
		err = w.apply(c)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pending, c.ended = nil, w.crew.tick()
	w.crew.note("writer %d: commit %d of %d, durable %v: %v", w.id, c.number, len(c.writes), c.durable, err)
	if err != nil {
		w.failed = append(w.failed, c)
		if readOnly && !errors.Is(err, db.ErrReadOnly) {
			return errors.Join(err, errors.New("a write to a read-only store gives another error"))
		}
		return err
	}
	w.acked, w.history, w.failed = append(w.acked, c), append(w.history, c), nil
	w.crew.took.Store(true)
	if c.durable {
		w.crew.settled(c.began)
	}
	if readOnly {
		return errors.New("a read-only store takes a write")
	}
	return nil
}

func (w *writer) durability(c *change) db.Durability {
	if c.durable {
		return db.Sync
	}
	return db.NoSync
}

func (w *writer) apply(c *change) error {
	w.batch.Reset()
	for _, write := range c.writes {
		to := db.Writer(w.batch)
		if write.Space != "" {
			to = w.batch.In(w.ks)
		}
		if err := do(to, write); err != nil {
			return err
		}
	}
	return w.store.Apply(w.batch, w.durability(c))
}

// applyTx commits by way of a transaction that first reads.
func (w *writer) applyTx(c *change) error {
	tx, err := w.store.Begin(db.TxOptions{Durability: w.durability(c)})
	if err != nil {
		return err
	}
	defer tx.Discard()
	key := w.key()
	if got, err := tx.Get([]byte(key)); !w.reads(place{key: key}, got, err) {
		w.crew.report(fmt.Errorf("transaction: Get(%s): %q, %w", key, got, err))
	}
	for _, write := range c.writes {
		to := db.Writer(tx)
		if write.Space != "" {
			to = tx.In(w.ks)
		}
		if err := do(to, write); err != nil {
			return err
		}
	}
	return tx.Commit()
}

func do(to db.Writer, c crash.Write) error {
	switch c.Op {
	case 'p':
		return to.Put([]byte(c.Key), c.Value)
	case 'd':
		return to.Delete([]byte(c.Key))
	case 'r':
		return to.DeleteRange(db.Between([]byte(c.Key), []byte(c.End)))
	}
	return to.Merge([]byte(c.Key), c.Value)
}

// reads reports whether the answer to a Get is right.
func (w *writer) reads(at place, got []byte, err error) bool {
	want, ok := w.now()[at]
	switch {
	case errors.Is(err, db.ErrNotFound):
		return !ok
	case err != nil:
		return w.crew.judgeRead(err) == nil
	}
	return ok && string(got) == want
}

// changeSpace makes the keyspace, or drops it.
func (w *writer) changeSpace() error {
	w.mu.Lock()
	old, next := w.life, 0
	if old == 0 {
		w.lives++
		next = w.lives
	}
	w.maybe = append(w.maybe, next)
	w.mu.Unlock()
	var err error
	if old == 0 {
		w.ks, err = w.store.Keyspace(w.space(), &db.KeyspaceOptions{Merge: db.Append(), ValueThreshold: []int{0, -1, 40}[w.rand.IntN(3)]})
	} else {
		err = w.store.DropKeyspace(w.space())
	}
	w.crew.note("writer %d: keyspace from life %d to %d: %v", w.id, old, next, err)
	if err == nil {
		w.mu.Lock()
		w.life, w.maybe = next, nil
		w.mu.Unlock()
		w.crew.took.Store(true)
		return nil
	}
	return w.crew.judge(err, true)
}

// hold takes a snapshot and keeps it, or reads the one that it has kept.
func (w *writer) hold() (err error) {
	if w.snap == nil {
		w.snap, err = w.store.Snapshot()
		w.snapshot = w.now()
		return err
	}
	return w.release()
}

// release reads the snapshot that was kept and closes it.
func (w *writer) release() error {
	if w.snap == nil {
		return nil
	}
	snap := w.snap
	w.snap = nil
	err := w.compareRange("snapshot", snap, w.snapshot, 0)
	return errors.Join(err, snap.Close())
}

// compare reads all that the writer has written.
func (w *writer) compare() error {
	if w.rand.IntN(2) == 0 {
		key := w.key()
		if got, err := w.store.Get([]byte(key)); !w.reads(place{key: key}, got, err) {
			return fmt.Errorf("Get(%s) = %q, %w", key, got, err)
		}
	}
	if err := w.compareRange("store", w.store, w.now(), 0); err != nil || w.life == 0 {
		return err
	}
	return w.compareRange("keyspace", w.ks, w.now(), w.life)
}

// compareRange scans the writer's keys, which must be those of a state.
func (w *writer) compareRange(what string, from db.Reader, s state, life int) error {
	var items []crash.Item
	for it, err := range from.Scan(db.Prefix([]byte(w.name()))) {
		var value []byte
		if err == nil {
			value, err = it.Value()
		}
		if err != nil {
			return w.crew.judgeRead(err)
		}
		items = append(items, crash.Item{Key: string(it.Key()), Value: slices.Clone(value)})
	}
	if err := crash.Same(items, s.items(life)); err != nil {
		return fmt.Errorf("%s of writer %d: %w", what, w.id, err)
	}
	return nil
}

// items are the keys of a life, in order.
func (s state) items(life int) []crash.Item {
	var items []crash.Item
	for at, value := range s {
		if at.life == life {
			items = append(items, crash.Item{Key: at.key, Value: []byte(value)})
		}
	}
	slices.SortFunc(items, func(a, b crash.Item) int {
		if a.Key < b.Key {
			return -1
		}
		return 1
	})
	return items
}

// commitNumbered is the commit of a number, if the store may show it: it was
// acknowledged, or is on its way.
func (w *writer) commitNumbered(n int) *change {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.pending != nil && w.pending.number == n {
		return w.pending
	}
	i, ok := slices.BinarySearchFunc(w.history, n, func(c *change, n int) int { return c.number - n })
	if !ok {
		return nil
	}
	return w.history[i]
}

// last is the number of the commit acknowledged last.
func (w *writer) last() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.acked[len(w.acked)-1].number
}

var background = context.Background()
