package model

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/cordwood-db/cordwood/db"
)

// conditionalTx does a write in a transaction that depends on what its key has
// there. The commit relies on that, whatever the isolation.
func (r *run) conditionalTx(h *heldTx, s *space) error {
	if h.failed != nil {
		return nil // it cannot commit any more
	}
	key, tx := r.key(), h.of(s)
	have, ok := h.view.of(s).get(string(key), r.now)
	if ok && have == nil {
		have = []byte{}
	}
	if _, known := h.ownOf(s, key); !known && !h.opts.ReadOnly {
		h.relyOn(s, key, true)
	}
	w := write{in: s, now: r.now, op: 'p', key: key, value: r.valueFor(s.op), ttl: s.ttl}
	var wrote bool
	var err error
	switch n := r.draw.IntN(4); {
	case n == 0:
		r.note("  put if absent %q", key)
		wrote, err = tx.PutIfAbsent(key, w.value)
		if err == nil && wrote == ok {
			return fmt.Errorf("PutIfAbsent(%q) = %v over %s", key, wrote, brief(have))
		}
	case n == 1:
		wrote, err = r.swapTx(tx, &w, have)
	case n == 2 || s.op != nil && s.op.Name() == db.Union().Name(): // which cannot merge numbers
		r.note("  get and delete %q", key)
		var got []byte
		got, err = tx.GetAndDelete(key)
		w.op, w.value, w.ttl = 'd', nil, 0
		if wrote = err == nil; !h.opts.ReadOnly {
			if err := same(key, got, err, have, ok); err != nil || !ok {
				return err
			}
		}
	default:
		wrote, err = r.addTx(tx, &w, have)
	}
	switch {
	case h.opts.ReadOnly:
		if !errors.Is(err, db.ErrTxReadOnly) {
			return fmt.Errorf("conditional write in a read-only transaction: %v", err)
		}
		return nil
	case err != nil:
		return err
	case wrote:
		h.own = append(h.own, w)
		h.view = h.view.with([]write{w})
	}
	return nil
}

// swapTx swaps for the right value or another one.
func (r *run) swapTx(tx *db.Tx, w *write, have []byte) (wrote bool, err error) {
	old := have
	if r.draw.One(3) {
		old = r.value()
	}
	value := w.value
	if r.draw.One(4) && old != nil {
		w.op, w.ttl, value = 'd', 0, nil
	}
	r.note("  compare and swap %q", w.key)
	wrote, err = tx.CompareAndSwap(w.key, old, value)
	if err == nil && wrote != equal(old, have) {
		err = fmt.Errorf("CompareAndSwap(%q, %s) = %v over %s", w.key, brief(old), wrote, brief(have))
	}
	return wrote, err
}

// addTx adds to a number, or to what is none.
func (r *run) addTx(tx *db.Tx, w *write, have []byte) (wrote bool, err error) {
	delta, before := int64(r.draw.IntN(100))-50, int64(0)
	r.note("  add %d to %q", delta, w.key)
	sum, err := tx.Add(w.key, delta)
	if errors.Is(err, db.ErrTxReadOnly) {
		return false, err
	}
	if have != nil {
		n, bad := db.CounterValue(have)
		if bad != nil {
			if err == nil {
				return false, fmt.Errorf("Add(%q) to %s gave %d", w.key, brief(have), sum)
			}
			return false, nil
		}
		before = n
	}
	if err != nil || sum != before+delta {
		return false, fmt.Errorf("Add(%q, %d) = %d, %v over %d", w.key, delta, sum, err, before)
	}
	w.value = db.CounterBytes(sum)
	if bytes.Equal(w.value, have) && delta != 0 {
		return false, fmt.Errorf("Add(%q, %d) changed nothing", w.key, delta)
	}
	return true, nil
}
