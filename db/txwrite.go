package db

import (
	"errors"
	"time"

	"github.com/cordwood-db/cordwood/internal/base"
)

// Put sets key to value in the transaction.
func (t *Tx) Put(key, value []byte) error {
	return t.write(func(b *Batch) error { return b.put(t.ks, key, value, true) })
}

// PutTTL sets key to value until ttl from now, which is when it is called, and
// not when the transaction commits. ttl is positive.
func (t *Tx) PutTTL(key, value []byte, ttl time.Duration) error {
	return t.write(func(b *Batch) error {
		return b.putTTL(t.ks, key, value, ttl, t.ks.db.clock(), true)
	})
}

// Delete removes key in the transaction; it is no error if there is none.
func (t *Tx) Delete(key []byte) error {
	return t.write(func(b *Batch) error { return b.add(t.ks, base.KindDelete, key, nil) })
}

// DeleteRange removes every key of r in the transaction, as it will be when it
// commits: also those that others put there in the meantime.
func (t *Tx) DeleteRange(r Range) error {
	return t.write(func(b *Batch) error { return b.deleteRange(t.ks, r) })
}

// Merge adds an operand for the keyspace's merge operator to key. It relies on
// no value of key: transactions that only merge do not conflict.
func (t *Tx) Merge(key, operand []byte) error {
	return t.write(func(b *Batch) error {
		if t.ks.merge() == nil {
			return b.fail(ErrNoMerge)
		}
		return b.addMerge(t.ks, key, operand)
	})
}

// write adds to the transaction's batch. As in a Batch, the first write that
// fails makes the commit fail.
func (t *Tx) write(add func(*Batch) error) error {
	c, err := t.enter()
	if err != nil {
		return err
	}
	defer t.leave()
	if c.opts.ReadOnly {
		return ErrTxReadOnly
	}
	if t.ks.dropped.Load() {
		return c.own.batch.fail(t.ks.droppedErr())
	}
	return add(&c.own.batch)
}

// commit commits the writes, once what the transaction relies on is checked.
func (c *txCore) commit() error {
	c.closeCursors()
	c.check.reach = 0
	b := &c.own.batch
	if b.err != nil {
		return b.err
	}
	if b.count == 0 {
		// It saw the store as it was at one moment, which was while it ran.
		return nil
	}
	if c.opts.Isolation == SnapshotIsolation {
		if err := c.read.addWrites(b); err != nil {
			return err
		}
	}
	q := newRequest()
	defer q.free()
	c.check = txCheck{read: &c.read, seen: c.seq, spaces: c.check.spaces[:0]}
	if !c.read.empty() {
		c.read.seal()
		q.check = &c.check
	}
	err := c.check.findSpaces(c.db)
	if err == nil {
		err = c.db.commit(q, b, c.opts.Durability)
	}
	if errors.Is(err, ErrConflict) {
		c.db.metrics.conflicts.Add(1)
	}
	return err
}

// addWrites adds what a batch writes, other than merges.
func (r *readSet) addWrites(b *Batch) error {
	var it batchIter
	for {
		op, _, ok, err := it.next(b)
		if err != nil || !ok {
			return err
		}
		switch op.Kind.Op() {
		case base.KindMerge:
		case base.KindRangeDelete:
			r.addRange(op.Keyspace, op.Key, op.Payload, false)
		default:
			r.addKey(op.Keyspace, op.Key)
		}
	}
}
