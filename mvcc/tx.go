package mvcc

import (
	"context"
	"fmt"

	"github.com/cordwood-db/cordwood/db"
)

// AtTx opens a view as of ts of what the transaction sees: the space as it was
// when that began, with what AddTo has added. A serializable transaction relies
// on what the view has read, and on the discard timestamp. The view ends with
// the transaction and needs no Close. ErrDiscarded if ts is below the discard
// timestamp of that time.
func (s *Space) AtTx(tx *db.Tx, ts Timestamp) (*View, error) {
	return s.over(tx.In(s.ks), ts)
}

// LatestIn is LatestTimestamp as the transaction sees it. A serializable
// transaction relies on it: it cannot commit once another has written a newer
// version. To find out whether something was written since a timestamp, that has
// to be at or above the discard timestamp.
func (s *Space) LatestIn(tx *db.Tx, key []byte) (Timestamp, error) {
	return s.latest(tx.In(s.ks), key)
}

// AddTo adds the batch's writes at ts to a transaction, whose commit makes them
// visible together with whatever else it writes. If the discard timestamp moves
// before that, the commit fails with db.ErrConflict: the transaction has to be
// made again, as db.DB.Update does.
func (b *Batch) AddTo(tx *db.Tx, ts Timestamp) error {
	in := tx.In(b.s.ks)
	header, err := in.GetForUpdate(headerKey)
	if err != nil {
		return err
	}
	discard, err := decodeHeader(b.s.Name(), header)
	if err != nil {
		return err
	}
	if err := writable(ts, discard); err != nil {
		return err
	}
	return b.write(in, ts)
}

// CommitIf is Commit if no key of the batch has a version that is newer than
// since, and db.ErrConflict otherwise. With since the timestamp at which a
// transaction has read, and ts, which is above it, the one at which it commits,
// that is first-committer-wins for what it writes. What it has only read is not
// checked: for that, use LatestIn and AddTo in a transaction of your own. A
// commit at or below since that comes after the read is not found either: since
// has to be a timestamp below which all is decided. ErrDiscarded if deletions
// above since may have been removed, so that nobody can tell: hold a view at
// since open, and that does not happen.
//
// Versions that are on their way count: of two batches with a key in common, one
// is committed and the other meets it. ctx ends the waiting for a commit that
// has to be tried again, because of the discard timestamp moving for instance.
func (b *Batch) CommitIf(ctx context.Context, since, ts Timestamp, d db.Durability) error {
	if ts <= since {
		return fmt.Errorf("%w: commit at %d of what was read at %d", ErrTimestamp, ts, since)
	}
	return b.s.store.UpdateWith(ctx, db.TxOptions{Durability: d}, func(tx *db.Tx) error {
		for _, op := range b.ops {
			latest, err := b.s.LatestIn(tx, op.key)
			if err != nil {
				return err
			}
			if latest > since {
				return fmt.Errorf("%w: a key has a version at %d, after %d", db.ErrConflict, latest, since)
			}
		}
		// It never goes down: so it was not above since when what the
		// transaction sees was removed.
		if removed := b.s.effective(); removed > since {
			return fmt.Errorf("%w: check since %d, below %d", ErrDiscarded, since, removed)
		}
		return b.AddTo(tx, ts)
	})
}
