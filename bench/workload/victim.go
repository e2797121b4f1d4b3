package workload

import (
	"fmt"

	"github.com/cordwood-db/cordwood/bench/engine"
)

// Victim is what a process writes until it is killed, and the check of what is
// left. Every write is known beforehand: thread t writes its own keys, every
// Threads-th one in a random order, again and again with rising versions, in
// batches of Batch writes. So what is found tells which batch was the last one;
// all before it have to be there, and it must be there whole.
type Victim struct {
	Data    *Data `json:"data"`
	Threads int   `json:"threads"`
	Batch   int   `json:"batch"` // writes of a commit, at least 1; 1: plain puts
	// Commits is how many each thread does; 0: no end but death.
	Commits uint64 `json:"commits,omitempty"`
	// MayLose is for an engine whose last commits may be lost by a kill: then
	// those that are left only have to be without a gap.
	MayLose bool `json:"may_lose,omitempty"`
}

// Survivors is what Victim.Check has found.
type Survivors struct {
	Acknowledged uint64 // commits that the victim said were done
	Found        uint64 // commits that are there
	Live         uint64 // keys that are there
}

func (v *Victim) check() error {
	if err := v.Data.Check(); err != nil {
		return err
	}
	if v.Threads < 1 || v.Batch < 1 || v.Data.Keys/v.Threads < v.Batch {
		return usage("victim", v.Threads, "needs threads and batches, and at least %d keys for each thread", v.Batch)
	}
	return nil
}

// script is one thread's writes: number e is the key at e modulo own in its order.
type script struct {
	v      *Victim
	m      *Model
	order  permutation
	thread uint64
	own    uint64
}

func (v *Victim) script(m *Model, thread int) script {
	return script{v: v, m: m, order: newPermutation(uint64(v.Data.Keys), v.Data.Seed^0x76696374),
		thread: uint64(thread), own: share(uint64(v.Data.Keys), thread, v.Threads)}
}

func (s *script) key(j uint64) uint64 { return s.order.at(s.thread + j*uint64(s.v.Threads)) }

// Fill writes as one thread, until an error, or Commits. acknowledged is called
// after each commit with how many there were. Threads call it at the same time.
func (v *Victim) Fill(store engine.Store, thread int, acknowledged func(commits uint64) error) error {
	if err := v.check(); err != nil {
		return err
	}
	if thread < 0 || thread >= v.Threads {
		return usage("thread", thread, "there are %d", v.Threads)
	}
	// The words of a Model are not needed.
	m := &Model{data: *v.Data, keys: newKeys(v.Data.KeyBytes, v.Data.Seed), gen: newGenerator(v.Data)}
	s := v.script(m, thread)
	batch := store.NewBatch()
	var key, value []byte
	for e := uint64(0); v.Commits == 0 || e < v.Commits*uint64(v.Batch); {
		for range v.Batch {
			i := s.key(e % s.own)
			key = m.keys.append(key[:0], presentNumber(i))
			value = m.gen.append(value[:0], i, uint32(e/s.own)+1)
			put := batch.Put
			if v.Batch == 1 {
				put = store.Put
			}
			if err := put(key, value); err != nil {
				return fmt.Errorf("write %d of thread %d: %w", e, thread, err)
			}
			e++
		}
		if v.Batch > 1 {
			if err := batch.Commit(); err != nil {
				return fmt.Errorf("commit before write %d of thread %d: %w", e, thread, err)
			}
		}
		if err := acknowledged(e / uint64(v.Batch)); err != nil {
			return err
		}
	}
	return batch.Close()
}

// Check checks the store of a victim that was killed after at least that many
// commits of each thread were acknowledged. It returns a Model of what is there,
// for the work that follows. A wrong answer is a *WrongAnswer.
func (v *Victim) Check(store engine.Store, acknowledged []uint64) (*Model, Survivors, error) {
	var found Survivors
	if err := v.check(); err != nil {
		return nil, found, err
	}
	if len(acknowledged) != v.Threads {
		return nil, found, usage("victim", len(acknowledged), "has %d threads", v.Threads)
	}
	m := NewModel(v.Data)
	for thread, commits := range acknowledged {
		s := v.script(m, thread)
		n, err := s.check(store, commits)
		if err != nil {
			return nil, found, err
		}
		found.Acknowledged += commits
		found.Found += n
	}
	live, _ := m.Live()
	found.Live = uint64(live)
	m.advance()
	return m, found, v.checkScan(store, m)
}

// check reads a thread's keys and returns how many of its commits are there.
func (s *script) check(store engine.Store, acknowledged uint64) (commits uint64, err error) {
	var key, value []byte
	writes := uint64(0)
	if !s.v.MayLose {
		writes = acknowledged * uint64(s.v.Batch)
	}
	for j := range s.own {
		i := s.key(j)
		key = s.m.keys.append(key[:0], presentNumber(i))
		value, err = store.Get(value[:0], key)
		if err == engine.ErrNotFound {
			continue
		}
		if err != nil {
			return 0, fmt.Errorf("reading key %q: %w", key, err)
		}
		first, last, problem := s.m.gen.check(value, i)
		if problem == "" && (first != last || last == 0) {
			problem = fmt.Sprintf("versions %d to %d in one value", first, last)
		}
		if problem != "" {
			return 0, s.m.wrong(presentNumber(i), "after the kill: %s", problem)
		}
		s.m.words[i].issued.Store(last)
		writes = max(writes, uint64(last-1)*s.own+j+1)
	}
	// The last batch counts whole: a part of it that is not there is torn.
	commits = (writes + uint64(s.v.Batch) - 1) / uint64(s.v.Batch)
	return commits, s.settle(commits)
}

// settle checks that exactly the first commits are there.
func (s *script) settle(commits uint64) error {
	writes := commits * uint64(s.v.Batch)
	for j := range s.own {
		i := s.key(j)
		want := writes / s.own
		if j < writes%s.own {
			want++
		}
		w := &s.m.words[i]
		if got := w.issued.Load(); uint64(got) != want {
			return s.m.wrong(presentNumber(i), "after the kill it has version %d, want %d: a commit is lost or torn; "+
				"thread %d has come to %d", got, want, s.thread, commits)
		}
		if want == 0 {
			continue
		}
		w.acknowledged.Store(uint32(want))
		s.m.blocks[i/blockKeys].Add(1)
	}
	return nil
}

// checkScan checks that a scan shows the same, and nothing else.
func (v *Victim) checkScan(store engine.Store, m *Model) error {
	cursor, err := store.NewCursor(engine.CursorOptions{})
	if err != nil {
		return fmt.Errorf("opening a cursor: %w", err)
	}
	w := walk{m: m, quiet: true}
	w.begin(0, uint64(len(m.words)), 1, 0)
	_, err = readEntries(cursor, cursor.First(), -1, &w)
	if closeErr := cursor.Close(); err == nil {
		err = closeErr
	}
	return err
}
