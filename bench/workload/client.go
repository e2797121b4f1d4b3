package workload

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"time"

	"github.com/cordwood-db/cordwood/bench/engine"
)

// mixClient does the operations of a mixSource: three functions for each kind.
// Its buffers are made once and grow to what the longest operation needs.
type mixClient struct {
	s       *mixSource
	m       *Model
	store   engine.Store
	random  random
	chooser Chooser

	left       uint64
	fixed      int // the only kind it does, of one beside others; else -1
	rate, done float64

	// Of the operation at hand.
	op      Op
	began   uint32 // by Model.now, if values have a time to live
	err     error  // of a read: nil or ErrNotFound
	key     []byte
	value   []byte // what was read
	record  []byte // what is written
	at      uint64 // key index
	number  uint64
	before  before
	pending []write // claimed, not yet acknowledged
	begun   bool    // pending are being written, or are acknowledged

	many   many
	batch  engine.Batch
	merger engine.Merger
	ttl    engine.Expirer
	walk   walk
	length int
}

func newMixClient(s *mixSource, index int) (*mixClient, error) {
	c := &mixClient{s: s, m: s.model, store: s.c.Store, fixed: -1}
	c.random = newRandom(s.c.Seed ^ mix(uint64(index)+1))
	c.left = math.MaxUint64
	if s.total > 0 {
		c.left = share(s.total, index, s.c.Threads)
	}
	distribution, clients, turn := s.distribution, s.c.Threads, index
	if index >= s.c.Threads {
		b := s.beside[index-s.c.Threads]
		c.fixed = len(s.shares) + index - s.c.Threads
		c.rate, c.left = b.Rate, math.MaxUint64
		var err error
		if distribution, err = ParseChooser(b.Chooser); err != nil {
			return nil, err
		}
		clients, turn = 1, 0
	}
	run := uint64(1)
	if len(s.shares) == 1 && s.shares[0].Op == BatchPut && c.fixed < 0 {
		run = uint64(s.batch)
	}
	c.chooser = distribution.newShared(s.capacity, s.c.Seed^c.random.state, uint64(turn), uint64(clients), run)
	switch chooser := c.chooser.(type) {
	case *orderChooser:
		chooser.seed = s.c.Seed // one order for all
	case *rangesChooser:
		// The same keys are hot for all clients, and in all phases.
		c.chooser = newRangesChooser(s.model.data.Seed, chooser.r)
	}
	c.walk.m, c.walk.quiet = s.model, s.quiet
	c.merger, _ = s.c.Store.(engine.Merger)
	c.ttl, _ = s.c.Store.(engine.Expirer)
	c.many.prepare(c.store)
	if s.w.does(BatchPut) {
		c.batch = s.c.Store.NewBatch()
	}
	return c, nil
}

// Prepare implements Client.
func (c *mixClient) Prepare() (kind int, due time.Duration, more bool) {
	if c.left == 0 {
		return 0, -1, false
	}
	c.left--
	due = -1
	if c.rate > 0 {
		due = time.Duration(c.done / c.rate * float64(time.Second))
		c.done++
	}
	kind = c.draw()
	c.pending, c.begun = c.pending[:0], false
	if !c.prepare() {
		c.left = 0
		return 0, -1, false
	}
	return kind, due, true
}

// draw decides on the kind of the next operation.
func (c *mixClient) draw() int {
	if c.fixed >= 0 {
		c.op = c.s.beside[c.fixed-len(c.s.shares)].Op
		return c.fixed
	}
	kind := 0
	if len(c.s.shares) > 1 {
		u := c.random.float()
		for u >= c.s.upTo[kind] {
			kind++
		}
	}
	c.op = c.s.shares[kind].Op
	return kind
}

// prepare makes keys and values; false if there is no room for another record.
func (c *mixClient) prepare() bool {
	switch c.op {
	case Read:
		c.at = c.choose()
		c.aim(presentNumber(c.at))
		c.before = c.m.sample(c.at)
	case ReadMissing:
		c.aim(missingNumber(c.choose()))
	case Put, Update, ReadModify, MergeOperand, PutTTL:
		c.prepareWrite(c.claim(writeKindOf(c.op)))
	case Delete:
		w := c.claim(remove)
		c.pending = append(c.pending, w)
		c.aim(presentNumber(w.key))
	case Insert:
		w, ok := c.m.insert()
		if !ok {
			return false
		}
		c.prepareWrite(w)
	case MultiRead:
		c.prepareMultiRead()
	case BatchPut:
		c.prepareBatch()
	case Scan, ReverseScan:
		c.prepareScan()
	}
	return true
}

func writeKindOf(op Op) writeKind {
	if op == MergeOperand {
		return merge
	}
	return put
}

// choose returns a key index.
func (c *mixClient) choose() uint64 { return c.m.place(c.chooser.Next(c.s.records())) }

// aim makes the key.
func (c *mixClient) aim(number uint64) {
	c.number = number
	c.key = c.m.keys.append(c.key[:0], number)
}

