package testkit

import (
	"fmt"
	"math/rand/v2"
	"runtime"
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

// What was allocated before does not count, even if the runtime counts it only when
// it collects garbage.
func TestMemoryThatWasTakenBeforeIsNotTheInputs(t *testing.T) {
	for range 20 {
		for size := 16; size < 32<<10; size += 1 + size/9 {
			for range rand.IntN(max(2, 8<<10/size)) {
				sink = make([]byte, size)
				pointers = make([]*int, size/8)
			}
		}
		var told complaints
		Bound{Fixed: 128 << 10}.Run(&told, 10, runtime.GC)
		if len(told.said) > 0 {
			t.Fatalf("nothing for an input of 10: %q", told.said)
		}
	}
}

var pointers []*int
