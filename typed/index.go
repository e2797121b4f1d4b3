package typed

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/cordwood-db/cordwood/db"
)

// The bytes of an index are part of the format: docs/format/index.md.
const (
	indexVersion = 1

	kindPlain  = 1 // entries are index key and item key, without a value
	kindUnique = 2 // entries are the index key; the item's key is the value

	stateBuilding = 1
	stateComplete = 2

	stateBytes = 11 // version, kind, state, generation
)

// Every entry begins with the tag of an element; the state of an index is below
// them all.
var (
	stateKey     = []byte{tagEnd}
	entriesStart = []byte{tagNil}
	entriesEnd   = []byte{0xff}
)

// IndexOptions are those of AddIndex. The zero value is fine.
type IndexOptions struct {
	// Unique makes a write fail, with a *UniqueError, that would give two items
	// the same index key. Each write is checked for itself, in a transaction,
	// too: to swap the keys of two items there, delete one of them first.
	Unique bool
	// Clock is that of the store, if it has another one than time.Now: Rebuild
	// counts with it how long items have to live.
	Clock func() time.Time
}

// Index finds the items of a view by something their values say. It is as safe
// for concurrent use as its View.
type Index[K, V, I any] struct {
	v *View[K, V]
	*indexing[V, I]
}

// indexing is what all bindings of an index share; immutable.
type indexing[V, I any] struct {
	name    string
	ks      *db.Keyspace
	element Element[I]
	keys    func(V) []I
	unique  bool
	clock   func() time.Time
}

// AddIndex gives v an index. keys says under which index keys a value is to be
// found: none, one or several; it must always say the same of the same value,
// must not change the value, and may be called by many goroutines at once. It is
// given values as they are read back, without what their codec does not keep.
//
// From then on every write through v maintains the index in the same
// transaction. So AddIndex belongs to the setup of a program, before the first
// write, and every program that writes must add the same indexes: writes past
// the view leave the index wrong, which Verify finds and Rebuild repairs.
//
// The entries are in a keyspace of their own, by the name of that of the view,
// "/index/" and name; [db.DB.DropKeyspace] removes an index that is not used any
// more. Dropping the keyspace of the items leaves the index: AddIndex empties it
// if there are no items. An encoded index key, with that of the item behind it
// unless the index is unique, has at most [db.MaxKeyBytes]; for a longer one the
// write fails with db.ErrKeyTooLarge, and so does the commit of the transaction
// that it was in. An index that is new to a keyspace with items is incomplete: it is
// maintained, but its reads return ErrIndexIncomplete until Rebuild has run.
//
// Errors: ErrIndexName, ErrIndexMismatch, ErrBound, and those of the store.
func AddIndex[K, V, I any](v *View[K, V], name string, e Element[I], keys func(V) []I, o IndexOptions) (*Index[K, V, I], error) {
	if v.tx != nil || v.snap != nil {
		return nil, ErrBound
	}
	v.adding.Lock()
	defer v.adding.Unlock()
	have := v.indexers()
	taken := slices.ContainsFunc(have, func(x indexer[V]) bool { return x.called() == name })
	if name == "" || strings.Contains(name, "/") || taken {
		return nil, fmt.Errorf("%w: %q", ErrIndexName, name)
	}
	ks, err := v.store.Keyspace(v.ks.Name()+"/index/"+name, nil)
	if err != nil {
		return nil, err
	}
	x := &Index[K, V, I]{v, &indexing[V, I]{name, ks, e, keys, o.Unique, o.Clock}}
	if x.clock == nil {
		x.clock = time.Now
	}
	if err := x.settle(); err != nil {
		return nil, fmt.Errorf("index %q: %w", name, err)
	}
	all := append(slices.Clip(have), indexer[V](x.indexing))
	v.indexes.Store(&all)
	return x, nil
}

// settle checks the state of the index, or writes the first one.
func (x *Index[K, V, I]) settle() error {
	_, err := x.state(x.ks)
	if err == nil {
		return x.removeOrphans()
	}
	if !errors.Is(err, db.ErrNotFound) {
		return err
	}
	return x.v.store.Update(context.Background(), func(tx *db.Tx) error {
		entries := tx.In(x.ks)
		_, err := x.state(entries)
		if !errors.Is(err, db.ErrNotFound) {
			return err
		}
		s := indexState{state: stateComplete}
		items, err := holds(tx.In(x.v.ks), db.All())
		if err != nil {
			return err
		}
		if items {
			s.state = stateBuilding
		}
		return x.putState(entries, s)
	})
}

