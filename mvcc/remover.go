package mvcc

import (
	"bytes"

	"github.com/cordwood-db/cordwood/db"
)

// remover deletes the versions of keys that end, at the discard timestamp, with
// a deletion, and if asked those that a value hides: readers find the same
// without them. It looks at all that the store holds, so that, unlike the
// compaction filter, it knows what lies below a deletion. Nothing comes to that
// later: writes are above the discard timestamp, and what was on its way when
// that moved had arrived before.
//
// The deletion goes last: at every moment, and after a crash between two of the
// batches, it is there as long as anything that it hides.
type remover struct {
	s       *Space
	c       *db.Cursor
	discard Timestamp // effective, from before the cursor was opened
	hidden  bool      // versions below a value go too

	prefix []byte // of the current key
	last   []byte // its newest version at or below discard, stored key
	seek   []byte
	batch  db.Batch
}

const (
	removerKeys  = 256  // looked at between two questions to the context
	removerBatch = 1024 // deletes of one batch
)

func (s *Space) newRemover(stored db.Range) (*remover, error) {
	r := &remover{s: s, discard: s.effective()}
	var err error
	r.c, err = s.ks.NewCursor(stored)
	return r, err
}

func (r *remover) close() { _ = r.c.Close() } // it has no error that Err had not

// key takes on the key that the cursor stands on a version of, and moves to the
// next key. more is false at the end.
func (r *remover) key() (more bool, err error) {
	prefix, ts, ok := split(r.c.Key())
	if !ok {
		// The header, or damage: nothing to remove, and no key to step over.
		return r.c.Next(), r.c.Err()
	}
	r.prefix = append(r.prefix[:0], prefix...)
	if ts > r.discard {
		r.seek = appendTimestamp(append(r.seek[:0], prefix...), r.discard)
		if !r.c.SeekGE(r.seek) {
			return false, r.c.Err()
		}
		if !bytes.HasPrefix(r.c.Key(), r.prefix) {
			return true, nil
		}
	}
	deleted, err := isDeletion(r.c)
	if err != nil {
		return false, err
	}
	switch {
	case deleted:
		r.last = append(r.last[:0], r.c.Key()...)
		if more, err = r.removeOlder(); err != nil {
			return false, err
		}
		return more, r.delete(r.last)
	case r.hidden:
		return r.removeOlder()
	}
	r.seek = appendPrefixEnd(r.seek[:0], r.prefix)
	return r.c.SeekGE(r.seek), r.c.Err()
}

// removeOlder deletes the versions below the one that the cursor stands on.
func (r *remover) removeOlder() (more bool, err error) {
	for more = r.c.Next(); more && bytes.HasPrefix(r.c.Key(), r.prefix); more = r.c.Next() {
		if _, _, ok := split(r.c.Key()); !ok {
			continue // damage, which reads report
		}
		if err := r.delete(r.c.Key()); err != nil {
			return false, err
		}
	}
	return more, r.c.Err()
}

func (r *remover) delete(stored []byte) error {
	if err := r.batch.In(r.s.ks).Delete(stored); err != nil {
		return err
	}
	if r.batch.Len() < removerBatch {
		return nil
	}
	return r.flush()
}

func (r *remover) flush() error {
	if r.batch.Len() == 0 {
		return nil
	}
	err := r.s.store.Apply(&r.batch, db.NoSync)
	r.batch.Reset()
	return err
}

// finish commits what is left, unless the walk met an error.
func (r *remover) finish() error {
	if err := r.c.Err(); err != nil {
		return err
	}
	return r.flush()
}

// isDeletion reports whether the version that c stands on is a deletion.
func isDeletion(c *db.Cursor) (bool, error) {
	if c.Item().ValueSize() != 0 {
		return false, nil
	}
	value, err := c.Value() // a damaged pointer has no size either
	return len(value) == 0, err
}
