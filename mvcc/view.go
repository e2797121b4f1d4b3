package mvcc

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/cordwood-db/cordwood/db"
)

// View reads a space as of a timestamp: of each key the newest version at or
// below it. Each read sees what is committed when it begins; a walk sees what
// was committed when it began.
//
// An open view from At holds back the discarding of what it can see: close it.
// Safe for concurrent use.
type View struct {
	s      *Space
	ts     Timestamp
	src    db.Reader // the space's keyspace, as of now or as of a snapshot
	closed atomic.Bool

	// Of a view from At.
	hold    *hold
	cleanup runtime.Cleanup
}

// hold keeps the effective discard timestamp from passing an open view.
type hold struct {
	ts  Timestamp
	pcs [8]uintptr // where the view was opened
	n   int
}

// OpenView describes a view that is open.
type OpenView struct {
	Timestamp Timestamp
	Where     string // the stack that opened it, one call a line, innermost first
}

func (h *hold) describe() OpenView {
	var b strings.Builder
	frames := runtime.CallersFrames(h.pcs[:h.n])
	for more := h.n > 0; more; {
		var f runtime.Frame
		f, more = frames.Next()
		fmt.Fprintf(&b, "%s (%s:%d)\n", f.Function, f.File, f.Line)
	}
	return OpenView{h.ts, b.String()}
}

// At opens a view as of ts, of what is committed at the time of each read.
// ErrDiscarded if ts is below the discard timestamp.
func (s *Space) At(ts Timestamp) (*View, error) {
	h := &hold{ts: ts}
	h.n = runtime.Callers(2, h.pcs[:])
	s.mu.Lock()
	discard := s.discard
	if ts >= discard {
		s.holds[h] = struct{}{}
	}
	s.mu.Unlock()
	if ts < discard {
		return nil, readBelow(ts, discard)
	}
	v := &View{s: s, ts: ts, src: s.ks, hold: h}
	v.cleanup = runtime.AddCleanup(v, s.lost, h)
	return v, nil
}

func readBelow(ts, discard Timestamp) error {
	return fmt.Errorf("%w: read at %d, below %d", ErrDiscarded, ts, discard)
}

// AtSnapshot opens a view as of ts of what was committed when the snapshot was
// taken: it never changes, and can be read together with other keyspaces of the
// snapshot. It needs the snapshot, and holds back nothing else. ErrDiscarded if
// ts is below the discard timestamp of that time; db.ErrNotFound if the space was
// made later.
func (s *Space) AtSnapshot(snap *db.Snapshot, ts Timestamp) (*View, error) {
	return s.over(snap.In(s.ks), ts)
}

// over opens a view over a reader that does not change by itself. What is as
// old as that is kept for it by the store.
func (s *Space) over(src db.Reader, ts Timestamp) (*View, error) {
	header, err := src.Get(headerKey)
	if err != nil {
		return nil, err
	}
	discard, err := decodeHeader(s.Name(), header)
	if err != nil {
		return nil, err
	}
	if ts < discard {
		return nil, readBelow(ts, discard)
	}
	return &View{s: s, ts: ts, src: src}, nil
}

// lost gives back the hold of a view that was not closed and cannot be any more.
func (s *Space) lost(h *hold) {
	s.mu.Lock()
	delete(s.holds, h)
	tell := s.leaked
	s.mu.Unlock()
	if tell != nil {
		tell(h.describe())
	}
}

// Views are the open views that hold back the discarding, oldest timestamp
// first: where they were opened tells what forgot to close them.
func (s *Space) Views() []OpenView {
	s.mu.Lock()
	holds := make([]*hold, 0, len(s.holds))
	for h := range s.holds {
		holds = append(holds, h)
	}
	s.mu.Unlock()
	slices.SortFunc(holds, func(a, b *hold) int {
		return cmp.Compare(a.ts, b.ts)
	})
	open := make([]OpenView, len(holds))
	for i, h := range holds {
		open[i] = h.describe()
	}
	return open
}

// Timestamp is what the view reads as of.
func (v *View) Timestamp() Timestamp { return v.ts }

// Close ends the view. Cursors and loops that it has begun go on. Closing it
// again is allowed.
func (v *View) Close() error {
	if !v.closed.CompareAndSwap(false, true) || v.hold == nil {
		return nil
	}
	v.cleanup.Stop()
	v.s.mu.Lock()
	defer v.s.mu.Unlock()
	delete(v.s.holds, v.hold)
	return nil
}

// open opens a cursor over stored keys. It stays readable when the view is
// closed, since the store keeps what was there when it was opened.
func (v *View) open(stored db.Range) (*db.Cursor, error) {
	c, err := v.src.NewCursor(stored)
	if err != nil {
		return nil, err
	}
	// In this order: what the view sees was kept until the cursor was there.
	if v.closed.Load() {
		return nil, errors.Join(db.ErrClosed, c.Close())
	}
	runtime.KeepAlive(v)
	return c, nil
}

