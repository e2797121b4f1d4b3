package db

import (
	"bytes"
	"errors"
	"sync/atomic"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/iterator"
	"github.com/cordwood-db/cordwood/internal/rangedel"
)

// Cursor walks the keys of a range in both directions, as they were when it
// was opened. It starts before the first key. Its methods go by the order of
// keys whatever the direction of the range, which is for Scan.
//
// A positioning method that returns false has reached an end or met an error:
// Err tells. A Cursor holds files and memory; Close it. It is used by one
// goroutine at a time, while the store may be closed by another.
type Cursor struct {
	// Immutable after it is opened.
	r     reader
	now   uint64
	rng   Range
	tombs *rangedel.Set
	iter  *iterator.Merging
	tx    *txCursor // nil unless it is a transaction's

	use    atomic.Uint32 // cursorIdle, cursorBusy, cursorClosed
	handle *handle       // in the registry of what is open

	// The current entry, if valid.
	valid  bool
	at     cursorAt
	more   bool   // with atAhead and atBehind: iter stands on an entry
	key    []byte // own copy
	kind   base.Kind
	seqAt  base.SeqNum // sequence number of the entry
	expiry uint64
	value  []byte // inline value, or encoded pointer
	err    error

	// Of looking ahead; see prefetch.go.
	ahead     *lookahead // nil before it is needed
	streak    int        // values of the value log in a row that were asked for
	asked     bool       // for the current value
	separated bool       // the current value was fetched from the value log
	walked    bool       // backward, in the last step

	saved   []byte // memory for value, where it is not the iterator's
	seek    []byte // memory for keys to seek to
	scratch []byte // memory for values from the value log
}

// cursorAt says where iter stands, seen from the cursor's current key.
type cursorAt uint8

const (
	atNowhere   cursorAt = iota // not positioned yet
	atEntry                     // on the current key's version
	atAhead                     // on the first entry after the current key's versions
	atBehind                    // on the last entry before the current key's versions
	atFront                     // the cursor ran off the front
	atBack                      // the cursor ran off the back
	atElsewhere                 // away from the current key: it has to be sought
)

const (
	cursorIdle uint32 = iota
	cursorBusy
	cursorClosed
)

// NewCursor opens a cursor over r, as of now.
func (ks *Keyspace) NewCursor(r Range) (*Cursor, error) {
	from, err := ks.reader()
	if err != nil {
		return nil, err
	}
	return from.newCursor(r)
}

// NewCursor is [Keyspace.NewCursor] of the default keyspace.
func (db *DB) NewCursor(r Range) (*Cursor, error) { return db.main.NewCursor(r) }

// newCursor takes over the reader's reference.
func (r reader) newCursor(rng Range) (*Cursor, error) { return r.openCursor(rng, nil) }

func (r reader) openCursor(rng Range, tx *txCursor) (*Cursor, error) {
	c := &Cursor{r: r, now: r.db.now(r.s.version), rng: rng, tx: tx}
	var err error
	if c.tombs, err = r.db.rangeDels(r.v, rng); err == nil {
		own := c.ownIndex()
		if own != nil {
			c.tombs = rangedel.Merge(own.RangeDels(), c.tombs)
		}
		o := &sourceOptions{lower: rng.lower, fill: true, tombs: c.tombs, seq: r.seq, want: r.ks.set.Load().wantedPrefix(rng), own: own}
		if rng.bounded {
			o.upper = rng.upper
		}
		c.iter, err = c.r.newInternalIterator(o)
	}
	if err != nil {
		r.release()
		return nil, err
	}
	c.handle = r.db.opened.addCursor(c)
	return c, nil
}

// begin claims the cursor for one call.
func (c *Cursor) begin() bool {
	if c.use.CompareAndSwap(cursorIdle, cursorBusy) {
		return true
	}
	c.valid = false
	if c.use.Load() == cursorClosed && c.err == nil {
		c.err = ErrClosed
	}
	return false
}

func (c *Cursor) end() { c.use.Store(cursorIdle) }

// First moves to the smallest key of the range.
func (c *Cursor) First() bool {
	if !c.begin() {
		return false
	}
	defer c.end()
	c.restart()
	return c.saw(c.seekGE(c.rng.lower), false)
}

// Last moves to the largest key of the range.
func (c *Cursor) Last() bool {
	if !c.begin() {
		return false
	}
	defer c.end()
	c.restart()
	c.err = nil
	return c.saw(c.seekLast(), true)
}

