package model

import (
	"bytes"
	"fmt"
	"slices"
	"sort"
	"time"

	"github.com/cordwood-db/cordwood/db"
)

// scanSpace compares a scan of a keyspace.
func (r *run) scanSpace() error {
	s, err := r.space()
	if err != nil {
		return err
	}
	return r.scan(r.reader(s), r.want.of(s), r.now)
}

// scan compares a scan, possibly cut short, with a state.
func (r *run) scan(from db.Reader, s state, now time.Time) error {
	rng := r.drawRange()
	want := wanted(s, rng, now)
	backward, keysOnly := r.draw.One(2), r.draw.One(4)
	if backward {
		rng = rng.Backward()
		slices.Reverse(want)
	}
	if keysOnly {
		rng = rng.KeysOnly()
	}
	if rng.IsBackward() != backward || rng.IsKeysOnly() != keysOnly {
		return fmt.Errorf("a range has lost its form: %+v", rng)
	}
	limit := -1
	if r.draw.One(3) {
		limit = r.draw.IntN(20)
		want = want[:min(limit, len(want))]
	}
	r.note("scan %q backward %v keys only %v limit %d", rng.Lower(), backward, keysOnly, limit)
	i := 0
	for it, err := range from.Scan(rng) {
		if i == limit {
			break
		}
		if err != nil {
			return fmt.Errorf("scan: %w", err)
		}
		if i >= len(want) {
			return fmt.Errorf("scan: %q beyond the %d keys expected", it.Key(), len(want))
		}
		if err := sameItem(it, want[i], keysOnly); err != nil {
			return fmt.Errorf("scan, item %d: %w", i, err)
		}
		i++
	}
	if i < len(want) {
		return fmt.Errorf("scan: ended after %d of %d keys", i, len(want))
	}
	return nil
}

// sameItem compares an item, and its value unless it has been read without.
func sameItem(it db.Item, want item, keysOnly bool) error {
	if string(it.Key()) != want.key {
		return fmt.Errorf("key %q, want %q", it.Key(), want.key)
	}
	if at, expires := it.ExpiresAt(); !want.merged && (expires == want.expires.IsZero() || expires && !at.Equal(want.expires)) {
		return fmt.Errorf("%q expires %v at %v, want %v", it.Key(), expires, at, want.expires)
	}
	if keysOnly {
		return nil
	}
	value, err := it.Value()
	if err != nil || !bytes.Equal(value, want.value) {
		return fmt.Errorf("value of %q: %s, %v; want %s", it.Key(), brief(value), err, brief(want.value))
	}
	if it.ValueSize() != len(want.value) {
		return fmt.Errorf("value size of %q: %d, want %d", it.Key(), it.ValueSize(), len(want.value))
	}
	return nil
}

// heldCursor is an open cursor, what it walks, and where it stands.
type heldCursor struct {
	cursor *db.Cursor
	items  []item
	at     int  // index into items; -1 before, len after
	fresh  bool // not positioned yet
}

func (r *run) openCursor() error {
	if len(r.cursors) >= 6 {
		return r.closeCursor(r.draw.IntN(len(r.cursors)))
	}
	s, err := r.space()
	if err != nil {
		return err
	}
	rng := r.drawRange()
	r.note("open cursor on keyspace %d %q", s.id, rng.Lower())
	from, want := r.reader(s), r.want.of(s)
	if n := len(r.snapshots); n > 0 && r.draw.One(2) {
		from, want = r.snapshots[r.draw.IntN(n)].of(s)
	}
	c, err := from.NewCursor(rng)
	if err != nil {
		return err
	}
	r.cursors = append(r.cursors, &heldCursor{cursor: c, items: wanted(want, rng, r.now), fresh: true})
	return nil
}

// of is a keyspace of the snapshot and what it must show.
func (h *heldSnapshot) of(s *space) (db.Reader, state) {
	if s.id == 0 {
		return h.snap, h.want.of(s)
	}
	return h.snap.In(s.handle), h.want.of(s)
}

