package model

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/cordwood-db/cordwood/db"
)

// heldTx is an open transaction, what it must see, and what it relies on.
type heldTx struct {
	tx   *db.Tx
	opts db.TxOptions
	base world // as of its beginning
	view world // with its own writes
	own  []write
	from int // how many of run.changes there were when it began

	relies []stretch // a change there is a conflict
	passed []stretch // a change there may be one
	failed error     // of a write; that of the commit too
}

// stretch is keys of a keyspace: [lower, upper).
type stretch struct {
	in           *space
	lower, upper string
	open         bool // no upper end
}

func one(in *space, key []byte) stretch {
	return stretch{in: in, lower: string(key), upper: string(key) + "\x00"}
}

func stretchOf(in *space, rng db.Range) stretch {
	upper, bounded := rng.Upper()
	return stretch{in, string(rng.Lower()), string(upper), !bounded}
}

// has reports whether a key is in the stretch.
func (t *stretch) has(key string) bool {
	return key >= t.lower && (t.open || key < t.upper)
}

// meets reports whether two stretches have a key in common, and gives it.
func (t *stretch) meets(o stretch) (both stretch, ok bool) {
	both = stretch{t.in, max(t.lower, o.lower), t.upper, t.open}
	if t.open || !o.open && o.upper < t.upper {
		both.upper, both.open = o.upper, o.open
	}
	return both, t.in == o.in && (both.open || both.lower < both.upper)
}

// touched is the keys that a write changes.
func (w *write) touched() stretch {
	if w.op == 'r' {
		return stretch{w.in, string(w.key), string(w.end), w.end == nil}
	}
	return one(w.in, w.key)
}

// of is a view of the transaction.
func (h *heldTx) of(s *space) *db.Tx {
	if s.id == 0 {
		return h.tx
	}
	return h.tx.In(s.handle)
}

func (r *run) beginTx() error {
	if len(r.txs) >= 4 {
		return r.endTx(r.draw.IntN(len(r.txs)))
	}
	o := db.TxOptions{ReadOnly: r.draw.One(8), Isolation: db.Isolation(r.draw.IntN(2)),
		Durability: []db.Durability{db.DefaultDurability, db.NoSync, db.Sync}[r.draw.IntN(3)]}
	r.note("begin transaction %+v", o)
	tx, err := r.store.Begin(o)
	if err != nil {
		return err
	}
	r.txs = append(r.txs, &heldTx{tx: tx, opts: o, base: r.want, view: r.want, from: len(r.changes)})
	return nil
}

// useTx does something in an open transaction.
func (r *run) useTx() error {
	if len(r.txs) == 0 {
		return r.beginTx()
	}
	at := r.draw.IntN(len(r.txs))
	h := r.txs[at]
	s, err := r.space()
	if err != nil {
		return err
	}
	r.note("transaction %d, keyspace %d", at, s.id)
	switch n := r.draw.IntN(100); {
	case n < 35:
		return r.writeTx(h, s)
	case n < 60:
		return r.readTx(h, s)
	case n < 70:
		return r.scanTx(h, s)
	case n < 75:
		return r.walkTx(h, s)
	case n < 84:
		return r.conditionalTx(h, s)
	case n < 86:
		return r.useDeadTx(h)
	}
	return r.endTx(at)
}

func (r *run) writeTx(h *heldTx, s *space) error {
	w := r.drawWrite(s)
	r.noteWrite("", &w)
	err := w.do(h.of(s))
	if h.opts.ReadOnly {
		if !errors.Is(err, db.ErrTxReadOnly) {
			return fmt.Errorf("write in a read-only transaction: %v", err)
		}
		return nil
	}
	if h.failed != nil {
		return nil // it cannot commit any more
	}
	if err != nil {
		return err
	}
	h.own = append(h.own, w)
	h.view = h.view.with([]write{w})
	return nil
}

// ownOf says whether the transaction has touched a key, and whether what it has
// made of it does not depend on the store.
func (h *heldTx) ownOf(s *space, key []byte) (touched, known bool) {
	for i := range h.own {
		w := &h.own[i]
		if t := w.touched(); w.in != s || !t.has(string(key)) {
			continue
		}
		touched, known = true, known || w.op != 'm'
	}
	return touched, known
}

