package db

import (
	"cmp"
	"sync"
	"time"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/commit"
)

// Put sets key to value, with the store's default durability.
func (ks *Keyspace) Put(key, value []byte) error {
	q := newRequest()
	defer q.free()
	if err := q.own.put(ks, key, value, false); err != nil {
		return err
	}
	return ks.db.commit(q, &q.own, DefaultDurability)
}

// PutTTL sets key to value until ttl from now by Options.Clock, with the
// store's default durability. From then on the key has no value: what it had
// before does not show again. ttl is positive.
func (ks *Keyspace) PutTTL(key, value []byte, ttl time.Duration) error {
	q := newRequest()
	defer q.free()
	if err := q.own.putTTL(ks, key, value, ttl, ks.db.clock(), false); err != nil {
		return err
	}
	return ks.db.commit(q, &q.own, DefaultDurability)
}

// Delete removes key, with the store's default durability. It is no error if
// there is none.
func (ks *Keyspace) Delete(key []byte) error {
	q := newRequest()
	defer q.free()
	if err := q.own.add(ks, base.KindDelete, key, nil); err != nil {
		return err
	}
	return ks.db.commit(q, &q.own, DefaultDurability)
}

// DeleteRange removes every key of r at a cost that does not depend on how
// many there are, with the store's default durability.
func (ks *Keyspace) DeleteRange(r Range) error {
	q := newRequest()
	defer q.free()
	if err := q.own.deleteRange(ks, r); err != nil {
		return err
	}
	return ks.db.commit(q, &q.own, DefaultDurability)
}

// Merge adds an operand for the keyspace's merge operator to key, with the
// store's default durability. Nothing is read: operands are combined when the
// key is. ErrNoMerge if there is no operator.
func (ks *Keyspace) Merge(key, operand []byte) error {
	q := newRequest()
	defer q.free()
	if err := q.own.addMerge(ks, key, operand); err != nil {
		return err
	}
	return ks.db.commit(q, &q.own, DefaultDurability)
}

// Put is [Keyspace.Put] of the default keyspace.
func (db *DB) Put(key, value []byte) error { return db.main.Put(key, value) }

// PutTTL is [Keyspace.PutTTL] of the default keyspace.
func (db *DB) PutTTL(key, value []byte, ttl time.Duration) error {
	return db.main.PutTTL(key, value, ttl)
}

// Delete is [Keyspace.Delete] of the default keyspace.
func (db *DB) Delete(key []byte) error { return db.main.Delete(key) }

// DeleteRange is [Keyspace.DeleteRange] of the default keyspace.
func (db *DB) DeleteRange(r Range) error { return db.main.DeleteRange(r) }

// Merge is [Keyspace.Merge] of the default keyspace.
func (db *DB) Merge(key, operand []byte) error { return db.main.Merge(key, operand) }

// Apply commits the batch: all of it or nothing. The batch is not changed and
// may be applied again; it must not be used by others meanwhile.
func (db *DB) Apply(b *Batch, d Durability) error {
	if b.err != nil {
		return b.err
	}
	q := newRequest()
	defer q.free()
	return db.commit(q, b, d)
}

// request is one commit on its way through the pipeline.
type request struct {
	commit.Request
	batch *Batch
	own   Batch       // for the direct writes
	first base.SeqNum // of its operations; set by the leader
	last  base.SeqNum // likewise
	check *txCheck    // nil unless it is a transaction's
}

var requests = sync.Pool{New: func() any { return new(request) }}

func newRequest() *request { return requests.Get().(*request) }

// ownBytesMax is how much memory a pooled request may keep.
const ownBytesMax = 64 * kib

func (q *request) free() {
	q.own.Reset()
	if cap(q.own.ops) > ownBytesMax {
		q.own.ops = nil
	}
	q.batch, q.check = nil, nil
	requests.Put(q)
}

// carry makes q the commit of b.
func (q *request) carry(b *Batch, d Durability) {
	q.batch = b
	q.Request.Sync = d == Sync
	q.Request.Bytes = int(min(b.bytes, 1<<30))
	q.Request.Batch = q
}

// durability is d, or what the default stands for.
func (db *DB) durability(d Durability) Durability {
	if d == DefaultDurability {
		return db.opts.Durability
	}
	return d
}

// commit runs a batch through the pipeline.
func (db *DB) commit(q *request, b *Batch, d Durability) error {
	d = db.durability(d)
	if err := db.checkUses(b); err != nil {
		return err
	}
	if b.count == 0 {
		if d == Sync {
			return db.Sync()
		}
		return db.writable()
	}
	if err := b.checkInline(db.main, inlineBytesMax); err != nil {
		return err
	}
	if err := db.admit(b.bytes); err != nil {
		return err
	}
	if len(b.large) > 0 {
		db.sampleReplaced(b)
	}
	q.carry(b, d)
	start := time.Now()
	err := db.submit(q)
	db.metrics.commit.record(time.Since(start))
	if err != nil {
		return classify(err)
	}
	return nil
}

// checkUses checks the keyspaces that a batch writes to.
func (db *DB) checkUses(b *Batch) error {
	for _, u := range b.uses {
		ks := cmp.Or(u.ks, db.main)
		switch {
		case ks.db != db:
			return errForeignKeyspace
		case ks.dropped.Load():
			return ks.droppedErr()
		case u.merge && ks.merge() == nil:
			return ErrNoMerge
		}
	}
	return nil
}

// writable is the error that a write would get now, if any.
func (db *DB) writable() error {
	if db.state.Load() == nil {
		return ErrClosed
	}
	return db.readOnlyErr()
}

// Sync makes every commit that returned before the call survive power loss.
func (db *DB) Sync() error {
	if err := db.writable(); err != nil {
		return err
	}
	if err := db.syncLogs(); err != nil {
		return db.fail(err)
	}
	return nil
}
