package trace

import (
	"time"

	"github.com/cordwood-db/cordwood/db"
)

// Batch is a db.Batch that can be recorded by DB.Apply. The zero value is an
// empty batch. It is used by one goroutine at a time.
type Batch struct {
	b     *db.Batch
	items itemLog
}

// Unwrap is the batch itself. What is written to it is not recorded.
func (b *Batch) Unwrap() *db.Batch {
	if b.b == nil {
		b.b = new(db.Batch)
	}
	return b.b
}

// In writes to another keyspace as a part of the batch.
func (b *Batch) In(ks *Keyspace) db.Writer {
	return &batchIn{b, b.Unwrap().In(ks.k), ks.keyspace()}
}

// Put is Put of the batch.
func (b *Batch) Put(key, value []byte) error { return b.main().Put(key, value) }

// PutTTL is PutTTL of the batch.
func (b *Batch) PutTTL(key, value []byte, ttl time.Duration) error {
	return b.main().PutTTL(key, value, ttl)
}

// Delete is Delete of the batch.
func (b *Batch) Delete(key []byte) error { return b.main().Delete(key) }

// DeleteRange is DeleteRange of the batch.
func (b *Batch) DeleteRange(r db.Range) error { return b.main().DeleteRange(r) }

// Merge is Merge of the batch.
func (b *Batch) Merge(key, operand []byte) error { return b.main().Merge(key, operand) }

// Len is the number of writes in the batch.
func (b *Batch) Len() int { return b.Unwrap().Len() }

// Bytes is the length of the batch's keys and values together.
func (b *Batch) Bytes() int64 { return b.Unwrap().Bytes() }

// Reset makes the batch empty and clears its error.
func (b *Batch) Reset() {
	b.Unwrap().Reset()
	b.items.reset()
}

func (b *Batch) main() *batchIn { return &batchIn{b, b.Unwrap(), 0} }

// batchIn is one keyspace of a batch. A write that fails makes the whole batch
// fail, and is no item of it.
type batchIn struct {
	b        *Batch
	to       db.Writer
	keyspace uint32
}

func (w *batchIn) took(op *Op, err error) error {
	if err == nil {
		op.Keyspace = w.keyspace
		w.b.items.add(op)
	}
	return err
}

func (w *batchIn) Put(key, value []byte) error {
	return w.took(&Op{Kind: KindPut, Key: key, Length: len(value)}, w.to.Put(key, value))
}

func (w *batchIn) PutTTL(key, value []byte, ttl time.Duration) error {
	return w.took(&Op{Kind: KindPutTTL, Key: key, Length: len(value), TTL: ttl}, w.to.PutTTL(key, value, ttl))
}

func (w *batchIn) Delete(key []byte) error {
	return w.took(&Op{Kind: KindDelete, Key: key}, w.to.Delete(key))
}

func (w *batchIn) DeleteRange(r db.Range) error {
	return w.took(&Op{Kind: KindDeleteRange, Range: boundsOf(r)}, w.to.DeleteRange(r))
}

func (w *batchIn) Merge(key, operand []byte) error {
	return w.took(&Op{Kind: KindMerge, Key: key, Length: len(operand)}, w.to.Merge(key, operand))
}