// versionsOf is the range of the versions of key from ts down.
func versionsOf(key []byte, ts Timestamp) db.Range {
	lower := appendPrefix(make([]byte, 0, len(key)+keyOverhead+8), key)
	n := len(lower)
	upper := appendPrefixEnd(make([]byte, 0, n), lower)
	return db.Between(appendTimestamp(lower, ts), upper)
}

// Get returns the value of key in a slice of the caller's own, or
// db.ErrNotFound. An empty value is an empty slice that is not nil.
func (v *View) Get(key []byte) ([]byte, error) {
	value, _, err := v.GetVersion(key)
	return value, err
}

// GetVersion is Get with the timestamp at which the value was written. After
// db.ErrNotFound that is the one of the deletion, or 0 if there is none.
func (v *View) GetVersion(key []byte) ([]byte, Timestamp, error) {
	var value []byte
	ts, err := v.find(key, func(c *db.Cursor) (err error) {
		value, err = v.s.appendValue(make([]byte, 0, c.Item().ValueSize()), c)
		return err
	})
	return value, ts, err
}

// Has reports whether key has a value, without reading it from the value log.
func (v *View) Has(key []byte) (bool, error) {
	_, err := v.find(key, func(*db.Cursor) error { return nil })
	if errors.Is(err, db.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// find calls found with a cursor on the version of key that the view sees.
// db.ErrNotFound if there is none, or a deletion.
func (v *View) find(key []byte, found func(*db.Cursor) error) (Timestamp, error) {
	if len(key) > MaxKeyBytes {
		return 0, db.ErrNotFound
	}
	c, err := v.open(versionsOf(key, v.ts))
	if err != nil {
		return 0, err
	}
	defer c.Close()
	if !c.First() {
		if err := c.Err(); err != nil {
			return 0, err
		}
		return 0, db.ErrNotFound
	}
	return v.s.take(c, found)
}

// take calls found if c does not stand on a deletion.
func (s *Space) take(c *db.Cursor, found func(*db.Cursor) error) (Timestamp, error) {
	_, ts, ok := split(c.Key())
	if !ok {
		return 0, s.damaged(c.Key(), nil)
	}
	switch deleted, err := isDeletion(c); {
	case err != nil:
		return 0, err
	case deleted:
		return ts, db.ErrNotFound
	}
	return ts, found(c)
}

// appendValue appends the user's value of the version that c stands on.
func (s *Space) appendValue(dst []byte, c *db.Cursor) ([]byte, error) {
	stored, err := c.Value()
	if err != nil {
		return dst, err
	}
	value, err := decodeValue(stored)
	if err != nil {
		return dst, s.damaged(c.Key(), err)
	}
	return append(dst, value...), nil
}

// MultiGet returns the values of keys as of one moment. A key without a value
// has nil in its place; an empty value is not nil. Keys may repeat and come in
// any order.
func (v *View) MultiGet(keys ...[]byte) ([][]byte, error) {
	values := make([][]byte, len(keys))
	if len(keys) == 0 {
		return values, nil
	}
	order := make([]int, len(keys))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return bytes.Compare(keys[a], keys[b]) })
	least, most := keys[order[0]], keys[order[len(order)-1]]
	upper := appendPrefix(nil, most)
	c, err := v.open(db.Between(appendPrefix(nil, least), appendPrefixEnd(nil, upper)))
	if err != nil {
		return nil, err
	}
	defer c.Close()
	var prefix, seek []byte
	for i, k := range order {
		if i > 0 && bytes.Equal(keys[k], keys[order[i-1]]) {
			values[k] = bytes.Clone(values[order[i-1]])
			continue
		}
		prefix = appendPrefix(prefix[:0], keys[k])
		seek = appendTimestamp(append(seek[:0], prefix...), v.ts)
		if values[k], err = v.getAt(c, prefix, seek); err != nil {
			return nil, err
		}
	}
	return values, nil
}

// getAt is the value of one of several keys, nil if there is none.
func (v *View) getAt(c *db.Cursor, prefix, seek []byte) (value []byte, err error) {
	if !c.SeekGE(seek) {
		return nil, c.Err()
	}
	if !bytes.HasPrefix(c.Key(), prefix) {
		return nil, nil
	}
	_, err = v.s.take(c, func(c *db.Cursor) (err error) {
		value, err = v.s.appendValue(make([]byte, 0, c.Item().ValueSize()), c)
		return err
	})
	if errors.Is(err, db.ErrNotFound) {
		return nil, nil
	}
	return value, err
}

// Scan walks r, a range of user keys, as db.DB.Scan does: as of the moment the
// loop begins, and cleaning up after itself. An error ends the loop: it is
// yielded once, with an item that must not be used.
func (v *View) Scan(r db.Range) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		c, err := v.NewCursor(r)
		if err != nil {
			yield(Item{}, err)
			return
		}
		defer c.Close()
		step := c.Next
		if r.IsBackward() {
			step = c.Prev
		}
		for step() {
			if !yield(Item{c}, nil) {
				return
			}
		}
		if err := c.Err(); err != nil {
			yield(Item{}, err)
		}
	}
}
