package mvcc

import (
	"bytes"

	"github.com/cordwood-db/cordwood/db"
)

// Cursor walks the keys of a range in both directions, as of a view's timestamp
// and the moment when it was opened: of each key it shows the newest version at
// or below the timestamp, of a deleted key nothing. It starts before the first
// key. Its methods go by the order of keys whatever the direction of the range,
// which is for Scan.
//
// A positioning method that returns false has reached an end or met an error:
// Err tells. A Cursor holds files and memory; Close it. It outlives its view. It
// is used by one goroutine at a time.
type Cursor struct {
	s        *Space
	ts       Timestamp
	in       *db.Cursor // over stored keys
	keysOnly bool

	valid   bool
	at      place
	key     []byte    // the user's
	prefix  []byte    // of the stored keys of all its versions
	version Timestamp // of the current item
	saved   []byte    // with atBefore: the stored value
	err     error

	seek []byte // memory for stored keys to seek to
}

// place says where the inner cursor stands, seen from the current key.
type place uint8

const (
	atNowhere place = iota // not positioned yet
	atVersion              // on the version that is shown
	atBefore               // before all versions of the key, or off the front
	atFront                // the cursor ran off the front
	atBack                 // the cursor ran off the back
)

const (
	// stepsMax is how many versions of a key are stepped over before a seek,
	// which costs as much as some ten steps, goes to where they end.
	stepsMax = 8
	// savedMax is the length up to which a walk backwards copies a value that
	// may turn out not to be the one. Longer ones are looked up again.
	savedMax = 512
)

// NewCursor opens a cursor over r, a range of user keys.
func (v *View) NewCursor(r db.Range) (*Cursor, error) {
	in, err := v.open(storedRange(r))
	if err != nil {
		return nil, err
	}
	return &Cursor{s: v.s, ts: v.ts, in: in, keysOnly: r.IsKeysOnly()}, nil
}

// First moves to the smallest key of the range.
func (c *Cursor) First() bool {
	c.begin()
	return c.forward(c.in.First())
}

// Last moves to the largest key of the range.
func (c *Cursor) Last() bool {
	c.begin()
	return c.backward(c.in.Last())
}

// SeekGE moves to the smallest key of the range that is key or greater.
func (c *Cursor) SeekGE(key []byte) bool {
	c.begin()
	c.seek = appendPrefix(c.seek[:0], key)
	return c.forward(c.in.SeekGE(c.seek))
}

// SeekLT moves to the largest key of the range that is less than key.
func (c *Cursor) SeekLT(key []byte) bool {
	c.begin()
	c.seek = appendPrefix(c.seek[:0], key)
	return c.backward(c.in.SeekLT(c.seek))
}

// begin forgets the current item, and an error.
func (c *Cursor) begin() { c.valid, c.err = false, nil }

// Next moves to the next greater key of the range; before the first
// positioning, and after running off the front, to the smallest.
func (c *Cursor) Next() bool {
	switch {
	case c.err != nil, c.at == atBack:
		c.valid = false
		return false
	case c.at == atVersion:
		return c.forward(c.pastKey())
	case c.at == atBefore:
		return c.forward(c.seekPast())
	}
	return c.First()
}

// Prev moves to the next smaller key of the range; before the first
// positioning, and after running off the back, to the largest.
func (c *Cursor) Prev() bool {
	switch {
	case c.err != nil, c.at == atFront:
		c.valid = false
		return false
	case c.at == atVersion:
		return c.backward(c.in.SeekLT(c.prefix))
	case c.at == atBefore:
		return c.backward(c.in.Valid())
	}
	return c.Last()
}

// sameKey reports whether the inner cursor stands on a version of the current
// key. Keys in it are longer than prefixes that they begin with.
func (c *Cursor) sameKey() bool { return bytes.HasPrefix(c.in.Key(), c.prefix) }

// pastKey moves the inner cursor from a version of the current key behind all
// of them.
func (c *Cursor) pastKey() bool {
	for range stepsMax {
		if !c.in.Next() {
			return false
		}
		if !c.sameKey() {
			return true
		}
	}
	return c.seekPast()
}