// relyOn notes that the transaction has read a key of the store.
func (h *heldTx) relyOn(s *space, key []byte, always bool) {
	if always || h.opts.Isolation == db.Serializable {
		h.relies = append(h.relies, one(s, key))
	}
}

func (r *run) readTx(h *heldTx, s *space) error {
	key, tx := r.key(), h.of(s)
	want, ok := h.view.of(s).get(string(key), r.now)
	touched, known := h.ownOf(s, key)
	switch r.draw.IntN(4) {
	case 0:
		r.note("  get for update %q", key)
		got, err := tx.GetForUpdate(key)
		if h.opts.ReadOnly {
			if !errors.Is(err, db.ErrTxReadOnly) {
				return fmt.Errorf("GetForUpdate in a read-only transaction: %v", err)
			}
			return nil
		}
		if !known {
			h.relyOn(s, key, true)
		}
		return same(key, got, err, want, ok)
	case 1:
		r.note("  has %q", key)
		if !touched {
			h.relyOn(s, key, false)
		}
		if has, err := tx.Has(key); err != nil || has != ok {
			return fmt.Errorf("Has(%q) = %v, %v; want %v", key, has, err, ok)
		}
		return nil
	case 2:
		r.note("  multiget %q", key)
		if !known {
			h.relyOn(s, key, false)
		}
		values, err := tx.MultiGet(key, key)
		if err == nil && (values[0] == nil || values[1] == nil) {
			err = db.ErrNotFound
			values = append(values, nil)
		}
		if len(values) < 2 {
			return err
		}
		return same(key, values[1], err, want, ok)
	}
	r.note("  get %q", key)
	if !known {
		h.relyOn(s, key, false)
	}
	if r.draw.One(3) {
		got, err := tx.AppendGet(nil, key)
		return same(key, got, err, want, ok)
	}
	got, err := tx.Get(key)
	return same(key, got, err, want, ok)
}

// scanTx scans a range, or the beginning of it, which is what the transaction
// relies on then.
func (r *run) scanTx(h *heldTx, s *space) error {
	rng := r.drawRange()
	all := stretchOf(s, rng)
	want := wanted(h.view.of(s), rng, r.now)
	backward, limit := r.draw.One(2), -1
	if backward {
		rng = rng.Backward()
		slices.Reverse(want)
	}
	if r.draw.One(2) {
		limit = r.draw.IntN(6)
	}
	r.note("  scan %q backward %v limit %d", rng.Lower(), backward, limit)
	i := 0
	for it, err := range h.of(s).Scan(rng) {
		if err != nil {
			return err
		}
		if i >= len(want) {
			return fmt.Errorf("scan: %q beyond the %d keys expected", it.Key(), len(want))
		}
		if err := sameItem(it, want[i], false); err != nil {
			return err
		}
		if i == limit {
			if all.lower = want[i].key; !backward {
				all = stretch{s, string(rng.Lower()), want[i].key + "\x00", false}
			}
			break
		}
		i++
	}
	if i < len(want) && i != limit {
		return fmt.Errorf("scan: ended after %d of %d keys", i, len(want))
	}
	if h.opts.Isolation == db.Serializable && (all.open || all.lower < all.upper) {
		h.relies = append(h.relies, all)
	}
	return nil
}

// walkTx moves a cursor about, and writes meanwhile, which it does not see.
func (r *run) walkTx(h *heldTx, s *space) error {
	rng := r.drawRange()
	c, err := h.of(s).NewCursor(rng)
	if err != nil {
		return err
	}
	walk := &heldCursor{cursor: c, items: wanted(h.view.of(s), rng, r.now), fresh: true}
	serial := h.opts.Isolation == db.Serializable
	if serial {
		h.passed = append(h.passed, stretchOf(s, rng))
	}
	for range 1 + r.draw.IntN(12) {
		if r.draw.One(6) {
			err = r.writeTx(h, s)
		} else {
			err = r.moveOnce(walk)
		}
		if err != nil {
			return errors.Join(err, c.Close())
		}
		if serial && c.Valid() {
			h.relies = append(h.relies, one(s, c.Key()))
		}
	}
	return c.Close()
}