// removeOrphans removes all entries if there are no items: the keyspace of those
// that they were for has been dropped, and this is another one by its name, in
// which they would stand for items that have nothing to do with them.
func (x *Index[K, V, I]) removeOrphans() error {
	if items, err := holds(x.v.ks, db.All()); items || err != nil {
		return err
	}
	all := db.Between(entriesStart, entriesEnd)
	if orphans, err := holds(x.ks, all); !orphans || err != nil {
		return err
	}
	err := x.v.store.Update(context.Background(), func(tx *db.Tx) error {
		if items, err := holds(tx.In(x.v.ks), db.All()); items || err != nil {
			return err
		}
		return tx.In(x.ks).DeleteRange(all)
	})
	if errors.Is(err, db.ErrReadOnly) {
		return nil // nor will there be any: reads pass over them
	}
	return err
}

// holds reports whether there is a key in r.
func holds(reader db.Reader, r db.Range) (bool, error) {
	for _, err := range reader.Scan(r.KeysOnly()) {
		return err == nil, err
	}
	return false, nil
}

// indexState is what an index says of itself.
type indexState struct {
	state      byte
	generation uint64 // counts rebuilds
}

func (x *indexing[V, I]) kind() byte {
	if x.unique {
		return kindUnique
	}
	return kindPlain
}

func (x *indexing[V, I]) putState(entries db.Writer, s indexState) error {
	b := []byte{indexVersion, x.kind(), s.state}
	return entries.Put(stateKey, binary.BigEndian.AppendUint64(b, s.generation))
}

// state reads the state of the index; ErrNotFound if it has none yet.
func (x *indexing[V, I]) state(entries db.Reader) (indexState, error) {
	var room [stateBytes]byte
	b, err := entries.AppendGet(room[:0], stateKey)
	if err != nil {
		return indexState{}, err
	}
	switch {
	case len(b) > 0 && b[0] != indexVersion:
		return indexState{}, fmt.Errorf("%w: version %d", ErrIndexMismatch, b[0])
	case len(b) != stateBytes || b[2] != stateBuilding && b[2] != stateComplete:
		return indexState{}, x.malformed(stateKey, malformed("the state of an index"))
	case b[1] != x.kind():
		return indexState{}, fmt.Errorf("%w: unique or not", ErrIndexMismatch)
	}
	return indexState{b[2], binary.BigEndian.Uint64(b[3:])}, nil
}

// complete returns ErrIndexIncomplete unless all items have their entries.
// Reading the state along with the entries, rather than remembering it, makes
// this right in snapshots, too, and in the middle of a rebuild.
func (x *indexing[V, I]) complete(entries db.Reader) error {
	s, err := x.state(entries)
	if err == nil && s.state == stateComplete {
		return nil
	}
	if err == nil || errors.Is(err, db.ErrNotFound) { // a snapshot from before AddIndex
		return fmt.Errorf("%w: %q", ErrIndexIncomplete, x.name)
	}
	return err
}

func (x *indexing[V, I]) malformed(key []byte, err error) error {
	return &DecodeError{x.ks.Name(), bytes.Clone(key), "entry", err}
}

// Name is the name of the index.
func (x *Index[K, V, I]) Name() string { return x.name }

// In is the index inside a transaction, valid as long as that.
func (x *Index[K, V, I]) In(tx *db.Tx) *Index[K, V, I] {
	return &Index[K, V, I]{x.v.In(tx), x.indexing}
}

// At is the index as of a snapshot, valid until that is closed.
func (x *Index[K, V, I]) At(snap *db.Snapshot) *Index[K, V, I] {
	return &Index[K, V, I]{x.v.At(snap), x.indexing}
}

// read calls f with the entries and the items as of one moment.
func (x *Index[K, V, I]) read(f func(entries db.Reader, items *View[K, V]) error) error {
	items := x.v
	var entries db.Reader
	switch {
	case items.tx != nil:
		entries = items.tx.In(x.ks)
	case items.snap != nil:
		entries = items.snap.In(x.ks)
	default:
		return items.store.View(func(tx *db.Tx) error { return x.In(tx).read(f) })
	}
	if err := x.complete(entries); err != nil {
		return err
	}
	return f(entries, items)
}

// Get is the item with the index key i; if there are several, that with the
// lowest key. It returns ErrNotFound if there is none.
func (x *Index[K, V, I]) Get(i I) (key K, value V, err error) {
	if x.unique {
		err = x.read(func(entries db.Reader, items *View[K, V]) (err error) {
			key, value, err = x.getUnique(entries, items, i)
			return err
		})
		return key, value, err
	}
	for item, err := range x.Scan(Only(i)) {
		return item.Key, item.Value, err
	}
	return key, value, db.ErrNotFound
}

