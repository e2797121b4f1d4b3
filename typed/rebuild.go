package typed

import (
	"context"
	"errors"
	"fmt"

	"github.com/cordwood-db/cordwood/db"
)

// A transaction of Rebuild covers this many items or bytes of values, and fewer
// where others write to the same keys.
const (
	rebuildItemsMax = 256
	rebuildBytesMax = 4 << 20
	rebuildTriesMax = 3 // with one number of items
)

// Rebuild makes the index anew from the items, in many small transactions, and
// completes it. Others may read and write the view meanwhile; reads of the index
// return ErrIndexIncomplete. If it fails, the index stays incomplete: with a
// *UniqueError if two items have the same key in a unique index, a *DecodeError
// if an item cannot be decoded, [db.ErrConflict] if others never stop writing to
// one item, ErrRebuildOvertaken, or the error of ctx.
func (x *Index[K, V, I]) Rebuild(ctx context.Context) error {
	if x.v.tx != nil || x.v.snap != nil {
		return ErrBound
	}
	generation, err := x.startOver(ctx)
	if err != nil {
		return err
	}
	// Items behind the last one of now are of writes that commit later, and
	// have their entries: so that appends neither conflict nor make more work.
	chunk := rebuilding{generation: generation, end: []byte{}}
	for it, err := range x.v.ks.Scan(db.All().Backward().KeysOnly()) {
		if err != nil {
			return err
		}
		chunk.end = after(it.Key())
		break
	}
	items := rebuildItemsMax
	for !chunk.last {
		o := db.TxOptions{TriesMax: rebuildTriesMax}
		if items == 1 {
			o.TriesMax = 0 // the default: there is nothing smaller to try
		}
		var next rebuilding
		err := x.v.store.UpdateWith(ctx, o, func(tx *db.Tx) (err error) {
			next, err = x.rebuildSome(ctx, tx, chunk, items)
			return err
		})
		switch {
		case err == nil:
			chunk = next
			items = min(2*items, rebuildItemsMax)
		case errors.Is(err, db.ErrConflict) && items > 1:
			items /= 4
			items = max(items, 1)
		default:
			return fmt.Errorf("rebuilding index %q: %w", x.name, err)
		}
	}
	return nil
}

// rebuilding is how far a rebuild has come.
type rebuilding struct {
	generation uint64
	next, end  []byte // the keys not covered yet
	last       bool   // there are none
}

// after is the first key behind key.
func after(key []byte) []byte { return append(append(make([]byte, 0, len(key)+1), key...), 0) }

// startOver removes all entries and begins a generation. Entries of writes that
// commit later stay: they are right.
func (x *Index[K, V, I]) startOver(ctx context.Context) (generation uint64, err error) {
	err = x.v.store.Update(ctx, func(tx *db.Tx) error {
		entries := tx.In(x.ks)
		s, err := x.state(entries)
		if err != nil {
			return err
		}
		generation = s.generation + 1
		if err := x.putState(entries, indexState{stateBuilding, generation}); err != nil {
			return err
		}
		return entries.DeleteRange(db.Between(entriesStart, entriesEnd))
	})
	return generation, err
}

// rebuildSome writes the entries of up to n items in tx. With those of the last
// one the index is complete.
func (x *Index[K, V, I]) rebuildSome(ctx context.Context, tx *db.Tx, chunk rebuilding, n int) (rebuilding, error) {
	items, entries := tx.In(x.v.ks), tx.In(x.ks)
	s, err := x.state(entries)
	if err != nil {
		return chunk, err
	}
	if s != (indexState{stateBuilding, chunk.generation}) {
		return chunk, ErrRebuildOvertaken
	}
	size := 0
	for it, err := range items.Scan(db.Between(chunk.next, chunk.end)) {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return chunk, err
		}
		if n == 0 || size >= rebuildBytesMax {
			return chunk, nil
		}
		if err := x.rebuildItem(items, entries, it); err != nil {
			return chunk, err
		}
		n--
		size += it.ValueSize()
		chunk.next = after(it.Key())
	}
	chunk.last = true
	return chunk, x.putState(entries, indexState{stateComplete, chunk.generation})
}

// rebuildItem writes the entries of one item.
func (x *Index[K, V, I]) rebuildItem(items db.Reader, entries *db.Tx, it db.Item) error {
	b, err := it.Value()
	if err != nil {
		return err
	}
	value, err := x.v.decodeValue(it.Key(), b)
	if err != nil {
		return err
	}
	keys, err := x.entries(it.Key(), &value)
	if err != nil {
		return err
	}
	w := write{value: x.entryValue(it.Key())}
	if at, ok := it.ExpiresAt(); ok {
		w.expires, w.ttl = true, at.Sub(x.clock())
		if w.ttl <= 0 {
			return nil
		}
	}
	valueOf := func(key []byte) (*V, error) { return x.v.valueIn(items, key) }
	for _, w.key = range keys {
		if err := x.free(entries, valueOf, w.key, it.Key()); err != nil {
			return err
		}
		if err := w.to(entries); err != nil {
			return err
		}
	}
	return nil
}
