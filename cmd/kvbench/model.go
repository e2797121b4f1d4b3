package main

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/cordwood-db/cordwood/db"
)

// model knows what the store must hold. It is safe for concurrent use as long
// as each key has one writer at a time.
type model struct {
	*generator
	acknowledged []atomic.Uint32 // version by key; 0: never written
	issued       []atomic.Uint32
}

func newModel(g *generator, keys int) *model {
	return &model{
		generator:    g,
		acknowledged: make([]atomic.Uint32, keys),
		issued:       make([]atomic.Uint32, keys),
	}
}

func (m *model) keys() int { return len(m.acknowledged) }

// forget is for a new, empty store.
func (m *model) forget() {
	for i := range m.acknowledged {
		m.acknowledged[i].Store(0)
		m.issued[i].Store(0)
	}
}

// issue starts a write of key i and returns its version.
func (m *model) issue(i int) uint32 { return m.issued[i].Add(1) }

// acknowledge ends the write that issue began.
func (m *model) acknowledge(i int, version uint32) { m.acknowledged[i].Store(version) }

// wrongAnswer says that the store returned something it must not.
type wrongAnswer struct {
	Key     string
	Problem string
}

func (w *wrongAnswer) Error() string {
	return fmt.Sprintf("WRONG ANSWER for key %q: %s", w.Key, w.Problem)
}

// checkGet judges the answer of a point read of key i. atLeast is the version
// that was acknowledged before the read began.
func (m *model) checkGet(i int, atLeast uint32, value []byte, err error) error {
	number := presentNumber(i)
	switch {
	case errors.Is(err, db.ErrNotFound):
		if atLeast == 0 {
			return nil
		}
		return wrong(number, fmt.Sprintf("not found; version %d was acknowledged", atLeast))
	case err != nil:
		return fmt.Errorf("reading key %q: %w", appendKey(nil, number), err)
	}
	return m.checkVersion(i, atLeast, value)
}

// checkVersion judges a value that the store gave for key i.
func (m *model) checkVersion(i int, atLeast uint32, value []byte) error {
	number := presentNumber(i)
	version, problem := m.check(value, number)
	if problem != "" {
		return wrong(number, problem)
	}
	if version < atLeast {
		return wrong(number, fmt.Sprintf("stale: version %d; version %d was acknowledged", version, atLeast))
	}
	if issued := m.issued[i].Load(); version > issued {
		return wrong(number, fmt.Sprintf("version %d was never written; the last is %d", version, issued))
	}
	return nil
}

// checkMissing judges the answer of a point read of a key that is not there.
func checkMissing(number uint64, value []byte, err error) error {
	switch {
	case err == nil:
		return wrong(number, fmt.Sprintf("found with %d bytes; it was never written", len(value)))
	case errors.Is(err, db.ErrNotFound):
		return nil
	}
	return fmt.Errorf("reading key %q: %w", appendKey(nil, number), err)
}

func wrong(number uint64, problem string) error {
	return &wrongAnswer{Key: string(appendKey(nil, number)), Problem: problem}
}

// walk checks the entries of a scan over keys [next, end) of a store to which
// nobody writes meanwhile; downwards if step is -1, and then over (end, next].
type walk struct {
	model     *model
	next, end int
	step      int
}

// expect returns the next key that the scan must show, ok=false if none.
func (w *walk) expect() (i int, ok bool) {
	for w.next != w.end && w.model.acknowledged[w.next].Load() == 0 {
		w.next += w.step
	}
	return w.next, w.next != w.end
}

// see checks one entry.
func (w *walk) see(key, value []byte) error {
	i, ok := w.expect()
	if !ok {
		return &wrongAnswer{Key: string(key), Problem: "the scan shows it after the last key"}
	}
	number, ours := keyNumber(key)
	if !ours || number != presentNumber(i) {
		return &wrongAnswer{Key: string(key), Problem: fmt.Sprintf("the scan shows it where %q must come", appendKey(nil, presentNumber(i)))}
	}
	w.next += w.step
	return w.model.checkVersion(i, w.model.acknowledged[i].Load(), value)
}

// finish checks that the scan did not end early.
func (w *walk) finish() error {
	if i, ok := w.expect(); ok {
		return wrong(presentNumber(i), "the scan ended before it")
	}
	return nil
}
