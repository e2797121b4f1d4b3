package enginetest

import (
	"fmt"

	"github.com/cordwood-db/cordwood/bench/engine"
)

// bound is a key, or none for "".
func bound(key string) []byte {
	if key == "" {
		return nil
	}
	return []byte(key)
}

// cursors checks all bounds, directions and places to seek to, with entries in
// the memtable, in tables, and in both.
func cursors(s *tested) {
	m := newModel()
	m.compare(s) // empty
	for i := 10; i < 50; i += 2 {
		m.put(s, fmt.Sprintf("k%02d", i), text(i, 30*i))
	}
	everyCursor(s, m)
	s.check(s.Settle(s.t.Context()))
	everyCursor(s, m)
	for i := 10; i < 50; i += 6 {
		m.delete(s, fmt.Sprintf("k%02d", i))
		m.put(s, fmt.Sprintf("k%02d", i+1), text(i, 20))
		m.put(s, fmt.Sprintf("k%02d", i+2), "over")
	}
	everyCursor(s, m)
	s.check(s.Settle(s.t.Context()))
	everyCursor(s, m)
	for key := range m.entries {
		s.delete(key)
	}
	everyCursor(s, newModel())
}

var (
	bounds = []string{"", "a", "k10", "k11", "k20", "k21", "k48", "k49", "k50", "z"}
	places = []string{"\x00", "a", "k", "k10", "k10a", "k11", "k19", "k20", "k21", "k22", "k34", "k35",
		"k46", "k48", "k48x", "k49", "k50", "z", "\xff\xff"}
)

func everyCursor(s *tested, m *model) {
	s.t.Helper()
	for _, lower := range bounds {
		for _, upper := range bounds {
			for _, reverse := range []bool{false, true} {
				oneCursor(s, m, engine.CursorOptions{Lower: bound(lower), Upper: bound(upper), Reverse: reverse,
					Entries: len(lower) * len(upper)})
			}
		}
	}
}

// oneCursor moves a cursor in every way.
func oneCursor(s *tested, m *model, o engine.CursorOptions) {
	s.t.Helper()
	view := m.view(o)
	given := o
	given.Lower, given.Upper = append([]byte(nil), o.Lower...), append([]byte(nil), o.Upper...)
	c, err := s.NewCursor(given)
	s.check(err)
	clear(given.Lower) // they are the caller's
	clear(given.Upper)
	defer func() {
		s.check(c.Close())
		if s.t.Failed() {
			s.t.Logf("bounds %q to %q, reverse %v", o.Lower, o.Upper, o.Reverse)
		}
	}()
	for i, place := range places {
		key := []byte(place)
		on := c.Seek(key)
		clear(key)
		at := seek(view, place, o.Reverse)
		steps := []int{0, 1, 3, -1}[i%4]
		m.walk(s, c, view[at:], on, steps)
		if s.t.Failed() {
			s.t.Logf("after a seek to %q", place)
			return
		}
	}
	m.walk(s, c, view, c.First(), 2)
	m.walk(s, c, view, c.First(), -1)
}

// snapshots checks that an open cursor shows the store as it was when it was
// opened, whatever is written beside it.
func snapshots(s *tested) {
	before := newModel()
	for i := range 500 {
		before.put(s, numbered("key", 2*i), text(i, 300))
	}
	var cursors [4]engine.Cursor
	for i := range cursors {
		c, err := s.NewCursor(engine.CursorOptions{Reverse: i%2 == 1})
		s.check(err)
		cursors[i] = c
	}
	view := before.view(engine.CursorOptions{})
	back := before.view(engine.CursorOptions{Reverse: true})
	before.walk(s, cursors[2], view, cursors[2].First(), 1) // they are on their way
	before.walk(s, cursors[3], back, cursors[3].First(), 1)

	after := newModel()
	for i := range 500 {
		after.entries[numbered("key", 2*i)] = before.entries[numbered("key", 2*i)]
	}
	for round := range 6 {
		for i := range 500 {
			switch i % 5 {
			case 0:
				after.delete(s, numbered("key", 2*i))
			case 1:
				after.put(s, numbered("key", 2*i+1), text(i+round, 1000))
			default:
				after.put(s, numbered("key", 2*i), text(i+round, 1000))
			}
		}
	}
	after.compare(s)
	for i, c := range cursors {
		expected := [][]string{view, back}[i%2]
		if i < 2 {
			before.walk(s, c, expected, c.First(), -1)
		} else {
			before.walk(s, c, expected[2:], c.Next(), -1) // walk has moved to the second
			before.walk(s, c, expected[250:], c.Seek([]byte(expected[250])), -1)
		}
		s.check(c.Close())
	}
	s.check(s.Settle(s.t.Context()))
	after.compare(s)
}
