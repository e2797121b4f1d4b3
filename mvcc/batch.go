package mvcc

import (
	"slices"

	"github.com/cordwood-db/cordwood/db"
)

// Batch collects writes that are committed together, at one timestamp that is
// known only then. Keys and values are copied as they are added. Later writes of
// a key win over earlier ones. A Batch is used by one goroutine at a time.
type Batch struct {
	s     *Space
	ops   []write
	arena []byte // keys and short values of ops; replaced when it is full
	bytes int64
	err   error // first failed write: sticky until Reset

	out    db.Batch
	stored []byte // memory for a stored key
	value  []byte // memory for a stored value
}

// write is one write of a batch.
type write struct {
	key, value []byte
	deleted    bool
}

// Memory of a batch: slices up to ownBytes lie in arenas of arenaBytes.
const (
	arenaBytes = 16 << 10
	ownBytes   = 1 << 10
)

// NewBatch returns an empty batch.
func (s *Space) NewBatch() *Batch { return &Batch{s: s} }

// Put sets key to value as of the timestamp of the commit. db.ErrKeyTooLarge
// and db.ErrValueTooLarge are for what is over MaxKeyBytes and MaxValueBytes;
// like every error here they stick to the batch, so that its commit fails.
func (b *Batch) Put(key, value []byte) error { return b.add(key, value, false) }

// Delete removes key as of the timestamp of the commit; it is no error if there
// is none. Older versions stay readable at their timestamps.
func (b *Batch) Delete(key []byte) error { return b.add(key, nil, true) }

func (b *Batch) add(key, value []byte, deleted bool) error {
	size := int64(len(key)) + int64(len(value))
	switch {
	case b.err != nil:
	case len(key) > MaxKeyBytes:
		b.err = db.ErrKeyTooLarge
	case len(value) > MaxValueBytes:
		b.err = db.ErrValueTooLarge
	case b.bytes > db.MaxBatchBytes-size:
		b.err = db.ErrBatchTooLarge
	default:
		b.ops = append(b.ops, write{b.copy(key), b.copy(value), deleted})
		b.bytes += size
	}
	return b.err
}

// copy copies p into memory of the batch.
func (b *Batch) copy(p []byte) []byte {
	if len(p) > ownBytes {
		return slices.Clone(p)
	}
	if len(p) > cap(b.arena)-len(b.arena) {
		b.arena = make([]byte, 0, arenaBytes)
	}
	n := len(b.arena)
	b.arena = append(b.arena, p...)
	return b.arena[n:len(b.arena):len(b.arena)]
}

// Len is the number of writes in the batch.
func (b *Batch) Len() int { return len(b.ops) }

// Bytes is the length of the batch's keys and values together.
func (b *Batch) Bytes() int64 { return b.bytes }

// Reset makes the batch empty and clears its error.
func (b *Batch) Reset() {
	clear(b.ops)
	b.ops, b.arena, b.bytes, b.err = b.ops[:0], b.arena[:0], 0, nil
}

// Commit makes the batch's writes visible at ts, all at once. The batch is not
// changed. Nothing is checked but that ts is above the discard timestamp:
// ErrDiscarded. ErrTimestamp for 0.
func (b *Batch) Commit(ts Timestamp, d db.Durability) error {
	defer b.out.Reset()
	return b.CommitWith(&b.out, ts, d)
}

// CommitWith is Commit together with the writes in with: all at once, or
// nothing. with holds the batch's writes too afterwards: Reset it before it is
// used again. If CommitWith returns ErrDiscarded or ErrTimestamp, with is as it
// was.
func (b *Batch) CommitWith(with *db.Batch, ts Timestamp, d db.Durability) error {
	b.s.gate.RLock()
	defer b.s.gate.RUnlock()
	if err := writable(ts, b.s.floor); err != nil {
		return err
	}
	if err := b.write(with.In(b.s.ks), ts); err != nil {
		return err
	}
	return b.s.store.Apply(with, d)
}

// write writes the versions to w.
func (b *Batch) write(w db.Writer, ts Timestamp) error {
	if b.err != nil {
		return b.err
	}
	for _, op := range b.ops {
		b.stored = appendTimestamp(appendPrefix(b.stored[:0], op.key), ts)
		b.value = b.value[:0]
		if !op.deleted {
			b.value = append(append(b.value, valuePlain), op.value...)
		}
		if err := w.Put(b.stored, b.value); err != nil {
			return err
		}
	}
	if cap(b.value) > arenaBytes {
		b.value = nil
	}
	return nil
}
