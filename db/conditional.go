package db

import (
	"bytes"
	"encoding/binary"
	"errors"
	"sync"
	"time"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/commit"
	"github.com/cordwood-db/cordwood/internal/filter"
)

// conditional is a write that depends on what its key has. It is read and
// decided upon without a lock, and committed with the condition that nobody has
// written the key since: one read and one commit. Those of one key take turns,
// so that they meet conflicts with other writes only; one that meets too many
// has the store to itself for its last try. So each comes to an end, and every
// answer is that of the newest state, whether anything is written or not.
//
// It comes from a pool.
type conditional struct {
	ks         *Keyspace
	key        []byte
	old        []byte // what to compare with
	value      []byte // what to write
	ttl        time.Duration
	delta      int64
	durability Durability

	// The answer of the rule.
	done bool
	got  []byte // the caller's
	sum  int64

	q     *request
	r     reader // of the newest state, while the rule runs
	check txCheck
	read  readSet
	buf   []byte // memory for a value
}

// rule looks at the key of c with c.r and puts what is to be written, if
// anything, into c.q.own. It notes its answer in c. It may be called more than
// once: the last time counts.
type rule func(c *conditional) error

// conditionalTriesMax is how often a conditional write is tried beside others.
const conditionalTriesMax = 4

// turnCount is how many turns there are. Two keys that share one wait for each
// other needlessly, as long as a sync takes.
const turnCount = 1024

// turns are locks for conditional writes, by the hash of their keys. Taken
// before all others.
type turns [turnCount]sync.Mutex

func (t *turns) of(ks *Keyspace, key []byte) *sync.Mutex {
	return &t[(filter.Hash(key)+uint64(ks.num)*0x9e3779b97f4a7c15)%turnCount]
}

var conditionals = sync.Pool{New: func() any { return new(conditional) }}

func (ks *Keyspace) newConditional(key []byte) *conditional {
	c := conditionals.Get().(*conditional)
	c.ks, c.key = ks, key
	return c
}

func (c *conditional) free() {
	c.read.reset()
	if cap(c.buf) > ownBytesMax {
		c.buf = nil
	}
	*c = conditional{read: c.read, buf: c.buf}
	conditionals.Put(c)
}

// run tries until the rule's writes are committed.
func (c *conditional) run(decide rule) error {
	db := c.ks.db
	if err := db.writable(); err != nil {
		return err
	}
	switch {
	case len(c.key) > MaxKeyBytes:
		return ErrKeyTooLarge
	case len(c.value) > MaxValueBytes:
		return ErrValueTooLarge
	}
	turn := db.turns.of(c.ks, c.key)
	turn.Lock()
	defer turn.Unlock()
	c.q = newRequest()
	defer c.q.free()
	c.read.addKey(c.ks.num, c.key)
	c.read.seal()
	// Before anything is read: from now on recent commits are remembered.
	db.openTxs.Add(1)
	defer db.openTxs.Add(-1)
	for range conditionalTriesMax {
		err := c.try(decide)
		if !errors.Is(err, ErrConflict) && !errors.Is(err, errCheckAgain) {
			return err
		}
		if err := db.awaitVisible(c.check.reach); err != nil {
			return err
		}
	}
	return classify(db.pipeline.Exclusive(func() error { return c.alone(decide) }))
}

// look lets the rule look at the newest state, and says which that is.
func (c *conditional) look(decide rule) (base.SeqNum, error) {
	r, err := c.ks.reader()
	if err != nil {
		return 0, err
	}
	defer r.release()
	c.q.own.Reset()
	c.r = r
	err = decide(c)
	c.r = reader{}
	return r.seq, err
}

// try is a try beside other writes: it fails with ErrConflict if the key was
// written since the rule looked, with errCheckAgain if that is not known.
func (c *conditional) try(decide rule) error {
	seen, err := c.look(decide)
	if err != nil || c.q.own.count == 0 {
		return err
	}
	c.check = txCheck{read: &c.read, seen: seen, once: true}
	c.q.check = &c.check
	return c.ks.db.commit(c.q, &c.q.own, c.durability)
}

// alone is a try while nobody else can write. It is called inside
// pipeline.Exclusive: what the rule sees is all that there is, and stays so.
func (c *conditional) alone(decide rule) error {
	db := c.ks.db
	if err := db.writable(); err != nil {
		return err
	}
	c.q.check = nil
	if _, err := c.look(decide); err != nil || c.q.own.count == 0 {
		return err
	}
	c.q.carry(&c.q.own, db.durability(c.durability))
	return db.writeAlone(c.q)
}

// writeAlone commits a request inside pipeline.Exclusive, doing what the
// pipeline would do with a group.
func (db *DB) writeAlone(q *request) error {
	q.Refused = nil
	group := []*commit.Request{&q.Request}
	if err := db.writeGroup(group); err != nil {
		if _, ok := errors.AsType[*commit.RetryableError](err); !ok {
			db.pipeline.Fail(err)
		}
		return err
	}
	if q.Refused != nil {
		return q.Refused
	}
	if q.Sync {
		if err := db.syncGroups(group); err != nil {
			db.pipeline.Fail(err)
			return err
		}
	}
	if err := db.pipeline.Failed(); err != nil {
		return err
	}
	db.publishGroup(group)
	return nil
}

// put writes the value, with the keyspace's time to live if there is no other.
func (c *conditional) put() error {
	if c.ttl > 0 {
		return c.q.own.putTTL(c.ks, c.key, c.value, c.ttl, c.ks.db.clock(), false)
	}
	return c.q.own.put(c.ks, c.key, c.value, false)
}

func (c *conditional) remove() error { return c.q.own.add(c.ks, base.KindDelete, c.key, nil) }

// current is the value of the key, in memory of c.
func (c *conditional) current() (value []byte, found bool, err error) {
	value, err = c.r.appendGet(c.buf[:0], c.key)
	if errors.Is(err, ErrNotFound) {
		return nil, false, nil
	}
	c.buf = value
	return value, err == nil, err
}

func (c *conditional) putIfAbsent() error {
	has, err := c.r.has(c.key)
	c.done = err == nil && !has
	if !c.done {
		return err
	}
	return c.put()
}

func (c *conditional) compareAndSwap() error {
	value, found, err := c.current()
	if err != nil {
		return err
	}
	c.done = matches(value, found, c.old)
	switch {
	case !c.done:
		return nil
	case c.value != nil:
		return c.put()
	case found:
		return c.remove()
	}
	return nil
}

// matches reports whether a key has the value old, or none if old is nil.
func matches(value []byte, found bool, old []byte) bool {
	if old == nil {
		return !found
	}
	return found && bytes.Equal(value, old)
}

func (c *conditional) getAndDelete() error {
	var err error
	if c.got, err = c.r.appendGet(nil, c.key); err != nil {
		return err
	}
	return c.remove()
}

func (c *conditional) add() error {
	value, found, err := c.current()
	if err != nil {
		return err
	}
	if c.sum, err = counterSum(value, found, c.delta); err != nil {
		return err
	}
	c.buf = binary.LittleEndian.AppendUint64(c.buf[:0], uint64(c.sum))
	c.value = c.buf
	return c.put()
}

// counterSum is the number of a Counter's value, 0 if there is none, plus delta.
func counterSum(value []byte, found bool, delta int64) (int64, error) {
	if !found {
		return delta, nil
	}
	n, err := CounterValue(value)
	return n + delta, err
}
