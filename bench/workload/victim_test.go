package workload

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/cordwood-db/cordwood/bench/engine"
)

var errKilled = errors.New("killed")

// kill fills a store by a victim that dies after some commits of each thread.
func kill(t *testing.T, v *Victim, store engine.Store) (acknowledged []uint64) {
	t.Helper()
	acknowledged = make([]uint64, v.Threads)
	var wg sync.WaitGroup
	for thread := range v.Threads {
		last := uint64(150 + 70*thread)
		wg.Go(func() {
			err := v.Fill(store, thread, func(commits uint64) error {
				acknowledged[thread] = commits
				if commits == last {
					return errKilled
				}
				return nil
			})
			if !errors.Is(err, errKilled) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	return acknowledged
}

func TestSurvivorsOfAKillPass(t *testing.T) {
	for _, batch := range []int{1, 7} {
		for _, threads := range []int{1, 3} {
			t.Run(fmt.Sprintf("%d threads, batches of %d", threads, batch), func(t *testing.T) {
				v := &Victim{Data: testData(t, 200, "20..300"), Threads: threads, Batch: batch}
				store := newMemory(t)
				acknowledged := kill(t, v, store)
				// The victim may have done more than it could say.
				for i := range acknowledged {
					acknowledged[i] -= uint64(i)
				}
				m, found, err := v.Check(store, acknowledged)
				if err != nil {
					t.Fatal(err)
				}
				sum := uint64(0)
				for i := range threads {
					sum += uint64(150 + 70*i)
				}
				if found.Found != sum || found.Acknowledged >= sum && threads > 1 {
					t.Errorf("%+v, want %d found", found, sum)
				}
				// Work goes on from there.
				for _, name := range []string{"readseq", "readrandom", "ycsb-a"} {
					if _, _, err := runWorkload(own(name), Config{Store: store, Model: m, Threads: 2, Operations: 1000}); err != nil {
						t.Errorf("%s: %v", name, err)
					}
				}
			})
		}
	}
}

func TestWhatAKillMustNotDoIsFound(t *testing.T) {
	v := &Victim{Data: testData(t, 200, "20..300"), Threads: 2, Batch: 5}
	m := NewModel(v.Data)
	scripts := []script{v.script(m, 0), v.script(m, 1)}
	// write puts write e of a thread as it was; earlier takes it back.
	write := func(store engine.Store, thread int, e uint64) {
		s := scripts[thread]
		i := s.key(e % s.own)
		key, version := m.keys.append(nil, presentNumber(i)), uint32(e/s.own)+1
		err := store.Put(key, m.gen.append(nil, i, version))
		if version == 0 {
			err = store.Delete(key)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	undo := func(store engine.Store, thread int, e uint64) {
		s := scripts[thread]
		if e < s.own {
			if err := store.Delete(m.keys.append(nil, presentNumber(s.key(e)))); err != nil {
				t.Fatal(err)
			}
			return
		}
		write(store, thread, e-s.own)
	}
	for _, c := range []struct {
		name    string
		change  func(store engine.Store, done []uint64)
		mayLose bool
		wrong   bool
	}{
		{"nothing", func(engine.Store, []uint64) {}, false, false},
		{"the last commit is lost", func(s engine.Store, done []uint64) {
			for e := done[0]*5 - 5; e < done[0]*5; e++ {
				undo(s, 0, e)
			}
		}, false, true},
		{"the last commit is lost, as it may", func(s engine.Store, done []uint64) {
			for e := done[0]*5 - 5; e < done[0]*5; e++ {
				undo(s, 0, e)
			}
		}, true, false},
		{"the last commit is torn", func(s engine.Store, done []uint64) { undo(s, 0, done[0]*5-1) }, true, true},
		{"the last commit has lost its beginning", func(s engine.Store, done []uint64) { undo(s, 1, done[1]*5-5) }, true, true},
		{"an earlier commit is lost", func(s engine.Store, done []uint64) {
			for e := done[0]*5 - 15; e < done[0]*5-10; e++ {
				undo(s, 0, e)
			}
		}, true, true},
		{"an unacknowledged commit is whole", func(s engine.Store, done []uint64) {
			for e := done[0] * 5; e < done[0]*5+5; e++ {
				write(s, 0, e)
			}
		}, false, false},
		{"an unacknowledged commit is torn", func(s engine.Store, done []uint64) {
			for e := done[0] * 5; e < done[0]*5+3; e++ {
				write(s, 0, e)
			}
		}, false, true},
		{"a key that nobody wrote", func(s engine.Store, _ []uint64) {
			if err := s.Put(m.keys.append(nil, missingNumber(3)), []byte("x")); err != nil {
				t.Fatal(err)
			}
		}, false, true},
		{"a damaged value", func(s engine.Store, _ []uint64) {
			key := m.keys.append(nil, presentNumber(3))
			value, err := s.Get(nil, key)
			if err != nil {
				t.Fatal(err)
			}
			value[len(value)-1]++
			if err := s.Put(key, value); err != nil {
				t.Fatal(err)
			}
		}, false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			store := newMemory(t)
			v.MayLose = c.mayLose
			done := kill(t, v, store)
			c.change(store, done)
			_, _, err := v.Check(store, done)
			if _, wrong := errors.AsType[*WrongAnswer](err); wrong != c.wrong || !wrong && err != nil {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestABulkLoadIsChecked(t *testing.T) {
	for _, skip := range []int{-1, 17} {
		m, store := NewModel(testData(t, 300, "20..300")), newMemory(t)
		loader := m.NewLoader()
		for n := 0; ; n++ {
			key, value, ok := loader.Next()
			if !ok {
				break
			}
			if n == skip {
				continue
			}
			if err := store.Put(key, value); err != nil {
				t.Fatal(err)
			}
		}
		out := loader.Done()
		if out.Items != 300 || out.Written != out.Bytes || m.Records() != 300 {
			t.Errorf("%+v, %d records", out, m.Records())
		}
		if count, size := m.Live(); count != 300 || size != uint64(out.Bytes) {
			t.Errorf("%d keys of %d bytes, want %d", count, size, out.Bytes)
		}
		for _, name := range []string{"readseq", "readreverse", "readrandom"} {
			_, _, err := runWorkload(own(name), Config{Store: store, Model: m, Threads: 1, Operations: 3000})
			if wrong, ok := errors.AsType[*WrongAnswer](err); ok != (skip >= 0) {
				t.Errorf("%s: %v", name, errors.Join(err, wrong))
			}
		}
	}
}

// Any part of the last commits may be there: only a prefix passes.
func TestOnlyPrefixesOfTheWritesPass(t *testing.T) {
	v := &Victim{Data: testData(t, 12, "20..40"), Threads: 1, Batch: 2, MayLose: true}
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		m, store := NewModel(v.Data), newMemory(t)
		s := v.script(m, 0)
		total, there := uint64(r.IntN(40)), map[uint64]uint64{}
		for e := range total {
			if j := e % s.own; r.IntN(60) > 0 {
				there[j] = e/s.own + 1
			}
		}
		for j, version := range there {
			i := s.key(j)
			if err := store.Put(m.keys.append(nil, presentNumber(i)), m.gen.append(nil, i, uint32(version))); err != nil {
				t.Fatal(err)
			}
		}
		want := false
		for commits := range uint64(21) {
			same := true
			for j := range s.own {
				writes := commits * 2
				version := writes / s.own
				if j < writes%s.own {
					version++
				}
				same = same && there[j] == version
			}
			want = want || same
		}
		_, _, err := v.Check(store, []uint64{0})
		if (err == nil) != want {
			t.Fatalf("%v: %v, want it to pass: %v", there, err, want)
		}
	}
}
