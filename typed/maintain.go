package typed

import (
	"bytes"
	"errors"
	"slices"

	"github.com/cordwood-db/cordwood/db"
)

// indexer is an index as a write sees it, whatever the type of its keys.
type indexer[V any] interface {
	called() string
	// changes appends what a write of an item means for the index. old and new
	// are its values before and after, nil if there is none; key is its encoded
	// key, and valueOf reads others in tx. Nothing is written.
	changes(tx *db.Tx, valueOf valueOf[V], dst []entryChange, key []byte, old, new *V) ([]entryChange, error)
}

// valueOf is the value of an item by its encoded key; nil if there is none.
type valueOf[V any] func(key []byte) (*V, error)

// entryChange is a change of one entry of an index.
type entryChange struct {
	ks         *db.Keyspace
	key, value []byte
	remove     bool
}

func (x *indexing[V, I]) called() string { return x.name }

func (x *indexing[V, I]) changes(tx *db.Tx, valueOf valueOf[V], dst []entryChange, key []byte, old, new *V) ([]entryChange, error) {
	before, err := x.entries(key, old)
	if err != nil {
		return nil, err
	}
	after, err := x.entries(key, new)
	if err != nil {
		return nil, err
	}
	entries := tx.In(x.ks)
	for _, e := range before {
		if contains(after, e) {
			continue
		}
		mine, err := x.owns(entries, e, key)
		if err != nil {
			return nil, err
		}
		if mine {
			dst = append(dst, entryChange{ks: x.ks, key: e, remove: true})
		}
	}
	for _, e := range after {
		if err := x.free(entries, valueOf, e, key); err != nil {
			return nil, err
		}
		// Those that were there are written again: their expiry may differ.
		dst = append(dst, entryChange{ks: x.ks, key: e, value: x.entryValue(key)})
	}
	return dst, nil
}

// entries are the keys of the entries of an item, ascending. They are the
// caller's.
func (x *indexing[V, I]) entries(key []byte, value *V) ([][]byte, error) {
	if value == nil {
		return nil, nil
	}
	indexKeys := x.keys(*value)
	entries := make([][]byte, 0, len(indexKeys))
	for _, i := range indexKeys {
		e, err := x.element.AppendElement(make([]byte, 0, 32+len(key)), i)
		if err != nil {
			return nil, err
		}
		if !x.unique {
			e = append(e, key...)
		}
		entries = append(entries, e)
	}
	slices.SortFunc(entries, bytes.Compare)
	return slices.CompactFunc(entries, bytes.Equal), nil
}

// entryValue is what an entry of the item with this key holds.
func (x *indexing[V, I]) entryValue(key []byte) []byte {
	if x.unique {
		return key
	}
	return nil
}

func contains(sorted [][]byte, e []byte) bool {
	_, found := slices.BinarySearchFunc(sorted, e, bytes.Compare)
	return found
}

// has reports whether e is an entry of the item with this key and value.
func (x *indexing[V, I]) has(key []byte, value *V, e []byte) (bool, error) {
	own, err := x.entries(key, value)
	return err == nil && contains(own, e), err
}

// owns reports whether e is for the item with the given key to remove. Another
// one may have got it since: an item that had expired is there again when the
// clock is set back.
func (x *indexing[V, I]) owns(entries db.Reader, e, key []byte) (bool, error) {
	if !x.unique {
		return true, nil
	}
	owner, err := entries.Get(e)
	if errors.Is(err, db.ErrNotFound) {
		return false, nil
	}
	return err == nil && bytes.Equal(owner, key), err
}

// free returns a UniqueError if the index is unique and another item than that
// with the given key has the entry e. An owner that is gone does not count, nor
// one that was written anew without it: entries outlive expired items by a
// moment.
func (x *indexing[V, I]) free(entries db.Reader, valueOf valueOf[V], e, key []byte) error {
	if !x.unique {
		return nil
	}
	owner, err := entries.Get(e)
	switch {
	case errors.Is(err, db.ErrNotFound):
		return nil
	case err != nil:
		return err
	case bytes.Equal(owner, key):
		return nil
	}
	value, err := valueOf(owner)
	if err != nil {
		return err
	}
	if has, err := x.has(owner, value, e); err != nil || !has {
		return err
	}
	return &UniqueError{Index: x.name, Entry: e, Owner: owner}
}
