package enginetest

import (
	"bytes"

	"github.com/cordwood-db/cordwood/bench/engine"
)

// batch collects writes. Commit gives them away to the tree.
type batch struct {
	store  *memory
	writes []*entry
}

// NewBatch implements engine.Store.
func (m *memory) NewBatch() engine.Batch { return &batch{store: m} }

// Put implements engine.Batch.
func (b *batch) Put(key, value []byte) error {
	b.writes = append(b.writes, &entry{key: own(key), value: bytes.Clone(value)})
	return nil
}

// Delete implements engine.Batch.
func (b *batch) Delete(key []byte) error {
	b.writes = append(b.writes, &entry{key: own(key), expires: deleted})
	return nil
}

// Commit implements engine.Batch.
func (b *batch) Commit() error {
	err := b.store.apply(b.writes)
	clear(b.writes)
	b.writes = b.writes[:0]
	return err
}

// Close implements engine.Batch.
func (b *batch) Close() error {
	b.writes = nil
	return nil
}
