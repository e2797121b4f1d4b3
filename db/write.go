package db

import (
	"sync"
	"time"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/commit"
)

// Put sets key to value, with the store's default durability.
func (db *DB) Put(key, value []byte) error {
	q := newRequest()
	defer q.free()
	if err := q.own.set(base.KindSet, key, 0, value, false); err != nil {
		return err
	}
	return db.commit(q, &q.own, DefaultDurability)
}

// PutTTL sets key to value until ttl from now by Options.Clock, with the
// store's default durability. From then on the key has no value: what it had
// before does not show again. ttl is positive.
func (db *DB) PutTTL(key, value []byte, ttl time.Duration) error {
	q := newRequest()
	defer q.free()
	if err := q.own.putTTL(key, value, ttl, db.clock(), false); err != nil {
		return err
	}
	return db.commit(q, &q.own, DefaultDurability)
}

// Delete removes key, with the store's default durability. It is no error if
// there is none.
func (db *DB) Delete(key []byte) error {
	q := newRequest()
	defer q.free()
	if err := q.own.Delete(key); err != nil {
		return err
	}
	return db.commit(q, &q.own, DefaultDurability)
}

// DeleteRange removes every key of r at a cost that does not depend on how
// many there are, with the store's default durability.
func (db *DB) DeleteRange(r Range) error {
	q := newRequest()
	defer q.free()
	if err := q.own.DeleteRange(r); err != nil {
		return err
	}
	return db.commit(q, &q.own, DefaultDurability)
}

// Merge adds an operand for Options.Merge to key, with the store's default
// durability. Nothing is read: operands are combined when the key is.
func (db *DB) Merge(key, operand []byte) error {
	q := newRequest()
	defer q.free()
	if err := q.own.Merge(key, operand); err != nil {
		return err
	}
	return db.commit(q, &q.own, DefaultDurability)
}

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
	q.batch = nil
	requests.Put(q)
}

// commit runs a batch through the pipeline.
func (db *DB) commit(q *request, b *Batch, d Durability) error {
	if d == DefaultDurability {
		d = db.opts.Durability
	}
	if b.merge && db.opts.Merge == nil {
		return ErrNoMerge
	}
	if b.count == 0 {
		if d == Sync {
			return db.Sync()
		}
		return db.writable()
	}
	if err := b.checkInline(db.opts.ValueThreshold, inlineBytesMax); err != nil {
		return err
	}
	if err := db.admit(b.bytes); err != nil {
		return err
	}
	if len(b.large) > 0 {
		db.sampleReplaced(b)
	}
	q.batch = b
	q.Request.Sync = d == Sync
	q.Request.Bytes = int(min(b.bytes, 1<<30))
	q.Request.Batch = q
	start := time.Now()
	err := db.pipeline.Commit(&q.Request)
	db.metrics.commit.record(time.Since(start))
	if err != nil {
		return classify(err)
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
