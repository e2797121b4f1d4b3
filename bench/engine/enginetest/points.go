package enginetest

import "fmt"

// short shows a value, or where it is long, its beginning.
func short(value []byte) string {
	if len(value) <= 40 {
		return fmt.Sprintf("%q", value)
	}
	return fmt.Sprintf("%q… (%d bytes)", value[:40], len(value))
}

// points checks single reads and writes.
func points(s *tested) {
	s.wantNone("a")
	s.put("a", "1")
	s.put("b", "2")
	s.want("a", "1")
	s.put("a", "one")
	s.want("a", "one")
	s.delete("a")
	s.wantNone("a")
	s.delete("a")
	s.delete("never there")
	s.want("b", "2")
	s.put("a", "again")
	s.want("a", "again")
	s.put("empty", "")
	s.want("empty", "")
}