func (r *run) useDeadTx(h *heldTx) error {
	if len(r.dead) == 0 {
		return nil
	}
	s := r.dead[r.draw.IntN(len(r.dead))]
	if r.draw.One(2) || h.opts.ReadOnly {
		r.note("  get of dropped keyspace %d", s.id)
		if _, err := h.of(s).Get(r.key()); !errors.Is(err, db.ErrKeyspaceDropped) {
			return fmt.Errorf("read of a dropped keyspace in a transaction: %v", err)
		}
		return nil
	}
	r.note("  write to dropped keyspace %d", s.id)
	w := r.drawWrite(s)
	if err := w.do(h.of(s)); !errors.Is(err, db.ErrKeyspaceDropped) {
		return fmt.Errorf("write to a dropped keyspace in a transaction: %v", err)
	}
	if h.failed == nil {
		h.failed = db.ErrKeyspaceDropped
	}
	return nil
}

// endTx commits a transaction, or discards it.
func (r *run) endTx(at int) error {
	h := r.txs[at]
	r.txs = slices.Delete(r.txs, at, at+1)
	if r.draw.One(4) {
		r.note("discard transaction %d", at)
		h.tx.Discard()
		return nil
	}
	r.note("commit transaction %d: %d writes, relies on %d, passed %d", at, len(h.own), len(h.relies), len(h.passed))
	must, may := r.conflicts(h)
	err := h.tx.Commit()
	if errors.Is(err, db.ErrConflict) {
		r.refused++
	}
	h.tx.Discard() // does nothing
	switch {
	case h.failed != nil:
		if !errors.Is(err, h.failed) {
			return fmt.Errorf("commit after a failed write: %v", err)
		}
	case slices.ContainsFunc(h.own, func(w write) bool { return w.in.dropped }):
		if !errors.Is(err, db.ErrKeyspaceDropped) && !errors.Is(err, db.ErrConflict) {
			return fmt.Errorf("commit of writes to a dropped keyspace: %v", err)
		}
	case errors.Is(err, db.ErrConflict) && may == "":
		return errors.New("the transaction conflicts with nothing")
	case err == nil && must != "":
		return fmt.Errorf("the transaction should have conflicted: %s", must)
	case err == nil && len(h.own) > 0:
		if err := r.committed(h.own, r.syncs(h.opts.Durability)); err != nil {
			return err
		}
	case err != nil && !errors.Is(err, db.ErrConflict):
		return err
	}
	if _, err := h.tx.Get(nil); !errors.Is(err, db.ErrTxDone) {
		return fmt.Errorf("use of a transaction that is done: %v", err)
	}
	return nil
}

// endSomeTx ends one of the transactions.
func (r *run) endSomeTx() error {
	if len(r.txs) == 0 {
		return r.beginTx()
	}
	return r.endTx(r.draw.IntN(len(r.txs)))
}

// conflicts says why the commit of the transaction must fail, and why it may.
func (r *run) conflicts(h *heldTx) (must, may string) {
	if len(h.own) == 0 {
		return "", ""
	}
	relies := h.relies
	if h.opts.Isolation == db.SnapshotIsolation {
		relies = slices.Clone(relies)
		for i := range h.own {
			if h.own[i].op != 'm' {
				relies = append(relies, h.own[i].touched())
			}
		}
	}
	for i := range relies {
		if relies[i].in.dropped {
			why := fmt.Sprintf("keyspace %d was dropped", relies[i].in.id)
			return why, why
		}
		hard, soft := r.changed(h, &relies[i])
		if hard != "" {
			return hard, hard
		}
		may += soft
	}
	for i := range h.passed {
		hard, soft := r.changed(h, &h.passed[i])
		may += hard + soft
		if h.passed[i].in.dropped {
			may += "dropped"
		}
	}
	return "", may
}

