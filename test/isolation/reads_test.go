package isolation

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/cordwood-db/cordwood/db"
	"github.com/cordwood-db/cordwood/vfs"
)

// The key that is read and written, and its neighbours.
var (
	theKey    = []byte("k")
	before    = []byte("j")
	between   = []byte("k\x00")
	after     = []byte("l")
	elsewhere = []byte("z")
)

// readWays are all the ways of a transaction to find out what is at theKey.
// Those that read a range read ["k", "l").
var readWays = map[string]struct {
	ofRange bool
	read    func(tx *db.Tx) error
}{
	"Get":          {false, func(tx *db.Tx) error { return found(tx.Get(theKey)) }},
	"GetForUpdate": {false, func(tx *db.Tx) error { return found(tx.GetForUpdate(theKey)) }},
	"AppendGet":    {false, func(tx *db.Tx) error { return found(tx.AppendGet([]byte("x"), theKey)) }},
	"Has": {false, func(tx *db.Tx) error {
		_, err := tx.Has(theKey)
		return err
	}},
	"MultiGet": {false, func(tx *db.Tx) error {
		_, err := tx.MultiGet([]byte("a"), theKey, []byte("y"))
		return err
	}},
	"Scan":             {true, func(tx *db.Tx) error { return scanAll(tx, db.Between(theKey, after)) }},
	"Scan backward":    {true, func(tx *db.Tx) error { return scanAll(tx, db.Between(theKey, after).Backward()) }},
	"Scan of keys":     {true, func(tx *db.Tx) error { return scanAll(tx, db.Between(theKey, after).KeysOnly()) }},
	"Scan of a prefix": {true, func(tx *db.Tx) error { return scanAll(tx, db.Prefix(theKey)) }},
	"Cursor.First": {true, func(tx *db.Tx) error {
		return withCursor(tx, db.Between(theKey, after), func(c *db.Cursor) {
			for ok := c.First(); ok; ok = c.Next() {
			}
		})
	}},
	"Cursor.Last": {true, func(tx *db.Tx) error {
		return withCursor(tx, db.Between(theKey, after), func(c *db.Cursor) {
			for ok := c.Last(); ok; ok = c.Prev() {
			}
		})
	}},
	"Cursor.SeekGE": {true, func(tx *db.Tx) error {
		return withCursor(tx, db.Between(theKey, after), func(c *db.Cursor) {
			for ok := c.SeekGE(theKey); ok; ok = c.Next() {
			}
		})
	}},
	"Cursor.SeekLT": {true, func(tx *db.Tx) error {
		return withCursor(tx, db.Between(theKey, after), func(c *db.Cursor) {
			for ok := c.SeekLT(after); ok; ok = c.Prev() {
			}
		})
	}},
}

func found(_ []byte, err error) error {
	if errors.Is(err, db.ErrNotFound) {
		return nil
	}
	return err
}

func scanAll(tx *db.Tx, r db.Range) error {
	for _, err := range tx.Scan(r) {
		if err != nil {
			return err
		}
	}
	return nil
}

func withCursor(tx *db.Tx, r db.Range, move func(c *db.Cursor)) error {
	c, err := tx.NewCursor(r)
	if err != nil {
		return err
	}
	move(c)
	return errors.Join(c.Err(), c.Close())
}

// writeWays are the ways of others to change a key.
var writeWays = map[string]struct {
	absent, present bool // whether it changes one that is not there, and one that is
	write           func(s *store, key []byte) error
}{
	"Put":                  {true, true, func(s *store, k []byte) error { return s.db.Put(k, []byte("new")) }},
	"PutTTL":               {true, true, func(s *store, k []byte) error { return s.db.PutTTL(k, []byte("new"), time.Hour) }},
	"Put of a large value": {true, true, func(s *store, k []byte) error { return s.db.Put(k, make([]byte, 2000)) }},
	"Delete":               {false, true, func(s *store, k []byte) error { return s.db.Delete(k) }},
	"DeleteRange": {false, true, func(s *store, k []byte) error {
		return s.db.DeleteRange(db.Between(k, append([]byte(string(k)), 0)))
	}},
	"Merge": {true, true, func(s *store, k []byte) error { return s.db.Merge(k, []byte("more")) }},
	"batch": {true, true, func(s *store, k []byte) error {
		b := s.db.NewBatch()
		if err := b.In(s.db.Default()).Put(k, []byte("new")); err != nil {
			return err
		}
		return s.db.Apply(b, db.DefaultDurability)
	}},
	"transaction": {true, true, func(s *store, k []byte) error {
		tx, err := s.db.Begin(db.TxOptions{})
		if err != nil {
			return err
		}
		return errors.Join(tx.Put(k, []byte("new")), tx.Commit())
	}},
	"transaction with a large value": {true, true, func(s *store, k []byte) error {
		tx, err := s.db.Begin(db.TxOptions{Isolation: db.SnapshotIsolation})
		if err != nil {
			return err
		}
		return errors.Join(tx.Put(k, make([]byte, 2000)), tx.Commit())
	}},
	"PutIfAbsent": {true, false, func(s *store, k []byte) error { return done(s.db.Default().PutIfAbsent(k, []byte("new"))) }},
	"CompareAndSwap": {false, true, func(s *store, k []byte) error {
		return done(s.db.Default().CompareAndSwap(k, db.CounterBytes(7), []byte("new")))
	}},
	"GetAndDelete": {false, true, func(s *store, k []byte) error {
		_, err := s.db.Default().GetAndDelete(k)
		return err
	}},
	"Add": {true, true, func(s *store, k []byte) error {
		_, err := s.db.Default().Add(k, 1)
		return err
	}},
}