// seekPast is pastKey from anywhere.
func (c *Cursor) seekPast() bool {
	c.seek = appendPrefixEnd(c.seek[:0], c.prefix)
	return c.in.SeekGE(c.seek)
}

// beforeKey moves the inner cursor, which walks backward, from a version of the
// current key before all of them.
func (c *Cursor) beforeKey() bool {
	for range stepsMax {
		if !c.in.Prev() {
			return false
		}
		if !c.sameKey() {
			return true
		}
	}
	return c.in.SeekLT(c.prefix)
}

// enter takes on the key of the version that the inner cursor stands on.
func (c *Cursor) enter() (Timestamp, bool) {
	prefix, ts, ok := split(c.in.Key())
	if !ok {
		c.stop(c.s.damaged(c.in.Key(), nil))
		return 0, false
	}
	c.prefix = append(c.prefix[:0], prefix...)
	return ts, true
}

// show makes the current key the current item.
func (c *Cursor) show(version Timestamp, at place) bool {
	var err error
	if c.key, err = appendUserKey(c.key[:0], c.prefix); err != nil {
		return c.stop(c.s.damaged(c.prefix, err))
	}
	c.version, c.at, c.valid = version, at, true
	return true
}

// stop ends the walk with an error.
func (c *Cursor) stop(err error) bool {
	c.valid, c.err = false, err
	return false
}

// finish ends the walk at an end of the range, or with the inner cursor's error.
func (c *Cursor) finish(at place) bool {
	if err := c.in.Err(); err != nil {
		return c.stop(err)
	}
	c.valid, c.at = false, at
	return false
}

// forward finds the first key with a value from where the inner cursor stands
// on; ok says whether it stands anywhere.
func (c *Cursor) forward(ok bool) bool {
	c.valid = false
	for ok {
		ts, sound := c.enter()
		if !sound {
			return false
		}
		if ts > c.ts {
			if ts, ok = c.downTo(); ts == 0 {
				if c.err != nil {
					return false
				}
				continue // with another key, or none
			}
		}
		deleted, err := isDeletion(c.in)
		if err != nil {
			return c.stop(err)
		}
		if !deleted {
			return c.show(ts, atVersion)
		}
		ok = c.pastKey()
	}
	return c.finish(atBack)
}

// downTo moves the inner cursor from a version of the current key that is too
// new to the newest one that is not; 0 if there is none, with the cursor on
// another key if more.
func (c *Cursor) downTo() (ts Timestamp, more bool) {
	for n := 0; ; n++ {
		if n < stepsMax {
			more = c.in.Next()
		} else {
			c.seek = appendTimestamp(append(c.seek[:0], c.prefix...), c.ts)
			more = c.in.SeekGE(c.seek)
		}
		if !more || !c.sameKey() {
			return 0, more
		}
		_, ts, ok := split(c.in.Key())
		if !ok {
			return 0, c.stop(c.s.damaged(c.in.Key(), nil))
		}
		if ts <= c.ts {
			return ts, true
		}
	}
}

// backward finds the last key with a value from where the inner cursor stands
// down; ok says whether it stands anywhere. It stands on the oldest version of
// its key.
func (c *Cursor) backward(ok bool) bool {
	c.valid = false
	for ok {
		ts, sound := c.enter()
		if !sound {
			return false
		}
		if ts > c.ts {
			ok = c.beforeKey()
			continue
		}
		ts, size, at, err := c.upTo(ts)
		switch {
		case err != nil:
			return c.stop(err)
		case size != 0:
			return c.show(ts, at)
		case at == atVersion:
			ok = c.in.SeekLT(c.prefix)
		default:
			ok = c.in.Valid()
		}
	}
	return c.finish(atFront)
}

// upTo moves the inner cursor from the oldest version of the current key to the
// newest one that is not too new, and beyond if that one's stored value could be
// saved. size is that of the stored value.
func (c *Cursor) upTo(ts Timestamp) (version Timestamp, size int, at place, err error) {
	for range stepsMax {
		if size, err = c.save(); err != nil {
			return 0, 0, 0, err
		}
		older := ts
		more := c.in.Prev()
		if err := c.in.Err(); err != nil {
			return 0, 0, 0, err
		}
		same := more && c.sameKey()
		if same {
			var ok bool
			if _, ts, ok = split(c.in.Key()); !ok {
				return 0, 0, 0, c.s.damaged(c.in.Key(), nil)
			}
			if ts <= c.ts {
				continue
			}
		}
		if size > savedMax {
			ts = older
			return c.seekTo(ts)
		}
		if same {
			c.beforeKey()
		}
		return older, size, atBefore, c.in.Err()
	}
	return c.seekTo(c.ts)
}

