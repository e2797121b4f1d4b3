package db

import (
	"iter"
	"sync/atomic"

	"github.com/cordwood-db/cordwood/internal/base"
)

// Snapshot is the store as it was when Snapshot was called, whatever is
// written, compacted or collected meanwhile. An open snapshot keeps old
// versions of what has changed since from being reclaimed: close it when done.
// Safe for concurrent use.
type Snapshot struct {
	db     *DB
	seq    base.SeqNum
	handle *handle
	closed atomic.Bool
}

// Snapshot opens a snapshot.
func (db *DB) Snapshot() (*Snapshot, error) {
	if db.state.Load() == nil {
		return nil, ErrClosed
	}
	s := &Snapshot{db: db}
	db.opened.addSnapshot(s, func() base.SeqNum { return base.SeqNum(db.visible.Load()) })
	return s, nil
}

// acquire is DB.acquire at the snapshot's sequence number.
func (s *Snapshot) acquire() (*readState, error) {
	state, _ := s.db.acquire()
	if state == nil {
		return nil, ErrClosed
	}
	// In this order: a state from before the snapshot was closed has all that
	// it sees, a later one may not.
	if s.closed.Load() {
		s.db.release(state)
		return nil, ErrClosed
	}
	return state, nil
}

// Get is DB.Get as of the snapshot.
func (s *Snapshot) Get(key []byte) ([]byte, error) { return s.AppendGet(nil, key) }

// AppendGet is DB.AppendGet as of the snapshot.
func (s *Snapshot) AppendGet(dst, key []byte) ([]byte, error) {
	state, err := s.acquire()
	if err != nil {
		return dst, err
	}
	defer s.db.release(state)
	return s.db.appendGet(dst, state, s.seq, key)
}

// Has is DB.Has as of the snapshot.
func (s *Snapshot) Has(key []byte) (bool, error) {
	state, err := s.acquire()
	if err != nil {
		return false, err
	}
	defer s.db.release(state)
	return s.db.has(state, s.seq, key)
}

// MultiGet is DB.MultiGet as of the snapshot.
func (s *Snapshot) MultiGet(keys ...[]byte) ([][]byte, error) {
	state, err := s.acquire()
	if err != nil {
		return nil, err
	}
	defer s.db.release(state)
	return s.db.multiGet(state, s.seq, keys)
}

// NewCursor is DB.NewCursor as of the snapshot. The cursor may outlive it.
func (s *Snapshot) NewCursor(r Range) (*Cursor, error) {
	state, err := s.acquire()
	if err != nil {
		return nil, err
	}
	return s.db.newCursor(state, s.seq, r)
}

// Scan is DB.Scan as of the snapshot.
func (s *Snapshot) Scan(r Range) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		c, err := s.NewCursor(r)
		scan(c, err, yield)
	}
}

// Close releases the snapshot. Closing it again is allowed.
func (s *Snapshot) Close() error {
	if s.closed.CompareAndSwap(false, true) {
		s.db.opened.remove(s.handle)
		// What it held back may now be compacted away.
		s.db.broadcast()
	}
	return nil
}