// changed looks for a commit since the transaction's beginning that wrote to a
// stretch. It is not certain to be found if it left nothing where there was
// nothing before: a compaction may have taken all of that away.
func (r *run) changed(h *heldTx, t *stretch) (hard, soft string) {
	for i := h.from; i < len(r.changes); i++ {
		w := &r.changes[i]
		both, ok := t.meets(w.touched())
		if !ok {
			continue
		}
		soft = fmt.Sprintf("%c %q in [%q, %q)", w.op, w.key, t.lower, t.upper)
		before, now := h.base.of(t.in), r.want.of(t.in)
		if w.op != 'r' {
			_, was := before.get(string(w.key), r.now)
			_, is := now.get(string(w.key), r.now)
			if was || is {
				return soft, soft
			}
			continue
		}
		if len(before.items([]byte(both.lower), []byte(both.upper), !both.open, r.now)) > 0 {
			return soft, soft
		}
	}
	return "", soft
}

// update lets the store begin and commit a transaction that adds to a key what
// it read; nobody disturbs it.
func (r *run) update() error {
	s, err := r.space()
	if err != nil {
		return err
	}
	key, calls := r.key(), 0
	w := r.drawWrite(s)
	r.note("update %q of keyspace %d", key, s.id)
	r.noteWrite("  ", &w)
	want, ok := r.want.of(s).get(string(key), r.now)
	fn := func(tx *db.Tx) error {
		calls++
		got, err := tx.In(s.handle).Get(key)
		if err := same(key, got, err, want, ok); err != nil {
			return err
		}
		if r.draw.One(8) {
			return errStop
		}
		return w.do(tx.In(s.handle))
	}
	switch err := r.store.Update(context.Background(), fn); {
	case calls != 1:
		return fmt.Errorf("function of an Update called %d times, %v", calls, err)
	case errors.Is(err, errStop):
		return nil
	case err != nil:
		return err
	}
	if err := r.committed([]write{w}, r.syncs(db.DefaultDurability)); err != nil {
		return err
	}
	return r.store.View(func(tx *db.Tx) error {
		return r.getFrom(tx.In(s.handle), r.want.of(s))
	})
}

var errStop = errors.New("stop")

// updateBeaten lets the store try a transaction that others get before: as often
// as is said, or until they leave it alone.
func (r *run) updateBeaten() error {
	s, err := r.space()
	if err != nil {
		return err
	}
	o := db.TxOptions{Isolation: db.Isolation(r.draw.IntN(2)), TriesMax: 1 + r.draw.IntN(3), Durability: db.Durability(r.draw.IntN(3))}
	beaten, key := r.draw.IntN(5), r.key()
	w := write{in: s, now: r.now, op: 'p', key: key, value: r.valueFor(s.op), ttl: s.ttl}
	r.note("update %q of keyspace %d, %d tries, beaten %d times", key, s.id, o.TriesMax, beaten)
	calls := 0
	err = r.store.UpdateWith(context.Background(), o, func(tx *db.Tx) error {
		calls++
		want, ok := r.want.of(s).get(string(key), r.now)
		got, err := tx.In(s.handle).GetForUpdate(key)
		if err := same(key, got, err, want, ok); err != nil {
			return err
		}
		if calls <= beaten {
			other := write{in: s, now: r.now, op: 'p', key: key, value: r.valueFor(s.op), ttl: s.ttl}
			if err := other.do(s.handle); err != nil {
				return err
			}
			if err := r.committed([]write{other}, r.syncs(db.DefaultDurability)); err != nil {
				return err
			}
		}
		return w.do(tx.In(s.handle))
	})
	r.refused += uint64(min(beaten, o.TriesMax))
	switch {
	case beaten >= o.TriesMax:
		if !errors.Is(err, db.ErrConflict) || calls != o.TriesMax {
			return fmt.Errorf("%d tries, beaten %d times: %d calls, %v", o.TriesMax, beaten, calls, err)
		}
		return nil
	case err != nil || calls != beaten+1:
		return fmt.Errorf("beaten %d times: %d calls, %v", beaten, calls, err)
	}
	return r.committed([]write{w}, r.syncs(o.Durability))
}
