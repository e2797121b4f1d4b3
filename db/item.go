package db

import (
	"errors"
	"time"

	"github.com/cordwood-db/cordwood/internal/base"
)

// errKeysOnly is what Item.Value returns in a keys-only range.
var errKeysOnly = errors.New("cordwood: value of a keys-only scan")

// Item is one key of a scan or cursor, with its value at hand. It is valid
// until the loop or the cursor moves on, and is used where the cursor is.
type Item struct {
	c *Cursor
}

// Key is the key. The slice is valid until the cursor moves; don't change it.
func (it Item) Key() []byte { return it.c.key }

// Value returns the value. Reading it from the value log happens here; where
// values of the value log are asked for one after the other, those that follow
// are fetched together with it, if they lie near it. The
// slice is valid until the cursor moves or is closed, be it by DB.Close, or Value
// is called again; don't change it. AppendValue gives a copy.
func (it Item) Value() ([]byte, error) { return it.c.Value() }

// AppendValue appends the value to dst.
func (it Item) AppendValue(dst []byte) ([]byte, error) { return it.c.AppendValue(dst) }

// ValueSize is the length of the value in bytes, known without reading it from
// the value log. It is 0 in a keys-only range for a value that has yet to be
// merged.
func (it Item) ValueSize() int { return it.c.valueSize() }

// ExpiresAt is when the value expires; ok is false if it does not.
func (it Item) ExpiresAt() (at time.Time, ok bool) {
	if it.c.expiry == 0 {
		return time.Time{}, false
	}
	return time.Unix(0, int64(it.c.expiry)), true
}

// valueSize is the length of the current value.
func (c *Cursor) valueSize() int {
	switch c.kind.Op() {
	case base.KindSet:
		return len(c.value)
	case base.KindMerge:
		return 0
	}
	ptr, err := base.DecodePointer(c.value)
	if err != nil {
		return 0 // Value reports it
	}
	return int(ptr.ValueLen)
}
