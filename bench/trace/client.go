package trace

import (
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/cordwood-db/cordwood/bench/engine"
	"github.com/cordwood-db/cordwood/bench/workload"
)

// client does one part of a replay. See workload.Client.
type client struct {
	r *Replay
	q *queue

	now    *chunk
	at     int
	task   *task
	batch  engine.Batch
	closed bool
	ended  bool // its share is done

	values  []byte // of the task's writes
	ends    []int  // of each step's value in values
	read    []byte // what was read
	scratch []byte
	found   bool // of a single Get
	checked int
	keys    [][]byte
	wrong   error // of the last try of a transaction
}

// clock is the time since the replay began.
func (c *client) clock() time.Duration { return time.Since(c.r.began) }

// Prepare waits until what the next operation comes behind is done.
func (c *client) Prepare() (kind int, due time.Duration, more bool) {
	c.r.begin()
	c.task = nil
	if c.now != nil && c.at == len(c.now.tasks) {
		c.r.doneWith(c.now)
		c.now = nil
	}
	for c.now == nil {
		next, ended := c.q.take()
		switch {
		case next != nil:
			c.now, c.at = next, 0
			continue
		case ended:
			c.ended = true
			return 0, -1, false
		}
		select {
		case <-c.q.ready:
		case <-c.r.stop:
			return 0, -1, false
		}
	}
	t := &c.now.tasks[c.at]
	c.at++
	if !c.await(t) {
		return 0, -1, false
	}
	c.task = t
	c.make(t)
	return t.kind, t.due, true
}

// await waits for what a task comes behind: reads for writes, and writes for
// both. It is false if the replay was stopped.
func (c *client) await(t *task) bool {
	for i := range t.steps {
		s := &t.steps[i]
		if s.e == nil {
			continue
		}
		for spins := 0; s.e.wrote.Load() < s.writes || s.do != doGet && s.e.read.Load() < s.reads; spins++ {
			select {
			case <-c.r.stop:
				return false
			default:
			}
			if spins < 100 {
				runtime.Gosched()
			} else {
				time.Sleep(20 * time.Microsecond)
			}
		}
	}
	return true
}

// make issues the versions that a task writes, and makes their values.
func (c *client) make(t *task) {
	c.values, c.ends, c.checked, c.wrong = c.values[:0], c.ends[:0], 0, nil
	var now time.Duration
	for i := range t.steps {
		s := &t.steps[i]
		length := s.length
		switch {
		case s.do == doScan:
			length = 0
		case s.do == doGet:
			if now == 0 {
				now = c.clock()
			}
			s.view, length = s.e.view(now), 0
		case t.how == asDiscarded:
			s.word = newWord(versionNever, exact, length)
		case s.do == doPut:
			s.word = s.e.issue(exact, length)
		case s.do == doPutTTL:
			s.e.expiry.Store(&expiry{from: c.clock() + s.ttl, to: 1 << 62})
			s.word = s.e.issue(expiring, length)
		case s.do == doDelete:
			s.word, length = s.e.issue(missing, 0), 0
		case s.do == doMerge:
			s.word = s.e.issueMerge(length)
		}
		if s.do != doGet && s.do != doScan && s.do != doDelete {
			c.values = appendValue(c.values, s.e.hash, s.word.version(), length)
		}
		c.ends = append(c.ends, len(c.values))
	}
}

// value is that of a step that writes.
func (c *client) value(i int) []byte {
	from := 0
	if i > 0 {
		from = c.ends[i-1]
	}
	return c.values[from:c.ends[i]]
}

// Execute does the operation.
func (c *client) Execute() (workload.Outcome, error) {
	t := c.task
	if t.err != nil {
		return workload.Outcome{}, t.err
	}
	var out workload.Outcome
	var err error
	switch {
	case t.how == asBatch:
		err = c.commit(t, &out)
	case t.how == asTransaction || t.how == asDiscarded:
		err = c.transact(t, &out)
	case t.how == asMultiGet:
		err = c.multiGet(t, &out)
	case len(t.steps) == 1 && t.steps[0].do == doGet:
		err = c.get(&t.steps[0], &out)
	default:
		for i := range t.steps {
			if err = c.do(t, i, &out); err != nil {
				break
			}
		}
	}
	out.Checked += c.checked
	return out, err
}

