package testkit

import (
	"fmt"
	"testing"
)

// complaints stands in for a test, and remembers what it is told.
type complaints struct {
	testing.TB
	said []string
}

func (c *complaints) Helper() {}

func (c *complaints) Errorf(format string, args ...any) {
	c.said = append(c.said, fmt.Sprintf(format, args...))
}

var sink []byte

func TestMemoryThatAnInputAsksForIsNoticed(t *testing.T) {
	for _, c := range []struct {
		takes int
		fails bool
	}{{0, false}, {64 << 10, false}, {8 << 20, true}} {
		var told complaints
		Bounded(&told, 10, func() { sink = make([]byte, c.takes) })
		if failed := len(told.said) > 0; failed != c.fails {
			t.Errorf("%d bytes for an input of 10: %q", c.takes, told.said)
		}
	}
	var told complaints
	Bounded(&told, 1<<20, func() { sink = make([]byte, 8<<20) })
	if len(told.said) > 0 {
		t.Errorf("8 MiB for an input of 1 MiB: %q", told.said)
	}
}
