package trace

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/cordwood-db/cordwood/bench/engine"
	"github.com/cordwood-db/cordwood/bench/workload"
)

// scan does a scan and checks what it shows: keys of the replay, in order, within
// bounds, each with a value that it may have, and none left out.
func (c *client) scan(s *scanStep, out *workload.Outcome) error {
	walk := keyWalk{keys: c.r.s.keys, epoch: c.r.epoch.Add(1)}
	before := c.clock()
	cursor, err := c.r.store.NewCursor(engine.CursorOptions{Lower: s.lower, Upper: s.upper, Reverse: s.reverse,
		Entries: int(min(s.entries, 1<<30))})
	if err != nil {
		return err
	}
	if c.r.o.Verify {
		walk.begin(s)
	}
	err = c.follow(cursor, s, &walk, func(e *entry) view { return e.seenBy(walk.epoch, before) }, out)
	return errors.Join(err, cursor.Close())
}

// follow moves a cursor along the keys that it must show.
func (c *client) follow(cursor engine.Cursor, s *scanStep, walk *keyWalk, see func(*entry) view, out *workload.Outcome) error {
	var on bool
	if s.seek != nil {
		on = cursor.Seek(s.seek)
	} else {
		on = cursor.First()
	}
	for n := uint64(0); n < s.entries; n++ {
		if !on {
			if err := cursor.Err(); err != nil || !c.r.o.Verify {
				return err
			}
			return walk.finish()
		}
		key := cursor.Key()
		out.Items++
		out.Bytes += len(key)
		var value []byte
		if !s.keysOnly {
			var err error
			if value, err = cursor.Value(); err != nil {
				return err
			}
			out.Bytes += len(value)
		}
		if c.r.o.Verify {
			c.checked++
			e, err := walk.to(key)
			if err != nil {
				return err
			}
			if !s.keysOnly {
				if problem := e.checkValue(see(e), value, &c.scratch); problem != "" {
					return &workload.WrongAnswer{Key: string(key), Problem: "in a scan: " + problem}
				}
			}
		}
		if n+1 < s.entries {
			on = cursor.Next()
		}
	}
	return nil
}

// keyWalk goes along the keys of a replay beside a cursor.
type keyWalk struct {
	keys  []*entry // ascending
	epoch uint32   // of the scan
	at    int      // the next key that the cursor may show
	end   int      // the first one that it may not
	step  int
}

// begin finds the keys that a scan may show.
func (w *keyWalk) begin(s *scanStep) {
	place := func(key []byte) int {
		i, _ := slices.BinarySearchFunc(w.keys, key, func(e *entry, key []byte) int { return bytes.Compare(e.key, key) })
		return i
	}
	low, high := 0, len(w.keys)
	if s.lower != nil {
		low = place(s.lower)
	}
	if s.upper != nil {
		high = max(place(s.upper), low)
	}
	if !s.reverse {
		w.at, w.end, w.step = low, high, 1
		if s.seek != nil {
			w.at = min(max(w.at, place(s.seek)), high)
		}
		return
	}
	w.at, w.end, w.step = high-1, low-1, -1
	if s.seek != nil {
		i := place(s.seek)
		if i == len(w.keys) || !bytes.Equal(w.keys[i].key, s.seek) {
			i--
		}
		w.at = max(min(w.at, i), w.end)
	}
}

// to goes to a key that the cursor shows.
func (w *keyWalk) to(key []byte) (*entry, error) {
	for ; w.at != w.end; w.at += w.step {
		e := w.keys[w.at]
		order := bytes.Compare(key, e.key) * w.step
		if order == 0 {
			w.at += w.step
			return e, nil
		}
		if order < 0 {
			break
		}
		if err := w.passOver(e); err != nil {
			return nil, err
		}
	}
	return nil, &workload.WrongAnswer{Key: string(key), Problem: "a scan shows it out of order, out of its bounds, or though nobody has written it"}
}

// finish goes to the end of the range, which the cursor has reached.
func (w *keyWalk) finish() error {
	for ; w.at != w.end; w.at += w.step {
		if err := w.passOver(w.keys[w.at]); err != nil {
			return err
		}
	}
	return nil
}

// passOver checks a key that the cursor did not show.
func (w *keyWalk) passOver(e *entry) error {
	if !e.certain(w.epoch) {
		return nil
	}
	return &workload.WrongAnswer{Key: string(e.key), Problem: fmt.Sprintf("a scan leaves it out, but version %d was written",
		word(e.acked.Load()).version())}
}
