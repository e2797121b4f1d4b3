package enginetest

import (
	"math/rand/v2"
	"testing"

	"github.com/cordwood-db/cordwood/bench/engine"
)

// randomSeed makes the operations the same in every run.
const randomSeed = 0xC04D

// random compares a store with a model through many operations.
func random(s *tested) {
	r := rand.New(rand.NewPCG(randomSeed, 1))
	m := newModel()
	key := func() string { return numbered("k", r.IntN(300)) }
	value := func() string { return text(r.IntN(1e6), r.IntN(1<<(1+r.IntN(12)))) }
	operations := 4000
	if testing.Short() {
		operations = 1500
	}
	for i := range operations {
		switch p := r.IntN(1000); {
		case p < 350:
			m.put(s, key(), value())
		case p < 500:
			m.delete(s, key())
		case p < 800:
			k := key()
			if v, ok := m.entries[k]; ok {
				s.want(k, v)
			} else {
				s.wantNone(k)
			}
		case p < 880:
			randomBatch(s, m, r, key, value)
		case p < 990:
			randomCursor(s, m, r, key)
		case p < 995:
			s.check(s.Settle(s.t.Context()))
		case p < 998:
			s.close()
			s.reopen()
		default:
			m.compare(s)
		}
		if s.t.Failed() {
			s.t.Fatalf("in operation %d of seed %#x", i, randomSeed)
		}
	}
	m.compare(s)
}

func randomBatch(s *tested, m *model, r *rand.Rand, key, value func() string) {
	s.t.Helper()
	b := s.NewBatch()
	for range 1 + r.IntN(3) {
		for range 1 + r.IntN(20) {
			k := key()
			if r.IntN(4) == 0 {
				s.check(b.Delete([]byte(k)))
				delete(m.entries, k)
				continue
			}
			v := value()
			s.check(b.Put([]byte(k), []byte(v)))
			m.entries[k] = v
		}
		s.check(b.Commit())
	}
	s.check(b.Close())
}

func randomCursor(s *tested, m *model, r *rand.Rand, key func() string) {
	s.t.Helper()
	o := engine.CursorOptions{Reverse: r.IntN(2) == 0, Entries: r.IntN(100)}
	if r.IntN(2) == 0 {
		o.Lower = []byte(key())
	}
	if r.IntN(2) == 0 {
		o.Upper = []byte(key())
	}
	c, err := s.NewCursor(o)
	s.check(err)
	view := m.view(o)
	for range 1 + r.IntN(4) {
		if r.IntN(4) == 0 {
			m.walk(s, c, view, c.First(), r.IntN(40))
			continue
		}
		place := key()
		m.walk(s, c, view[seek(view, place, o.Reverse):], c.Seek([]byte(place)), r.IntN(40))
	}
	s.check(c.Close())
}