func done(ok bool, err error) error {
	if err == nil && !ok {
		return errors.New("it was not done")
	}
	return err
}

// Whichever way a transaction reads and others write, one that relies on what
// is no longer so does not commit; and where something else was written, it does.
func TestEveryReadMeetsEveryWrite(t *testing.T) {
	for pauseName, pause := range pauses {
		for readName, r := range readWays {
			t.Run(fmt.Sprint(pauseName, "/", readName), func(t *testing.T) {
				if testing.Short() && pauseName != "nothing" {
					t.Skip("short")
				}
				o := smallOptions()
				o.FS = vfs.NewMem()
				s := openStore(t, "/store", o)
				for writeName, w := range writeWays {
					for _, present := range []bool{false, true} {
						if present && !w.present || !present && !w.absent {
							continue
						}
						play := encounter{t: t, s: s, name: fmt.Sprint(writeName, ", present: ", present), present: present, read: r.read}
						play.run(true, func() error { return errors.Join(w.write(s, theKey), pause(s)) })
						if !w.absent || pauseName != "nothing" {
							continue
						}
						for _, key := range [][]byte{before, between, after} {
							conflict := r.ofRange && string(key) == string(between)
							play.run(conflict, func() error { return w.write(s, key) })
						}
					}
				}
			})
		}
	}
}

// encounter is a transaction that reads, and others that write.
type encounter struct {
	t       *testing.T
	s       *store
	name    string
	present bool // whether theKey is there at first
	read    func(tx *db.Tx) error
}

// run lets the transaction read, others write, and the transaction write
// elsewhere. conflict says what its commit should come to.
func (c encounter) run(conflict bool, others func() error) {
	t, s := c.t, c.s
	t.Helper()
	if err := s.db.DeleteRange(db.All()); err != nil {
		t.Fatal(err)
	}
	if c.present {
		if err := s.db.Put(theKey, db.CounterBytes(7)); err != nil {
			t.Fatal(err)
		}
	}
	tx, err := s.db.Begin(db.TxOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Discard()
	if err := errors.Join(c.read(tx), others(), tx.Put(elsewhere, []byte("x"))); err != nil {
		t.Fatalf("%s: %v", c.name, err)
	}
	err = tx.Commit()
	if conflict != errors.Is(err, db.ErrConflict) || !conflict && err != nil {
		t.Errorf("%s: commit: %v, conflict expected: %v", c.name, err, conflict)
	}
	if ok, err := s.db.Has(elsewhere); err != nil || ok == conflict {
		t.Errorf("%s: the write is there: %v, %v", c.name, ok, err)
	}
}

// A scan that stops early has read up to where it stopped.
func TestScanThatStopsReliesOnWhatItPassed(t *testing.T) {
	for _, backward := range []bool{false, true} {
		for _, cursor := range []bool{false, true} {
			o := smallOptions()
			o.FS = vfs.NewMem()
			s := openStore(t, fmt.Sprintf("/store%v%v", backward, cursor), o)
			read := func(tx *db.Tx) error { return scanOne(tx, backward, cursor) }
			passed := []byte("a")
			if backward {
				passed = []byte("y")
			}
			play := encounter{t: t, s: s, name: fmt.Sprintf("backward: %v, cursor: %v", backward, cursor), present: true, read: read}
			play.run(true, func() error { return s.db.Put(passed, []byte("new")) })
			play.run(true, func() error { return s.db.Delete(theKey) })
		}
	}
}

// scanOne looks at the first key of a scan of everything.
func scanOne(tx *db.Tx, backward, cursor bool) error {
	if cursor {
		return withCursor(tx, db.All(), func(c *db.Cursor) {
			if backward {
				c.Last()
			} else {
				c.First()
			}
		})
	}
	r := db.All()
	if backward {
		r = r.Backward()
	}
	for _, err := range tx.Scan(r) {
		return err
	}
	return nil
}

// What was read with GetForUpdate is checked under snapshot isolation too.
func TestGetForUpdatePreventsWriteSkewUnderSnapshotIsolation(t *testing.T) {
	for _, forUpdate := range []bool{false, true} {
		o := smallOptions()
		o.FS = vfs.NewMem()
		s := openStore(t, fmt.Sprint("/store", forUpdate), o)
		tx, err := s.db.Begin(db.TxOptions{Isolation: db.SnapshotIsolation})
		if err != nil {
			t.Fatal(err)
		}
		defer tx.Discard()
		read := tx.Get
		if forUpdate {
			read = tx.GetForUpdate
		}
		err = errors.Join(found(read(theKey)), s.db.Put(theKey, []byte("new")), tx.Put(elsewhere, []byte("x")))
		if err != nil {
			t.Fatal(err)
		}
		if err := tx.Commit(); errors.Is(err, db.ErrConflict) != forUpdate || err != nil && !forUpdate {
			t.Errorf("for update %v: %v", forUpdate, err)
		}
	}
}
