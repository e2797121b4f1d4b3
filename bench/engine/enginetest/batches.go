package enginetest

import (
	"errors"

	"github.com/cordwood-db/cordwood/bench/engine"
)

// batches checks that a batch is applied by Commit, in order, and filled again.
func batches(s *tested) {
	s.put("old", "1")
	b := s.NewBatch()
	s.check(b.Commit()) // of nothing
	s.check(b.Put([]byte("a"), []byte("1")))
	s.check(b.Put([]byte("b"), []byte("2")))
	s.check(b.Put([]byte("b"), []byte("two")))
	s.check(b.Put([]byte("c"), []byte("3")))
	s.check(b.Delete([]byte("c")))
	s.check(b.Delete([]byte("d")))
	s.check(b.Put([]byte("d"), nil))
	s.check(b.Delete([]byte("old")))
	s.wantNone("a")
	s.want("old", "1")
	s.check(b.Commit())
	wantBatch := func() {
		s.t.Helper()
		s.want("a", "1")
		s.want("b", "two")
		s.wantNone("c")
		s.want("d", "")
		s.wantNone("old")
	}
	wantBatch()

	s.delete("a")
	s.check(b.Put([]byte("e"), []byte("5")))
	s.check(b.Commit())
	s.want("e", "5")
	s.wantNone("a") // the first commit is not done again
	s.put("a", "1")

	s.check(b.Put([]byte("dropped"), []byte("6")))
	s.check(b.Close())
	s.wantNone("dropped")

	one, other := s.NewBatch(), s.NewBatch()
	s.check(one.Put([]byte("one"), []byte("1")))
	s.check(other.Put([]byte("other"), []byte("2")))
	s.check(other.Commit())
	s.wantNone("one")
	s.put("beside", "3")
	s.check(one.Commit())
	s.check(one.Close())
	s.check(other.Close())
	s.want("one", "1")
	s.want("other", "2")
	s.close()
	s.reopen()
	wantBatch()
	s.want("one", "1")
	s.want("other", "2")
	s.wantNone("dropped")
}

// largeBatch commits more than a memtable at once, again and again, or as much as
// the engine can.
func largeBatch(s *tested) {
	m := newModel()
	b := s.NewBatch()
	for round := range 3 {
		for i := range 3000 {
			key, value := numbered("key", (i*7919+round)%3000), text(i+round, 500)
			err := b.Put([]byte(key), []byte(value))
			if errors.Is(err, engine.ErrBatchFull) {
				s.check(b.Commit())
				err = b.Put([]byte(key), []byte(value))
			}
			s.check(err)
			m.entries[key] = value
		}
		s.check(b.Commit())
		m.compare(s)
	}
	s.check(b.Close())
}