func (c *Cursor) seekLast() bool {
	if c.tx != nil {
		c.tx.seekDown(c, c.rng.upper, !c.rng.bounded)
	}
	if c.rng.bounded {
		return c.backward(c.iter.SeekLT(c.rng.upper))
	}
	return c.backward(c.iter.Last())
}

// SeekGE moves to the smallest key of the range that is key or greater.
func (c *Cursor) SeekGE(key []byte) bool {
	if !c.begin() {
		return false
	}
	defer c.end()
	c.restart()
	if bytes.Compare(key, c.rng.lower) < 0 {
		key = c.rng.lower
	}
	return c.saw(c.seekGE(key), false)
}

func (c *Cursor) seekGE(key []byte) bool {
	c.err = nil
	if c.tx != nil {
		c.tx.seekUp(c, key)
	}
	return c.forward(c.iter.SeekGE(key, base.SeekTrailer(max(c.r.seq, c.ownTop()))))
}

// SeekLT moves to the largest key of the range that is less than key.
func (c *Cursor) SeekLT(key []byte) bool {
	if !c.begin() {
		return false
	}
	defer c.end()
	c.restart()
	c.err = nil
	if c.rng.bounded && bytes.Compare(key, c.rng.upper) > 0 {
		key = c.rng.upper
	}
	if c.tx != nil {
		c.tx.seekDown(c, key, false)
	}
	return c.saw(c.backward(c.iter.SeekLT(key)), true)
}

// Next moves to the next greater key of the range; before the first
// positioning, and after running off the front, to the smallest.
func (c *Cursor) Next() bool {
	if !c.begin() {
		return false
	}
	defer c.end()
	return c.saw(c.move(false), false)
}

func (c *Cursor) stepForward() bool {
	switch {
	case c.err != nil, c.at == atBack:
		return false
	case c.at == atNowhere, c.at == atFront:
		return c.seekGE(c.rng.lower)
	case c.at == atEntry:
		return c.forward(c.skipVersions())
	case c.at == atAhead:
		return c.forward(c.more)
	}
	// atBehind, atElsewhere: the versions of the current key come next.
	c.seek = append(c.seek[:0], c.key...)
	return c.forward(c.iter.SeekGE(c.seek, 0) && c.skipOldest(c.seek))
}

// skipOldest steps over a version of key with trailer 0.
func (c *Cursor) skipOldest(key []byte) bool {
	for bytes.Equal(c.iter.Key().User, key) {
		if !c.iter.Next() {
			return false
		}
	}
	return true
}

// Prev moves to the next smaller key of the range; before the first
// positioning, and after running off the back, to the largest.
func (c *Cursor) Prev() bool {
	if !c.begin() {
		return false
	}
	defer c.end()
	return c.saw(c.move(true), true)
}

func (c *Cursor) stepBackward() bool {
	switch {
	case c.err != nil, c.at == atFront:
		return false
	case c.at == atNowhere, c.at == atBack:
		return c.seekLast()
	case c.at == atBehind:
		return c.backward(c.more)
	}
	c.seek = append(c.seek[:0], c.key...)
	return c.backward(c.iter.SeekLT(c.seek))
}

// skipVersions moves iter past the versions of the current key.
func (c *Cursor) skipVersions() bool {
	for c.iter.Next() {
		if !bytes.Equal(c.iter.Key().User, c.key) {
			return true
		}
	}
	return false
}

// forward finds the first key from iter's entry on that has a value. ok says
// whether iter stands on an entry.
func (c *Cursor) forward(ok bool) bool {
	c.valid = false
	for ok {
		k := c.iter.Key()
		if c.rng.bounded && bytes.Compare(k.User, c.rng.upper) >= 0 {
			break
		}
		seq := k.Trailer.SeqNum()
		if !c.sees(seq) {
			ok = c.iter.Next()
			continue
		}
		c.key = append(c.key[:0], k.User...)
		shown, err := c.show(k.Trailer)
		if err != nil {
			return c.stop(err)
		}
		if shown {
			c.valid = true
			return true
		}
		ok = c.skipVersions()
	}
	if err := c.iter.Err(); err != nil {
		return c.stop(err)
	}
	c.at = atBack
	return false
}

