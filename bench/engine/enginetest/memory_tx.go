package enginetest

import (
	"bytes"
	"errors"

	"github.com/cordwood-db/cordwood/bench/engine"
)

// tx reads a clone of the tree, with its own writes on top. What it has read or
// written must be in the store unchanged when it commits: it is serializable.
type tx struct {
	snapshot *tree
	touched  map[string]bool
	writes   map[string]*entry
}

// Update implements engine.Transactor.
func (m *memory) Update(fn func(engine.Tx) error) (retries int, err error) {
	for ; ; retries++ {
		snapshot, err := m.snapshot()
		if err != nil {
			return retries, err
		}
		t := &tx{snapshot: snapshot, touched: make(map[string]bool), writes: make(map[string]*entry)}
		if err := fn(t); err != nil {
			return retries, err
		}
		if done, err := m.commit(t); done || err != nil {
			return retries, err
		}
	}
}

// View implements engine.Viewer.
func (m *memory) View(fn func(engine.Tx) error) error {
	snapshot, err := m.snapshot()
	if err != nil {
		return err
	}
	return fn(view{&tx{snapshot: snapshot, touched: make(map[string]bool)}})
}

// view is a tx that does not write.
type view struct{ *tx }

var errView = errors.New("enginetest: the transaction only reads")

// Put implements engine.Tx.
func (view) Put([]byte, []byte) error { return errView }

// Delete implements engine.Tx.
func (view) Delete([]byte) error { return errView }

// commit reports false if another commit was first.
func (m *memory) commit(t *tx) (bool, error) {
	m.Lock()
	defer m.Unlock()
	if m.closed {
		return false, errClosed
	}
	if len(t.writes) == 0 {
		return true, nil
	}
	for key := range t.touched {
		probe := &entry{key: []byte(key)}
		before, had := t.snapshot.Get(probe)
		now, has := m.tree.Get(probe)
		if had != has || had && before.seq != now.seq {
			return false, nil
		}
	}
	for _, e := range t.writes {
		m.applyLocked([]*entry{e})
	}
	return true, nil
}

// Get implements engine.Tx.
func (t *tx) Get(dst, key []byte) ([]byte, error) {
	t.touched[string(key)] = true
	e, ok := t.writes[string(key)]
	if !ok {
		e, ok = find(t.snapshot, key)
	}
	if !ok || e.expires == deleted {
		return dst, engine.ErrNotFound
	}
	return append(dst, e.value...), nil
}

// Put implements engine.Tx.
func (t *tx) Put(key, value []byte) error {
	return t.write(&entry{key: own(key), value: bytes.Clone(value)})
}

// Delete implements engine.Tx.
func (t *tx) Delete(key []byte) error {
	return t.write(&entry{key: own(key), expires: deleted})
}

func (t *tx) write(e *entry) error {
	t.touched[string(e.key)] = true
	t.writes[string(e.key)] = e
	return nil
}
