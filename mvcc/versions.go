package mvcc

import (
	"iter"

	"github.com/cordwood-db/cordwood/db"
)

// Version is what a key got at a timestamp, as a loop over its versions comes
// by. It is valid until the loop goes on.
type Version struct {
	s       *Space
	c       *db.Cursor
	ts      Timestamp
	deleted bool
}

// Timestamp is that of the version.
func (v Version) Timestamp() Timestamp { return v.ts }

// Deleted reports whether the key was deleted at the timestamp. Then it has no
// value there.
func (v Version) Deleted() bool { return v.deleted }

// AppendValue appends the value to dst; db.ErrNotFound for a deletion.
func (v Version) AppendValue(dst []byte) ([]byte, error) {
	if v.deleted {
		return dst, db.ErrNotFound
	}
	return v.s.appendValue(dst, v.c)
}

// Value reads the value into a slice of the caller's own; db.ErrNotFound for a
// deletion.
func (v Version) Value() ([]byte, error) {
	if v.deleted {
		return nil, db.ErrNotFound
	}
	return v.AppendValue(make([]byte, 0, v.ValueSize()))
}

// ValueSize is the length of the value in bytes, known without reading it from
// the value log.
func (v Version) ValueSize() int { return max(v.c.Item().ValueSize()-1, 0) }

// Versions walks all versions of key, newest first, as of the moment the loop
// begins: those above the discard timestamp, the newest at or below it, unless
// that is a deletion, and maybe some more. An error ends the loop: it is yielded
// once, with a Version that must not be used.
func (s *Space) Versions(key []byte) iter.Seq2[Version, error] {
	return func(yield func(Version, error) bool) {
		c, err := s.ks.NewCursor(versionsOf(key, TimestampMax))
		s.walk(c, err, yield)
	}
}

// Versions is Space.Versions from the view's timestamp down.
func (v *View) Versions(key []byte) iter.Seq2[Version, error] {
	return func(yield func(Version, error) bool) {
		c, err := v.open(versionsOf(key, v.ts))
		v.s.walk(c, err, yield)
	}
}

// walk yields what c comes by, and closes it.
func (s *Space) walk(c *db.Cursor, err error, yield func(Version, error) bool) {
	if err != nil {
		yield(Version{}, err)
		return
	}
	defer c.Close()
	for ok := c.First(); ok; ok = c.Next() {
		_, ts, sound := split(c.Key())
		if !sound {
			yield(Version{}, s.damaged(c.Key(), nil))
			return
		}
		deleted, err := isDeletion(c)
		if err != nil {
			yield(Version{}, err)
			return
		}
		if !yield(Version{s, c, ts, deleted}, nil) {
			return
		}
	}
	if err := c.Err(); err != nil {
		yield(Version{}, err)
	}
}

// LatestTimestamp is the timestamp of the newest version of key, a deletion or
// not; 0 if it has none. A deletion at or below the discard timestamp may be gone,
// and then so is all below it.
func (s *Space) LatestTimestamp(key []byte) (Timestamp, error) {
	return s.latest(s.ks, key)
}

func (s *Space) latest(src db.Reader, key []byte) (Timestamp, error) {
	c, err := src.NewCursor(versionsOf(key, TimestampMax))
	if err != nil {
		return 0, err
	}
	defer c.Close()
	if !c.First() {
		return 0, c.Err()
	}
	_, ts, ok := split(c.Key())
	if !ok {
		return 0, s.damaged(c.Key(), nil)
	}
	return ts, nil
}
