package compaction

import (
	"fmt"
)

// scriptedFilter does what a case of testdata/filter says, and notes what it is
// asked about: keys with values, or with sizes of values that it does not read.
type scriptedFilter struct {
	rules map[string][]string
	asked []string
}

func (s *scriptedFilter) decide(e *FilterEntry) (Decision, error) {
	note := fmt.Sprintf("%s %d", e.Key, e.ValueSize())
	if e.atHand {
		value, err := e.Value()
		if err != nil || len(value) != e.ValueSize() {
			return Keep, fmt.Errorf("%q of %d bytes: %w", value, e.ValueSize(), err)
		}
		note = fmt.Sprintf("%s=%s", e.Key, value)
	}
	if e.ExpiresAt > 0 {
		note += fmt.Sprintf(" until %d", e.ExpiresAt)
	}
	s.asked = append(s.asked, note)
	rule := s.rules[string(e.Key)]
	if len(rule) == 0 {
		return Keep, nil
	}
	if rule[0] == "drop" {
		return Drop, nil
	}
	e.Replace = []byte(rule[1])
	return Change, nil
}
