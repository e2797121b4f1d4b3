package db

import (
	"bytes"
	"errors"
	"slices"
	"sort"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/commit"
	"github.com/cordwood-db/cordwood/internal/iterator"
	"github.com/cordwood-db/cordwood/internal/rangedel"
	"github.com/cordwood-db/cordwood/manifest"
)

// txCheck is what has to hold for a request to be committed: nothing in the
// read set was written above a sequence number. It is checked in two steps,
// first in the tree by the goroutine that commits, then in the log of recent
// commits by the leader of the group.
type txCheck struct {
	read   *readSet    // sealed
	spaces []*Keyspace // that were read, but for the default one
	seen   base.SeqNum // up to which nothing of it was written
	once   bool        // whoever commits looks again by himself, if need be
	reach  base.SeqNum // set by whoever refuses it: what to see before trying again
}

// findSpaces fills in the keyspaces. ErrConflict if one has been dropped.
func (c *txCheck) findSpaces(db *DB) error {
	last := uint32(0)
	add := func(num uint32) error {
		if num == last {
			return nil
		}
		last = num
		ks := db.spaces.numbered(num)
		if ks == nil {
			return ErrConflict
		}
		c.spaces = append(c.spaces, ks)
		return nil
	}
	for _, k := range c.read.keys {
		if err := add(k.keyspace); err != nil {
			return err
		}
	}
	last = 0
	for _, rg := range c.read.ranges {
		if err := add(rg.lower.keyspace); err != nil {
			return err
		}
	}
	return nil
}

// errCheckAgain is the refusal of a request whose check of the tree ends before
// the log of recent commits begins.
var errCheckAgain = errors.New("cordwood: more was committed meanwhile")

// checkTriesMax is how often a tree is checked for one commit. More than once
// needs a log that was switched on, or run through, in the meantime.
const checkTriesMax = 8

// submit runs a request through the pipeline, and checks it if that is needed.
func (db *DB) submit(q *request) error {
	if q.check == nil || q.check.once {
		return db.pipeline.Commit(&q.Request)
	}
	for range checkTriesMax {
		if err := db.checkTree(q.check); err != nil {
			return err
		}
		err := db.pipeline.Commit(&q.Request)
		if err != errCheckAgain {
			return err
		}
		if err := db.awaitVisible(q.check.reach); err != nil {
			return err
		}
	}
	return ErrTxTooOld
}

// awaitVisible waits until the commits up to seq, which are being synced, are
// visible.
func (db *DB) awaitVisible(seq base.SeqNum) error {
	for base.SeqNum(db.visible.Load()) < seq {
		if err := db.pipeline.Failed(); err != nil {
			return err
		}
		if err := db.writable(); err != nil {
			return err
		}
		pause()
	}
	return nil
}

// checkTree compares the newest state with the read set and moves c.seen up to
// it. ErrConflict if anything in the set was written.
func (db *DB) checkTree(c *txCheck) error {
	s, now := db.acquire()
	if s == nil {
		return ErrClosed
	}
	defer db.release(s)
	if now == c.seen {
		return nil
	}
	for i := range c.read.keys {
		k := c.read.keys[i]
		ch, err := db.changesIn(s, k.keyspace, c.seen)
		if err != nil {
			return err
		}
		if err := ch.key(c.read.bytes(k)); err != nil {
			c.reach = ch.at
			return err
		}
	}
	for i := range c.read.ranges {
		rg := &c.read.ranges[i]
		ch, err := db.changesIn(s, rg.lower.keyspace, c.seen)
		if err != nil {
			return err
		}
		r := Range{lower: c.read.bytes(rg.lower), bounded: !rg.open}
		if r.bounded {
			r.upper = c.read.bytes(rg.upper)
		}
		if err := ch.within(r); err != nil {
			c.reach = ch.at
			return err
		}
	}
	c.seen = now
	return nil
}

// changes looks for what was written to a keyspace above a sequence number. A
// version that was written and deleted again may be gone from the tree, but
// then only because there is none below it either: what a transaction that
// reads at since could see is kept for it, and with that whatever hides it.
type changes struct {
	reader // sees everything
	since  base.SeqNum
	at     base.SeqNum // of what was found
}

// found is ErrConflict, by an operation with sequence number seq.
func (c *changes) found(seq base.SeqNum) error {
	c.at = seq
	return ErrConflict
}

// changesIn looks in one keyspace of a state. One that was dropped has changed.
func (db *DB) changesIn(s *readState, keyspace uint32, since base.SeqNum) (changes, error) {
	v := s.view(keyspace)
	if v == nil {
		return changes{}, ErrConflict
	}
	return changes{reader: reader{db: db, s: s, v: v, seq: base.SeqNumMax}, since: since}, nil
}

