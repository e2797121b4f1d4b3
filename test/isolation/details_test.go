package isolation

import (
	"errors"
	"testing"

	"github.com/cordwood-db/cordwood/db"
	"github.com/cordwood-db/cordwood/vfs"
)

// What docs/isolation.md says beside its table: two transactions that run at the
// same time, and whether the second to commit has a conflict.
func TestDetailsInTheDocuments(t *testing.T) {
	x, y := []byte("x"), []byte("y")
	nothing := func(*store, *db.Tx) error { return nil }
	for _, c := range []struct {
		name                   string
		first, second          func(s *store, tx *db.Tx) error
		serializable, snapshot bool // conflicts
	}{
		{"merges into one key",
			func(_ *store, tx *db.Tx) error { return tx.Merge(x, []byte("a")) },
			func(_ *store, tx *db.Tx) error { return tx.Merge(x, []byte("b")) }, false, false},
		{"a read, and merges into the same key",
			func(_ *store, tx *db.Tx) error { return errors.Join(found(tx.Get(x)), tx.Merge(x, []byte("a"))) },
			func(_ *store, tx *db.Tx) error { return errors.Join(found(tx.Get(x)), tx.Merge(x, []byte("b"))) }, true, false},
		{"a read for update, and merges into the same key",
			func(_ *store, tx *db.Tx) error { return tx.Merge(x, []byte("a")) },
			func(_ *store, tx *db.Tx) error {
				return errors.Join(found(tx.GetForUpdate(x)), tx.Merge(x, []byte("b")))
			}, true, true},
		{"a put over a merge",
			func(_ *store, tx *db.Tx) error { return tx.Merge(x, []byte("a")) },
			func(_ *store, tx *db.Tx) error { return tx.Put(x, []byte("b")) }, false, true},
		{"blind writes of one key",
			func(_ *store, tx *db.Tx) error { return tx.Put(x, []byte("a")) },
			func(_ *store, tx *db.Tx) error { return tx.Put(x, []byte("b")) }, false, true},
		{"a range delete over a write",
			func(_ *store, tx *db.Tx) error { return tx.Put(x, []byte("a")) },
			func(_ *store, tx *db.Tx) error { return tx.DeleteRange(db.Prefix(x)) }, false, true},
		{"a write under a range delete",
			func(_ *store, tx *db.Tx) error { return tx.DeleteRange(db.Prefix(x)) },
			func(_ *store, tx *db.Tx) error { return tx.Put(x, []byte("a")) }, false, true},
		{"a read of an own write",
			func(_ *store, tx *db.Tx) error { return tx.Put(x, []byte("a")) },
			func(_ *store, tx *db.Tx) error { return errors.Join(tx.Put(x, []byte("b")), found(tx.Get(x))) }, false, true},
		{"a read through an own merge",
			func(_ *store, tx *db.Tx) error { return tx.Put(x, []byte("a")) },
			func(_ *store, tx *db.Tx) error {
				return errors.Join(tx.Merge(x, []byte("b")), found(tx.Get(x)), tx.Put(y, nil))
			}, true, false},
		{"write skew over keyspaces",
			func(s *store, tx *db.Tx) error {
				return errors.Join(found(tx.Get(x)), tx.In(s.places[1]).Put(x, []byte("a")))
			},
			func(s *store, tx *db.Tx) error {
				return errors.Join(found(tx.In(s.places[1]).Get(x)), tx.Put(x, []byte("b")))
			}, true, false},
		{"the same key of two keyspaces",
			func(s *store, tx *db.Tx) error { return tx.In(s.places[1]).Put(x, []byte("a")) },
			func(s *store, tx *db.Tx) error { return errors.Join(found(tx.Get(x)), tx.Put(x, []byte("b"))) }, false, false},
		{"only reads, of what was written",
			func(_ *store, tx *db.Tx) error { return tx.Put(x, []byte("a")) },
			func(_ *store, tx *db.Tx) error { return errors.Join(found(tx.Get(x)), scanAll(tx, db.All())) }, false, false},
		{"nothing", nothing, nothing, false, false},
	} {
		for level, conflict := range map[db.Isolation]bool{db.Serializable: c.serializable, db.SnapshotIsolation: c.snapshot} {
			t.Run(c.name, func(t *testing.T) {
				o := smallOptions()
				o.FS = vfs.NewMem()
				s := openStore(t, "/store", o)
				t1, err := s.db.Begin(db.TxOptions{Isolation: level})
				if err != nil {
					t.Fatal(err)
				}
				defer t1.Discard()
				t2, err := s.db.Begin(db.TxOptions{Isolation: level})
				if err != nil {
					t.Fatal(err)
				}
				defer t2.Discard()
				if err := errors.Join(c.first(s, t1), c.second(s, t2), t1.Commit()); err != nil {
					t.Fatal(err)
				}
				if err := t2.Commit(); conflict != errors.Is(err, db.ErrConflict) || !conflict && err != nil {
					t.Errorf("level %d: %v, conflict expected: %v", level, err, conflict)
				}
			})
		}
	}
}