// moveCursor makes a random move and compares where it led.
func (r *run) moveCursor() error {
	if len(r.cursors) == 0 {
		return r.openCursor()
	}
	h := r.cursors[r.draw.IntN(len(r.cursors))]
	for range 1 + r.draw.IntN(4) {
		if err := r.moveOnce(h); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) moveOnce(h *heldCursor) error {
	var ok bool
	move := r.draw.IntN(12)
	switch {
	case move == 0:
		r.note("cursor first")
		ok, h.at = h.cursor.First(), 0
	case move == 1:
		r.note("cursor last")
		ok, h.at = h.cursor.Last(), len(h.items)-1
	case move < 4:
		key := r.key()
		r.note("cursor seek >= %q", key)
		ok = h.cursor.SeekGE(key)
		h.at = sort.Search(len(h.items), func(i int) bool { return h.items[i].key >= string(key) })
	case move < 6:
		key := r.key()
		r.note("cursor seek < %q", key)
		ok = h.cursor.SeekLT(key)
		h.at = sort.Search(len(h.items), func(i int) bool { return h.items[i].key >= string(key) }) - 1
	case move < 9:
		r.note("cursor next")
		ok = h.cursor.Next()
		if h.fresh {
			h.at = -1
		}
		h.at = min(h.at+1, len(h.items))
	default:
		r.note("cursor prev")
		ok = h.cursor.Prev()
		if h.fresh {
			h.at = len(h.items)
		}
		h.at = max(h.at-1, -1)
	}
	h.fresh = false
	if err := h.cursor.Err(); err != nil {
		return fmt.Errorf("cursor: %w", err)
	}
	on := h.at >= 0 && h.at < len(h.items)
	if ok != on || h.cursor.Valid() != on {
		return fmt.Errorf("cursor: moved %v, valid %v; want %v (at %d of %d)", ok, h.cursor.Valid(), on, h.at, len(h.items))
	}
	if !on {
		return nil
	}
	return r.sameHere(h)
}

// sameHere compares where the cursor stands.
func (r *run) sameHere(h *heldCursor) error {
	want := h.items[h.at]
	var value []byte
	var err error
	switch r.draw.IntN(6) {
	case 0, 1:
		return sameItem(h.cursor.Item(), want, false)
	case 2:
		value, err = h.cursor.Value()
	case 3:
		value, err = h.cursor.AppendValue(make([]byte, 0, 8))
	case 4:
		value, err = h.cursor.Item().AppendValue(nil)
	default:
		return sameItem(h.cursor.Item(), want, true)
	}
	if err != nil || string(h.cursor.Key()) != want.key || !bytes.Equal(value, want.value) {
		return fmt.Errorf("cursor on %q with %s, %v; want %q with %s", h.cursor.Key(), brief(value), err, want.key, brief(want.value))
	}
	return nil
}

func (r *run) closeCursor(i int) error {
	r.note("close cursor")
	err := r.cursors[i].cursor.Close()
	r.cursors = slices.Delete(r.cursors, i, i+1)
	return err
}

func (r *run) openSnapshot() error {
	if len(r.snapshots) >= 4 {
		return r.closeSnapshot(r.draw.IntN(len(r.snapshots)))
	}
	r.note("open snapshot")
	snap, err := r.store.Snapshot()
	if err == nil {
		r.snapshots = append(r.snapshots, &heldSnapshot{snap, r.want, len(r.commits)})
	}
	return err
}

func (r *run) useSnapshot() error {
	if len(r.snapshots) == 0 {
		return r.openSnapshot()
	}
	s, err := r.space()
	if err != nil {
		return err
	}
	from, want := r.snapshots[r.draw.IntN(len(r.snapshots))].of(s)
	if r.draw.One(3) {
		return r.scan(from, want, r.now)
	}
	return r.getFrom(from, want)
}

func (r *run) closeSnapshot(i int) error {
	r.note("close snapshot")
	err := r.snapshots[i].snap.Close()
	r.snapshots = slices.Delete(r.snapshots, i, i+1)
	return err
}

func (r *run) closeSomething() error {
	if n := len(r.cursors); n > 0 && r.draw.One(2) {
		return r.closeCursor(r.draw.IntN(n))
	}
	if n := len(r.snapshots); n > 0 {
		return r.closeSnapshot(r.draw.IntN(n))
	}
	return nil
}

// closeReaders ends snapshots and transactions. A compaction filter may have
// pinned them to the files that there were, and with these to the time of that.
func (r *run) closeReaders() error {
	for _, h := range r.txs {
		h.tx.Discard()
	}
	r.txs, r.changes = nil, nil
	for len(r.snapshots) > 0 {
		if err := r.closeSnapshot(0); err != nil {
			return err
		}
	}
	return nil
}