// key is ErrConflict if key was written.
func (c *changes) key(key []byte) error {
	covering, err := c.coveringSeq(key)
	if err != nil {
		return err
	}
	if covering > c.since {
		return c.found(covering)
	}
	var l lookup
	ok, err := c.findVersion(c.since+1, key, &l)
	if err != nil || !ok {
		return err
	}
	defer l.release()
	if seq := l.trailer.SeqNum(); seq > c.since {
		return c.found(seq)
	}
	return nil
}

// within is ErrConflict if a key of rng was written.
func (c *changes) within(rng Range) error {
	dels, err := c.db.tableRangeDels(c.v, func(t *manifest.TableMeta) bool { return t.Overlaps(rng.lower, rng.upper) })
	if err != nil {
		return err
	}
	if seq := newestDelete(dels, rng); seq > c.since {
		return c.found(seq)
	}
	for _, m := range c.v.mems {
		if m.MaxSeq() <= c.since {
			continue
		}
		if seq := newestDelete(m.RangeDels(), rng); seq > c.since {
			return c.found(seq)
		}
		if err := c.walk(m.NewIter(), rng); err != nil {
			return err
		}
	}
	for level := range c.v.tree.Levels {
		for _, t := range c.v.tree.Overlaps(level, rng.lower, rng.upper) {
			if t.SeqMax <= c.since {
				continue
			}
			it, err := c.db.newTableIterator(t, &sourceOptions{lower: rng.lower, upper: rng.upper, fill: true})
			if err != nil {
				return err
			}
			if err := c.walk(it, rng); err != nil {
				return err
			}
		}
	}
	return nil
}

// walk is ErrConflict if it, which it closes, has an entry in rng that is new.
func (c *changes) walk(it iterator.Iterator, rng Range) error {
	err := error(nil)
	for ok := it.SeekGE(rng.lower, base.SeekTrailer(base.SeqNumMax)); ok; ok = it.Next() {
		k := it.Key()
		if rng.bounded && bytes.Compare(k.User, rng.upper) >= 0 {
			break
		}
		if seq := k.Trailer.SeqNum(); seq > c.since {
			err = c.found(seq)
			break
		}
	}
	if failed := it.Close(); failed != nil { // of the walk, too
		return failed
	}
	return err
}

// newestDelete is the sequence number of the newest range delete of set that
// meets rng, or 0.
func newestDelete(set *rangedel.Set, rng Range) (newest base.SeqNum) {
	if set.Empty() {
		return 0
	}
	frags := set.Fragments()
	first := sort.Search(len(frags), func(i int) bool { return bytes.Compare(frags[i].End, rng.lower) > 0 })
	for _, f := range frags[first:] {
		if rng.bounded && bytes.Compare(f.Start, rng.upper) >= 0 {
			break
		}
		newest = max(newest, f.Seqs[0])
	}
	return newest
}

// screen sets aside the requests of a group that must not be committed, before
// anything is done for them, and keeps the log of recent commits. It returns
// the others. Called by the leader of the group.
//
// The log is kept while transactions that write are open. One that begins is
// counted before it takes its sequence number, so that a group that did not see
// it either ended before or is one that it finds missing from the log.
func (db *DB) screen(group []*commit.Request) ([]*commit.Request, error) {
	w := &db.w
	w.recent.follow(db.openTxs.Load() > 0, w.applied)
	seq, refused := w.seq, false
	for _, r := range group {
		q := r.Batch.(*request)
		if r.Refused = q.refusal(&w.recent, w.applied); r.Refused != nil {
			refused = true
			continue
		}
		seq += base.SeqNum(q.batch.count)
		if w.recent.on {
			if err := w.recent.addBatch(seq, q.batch); err != nil {
				return nil, err
			}
		}
	}
	if !refused {
		return group, nil
	}
	clear(w.admitted)
	w.admitted = slices.DeleteFunc(append(w.admitted[:0], group...), func(r *commit.Request) bool { return r.Refused != nil })
	return w.admitted, nil
}

// refusal is why a request cannot be committed any more, or nil. applied is the
// last sequence number in a memtable, published or not.
func (q *request) refusal(recent *recentLog, applied base.SeqNum) error {
	for _, u := range q.batch.uses {
		if u.ks == nil {
			continue
		}
		if u.ks.dropped.Load() {
			return u.ks.droppedErr()
		}
		if err := u.ks.settle(); err != nil {
			return err
		}
	}
	if q.check == nil {
		return nil
	}
	for _, ks := range q.check.spaces {
		if ks.dropped.Load() {
			return ErrConflict
		}
	}
	hit, known := recent.wrote(q.check.read, q.check.seen)
	switch {
	case !known:
		// Not beyond applied: what this group adds to the log may fail yet, and
		// would be waited for in vain.
		q.check.reach = min(recent.floor, applied)
		return errCheckAgain
	case hit:
		q.check.reach = applied
		return ErrConflict
	}
	return nil
}
