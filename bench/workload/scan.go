package workload

import (
	"fmt"
	"math"

	"github.com/cordwood-db/cordwood/bench/engine"
)

func (c *mixClient) prepareScan() {
	c.length = c.s.scan.next(&c.random)
	c.at = c.choose()
	missing := c.s.w.Between && c.random.uint64()&1 == 0
	number, next, end, step := presentNumber(c.at), c.at, uint64(len(c.m.words)), 1
	if missing {
		number, next = missingNumber(c.at), c.at+1
	}
	if c.op == ReverseScan {
		next, end, step = c.at, math.MaxUint64, -1
	}
	c.aim(number)
	c.walk.begin(next, end, step, c.length)
}

// scan opens a cursor, seeks, reads entries and closes it.
func (c *mixClient) scan() (out Outcome, err error) {
	cursor, err := c.store.NewCursor(engine.CursorOptions{Reverse: c.op == ReverseScan, Entries: c.length})
	if err != nil {
		return out, err
	}
	c.walk.began = c.began
	out, err = readEntries(cursor, cursor.Seek(c.key), c.length, c.walkIfVerified())
	if closeErr := cursor.Close(); err == nil {
		err = closeErr
	}
	out.Bytes += len(c.key)
	return out, err
}

func (c *mixClient) walkIfVerified() *walk {
	if c.s.c.Verify {
		return &c.walk
	}
	return nil
}

// readEntries reads up to n entries from where cursor is, and checks them unless
// check is nil. more is what the move to the first returned.
func readEntries(cursor engine.Cursor, more bool, n int, check *walk) (out Outcome, err error) {
	for ; more; more = cursor.Next() {
		key := cursor.Key()
		value, err := cursor.Value()
		if err != nil {
			return out, fmt.Errorf("value of key %q: %w", key, err)
		}
		if check != nil {
			over, err := check.see(key, value)
			if err != nil {
				return out, err
			}
			if over {
				return out, check.finish()
			}
			out.Checked++
		}
		out.Items++
		out.Bytes += len(key) + len(value)
		if out.Items == n {
			return out, nil
		}
	}
	if err := cursor.Err(); err != nil {
		return out, err
	}
	if check != nil {
		return out, check.finish()
	}
	return out, nil
}
