package typed

import (
	"bytes"
	"context"
	"errors"

	"github.com/cordwood-db/cordwood/db"
)

// FaultsMax is how many faults a Verification lists.
const FaultsMax = 100

// Verification is what Verify has found.
type Verification struct {
	Items    uint64  // of the view
	Entries  uint64  // of the index
	Missing  uint64  // entries that items should have and do not
	Dangling uint64  // entries whose item is gone or says otherwise, but for those that expire
	Faults   []Fault // the first FaultsMax of both
}

// OK reports whether the index agrees with the items.
func (v *Verification) OK() bool { return v.Missing == 0 && v.Dangling == 0 }

// Fault is one entry of an index that should be there and is not, or the other
// way round.
type Fault struct {
	Dangling bool
	Entry    []byte // key of the entry
	Key      []byte // key of the item, encoded; nil if the entry does not say
}

func (v *Verification) add(dangling bool, entry, key []byte) {
	if dangling {
		v.Dangling++
	} else {
		v.Missing++
	}
	if len(v.Faults) < FaultsMax {
		v.Faults = append(v.Faults, Fault{dangling, bytes.Clone(entry), bytes.Clone(key)})
	}
}

// Verify compares the index with the items, both ways, as of one moment: that
// of the call, of the transaction or of the snapshot. It reads every item once
// and again for each of its entries. What is wrong is in the Verification; the
// error is about not being able to tell, such as a *[DecodeError] for an item or
// the error of ctx. An incomplete index can be verified, and has faults.
func (x *Index[K, V, I]) Verify(ctx context.Context) (*Verification, error) {
	v := new(Verification)
	items, snap := x.v, x.v.snap
	var entries db.Reader
	switch {
	case items.tx != nil:
		entries = items.tx.In(x.ks)
	case snap != nil:
		entries = snap.In(x.ks)
	default:
		own, err := items.store.Snapshot()
		if err != nil {
			return nil, err
		}
		defer own.Close()
		items, entries = items.At(own), own.In(x.ks)
	}
	if err := x.verifyEntries(ctx, v, entries, items); err != nil {
		return nil, err
	}
	if err := x.verifyItems(ctx, v, entries, items); err != nil {
		return nil, err
	}
	return v, nil
}

// verifyEntries looks for dangling entries.
func (x *Index[K, V, I]) verifyEntries(ctx context.Context, v *Verification, entries db.Reader, items *View[K, V]) error {
	for it, err := range entries.Scan(db.Between(entriesStart, entriesEnd)) {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		v.Entries++
		_, owner, err := x.decodeEntry(it)
		if _, ok := errors.AsType[*DecodeError](err); ok {
			v.add(true, it.Key(), nil)
			continue
		}
		if err != nil {
			return err
		}
		owner = bytes.Clone(owner)
		right, err := x.entryIsRight(items, it, owner)
		if err != nil {
			return err
		}
		if !right {
			v.add(true, it.Key(), owner)
		}
	}
	return nil
}

// entryIsRight reports whether the item of an entry has that entry.
func (x *Index[K, V, I]) entryIsRight(items *View[K, V], it db.Item, owner []byte) (bool, error) {
	value, err := items.valueIn(items.reader, owner)
	if err != nil {
		return false, err
	}
	if has, err := x.has(owner, value, it.Key()); has || err != nil {
		return has, err
	}
	// It outlives an item that has expired by a moment, in which that may have
	// been written anew; readers pass over it.
	_, expires := it.ExpiresAt()
	return expires, nil
}

// verifyItems looks for missing entries.
func (x *Index[K, V, I]) verifyItems(ctx context.Context, v *Verification, entries db.Reader, items *View[K, V]) error {
	for it, err := range items.reader.Scan(db.All()) {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		v.Items++
		b, err := it.Value()
		if err != nil {
			return err
		}
		value, err := items.decodeValue(it.Key(), b)
		if err != nil {
			return err
		}
		keys, err := x.entries(it.Key(), &value)
		if err != nil {
			return err
		}
		for _, e := range keys {
			there, err := x.hasEntry(entries, items, it, e)
			if err != nil {
				return err
			}
			if !there {
				v.add(false, e, it.Key())
			}
		}
	}
	return nil
}

// hasEntry reports whether an item has the entry e. An item that has expired
// meanwhile needs none.
func (x *Index[K, V, I]) hasEntry(entries db.Reader, items *View[K, V], it db.Item, e []byte) (bool, error) {
	owner, err := entries.Get(e)
	if err == nil {
		return bytes.Equal(owner, x.entryValue(it.Key())), nil
	}
	if !errors.Is(err, db.ErrNotFound) {
		return false, err
	}
	if _, expires := it.ExpiresAt(); !expires {
		return false, nil
	}
	alive, err := items.reader.Has(it.Key())
	return !alive, err
}