// save copies the stored value of the version that the inner cursor stands on,
// if it is short.
func (c *Cursor) save() (size int, err error) {
	size = c.in.Item().ValueSize()
	if size > savedMax {
		return size, nil
	}
	value, err := c.in.Value()
	c.saved = append(c.saved[:0], value...)
	return len(value), err
}

// seekTo moves the inner cursor to the newest version of the current key at or
// below ts, which is there.
func (c *Cursor) seekTo(ts Timestamp) (version Timestamp, size int, at place, err error) {
	c.seek = appendTimestamp(append(c.seek[:0], c.prefix...), ts)
	if !c.in.SeekGE(c.seek) {
		if err := c.in.Err(); err != nil {
			return 0, 0, 0, err
		}
		return 0, 0, 0, c.s.damaged(c.seek, nil)
	}
	_, version, ok := split(c.in.Key())
	if !ok || !c.sameKey() {
		return 0, 0, 0, c.s.damaged(c.in.Key(), nil)
	}
	deleted, err := isDeletion(c.in)
	if deleted || err != nil {
		return version, 0, atVersion, err
	}
	return version, max(c.in.Item().ValueSize(), 1), atVersion, nil
}

// Valid reports whether the cursor stands on a key.
func (c *Cursor) Valid() bool { return c.valid }

// Item is the current key, version and value; only for a valid cursor.
func (c *Cursor) Item() Item { return Item{c} }

// Key is the current key. The slice is valid until the cursor moves; don't
// change it.
func (c *Cursor) Key() []byte { return c.key }

// Version is the timestamp at which the current value was written.
func (c *Cursor) Version() Timestamp { return c.version }

// Value reads the current value. The slice is valid until the cursor moves or
// Value is called again; don't change it.
func (c *Cursor) Value() ([]byte, error) {
	stored, err := c.stored()
	if err != nil {
		return nil, err
	}
	value, err := decodeValue(stored)
	if err != nil {
		return nil, c.s.damaged(c.prefix, err)
	}
	return value, nil
}

// AppendValue appends the current value to dst.
func (c *Cursor) AppendValue(dst []byte) ([]byte, error) {
	value, err := c.Value()
	return append(dst, value...), err
}

// stored is the stored value of the current item.
func (c *Cursor) stored() ([]byte, error) {
	switch {
	case !c.valid && c.err != nil:
		return nil, c.err
	case !c.valid:
		return nil, errNoItem
	case c.keysOnly:
		return nil, errKeysOnly
	case c.at == atBefore:
		return c.saved, nil
	}
	return c.in.Value()
}

// valueSize is the length of the current value.
func (c *Cursor) valueSize() int {
	if c.at == atBefore {
		return max(len(c.saved)-1, 0)
	}
	return max(c.in.Item().ValueSize()-1, 0)
}

// Err is the error that stopped the last move, or nil. Moving on from an error
// needs First, Last or a seek.
func (c *Cursor) Err() error { return c.err }

// Close releases the cursor. Closing it again is allowed.
func (c *Cursor) Close() error {
	c.valid = false
	return c.in.Close()
}

// Item is a key, its version and its value, as a walk comes by. It is valid
// until the walk goes on.
type Item struct{ c *Cursor }

// Key is the user's key. Don't change the slice.
func (it Item) Key() []byte { return it.c.Key() }

// Version is the timestamp at which the value was written.
func (it Item) Version() Timestamp { return it.c.version }

// Value reads the value. The slice is valid until Value is called again; don't
// change it.
func (it Item) Value() ([]byte, error) { return it.c.Value() }

// AppendValue appends the value to dst.
func (it Item) AppendValue(dst []byte) ([]byte, error) { return it.c.AppendValue(dst) }

// ValueSize is the length of the value in bytes, known without reading it from
// the value log.
func (it Item) ValueSize() int { return it.c.valueSize() }
