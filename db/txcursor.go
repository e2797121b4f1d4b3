package db

import (
	"bytes"
	"slices"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/memtable"
)

// txCursor is what a cursor of a transaction has besides what others have: the
// transaction's own writes, and an account of what it has looked at.
type txCursor struct {
	core *txCore     // nil once the transaction has taken leave of the cursor
	top  base.SeqNum // own writes up to it are seen; ownSeqMin if there are none
	seen *seenRange  // nil if nothing has to be recorded
}

// seenRange is what a cursor has looked at since it was last positioned by a
// seek: [lower, upper), which grows in both directions.
type seenRange struct {
	lower, upper []byte
	open         bool // no upper end
	none         bool // nothing yet: lower is not known
}

// newCursor opens a cursor for t.
func (c *txCore) newCursor(t *Tx, rng Range) (*Cursor, error) {
	r, err := c.reader(t.ks)
	if err != nil {
		return nil, err
	}
	tx := &txCursor{core: c, top: ownSeqMin}
	if !c.opts.ReadOnly && c.opts.Isolation == Serializable {
		tx.seen = &seenRange{}
	}
	if c.own.touches(t.ks.num) {
		if _, err := c.own.index(t.ks.num); err != nil {
			r.release()
			return nil, err
		}
		tx.top = c.own.top()
	}
	cur, err := r.openCursor(rng, tx)
	if err != nil {
		return nil, err
	}
	c.cursors = append(c.cursors, cur)
	return cur, nil
}

// closeCursors closes all cursors of the transaction and takes over what they
// have looked at.
func (c *txCore) closeCursors() {
	for len(c.cursors) > 0 {
		_ = c.cursors[len(c.cursors)-1].Close() // an error of its walk is in Err
	}
}

// leave is called when cur is closed, by whom it belongs to. The store, when it
// closes cursors, does not: its transactions will not commit any more.
func (x *txCursor) leave(cur *Cursor) {
	c := x.core
	if c == nil {
		return
	}
	x.record(cur)
	x.core = nil
	if i := slices.Index(c.cursors, cur); i >= 0 {
		c.cursors = slices.Delete(c.cursors, i, i+1)
	}
}

// record hands what was looked at over to the transaction.
func (x *txCursor) record(cur *Cursor) {
	s := x.seen
	if s == nil || x.core == nil {
		return
	}
	if !s.none {
		x.core.read.addRange(cur.r.ks.num, s.lower, s.upper, s.open)
	}
	*s = seenRange{lower: s.lower[:0], upper: s.upper[:0]}
}

// seekUp notes that cur is about to look at keys from key on.
func (x *txCursor) seekUp(cur *Cursor, key []byte) {
	if x.seen == nil {
		return
	}
	x.record(cur)
	x.seen.lower = append(x.seen.lower[:0], key...)
	x.seen.upper = append(x.seen.upper[:0], key...)
}

// seekDown notes that cur is about to look at keys below key, or from the end
// of its range down if open.
func (x *txCursor) seekDown(cur *Cursor, key []byte, open bool) {
	x.seekUp(cur, key)
	if x.seen != nil {
		x.seen.open, x.seen.none = open, true
	}
}

// sawUp notes that cur has looked at all keys up to its own.
func (x *txCursor) sawUp(key []byte) {
	if s := x.seen; s != nil && !s.open && bytes.Compare(s.upper, key) <= 0 {
		s.upper = append(append(s.upper[:0], key...), 0)
	}
}

// sawDown notes that cur has looked at all keys down to its own.
func (x *txCursor) sawDown(key []byte) {
	if s := x.seen; s != nil && (s.none || bytes.Compare(s.lower, key) > 0) {
		s.lower, s.none = append(s.lower[:0], key...), false
	}
}

// sawBack notes that there was nothing up to the end of the range.
func (x *txCursor) sawBack(rng Range) {
	s := x.seen
	switch {
	case s == nil:
	case !rng.bounded:
		s.open = true
	case !s.open && bytes.Compare(s.upper, rng.upper) < 0:
		s.upper = append(s.upper[:0], rng.upper...)
	}
}

// saw is called after each move of a cursor, with its outcome, which it
// returns. What the cursor has walked over ahead of its caller does not count.
func (c *Cursor) saw(ok, backward bool) bool {
	if c.tx == nil || !ok && c.err != nil {
		return ok
	}
	switch {
	case ok && backward:
		c.tx.sawDown(c.key)
	case ok:
		c.tx.sawUp(c.key)
	case backward:
		c.tx.sawDown(c.rng.lower)
	default:
		c.tx.sawBack(c.rng)
	}
	return ok
}

// ownIndex is the index over the own writes that the cursor sees, or nil.
func (c *Cursor) ownIndex() *memtable.Memtable {
	if c.tx == nil || c.tx.top == ownSeqMin {
		return nil
	}
	return c.r.own.space(c.r.ks.num)
}

// ownTop is the sequence number of the newest own write that the cursor sees,
// if it is one of a transaction.
func (c *Cursor) ownTop() base.SeqNum {
	if c.tx == nil {
		return 0
	}
	return c.tx.top
}

// sees reports whether the cursor sees versions with a sequence number.
func (c *Cursor) sees(seq base.SeqNum) bool {
	return seq <= c.r.seq || isOwn(seq) && seq <= c.ownTop()
}

// coveringSeq is the sequence number of the newest range delete over key that
// the cursor sees, or 0.
func (c *Cursor) coveringSeq(key []byte) base.SeqNum {
	if c.tombs.Empty() {
		return 0
	}
	if c.tx != nil {
		if seq := c.tombs.CoveringSeq(key, c.tx.top); isOwn(seq) {
			return seq
		}
	}
	return c.tombs.CoveringSeq(key, c.r.seq)
}

// appendMerged appends the value of the current key, whose newest version is a
// merge operand.
func (c *Cursor) appendMerged(dst []byte) ([]byte, error) {
	if c.tx == nil || c.tx.top == ownSeqMin {
		return c.r.appendMerged(dst, c.key, c.now)
	}
	own, err := c.r.own.lookupAt(c.r.ks.num, c.key, c.tx.top, c.now)
	if err != nil {
		return dst, err
	}
	if own.none() {
		return c.r.appendMerged(dst, c.key, c.now)
	}
	return c.r.appendOwn(dst, c.key, &own)
}
