package enginetest

import (
	"bytes"
	"time"

	"github.com/cordwood-db/cordwood/bench/engine"
)

// cursor walks through a clone of the tree.
type cursor struct {
	tree         *tree
	lower, upper []byte
	reverse      bool
	at           *entry // nil: on no entry
}

// NewCursor implements engine.Store.
func (m *memory) NewCursor(o engine.CursorOptions) (engine.Cursor, error) {
	snapshot, err := m.snapshot()
	if err != nil {
		return nil, err
	}
	return &cursor{tree: snapshot, lower: bytes.Clone(o.Lower), upper: bytes.Clone(o.Upper), reverse: o.Reverse}, nil
}

// First implements engine.Cursor.
func (c *cursor) First() bool {
	switch {
	case !c.reverse:
		return c.ascend(c.lower, nil)
	case c.upper != nil:
		return c.descend(c.upper, c.upper)
	}
	c.at = nil
	c.tree.Descend(c.visit(nil))
	return c.at != nil
}

// Seek implements engine.Cursor.
func (c *cursor) Seek(key []byte) bool {
	if !c.reverse {
		if c.lower != nil && bytes.Compare(key, c.lower) < 0 {
			key = c.lower
		}
		return c.ascend(key, nil)
	}
	if c.upper != nil && bytes.Compare(key, c.upper) >= 0 {
		return c.First()
	}
	return c.descend(key, nil)
}

// Next implements engine.Cursor.
func (c *cursor) Next() bool {
	if c.at == nil {
		return false
	}
	key := c.at.key
	if c.reverse {
		return c.descend(key, key)
	}
	return c.ascend(key, key)
}

func (c *cursor) ascend(from, but []byte) bool {
	c.at = nil
	c.tree.AscendGreaterOrEqual(&entry{key: from}, c.visit(but))
	return c.at != nil
}

func (c *cursor) descend(from, but []byte) bool {
	c.at = nil
	c.tree.DescendLessOrEqual(&entry{key: from}, c.visit(but))
	return c.at != nil
}

// visit stops at the first entry that can be shown and is not that of but, or
// where the bounds end.
func (c *cursor) visit(but []byte) func(*entry) bool {
	now := time.Now().UnixNano()
	return func(e *entry) bool {
		if !e.live(now) || but != nil && bytes.Equal(e.key, but) {
			return true
		}
		if c.lower != nil && bytes.Compare(e.key, c.lower) < 0 || c.upper != nil && bytes.Compare(e.key, c.upper) >= 0 {
			return false
		}
		c.at = e
		return false
	}
}

// Key implements engine.Cursor.
func (c *cursor) Key() []byte { return c.at.key }

// Value implements engine.Cursor.
func (c *cursor) Value() ([]byte, error) { return c.at.value, nil }

// Err implements engine.Cursor.
func (c *cursor) Err() error { return nil }

// Close implements engine.Cursor.
func (c *cursor) Close() error {
	c.tree, c.at = nil, nil
	return nil
}
