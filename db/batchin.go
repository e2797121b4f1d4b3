package db

import (
	"iter"
	"time"

	"github.com/cordwood-db/cordwood/internal/base"
)

// Reader is what a DB, a Keyspace, a Snapshot and a Tx have in common: see the
// methods of Keyspace, which the others share.
type Reader interface {
	Get(key []byte) ([]byte, error)
	AppendGet(dst, key []byte) ([]byte, error)
	Has(key []byte) (bool, error)
	MultiGet(keys ...[]byte) ([][]byte, error)
	Scan(r Range) iter.Seq2[Item, error]
	NewCursor(r Range) (*Cursor, error)
}

// Writer is what a DB, a Keyspace, a Batch and a Tx have in common. A DB and a
// Keyspace write at once, a Batch and a Tx when they are committed.
type Writer interface {
	Put(key, value []byte) error
	PutTTL(key, value []byte, ttl time.Duration) error
	Delete(key []byte) error
	DeleteRange(r Range) error
	Merge(key, operand []byte) error
}

// In writes to another keyspace as a part of the batch.
func (b *Batch) In(ks *Keyspace) Writer { return batchIn{b, ks} }

// batchIn writes to one keyspace of a batch.
type batchIn struct {
	b  *Batch
	ks *Keyspace
}

// Put implements Writer.
func (in batchIn) Put(key, value []byte) error { return in.b.put(in.ks, key, value, true) }

// PutTTL implements Writer.
func (in batchIn) PutTTL(key, value []byte, ttl time.Duration) error {
	return in.b.putTTL(in.ks, key, value, ttl, in.ks.db.clock(), true)
}

// Delete implements Writer.
func (in batchIn) Delete(key []byte) error { return in.b.add(in.ks, base.KindDelete, key, nil) }

// DeleteRange implements Writer.
func (in batchIn) DeleteRange(r Range) error { return in.b.deleteRange(in.ks, r) }

// Merge implements Writer.
func (in batchIn) Merge(key, operand []byte) error { return in.b.addMerge(in.ks, key, operand) }

// put sets key to value, with the default time to live of ks.
func (b *Batch) put(ks *Keyspace, key, value []byte, own bool) error {
	expiry, err := ks.expiry()
	if err != nil {
		return b.fail(err)
	}
	return b.set(ks, ttlKind(expiry), key, expiry, value, own)
}
