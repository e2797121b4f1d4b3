package db

import (
	"iter"
	"sync/atomic"
	"time"

	"github.com/cordwood-db/cordwood/internal/base"
)

// Snapshot is the store as it was when Snapshot was called, whatever is
// written, compacted or collected meanwhile, in all its keyspaces; its methods
// read the default one, In reads others. An open snapshot keeps old versions of
// what has changed since from being reclaimed: close it when done. Safe for
// concurrent use.
type Snapshot struct {
	db     *DB
	seq    base.SeqNum
	handle *handle
	began  time.Time
	pin    pin
	closed atomic.Bool
}

// Snapshot opens a snapshot of all keyspaces.
func (db *DB) Snapshot() (*Snapshot, error) {
	if db.state.Load() == nil {
		return nil, ErrClosed
	}
	s := &Snapshot{db: db, began: time.Now()}
	if !db.opened.addSnapshot(s) {
		return nil, ErrClosed
	}
	return s, nil
}

// Seq is the sequence number of the snapshot: a feed that resumes after it
// delivers what the snapshot does not have. If the machine's power took commits
// that the snapshot had, its number is not to be resumed at any more.
func (s *Snapshot) Seq() uint64 { return uint64(s.seq) }

// In reads another keyspace as of the snapshot. A keyspace that was dropped
// since gives ErrKeyspaceDropped; one made since is empty.
func (s *Snapshot) In(ks *Keyspace) Reader { return snapshotIn{s, ks} }

// snapshotIn is one keyspace of a snapshot.
type snapshotIn struct {
	s  *Snapshot
	ks *Keyspace
}

// reader reads the keyspace as of the snapshot.
func (in snapshotIn) reader() (reader, error) {
	if in.ks.db != in.s.db {
		return reader{}, errForeignKeyspace
	}
	state := in.s.pin.acquire(in.s.db, in.ks)
	if state == nil {
		return reader{}, ErrClosed
	}
	// In this order: a state from before the snapshot was closed has all that
	// it sees, a later one may not.
	if in.s.closed.Load() {
		in.s.db.release(state)
		return reader{}, ErrClosed
	}
	return in.ks.readerAt(state, in.s.seq)
}

// Get implements Reader.
func (in snapshotIn) Get(key []byte) ([]byte, error) { return in.AppendGet(nil, key) }

// AppendGet implements Reader.
func (in snapshotIn) AppendGet(dst, key []byte) ([]byte, error) {
	r, err := in.reader()
	if err != nil {
		return dst, err
	}
	defer r.release()
	return r.appendGet(dst, key)
}

// Has implements Reader.
func (in snapshotIn) Has(key []byte) (bool, error) {
	r, err := in.reader()
	if err != nil {
		return false, err
	}
	defer r.release()
	return r.has(key)
}

// MultiGet implements Reader.
func (in snapshotIn) MultiGet(keys ...[]byte) ([][]byte, error) {
	r, err := in.reader()
	if err != nil {
		return nil, err
	}
	defer r.release()
	return r.multiGet(keys)
}

// NewCursor implements Reader.
func (in snapshotIn) NewCursor(rng Range) (*Cursor, error) {
	r, err := in.reader()
	if err != nil {
		return nil, err
	}
	return r.newCursor(rng)
}

// Scan implements Reader.
func (in snapshotIn) Scan(rng Range) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		c, err := in.NewCursor(rng)
		scan(c, err, yield)
	}
}

func (s *Snapshot) main() snapshotIn { return snapshotIn{s, s.db.main} }

// Get is DB.Get as of the snapshot.
func (s *Snapshot) Get(key []byte) ([]byte, error) { return s.main().AppendGet(nil, key) }

// AppendGet is DB.AppendGet as of the snapshot.
func (s *Snapshot) AppendGet(dst, key []byte) ([]byte, error) { return s.main().AppendGet(dst, key) }

// Has is DB.Has as of the snapshot.
func (s *Snapshot) Has(key []byte) (bool, error) { return s.main().Has(key) }

// MultiGet is DB.MultiGet as of the snapshot.
func (s *Snapshot) MultiGet(keys ...[]byte) ([][]byte, error) { return s.main().MultiGet(keys...) }

// NewCursor is DB.NewCursor as of the snapshot. The cursor may outlive it.
func (s *Snapshot) NewCursor(r Range) (*Cursor, error) { return s.main().NewCursor(r) }

// Scan is DB.Scan as of the snapshot.
func (s *Snapshot) Scan(r Range) iter.Seq2[Item, error] { return s.main().Scan(r) }

// Close releases the snapshot. Closing it again is allowed.
func (s *Snapshot) Close() error {
	s.db.opened.remove(s.handle) // first: from now on nobody pins it
	if s.shut() {
		// What it held back may now be compacted away.
		s.db.broadcast()
	}
	return nil
}

// shut ends the snapshot, once.
func (s *Snapshot) shut() bool {
	if !s.closed.CompareAndSwap(false, true) {
		return false
	}
	s.pin.drop(s.db)
	return true
}
