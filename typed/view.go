package typed

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cordwood-db/cordwood/db"
)

// View is a keyspace whose keys are of type K and whose values are of type V.
// It is safe for concurrent use, but for one that is bound to a transaction,
// which belongs to the goroutine of the transaction.
//
// Where nothing else is said, methods return the errors of the [db.Keyspace],
// such as [db.ErrNotFound], those of the codecs for what they are given, and
// [*DecodeError] for what is stored.
type View[K, V any] struct {
	*binding[K, V]
	reader db.Reader
	writer db.Writer    // nil: bound to a snapshot
	tx     *db.Tx       // not nil: bound to a transaction
	snap   *db.Snapshot // not nil: bound to a snapshot
}

// binding is what all views of one New share.
type binding[K, V any] struct {
	store  *db.DB
	ks     *db.Keyspace
	keys   Codec[K]
	values Codec[V]

	adding  sync.Mutex // held by AddIndex
	indexes atomic.Pointer[[]indexer[V]]
}

// Item is a key with its value.
type Item[K, V any] struct {
	Key       K
	Value     V
	ExpiresAt time.Time // zero: never
}

// New is a view of the keyspace ks of store. The view has no state to close.
//
// Several views of one keyspace may live side by side, but those that write
// must have the same indexes.
func New[K, V any](store *db.DB, ks *db.Keyspace, keys Codec[K], values Codec[V]) *View[K, V] {
	return &View[K, V]{
		binding: &binding[K, V]{store: store, ks: ks, keys: keys, values: values},
		reader:  ks, writer: ks,
	}
}

// In is the view inside a transaction, valid as long as that. It sees what the
// transaction has written, and its writes are part of it.
func (v *View[K, V]) In(tx *db.Tx) *View[K, V] {
	t := tx.In(v.ks)
	return &View[K, V]{binding: v.binding, reader: t, writer: t, tx: tx}
}

// At is the view as of a snapshot, valid until that is closed. Writes return
// [ErrReadOnlyView].
func (v *View[K, V]) At(snap *db.Snapshot) *View[K, V] {
	return &View[K, V]{binding: v.binding, reader: snap.In(v.ks), snap: snap}
}

// Get is the value of key, or ErrNotFound.
func (v *View[K, V]) Get(key K) (value V, err error) {
	s := newScratch()
	defer s.free()
	if s.key, err = v.keys.Append(s.key[:0], key); err != nil {
		return value, err
	}
	return v.get(s)
}

// get is the value of the key in s.
func (v *View[K, V]) get(s *scratch) (value V, err error) {
	if s.value, err = v.reader.AppendGet(s.value[:0], s.key); err != nil {
		return value, err
	}
	return v.decodeValue(s.key, s.value)
}

// Has reports whether key has a value, without reading that.
func (v *View[K, V]) Has(key K) (found bool, err error) {
	s := newScratch()
	defer s.free()
	if s.key, err = v.keys.Append(s.key[:0], key); err != nil {
		return false, err
	}
	return v.reader.Has(s.key)
}

// Put gives key a value. In a view with indexes, outside a transaction, it runs
// one of its own; a *[UniqueError] says that a unique index refuses the value.
func (v *View[K, V]) Put(key K, value V) error { return v.put(key, value, 0, false) }

// PutTTL gives key a value that expires. Index entries expire with it.
func (v *View[K, V]) PutTTL(key K, value V, ttl time.Duration) error {
	return v.put(key, value, ttl, true)
}

func (v *View[K, V]) put(key K, value V, ttl time.Duration, expires bool) (err error) {
	s := newScratch()
	defer s.free()
	if s.key, err = v.keys.Append(s.key[:0], key); err != nil {
		return err
	}
	if s.value, err = v.values.Append(s.value[:0], value); err != nil {
		return err
	}
	w := write{key: s.key, value: s.value, ttl: ttl, expires: expires}
	if indexes := v.indexers(); len(indexes) > 0 {
		if own := v.ks.DefaultTTL(); own > 0 && !expires {
			w.ttl, w.expires = own, true // for the entries, too
		}
		// What is stored is what counts: codecs may lose something, such as
		// fields that JSON leaves out, and the entries have to be found again
		// when the item is overwritten.
		stored, err := v.decodeValue(s.key, s.value)
		if err != nil {
			return err
		}
		return v.writeIndexed(indexes, w, &stored)
	}
	return v.writePlain(w)
}

// Delete removes key and its value. It is no error if there is none.
func (v *View[K, V]) Delete(key K) (err error) {
	s := newScratch()
	defer s.free()
	if s.key, err = v.keys.Append(s.key[:0], key); err != nil {
		return err
	}
	w := write{key: s.key, remove: true}
	if indexes := v.indexers(); len(indexes) > 0 {
		return v.writeIndexed(indexes, w, nil)
	}
	return v.writePlain(w)
}

// write is a change of one key of a keyspace.
type write struct {
	key, value []byte
	remove     bool
	expires    bool
	ttl        time.Duration
}