// show makes the newest visible version of the current key, on which iter
// stands, the current entry. false if it has no value.
func (c *Cursor) show(trailer base.Trailer) (bool, error) {
	c.at = atEntry
	kind := trailer.Kind()
	if kind.Op() == base.KindDelete || c.covered(c.key, trailer.SeqNum()) {
		return false, nil
	}
	if kind.Op() == base.KindMerge && !c.rng.keysOnly {
		return c.showMerged()
	}
	expiry, value, err := base.SplitPayload(kind, c.iter.Value())
	if err != nil {
		return false, payloadError(c.key, trailer, err)
	}
	if kind.HasExpiry() && expiry <= c.now {
		return false, nil
	}
	c.kind, c.seqAt, c.expiry, c.value = kind, trailer.SeqNum(), expiry, value
	return true, nil
}

// covered reports whether a range delete that the cursor sees hides the
// version seq of key.
func (c *Cursor) covered(key []byte, seq base.SeqNum) bool {
	return !c.tombs.Empty() && c.coveringSeq(key) > seq
}

// showMerged gathers the operands from iter's entry on. Afterwards iter stands
// on the entry after the last one used, or on it.
func (c *Cursor) showMerged() (bool, error) {
	o := operands{}
	covering := c.coveringSeq(c.key)
	for {
		k := c.iter.Key()
		if !bytes.Equal(k.User, c.key) {
			c.at, c.more = atAhead, true
			break
		}
		if k.Trailer.SeqNum() < covering {
			break
		}
		if c.sees(k.Trailer.SeqNum()) { // own writes are newer than some that it does not see
			done, err := o.add(&c.r, c.key, k.Trailer, c.iter.Value(), c.now)
			if err != nil {
				return false, err
			}
			if done {
				break
			}
		}
		if !c.iter.Next() {
			if err := c.iter.Err(); err != nil {
				return false, err
			}
			c.at, c.more = atAhead, false
			break
		}
	}
	return true, c.finishMerge(&o)
}

func (c *Cursor) finishMerge(o *operands) error {
	value, err := o.value(c.saved[:0], c.r.ks.merge(), c.key)
	if err != nil {
		return err
	}
	c.saved = value
	c.kind, c.seqAt, c.expiry, c.value = base.KindSet, 0, 0, value
	return nil
}

// stop ends the walk with an error.
func (c *Cursor) stop(err error) bool {
	c.valid, c.err = false, err
	return false
}

// Valid reports whether the cursor stands on a key.
func (c *Cursor) Valid() bool { return c.valid && c.use.Load() != cursorClosed }

// Item is the current key and value; only for a valid cursor.
func (c *Cursor) Item() Item { return Item{c} }

// Key is the current key. The slice is valid until the cursor moves or is
// closed; don't change it.
func (c *Cursor) Key() []byte { return c.key }

// Value reads the current value. The slice is valid until the cursor moves or is
// closed, be it by DB.Close, or Value is called again; don't change it.
func (c *Cursor) Value() ([]byte, error) {
	c.asked = true
	if c.valid && c.kind.Op() == base.KindSet && !c.rng.keysOnly && c.use.Load() == cursorIdle {
		return c.value, nil
	}
	value, err := c.AppendValue(c.scratch[:0])
	if err != nil {
		return nil, err
	}
	c.scratch = value
	return value, nil
}

// errNoItem is what a cursor that stands on no key returns for its value.
var errNoItem = errors.New("cordwood: cursor stands on no key")

// AppendValue appends the current value to dst.
func (c *Cursor) AppendValue(dst []byte) ([]byte, error) {
	if !c.begin() {
		return dst, ErrClosed
	}
	defer c.end()
	c.asked = true
	switch {
	case !c.valid:
		return dst, errors.Join(errNoItem, c.err)
	case c.rng.keysOnly:
		return dst, errKeysOnly
	case c.kind.Op() == base.KindSetPointer:
		return c.r.readPointer(dst, c.key, c.seqAt, c.value)
	}
	return append(dst, c.value...), nil
}

// Err is the error that stopped the last move, or nil. Moving on from an error
// needs First, Last or a seek.
func (c *Cursor) Err() error { return c.err }

// Close releases the cursor. Closing it again is allowed.
func (c *Cursor) Close() error {
	c.dropAhead()
	c.r.db.opened.remove(c.handle)
	err := c.shut()
	if c.tx != nil {
		c.tx.leave(c)
	}
	return err
}

// shut closes the cursor from any goroutine: it waits for a call in progress.
func (c *Cursor) shut() error {
	for !c.use.CompareAndSwap(cursorIdle, cursorClosed) {
		if c.use.Load() == cursorClosed {
			return nil
		}
		pause()
	}
	_ = c.iter.Close() // an error of the walk is in Err already
	c.unreserve()
	c.r.release()
	return nil
}