// Verify checks the answer of a single Get, and acknowledges writes.
func (c *client) Verify() error {
	t := c.task
	if len(t.steps) == 1 && t.how == oneByOne && t.steps[0].do == doGet && c.r.o.Verify {
		if err := c.check(&t.steps[0], c.read, c.found); err != nil {
			return err
		}
	}
	epoch := c.r.epoch.Load()
	for i := range t.steps {
		s := &t.steps[i]
		if s.do == doGet || s.do == doScan || t.how == asDiscarded {
			continue
		}
		if s.do == doPutTTL {
			if x := s.e.expiry.Load(); x != nil {
				s.e.expiry.Store(&expiry{from: x.from, to: c.clock() + s.ttl})
			}
		}
		s.e.ack(s.word, epoch)
	}
	for i := range t.steps {
		switch s := &t.steps[i]; {
		case s.e == nil:
		case s.do == doGet:
			s.e.read.Add(1)
		case !s.again && t.how != asDiscarded:
			s.e.wrote.Add(1)
		}
	}
	return nil
}

// Close ends the client, and, if its share is not done, the whole replay: others
// may wait for its operations.
func (c *client) Close() error {
	if c.closed {
		return nil
	}
	c.closed = true
	if !c.ended {
		c.r.halt()
	}
	if c.batch == nil {
		return nil
	}
	return c.batch.Close()
}

// check compares an answer with what the replay has written.
func (c *client) check(s *step, value []byte, found bool) error {
	problem := ""
	if found {
		problem = s.e.checkValue(s.view, value, &c.scratch)
	} else {
		problem = s.e.checkMissing(s.view, c.clock())
	}
	if problem == "" {
		return nil
	}
	return &workload.WrongAnswer{Key: string(s.e.key), Problem: problem}
}

// get is a single Get, checked by Verify.
func (c *client) get(s *step, out *workload.Outcome) error {
	var err error
	c.read, err = c.r.store.Get(c.read[:0], s.e.key)
	c.found = err == nil
	if err != nil && !errors.Is(err, engine.ErrNotFound) {
		return err
	}
	out.Items, out.NotFound = 1, !c.found
	out.Bytes = len(s.e.key) + len(c.read)
	if c.r.o.Verify {
		out.Checked = 1
	}
	return nil
}

// do does one step on the store.
func (c *client) do(t *task, i int, out *workload.Outcome) error {
	s, store := &t.steps[i], c.r.store
	var err error
	switch s.do {
	case doGet:
		c.read, err = store.Get(c.read[:0], s.e.key)
		return c.saw(s, c.read, err, out)
	case doScan:
		return c.scan(s.scan, out)
	case doPut:
		err = store.Put(s.e.key, c.value(i))
	case doDelete:
		err = store.Delete(s.e.key)
	case doPutTTL:
		err = store.(engine.Expirer).PutTTL(s.e.key, c.value(i), s.ttl)
	case doMerge:
		err = store.(engine.Merger).Merge(s.e.key, c.value(i))
	}
	c.wrote(i, out)
	return err
}

// wrote counts what step i has written.
func (c *client) wrote(i int, out *workload.Outcome) {
	n := len(c.task.steps[i].e.key) + len(c.value(i))
	out.Items++
	out.Bytes += n
	out.Written += n
}

// saw counts and checks the answer of one of several reads.
func (c *client) saw(s *step, value []byte, err error, out *workload.Outcome) error {
	found := err == nil
	if err != nil && !errors.Is(err, engine.ErrNotFound) {
		return err
	}
	out.Items++
	out.Bytes += len(s.e.key)
	if found {
		out.Bytes += len(value)
	}
	if !c.r.o.Verify {
		return nil
	}
	c.checked++
	return c.check(s, value, found)
}

