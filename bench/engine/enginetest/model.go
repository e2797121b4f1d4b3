package enginetest

import (
	"maps"
	"slices"

	"github.com/cordwood-db/cordwood/bench/engine"
)

// model is what a store must hold.
type model struct{ entries map[string]string }

func newModel() *model { return &model{entries: make(map[string]string)} }

func (m *model) put(s *tested, key, value string) {
	s.t.Helper()
	s.put(key, value)
	m.entries[key] = value
}

func (m *model) delete(s *tested, key string) {
	s.t.Helper()
	s.delete(key)
	delete(m.entries, key)
}

// view lists the keys that a cursor shows, in its direction.
func (m *model) view(o engine.CursorOptions) []string {
	keys := slices.Sorted(maps.Keys(m.entries))
	keys = slices.DeleteFunc(keys, func(key string) bool {
		return o.Lower != nil && key < string(o.Lower) || o.Upper != nil && key >= string(o.Upper)
	})
	if o.Reverse {
		slices.Reverse(keys)
	}
	return keys
}

// seek is the index of the first key of a view that is not before key.
func seek(view []string, key string, reverse bool) int {
	i := slices.IndexFunc(view, func(k string) bool {
		if reverse {
			return k <= key
		}
		return k >= key
	})
	if i < 0 {
		return len(view)
	}
	return i
}

// compare reads everything by cursors in both directions and by Get.
func (m *model) compare(s *tested) {
	s.t.Helper()
	for _, reverse := range []bool{false, true} {
		o := engine.CursorOptions{Reverse: reverse}
		c, err := s.NewCursor(o)
		s.check(err)
		m.walk(s, c, m.view(o), c.First(), -1)
		s.check(c.Close())
	}
	for key, value := range m.entries {
		s.want(key, value)
	}
}

// walk checks that a cursor, after a move that returned on, shows what is left of
// a view: all of it, or its first steps entries.
func (m *model) walk(s *tested, c engine.Cursor, view []string, on bool, steps int) {
	s.t.Helper()
	for i := 0; ; i++ {
		if err := c.Err(); err != nil && !on {
			s.t.Fatalf("a cursor fails: %v", err)
		}
		if on != (i < len(view)) {
			if on {
				s.t.Fatalf("a cursor is on %q after %d entries; it should be at the end", c.Key(), i)
			}
			s.t.Fatalf("a cursor ends after %d entries; it should be on %q", i, view[i])
		}
		if !on || i == steps {
			return
		}
		value, err := c.Value()
		if key := string(c.Key()); key != view[i] || err != nil || string(value) != m.entries[view[i]] {
			s.t.Fatalf("a cursor's entry %d is %q: %s, %v; want %q: %s",
				i, key, short(value), err, view[i], short(m.entries[view[i]]))
		}
		on = c.Next()
	}
}
