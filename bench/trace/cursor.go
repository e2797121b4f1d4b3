package trace

import (
	"time"

	"github.com/cordwood-db/cordwood/db"
)

// Cursor is a db.Cursor whose walks are recorded. It is used by one goroutine at
// a time.
type Cursor struct {
	scope  scope
	c      *db.Cursor
	bounds Bounds

	walking bool
	start   time.Duration
	walk    Walk
	key     []byte // that the walk was positioned at
	entries uint64
	bytes   uint64
}

// Unwrap is the cursor itself. What is done to it is not recorded.
func (c *Cursor) Unwrap() *db.Cursor { return c.c }

// First is First of the cursor.
func (c *Cursor) First() bool {
	c.begin(PositionFirst, nil)
	return c.saw(c.c.First())
}

// Last is Last of the cursor.
func (c *Cursor) Last() bool {
	c.begin(PositionLast, nil)
	return c.saw(c.c.Last())
}

// SeekGE is SeekGE of the cursor.
func (c *Cursor) SeekGE(key []byte) bool {
	c.begin(PositionSeekGE, key)
	return c.saw(c.c.SeekGE(key))
}

// SeekLT is SeekLT of the cursor.
func (c *Cursor) SeekLT(key []byte) bool {
	c.begin(PositionSeekLT, key)
	return c.saw(c.c.SeekLT(key))
}

// Next is Next of the cursor.
func (c *Cursor) Next() bool {
	if !c.walking {
		c.begin(PositionFresh, nil)
	}
	c.walk.Forward++
	return c.saw(c.c.Next())
}

// Prev is Prev of the cursor.
func (c *Cursor) Prev() bool {
	if !c.walking {
		c.begin(PositionFresh, nil)
	}
	c.walk.Backward++
	return c.saw(c.c.Prev())
}

// Valid is Valid of the cursor.
func (c *Cursor) Valid() bool { return c.c.Valid() }

// Key is Key of the cursor.
func (c *Cursor) Key() []byte { return c.c.Key() }

// Value is Value of the cursor.
func (c *Cursor) Value() ([]byte, error) { return c.c.Value() }

// AppendValue is AppendValue of the cursor.
func (c *Cursor) AppendValue(dst []byte) ([]byte, error) { return c.c.AppendValue(dst) }

// Item is Item of the cursor.
func (c *Cursor) Item() db.Item { return c.c.Item() }

// Err is Err of the cursor.
func (c *Cursor) Err() error { return c.c.Err() }

// Close records the last walk and closes the cursor.
func (c *Cursor) Close() error {
	c.end()
	return c.c.Close()
}

// begin ends the walk before and begins one.
func (c *Cursor) begin(p Position, key []byte) {
	c.end()
	c.walking, c.start, c.walk = true, c.scope.begin(), Walk{Position: p}
	c.key = append(c.key[:0], key...)
	c.entries, c.bytes = 0, 0
}

// saw notes where a move has come to.
func (c *Cursor) saw(valid bool) bool {
	if valid {
		c.entries++
		c.bytes += uint64(len(c.c.Key()) + c.c.Item().ValueSize())
	}
	return valid
}

// end records the walk.
func (c *Cursor) end() {
	if !c.walking {
		return
	}
	c.walking = false
	op := Op{Kind: KindWalk, Start: c.start, Range: c.bounds, Walk: c.walk, Entries: c.entries, Bytes: c.bytes,
		Error: classOf(c.c.Err())}
	if c.walk.Position >= PositionSeekGE {
		op.Key = c.key
	}
	c.scope.done(&op)
}
