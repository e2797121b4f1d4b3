package db

import (
	"errors"
	"iter"

	"github.com/cordwood-db/cordwood/internal/base"
)

// Get is Keyspace.Get as the transaction sees it.
func (t *Tx) Get(key []byte) ([]byte, error) { return t.AppendGet(nil, key) }

// AppendGet is Keyspace.AppendGet as the transaction sees it.
func (t *Tx) AppendGet(dst, key []byte) ([]byte, error) {
	c, err := t.enter()
	if err != nil {
		return dst, err
	}
	defer t.leave()
	return c.appendGet(dst, t.ks, key, c.opts.Isolation == Serializable)
}

// GetForUpdate is Get, and under SnapshotIsolation makes the commit fail with
// ErrConflict if another one has written the key in the meantime. Under
// Serializable, Get does that too. A read-only transaction gives ErrTxReadOnly.
func (t *Tx) GetForUpdate(key []byte) ([]byte, error) {
	c, err := t.enter()
	if err != nil {
		return nil, err
	}
	defer t.leave()
	if c.opts.ReadOnly {
		return nil, ErrTxReadOnly
	}
	return c.appendGet(nil, t.ks, key, true)
}

// Has is Keyspace.Has as the transaction sees it.
func (t *Tx) Has(key []byte) (bool, error) {
	c, err := t.enter()
	if err != nil {
		return false, err
	}
	defer t.leave()
	r, err := c.reader(t.ks)
	if err != nil {
		return false, err
	}
	defer r.release()
	own, err := c.own.lookup(t.ks.num, key, r.db.now(r.s.version))
	switch {
	case err != nil:
		return false, err
	case len(own.operands) > 0:
		return true, nil
	case own.known:
		return own.found, nil
	}
	c.note(t.ks, key, c.opts.Isolation == Serializable)
	return r.has(key)
}

// MultiGet is Keyspace.MultiGet as the transaction sees it.
func (t *Tx) MultiGet(keys ...[]byte) ([][]byte, error) {
	c, err := t.enter()
	if err != nil {
		return nil, err
	}
	defer t.leave()
	return c.multiGet(t.ks, keys)
}

// multiGet is MultiGet: keys that the transaction has written to come from
// there, one by one, all others from the store at once.
func (c *txCore) multiGet(ks *Keyspace, keys [][]byte) ([][]byte, error) {
	r, err := c.reader(ks)
	if err != nil {
		return nil, err
	}
	defer r.release()
	check := c.opts.Isolation == Serializable
	values := make([][]byte, len(keys))
	var rest [][]byte
	var places []int
	for i, key := range keys {
		own, err := c.own.lookup(ks.num, key, r.db.now(r.s.version))
		if err != nil {
			return nil, err
		}
		if !own.known {
			c.note(ks, key, check)
		}
		if own.none() {
			rest, places = append(rest, key), append(places, i)
			continue
		}
		if values[i], err = r.appendOwn(nil, key, &own); err != nil && !errors.Is(err, ErrNotFound) {
			return nil, err
		}
	}
	found, err := r.multiGet(rest)
	if err != nil {
		return nil, err
	}
	for i, place := range places {
		values[place] = found[i]
	}
	return values, nil
}

// NewCursor is Keyspace.NewCursor as the transaction sees it: with the writes
// that it had made when the cursor was opened. The cursor is closed when the
// transaction ends. A transaction relies on what its cursors have passed over,
// and on no more of their ranges.
func (t *Tx) NewCursor(r Range) (*Cursor, error) {
	c, err := t.enter()
	if err != nil {
		return nil, err
	}
	defer t.leave()
	return c.newCursor(t, r)
}

// Scan is Keyspace.Scan as the transaction sees it, with the writes that it had
// made when the loop begins. The body of the loop may use the transaction.
func (t *Tx) Scan(r Range) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		c, err := t.NewCursor(r)
		scan(c, err, yield)
	}
}

// reader reads a keyspace as of the transaction's beginning.
func (c *txCore) reader(ks *Keyspace) (reader, error) {
	state := c.pin.acquire(c.db, ks)
	if state == nil {
		return reader{}, ErrClosed
	}
	// In this order, as in a Snapshot.
	if c.closed.Load() {
		c.db.release(state)
		return reader{}, ErrClosed
	}
	r, err := ks.readerAt(state, c.seq)
	r.own = &c.own
	return r, err
}

// note records that the store was asked for key.
func (c *txCore) note(ks *Keyspace, key []byte, check bool) {
	if check && !c.opts.ReadOnly {
		c.read.addKey(ks.num, key)
	}
}

// appendGet is AppendGet; check says whether the commit relies on it.
func (c *txCore) appendGet(dst []byte, ks *Keyspace, key []byte, check bool) ([]byte, error) {
	r, err := c.reader(ks)
	if err != nil {
		return dst, err
	}
	defer r.release()
	now := r.db.now(r.s.version)
	own, err := c.own.lookup(ks.num, key, now)
	if err != nil {
		return dst, err
	}
	if own.none() {
		c.note(ks, key, check)
		return r.appendGet(dst, key)
	}
	if !own.known {
		c.note(ks, key, check)
	}
	return r.appendOwn(dst, key, &own)
}

// appendOwn appends to dst the value of a key that the transaction has touched.
func (r *reader) appendOwn(dst, key []byte, own *ownValue) ([]byte, error) {
	if len(own.operands) == 0 {
		if !own.found {
			return dst, ErrNotFound
		}
		if dst == nil {
			dst = make([]byte, 0, len(own.value))
		}
		return append(dst, own.value...), nil
	}
	below, found := own.value, own.found
	if !own.known {
		var err error
		if below, err = r.appendGet(nil, key); err != nil && !errors.Is(err, ErrNotFound) {
			return dst, err
		}
		found = err == nil
	}
	op := r.ks.merge()
	if op == nil {
		return dst, ErrNoMerge
	}
	return appendMerge(dst, op, key, below, found, own.operands)
}

// readOwn appends to dst the value that a pointer into the transaction's own
// writes names.
func (r *reader) readOwn(dst, enc []byte) ([]byte, error) {
	value, err := r.own.largeValue(enc)
	if err != nil {
		return dst, err
	}
	if dst == nil {
		dst = make([]byte, 0, len(value))
	}
	return append(dst, value...), nil
}

// isOwn reports whether seq is that of a transaction's own write.
func isOwn(seq base.SeqNum) bool { return seq > ownSeqMin }