// multiGet reads several keys at once, if the engine can.
func (c *client) multiGet(t *task, out *workload.Outcome) error {
	m, ok := c.r.store.(engine.MultiGetter)
	if !ok {
		for i := range t.steps {
			if err := c.do(t, i, out); err != nil {
				return err
			}
		}
		return nil
	}
	c.keys = c.keys[:0]
	for i := range t.steps {
		c.keys = append(c.keys, t.steps[i].e.key)
	}
	seen := 0
	err := m.MultiGet(c.keys, func(i int, value []byte, err error) error {
		if i < 0 || i >= len(t.steps) {
			return &workload.WrongAnswer{Problem: fmt.Sprintf("an answer for key %d of %d", i, len(t.steps))}
		}
		seen++
		return c.saw(&t.steps[i], value, err, out)
	})
	if err == nil && seen != len(t.steps) {
		err = &workload.WrongAnswer{Problem: fmt.Sprintf("%d answers for %d keys", seen, len(t.steps))}
	}
	return err
}

// commit writes a batch.
func (c *client) commit(t *task, out *workload.Outcome) error {
	if c.batch == nil {
		c.batch = c.r.store.NewBatch()
	}
	for i := range t.steps {
		s := &t.steps[i]
		var err error
		if s.do == doDelete {
			err = c.batch.Delete(s.e.key)
		} else {
			err = c.batch.Put(s.e.key, c.value(i))
		}
		if err != nil {
			return err
		}
		c.wrote(i, out)
	}
	return c.batch.Commit()
}

// errDiscard is what a transaction returns that is not to be committed.
var errDiscard = errors.New("trace: discarded as recorded")

// transact runs a transaction.
func (c *client) transact(t *task, out *workload.Outcome) error {
	start := *out
	retries, err := c.r.store.(engine.Transactor).Update(func(tx engine.Tx) error {
		*out, c.checked, c.wrong = start, 0, nil
		for i := range t.steps {
			if err := c.inside(tx, t, i, out); err != nil {
				return err
			}
		}
		if t.how == asDiscarded {
			return errDiscard
		}
		return nil
	})
	out.Retries = retries
	if t.how == asDiscarded {
		out.Written = 0
		switch {
		case err == nil:
			return &workload.WrongAnswer{Problem: "a transaction that was to be discarded was committed"}
		case errors.Is(err, errDiscard):
			err = nil
		}
	}
	return errors.Join(err, c.wrong)
}

// inside does one step in a transaction. A wrong answer counts only if the
// transaction is not run again.
func (c *client) inside(tx engine.Tx, t *task, i int, out *workload.Outcome) error {
	s := &t.steps[i]
	var err error
	switch s.do {
	case doPut:
		err = tx.Put(s.e.key, c.value(i))
	case doDelete:
		err = tx.Delete(s.e.key)
	default:
		c.read, err = tx.Get(c.read[:0], s.e.key)
		if s.prev >= 0 {
			return c.sawOwn(t, s, err, out)
		}
		err = c.saw(s, c.read, err, out)
		if w, ok := errors.AsType[*workload.WrongAnswer](err); ok {
			c.wrong, err = w, nil
		}
		return err
	}
	c.wrote(i, out)
	return err
}

// sawOwn checks a read of what the transaction itself has written.
func (c *client) sawOwn(t *task, s *step, err error, out *workload.Outcome) error {
	found := err == nil
	if err != nil && !errors.Is(err, engine.ErrNotFound) {
		return err
	}
	out.Items++
	out.Bytes += len(s.e.key) + len(c.read)
	if !c.r.o.Verify {
		return nil
	}
	c.checked++
	own := &t.steps[s.prev]
	if found != (own.do != doDelete) || found && string(c.read) != string(c.value(int(s.prev))) {
		c.wrong = &workload.WrongAnswer{Key: string(s.e.key), Problem: "a transaction does not see what it has written"}
	}
	return nil
}