// prepareWrite makes the record to be written.
func (c *mixClient) prepareWrite(w write) {
	c.pending = append(c.pending, w)
	c.at = w.key
	c.aim(presentNumber(w.key))
	c.record = c.m.gen.append(c.record[:0], w.key, w.version)
	if c.op == ReadModify {
		c.before = before{version: w.version - 1}
		if c.m.starts != nil {
			c.before.start = c.m.starts[w.key].Load()
		}
	}
}

// claim chooses a key that nobody else writes at the moment. Another client may
// hold the chosen one: then it chooses again.
func (c *mixClient) claim(kind writeKind) write {
	for {
		if w, ok := c.tryClaim(kind); ok {
			return w
		}
		// All keys are held: those who hold one don't wait for others.
		time.Sleep(20 * time.Microsecond)
	}
}

const claimTries, claimNeighbours = 64, 1024

func (c *mixClient) tryClaim(kind writeKind) (write, bool) {
	for range claimTries {
		if w, ok := c.m.claim(c.choose(), kind); ok {
			return w, true
		}
		runtime.Gosched()
	}
	records := c.s.records()
	from := c.random.below(records)
	for k := range min(records, claimNeighbours) {
		if w, ok := c.m.claim(c.m.place((from+k)%records), kind); ok {
			return w, true
		}
	}
	return write{}, false
}

// Execute implements Client.
func (c *mixClient) Execute() (Outcome, error) {
	c.begun = true
	if c.m.expires != nil {
		c.began = c.m.now()
	}
	out, err := c.execute()
	if err != nil {
		if wrong := (*WrongAnswer)(nil); errors.As(err, &wrong) {
			return out, err
		}
		return out, fmt.Errorf("%s, key %q: %w", c.op, c.key, err)
	}
	return out, nil
}

func (c *mixClient) execute() (Outcome, error) {
	switch c.op {
	case Read, ReadMissing:
		return c.get()
	case Put, Update, Insert:
		return c.wrote(), c.store.Put(c.key, c.record)
	case ReadModify:
		out, err := c.get()
		if err != nil {
			return out, err
		}
		err = c.store.Put(c.key, c.record)
		bytes := len(c.key) + len(c.record)
		out.Items, out.Bytes, out.Written = out.Items+1, out.Bytes+bytes, bytes
		return out, err
	case MergeOperand:
		return c.wrote(), c.merger.Merge(c.key, c.record)
	case PutTTL:
		return c.putTTL()
	case Delete:
		return Outcome{Items: 1, Bytes: len(c.key), Written: len(c.key)}, c.store.Delete(c.key)
	case MultiRead:
		return c.multiRead()
	case BatchPut:
		return c.commitBatch()
	case Scan, ReverseScan:
		return c.scan()
	case Collect:
		collector, ok := c.store.(engine.Collector)
		if !ok {
			return Outcome{}, nil
		}
		return Outcome{Items: 1}, collector.CollectGarbage(c.s.c.Context)
	}
	return Outcome{}, usage("operation", c.op, "is not known")
}

func (c *mixClient) get() (Outcome, error) {
	c.value, c.err = c.store.Get(c.value[:0], c.key)
	if c.err != nil {
		if c.err != engine.ErrNotFound {
			return Outcome{}, c.err
		}
		return Outcome{Bytes: len(c.key), Checked: 1, NotFound: true}, nil
	}
	return Outcome{Items: 1, Bytes: len(c.key) + len(c.value), Checked: 1}, nil
}

func (c *mixClient) wrote() Outcome {
	n := len(c.key) + len(c.record)
	return Outcome{Items: 1, Bytes: n, Written: n}
}

func (c *mixClient) putTTL() (Outcome, error) {
	w := c.pending[0]
	c.m.expireAfter(w, c.began, math.MaxUint32-uint32(c.s.ttl.Milliseconds()), c.s.ttl)
	err := c.ttl.PutTTL(c.key, c.record, c.s.ttl)
	c.m.expireAfter(w, c.began, c.m.now(), c.s.ttl)
	return c.wrote(), err
}

// Verify implements Client.
func (c *mixClient) Verify() error {
	err := c.verify()
	for _, w := range c.pending {
		c.m.acknowledge(w)
	}
	if c.op == Insert {
		c.m.advance()
	}
	return err
}

func (c *mixClient) verify() error {
	if !c.s.c.Verify {
		return nil
	}
	switch c.op {
	case Read, ReadModify:
		return c.m.checkGet(c.at, c.before, c.began, c.value, c.err)
	case ReadMissing:
		return c.m.checkMissing(c.number, c.value, c.err)
	case MultiRead:
		return c.verifyMultiRead()
	}
	return nil
}

// Close implements Client. An operation that was prepared but not executed, as
// its time did not come, was never begun.
func (c *mixClient) Close() error {
	if !c.begun {
		for _, w := range c.pending {
			c.m.release(w)
		}
		c.pending = nil
	}
	if c.batch == nil {
		return nil
	}
	return c.batch.Close()
}