// getUnique is Get without a cursor.
func (x *Index[K, V, I]) getUnique(entries db.Reader, items *View[K, V], i I) (key K, value V, err error) {
	s := newScratch()
	defer s.free()
	if s.key, err = x.element.AppendElement(s.key[:0], i); err != nil {
		return key, value, err
	}
	owner, err := entries.Get(s.key)
	if err != nil {
		return key, value, err
	}
	key, value, found, err := x.owned(items, s, owner, s.key)
	if err == nil && !found {
		err = db.ErrNotFound
	}
	return key, value, err
}

// IndexItem is an item with the index key that it was found by.
type IndexItem[K, V, I any] struct {
	Index I
	Key   K
	Value V
}

// Scan walks the items whose index keys are in r, in the order of index keys,
// then of item keys, as of the moment the loop begins. An item comes once for
// each of its index keys. An error ends the loop: it is yielded once, with a
// zero item.
func (x *Index[K, V, I]) Scan(r Range[I]) iter.Seq2[IndexItem[K, V, I], error] {
	return func(yield func(IndexItem[K, V, I], error) bool) {
		var s scratch
		stopped := false
		err := x.scanEntries(r, func(it db.Item, i I, owner []byte, items *View[K, V]) (bool, error) {
			var entry []byte
			if _, expires := it.ExpiresAt(); expires {
				entry = it.Key()
			}
			key, value, found, err := x.owned(items, &s, owner, entry)
			if err != nil || !found {
				return err == nil, err
			}
			stopped = !yield(IndexItem[K, V, I]{i, key, value}, nil)
			return !stopped, nil
		})
		if err != nil && !stopped {
			yield(IndexItem[K, V, I]{}, err)
		}
	}
}

// IndexKey is an index key with the key of an item that has it.
type IndexKey[K, I any] struct {
	Index I
	Key   K
}

// Keys walks the index keys in r as Scan does, without reading the items: those
// of an item that has expired may come for another moment.
func (x *Index[K, V, I]) Keys(r Range[I]) iter.Seq2[IndexKey[K, I], error] {
	return func(yield func(IndexKey[K, I], error) bool) {
		stopped := false
		err := x.scanEntries(r, func(_ db.Item, i I, owner []byte, items *View[K, V]) (bool, error) {
			key, err := items.decodeKey(owner)
			if err != nil {
				return false, err
			}
			stopped = !yield(IndexKey[K, I]{i, key}, nil)
			return !stopped, nil
		})
		if err != nil && !stopped {
			yield(IndexKey[K, I]{}, err)
		}
	}
}

// owned is the item with an encoded key, to which entry belongs. It is not
// found if it has expired, or was removed past the view; and if it was written
// anew without the entry, which outlives an item that has expired by a moment. A
// nil entry is one that does not expire, for which this cannot be.
func (x *Index[K, V, I]) owned(items *View[K, V], s *scratch, owner, entry []byte) (key K, value V, found bool, err error) {
	s.value, err = items.reader.AppendGet(s.value[:0], owner)
	if errors.Is(err, db.ErrNotFound) {
		return key, value, false, nil
	}
	if err != nil {
		return key, value, false, err
	}
	if value, err = items.decodeValue(owner, s.value); err != nil {
		return key, value, false, err
	}
	if entry != nil {
		if has, err := x.has(owner, &value, entry); err != nil || !has {
			var none V
			return key, none, false, err
		}
	}
	key, err = items.decodeKey(owner)
	return key, value, err == nil, err
}

// scanEntries calls visit for the entries of r until it says false or fails.
// it and owner are valid during the call.
func (x *Index[K, V, I]) scanEntries(r Range[I], visit func(it db.Item, i I, owner []byte, items *View[K, V]) (bool, error)) error {
	raw, err := r.elements(x.element)
	if err != nil {
		return err
	}
	if !x.unique {
		raw = raw.KeysOnly()
	}
	return x.read(func(entries db.Reader, items *View[K, V]) error {
		for it, err := range entries.Scan(raw) {
			if err != nil {
				return err
			}
			i, owner, err := x.decodeEntry(it)
			if err != nil {
				return err
			}
			if more, err := visit(it, i, owner, items); !more || err != nil {
				return err
			}
		}
		return nil
	})
}

// decodeEntry is the index key of an entry and the key of its item, which is
// valid as long as it.
func (x *indexing[V, I]) decodeEntry(it db.Item) (i I, owner []byte, err error) {
	i, rest, err := x.element.DecodeElement(it.Key())
	if err != nil {
		return i, nil, x.malformed(it.Key(), err)
	}
	if !x.unique {
		return i, rest, nil
	}
	if len(rest) > 0 {
		return i, nil, x.malformed(it.Key(), malformed("bytes behind the index key"))
	}
	owner, err = it.Value()
	return i, owner, err
}
