package model

import (
	"bytes"
	"fmt"
	"slices"
	"sort"
	"time"

	"github.com/cordwood-db/cordwood/db"
)

// drawRange draws a range of any form.
func (r *run) drawRange() db.Range {
	switch r.rand.IntN(4) {
	case 0:
		return db.All()
	case 1:
		key := r.key()
		return db.Prefix(key[:r.rand.IntN(len(key)+1)])
	}
	return db.Between(r.bounds())
}

// wanted are the items of rng in a state.
func wanted(s state, rng db.Range, now time.Time) []item {
	upper, bounded := rng.Upper()
	return s.items(rng.Lower(), upper, bounded, now)
}

// scan compares a scan, possibly cut short, with a state.
func (r *run) scan(from db.Reader, s state, now time.Time) error {
	rng := r.drawRange()
	want := wanted(s, rng, now)
	backward, keysOnly := r.rand.IntN(2) == 0, r.rand.IntN(4) == 0
	if backward {
		rng = rng.Backward()
		slices.Reverse(want)
	}
	if keysOnly {
		rng = rng.KeysOnly()
	}
	limit := -1
	if r.rand.IntN(3) == 0 {
		limit = r.rand.IntN(20)
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

func sameItem(it db.Item, want item, keysOnly bool) error {
	if string(it.Key()) != want.key {
		return fmt.Errorf("key %q, want %q", it.Key(), want.key)
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
		return r.closeCursor(r.rand.IntN(len(r.cursors)))
	}
	s, err := r.space()
	if err != nil {
		return err
	}
	rng := r.drawRange()
	r.note("open cursor on keyspace %d %q", s.id, rng.Lower())
	from, want := r.reader(s), r.want[s.id]
	if n := len(r.snapshots); n > 0 && r.rand.IntN(2) == 0 {
		from, want = r.snapshots[r.rand.IntN(n)].of(s)
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
		return h.snap, h.want[0]
	}
	return h.snap.In(s.handle), h.want[s.id]
}

// moveCursor makes a random move and compares where it led.
func (r *run) moveCursor() error {
	if len(r.cursors) == 0 {
		return r.openCursor()
	}
	h := r.cursors[r.rand.IntN(len(r.cursors))]
	for range 1 + r.rand.IntN(4) {
		if err := r.moveOnce(h); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) moveOnce(h *heldCursor) error {
	var ok bool
	move := r.rand.IntN(12)
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
	return sameItem(h.cursor.Item(), h.items[h.at], r.rand.IntN(2) == 0)
}

func (r *run) closeCursor(i int) error {
	r.note("close cursor")
	err := r.cursors[i].cursor.Close()
	r.cursors = slices.Delete(r.cursors, i, i+1)
	return err
}

func (r *run) openSnapshot() error {
	if len(r.snapshots) >= 4 {
		return r.closeSnapshot(r.rand.IntN(len(r.snapshots)))
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
	from, want := r.snapshots[r.rand.IntN(len(r.snapshots))].of(s)
	if r.rand.IntN(3) == 0 {
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
	if n := len(r.cursors); n > 0 && r.rand.IntN(2) == 0 {
		return r.closeCursor(r.rand.IntN(n))
	}
	if n := len(r.snapshots); n > 0 {
		return r.closeSnapshot(r.rand.IntN(n))
	}
	return nil
}