func (w write) to(dst db.Writer) error {
	switch {
	case w.remove:
		return dst.Delete(w.key)
	case w.expires:
		return dst.PutTTL(w.key, w.value, w.ttl)
	}
	return dst.Put(w.key, w.value)
}

func (v *View[K, V]) writePlain(w write) error {
	if v.writer == nil {
		return ErrReadOnlyView
	}
	return w.to(v.writer)
}

// writeIndexed writes w and what it means for the indexes. value is what
// w.value decodes to, or nil for a delete.
func (v *View[K, V]) writeIndexed(indexes []indexer[V], w write, value *V) error {
	switch {
	case v.writer == nil:
		return ErrReadOnlyView
	case v.tx != nil:
		return v.change(v.tx, indexes, w, value)
	}
	return v.store.Update(context.Background(), func(tx *db.Tx) error {
		return v.change(tx, indexes, w, value)
	})
}

// change does what writeIndexed says, in tx. Whatever may refuse the write is
// asked before anything is written.
func (v *View[K, V]) change(tx *db.Tx, indexes []indexer[V], w write, value *V) error {
	items := tx.In(v.ks)
	valueOf := func(key []byte) (*V, error) { return v.valueIn(items, key) }
	old, err := valueOf(w.key)
	if err != nil {
		return err
	}
	changes := make([]entryChange, 0, 4)
	for _, x := range indexes {
		if changes, err = x.changes(tx, valueOf, changes, w.key, old, value); err != nil {
			return err
		}
	}
	// The item first: entries that expire never do so before it.
	if err := w.to(items); err != nil {
		return err
	}
	for _, c := range changes {
		e := write{key: c.key, value: c.value, remove: c.remove, expires: w.expires, ttl: w.ttl}
		if err := e.to(tx.In(c.ks)); err != nil {
			return err
		}
	}
	return nil
}

// valueIn is the value of the item with an encoded key; nil if there is none.
func (b *binding[K, V]) valueIn(items db.Reader, key []byte) (*V, error) {
	stored, err := items.Get(key)
	if errors.Is(err, db.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	value, err := b.decodeValue(key, stored)
	if err != nil {
		return nil, err
	}
	return &value, nil
}

// Scan walks the items of r in the order of their encoded keys, as of the
// moment the loop begins. An error ends the loop: it is yielded once, with a
// zero item. Items share no memory with the store and may be kept.
func (v *View[K, V]) Scan(r Range[K]) iter.Seq2[Item[K, V], error] {
	return func(yield func(Item[K, V], error) bool) {
		raw, err := r.raw(v.keys)
		if err != nil {
			yield(Item[K, V]{}, err)
			return
		}
		for it, err := range v.reader.Scan(raw) {
			var item Item[K, V]
			if err == nil {
				item, err = v.decodeItem(it)
			}
			if !yield(item, err) || err != nil {
				return
			}
		}
	}
}

// Keys walks the keys of r as Scan does, without reading values.
func (v *View[K, V]) Keys(r Range[K]) iter.Seq2[K, error] {
	return func(yield func(K, error) bool) {
		var key K
		raw, err := r.raw(v.keys)
		if err != nil {
			yield(key, err)
			return
		}
		for it, err := range v.reader.Scan(raw.KeysOnly()) {
			var key K
			if err == nil {
				key, err = v.decodeKey(it.Key())
			}
			if !yield(key, err) || err != nil {
				return
			}
		}
	}
}

func (b *binding[K, V]) decodeItem(it db.Item) (item Item[K, V], err error) {
	value, err := it.Value()
	if err != nil {
		return item, err
	}
	key, err := b.decodeKey(it.Key())
	if err != nil {
		return item, err
	}
	v, err := b.decodeValue(it.Key(), value)
	if err != nil {
		return item, err
	}
	at, _ := it.ExpiresAt()
	return Item[K, V]{Key: key, Value: v, ExpiresAt: at}, nil
}

func (b *binding[K, V]) decodeKey(key []byte) (K, error) {
	k, err := b.keys.Decode(key)
	if err != nil {
		var none K
		return none, &DecodeError{b.ks.Name(), bytes.Clone(key), "key", err}
	}
	return k, nil
}

func (b *binding[K, V]) decodeValue(key, value []byte) (V, error) {
	v, err := b.values.Decode(value)
	if err != nil {
		var none V
		return none, &DecodeError{b.ks.Name(), bytes.Clone(key), "value", err}
	}
	return v, nil
}

// indexers are the indexes of the view.
func (b *binding[K, V]) indexers() []indexer[V] {
	if p := b.indexes.Load(); p != nil {
		return *p
	}
	return nil
}

// scratch is memory for an encoded key and value during one call. The store
// keeps neither.
type scratch struct{ key, value []byte }

// scratchBytesMax is how much of it is kept for the next call.
const scratchBytesMax = 64 << 10

var scratches = sync.Pool{New: func() any { return new(scratch) }}

func newScratch() *scratch { return scratches.Get().(*scratch) }

func (s *scratch) free() {
	if cap(s.key)+cap(s.value) <= scratchBytesMax {
		scratches.Put(s)
	}
}
