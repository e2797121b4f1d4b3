package enginetest

import (
	"bytes"
	"context"
	"slices"
	"time"

	"github.com/cordwood-db/cordwood/bench/engine"
)

// memory is an open store. Its lock guards the tree; cursors and transactions
// work on clones, which share nodes until one side writes.
type memory struct {
	*contents
	closed bool // under the lock of contents
}

// Get implements engine.Store.
func (m *memory) Get(dst, key []byte) ([]byte, error) {
	m.RLock()
	defer m.RUnlock()
	if m.closed {
		return dst, errClosed
	}
	e, ok := find(m.tree, key)
	if !ok {
		return dst, engine.ErrNotFound
	}
	return append(dst, e.value...), nil
}

// find looks up what is not expired.
func find(t *tree, key []byte) (*entry, bool) {
	e, ok := t.Get(&entry{key: key})
	return e, ok && e.live(time.Now().UnixNano())
}

// Put implements engine.Store.
func (m *memory) Put(key, value []byte) error { return m.PutTTL(key, value, 0) }

// PutTTL implements engine.Expirer. A ttl of 0 is without end.
func (m *memory) PutTTL(key, value []byte, ttl time.Duration) error {
	e := &entry{key: own(key), value: bytes.Clone(value)}
	if ttl > 0 {
		e.expires = time.Now().Add(ttl).UnixNano()
	}
	return m.apply([]*entry{e})
}

// Delete implements engine.Store.
func (m *memory) Delete(key []byte) error {
	return m.apply([]*entry{{key: key, expires: deleted}})
}

// deleted is the expiry of a write that deletes.
const deleted = -1

// apply does the writes, in order and all at once. It keeps the entries.
func (m *memory) apply(writes []*entry) error {
	m.Lock()
	defer m.Unlock()
	if m.closed {
		return errClosed
	}
	m.applyLocked(writes)
	return nil
}

func (m *memory) applyLocked(writes []*entry) {
	for _, e := range writes {
		m.seq++
		if e.expires == deleted {
			m.tree.Delete(e)
			continue
		}
		e.seq = m.seq
		m.tree.ReplaceOrInsert(e)
	}
}

// Merge implements engine.Merger.
func (m *memory) Merge(key, operand []byte) error {
	m.Lock()
	defer m.Unlock()
	if m.closed {
		return errClosed
	}
	merged := &entry{key: own(key), value: bytes.Clone(operand)}
	if old, ok := find(m.tree, key); ok {
		merged.value = slices.Concat(old.value, operand)
		merged.expires = old.expires
	}
	m.applyLocked([]*entry{merged})
	return nil
}

// MultiGet implements engine.MultiGetter. All keys are read at one moment.
func (m *memory) MultiGet(keys [][]byte, see func(i int, value []byte, err error) error) error {
	snapshot, err := m.snapshot()
	if err != nil {
		return err
	}
	for i, key := range keys {
		e, ok := find(snapshot, key)
		if ok {
			err = see(i, e.value, nil)
		} else {
			err = see(i, nil, engine.ErrNotFound)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// snapshot clones the tree in constant time; to clone it is to write to it.
func (m *memory) snapshot() (*tree, error) {
	m.Lock()
	defer m.Unlock()
	if m.closed {
		return nil, errClosed
	}
	return m.tree.Clone(), nil
}

// BulkLoad implements engine.BulkLoader.
func (m *memory) BulkLoad(ctx context.Context, next func() (key, value []byte, ok bool)) error {
	for key, value, ok := next(); ok; key, value, ok = next() {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := m.Put(key, value); err != nil {
			return err
		}
	}
	return nil
}

// CollectGarbage implements engine.Collector: it drops what is expired.
func (m *memory) CollectGarbage(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.Lock()
	defer m.Unlock()
	if m.closed {
		return errClosed
	}
	var expired []*entry
	now := time.Now().UnixNano()
	m.tree.Ascend(func(e *entry) bool {
		if !e.live(now) {
			expired = append(expired, e)
		}
		return true
	})
	for _, e := range expired {
		m.tree.Delete(e)
	}
	return nil
}

// Busy implements engine.Busier: nothing ever holds writers back.
func (m *memory) Busy() string { return "" }

// Counters implements engine.Counter.
func (m *memory) Counters() map[string]float64 {
	m.RLock()
	defer m.RUnlock()
	return map[string]float64{"writes": float64(m.seq), "entries_now": float64(m.tree.Len())}
}

// Settle implements engine.Store. There is nothing to wait for.
func (m *memory) Settle(ctx context.Context) error {
	m.RLock()
	defer m.RUnlock()
	if m.closed {
		return errClosed
	}
	return ctx.Err()
}

// Close implements engine.Store. The data stays in memory.
func (m *memory) Close() error {
	m.Lock()
	defer m.Unlock()
	if m.closed {
		return errClosed
	}
	m.closed, m.open = true, false
	return nil
}
