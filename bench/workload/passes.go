package workload

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/cordwood-db/cordwood/bench/engine"
	"github.com/cordwood-db/cordwood/bench/result"
)

// runEntries is how many entries of a pass are read between two readings of the
// clock: reading one entry takes little longer than reading the clock.
const runEntries = 64

// walkSource reads everything in order, each client its share of the keys, again
// and again until enough entries were read.
type walkSource struct {
	c     Config
	step  int
	total uint64        // operations, each of runEntries
	done  atomic.Uint64 // of total
}

func newWalkSource(w *Workload, c Config, step int) *walkSource {
	s := &walkSource{c: c, step: step}
	if entries := w.operations(&c, 1); entries > 0 {
		s.total = (entries + runEntries - 1) / runEntries
	}
	return s
}

// Kinds implements Source.
func (s *walkSource) Kinds() []Kind { return []Kind{{string(Scan), result.Scan}} }

// Total implements Source. An operation reads up to 64 entries: Config.Operations
// and the workload's default count entries.
func (s *walkSource) Total() uint64 { return s.total }

// Client implements Source.
func (s *walkSource) Client(index int) (Client, error) {
	if index < 0 || index >= s.c.Threads {
		return nil, usage("client", index, "there are %d", s.c.Threads)
	}
	m := s.c.Model
	all, threads := uint64(len(m.words)), uint64(s.c.Threads)
	keys := all
	if !m.hashed.Load() {
		keys = max(uint64(m.data.Keys), m.visible.Load()) // those after them are not there
	}
	c := &walkClient{s: s, low: keys * uint64(index) / threads, high: keys * uint64(index+1) / threads}
	if c.high == keys {
		c.high = all
	}
	c.walk.m, c.walk.quiet = m, true
	c.lower = m.keys.append(nil, presentNumber(c.low))
	c.upper = m.keys.append(nil, presentNumber(c.high))
	return c, nil
}

// Finish implements Source.
func (s *walkSource) Finish(bool) error { return nil }

// walkClient walks through the keys [low, high). Between operations its cursor
// stays where it is.
type walkClient struct {
	s            *walkSource
	low, high    uint64
	lower, upper []byte
	walk         walk
	cursor       engine.Cursor // nil: at the beginning of a pass
	empty        bool          // the last pass found nothing: there is no use in another
}

// Prepare implements Client.
func (c *walkClient) Prepare() (kind int, due time.Duration, more bool) {
	if c.low == c.high || c.empty || c.s.total > 0 && c.s.done.Add(1) > c.s.total {
		return 0, -1, false
	}
	return 0, -1, true
}

// Execute implements Client.
func (c *walkClient) Execute() (Outcome, error) {
	out, err := c.readRun()
	if err != nil {
		if _, wrong := err.(*WrongAnswer); !wrong {
			err = fmt.Errorf("scanning from %q to %q: %w", c.lower, c.upper, err)
		}
	}
	return out, err
}

func (c *walkClient) readRun() (out Outcome, err error) {
	first := c.cursor == nil
	var more bool
	if first {
		if more, err = c.open(); err != nil {
			return out, err
		}
	} else {
		more = c.cursor.Next()
	}
	check := &c.walk
	if !c.s.c.Verify {
		check = nil
	}
	out, err = readEntries(c.cursor, more, runEntries, check)
	if err == nil && out.Items < runEntries {
		c.empty = first && out.Items == 0
		err = c.closeCursor()
	}
	return out, err
}

// open begins a pass.
func (c *walkClient) open() (more bool, err error) {
	c.cursor, err = c.s.c.Store.NewCursor(engine.CursorOptions{Lower: c.lower, Upper: c.upper, Reverse: c.s.step < 0})
	if err != nil {
		return false, err
	}
	if c.s.step > 0 {
		c.walk.begin(c.low, c.high, 1, 0)
	} else {
		c.walk.begin(c.high-1, c.low-1, -1, 0) // MaxUint64 below key 0
	}
	if c.walk.m.expires != nil {
		c.walk.began = c.walk.m.now()
	}
	return c.cursor.First(), nil
}

func (c *walkClient) closeCursor() error {
	if c.cursor == nil {
		return nil
	}
	cursor := c.cursor
	c.cursor = nil
	return cursor.Close()
}

// Verify implements Client: entries were checked as they came.
func (c *walkClient) Verify() error { return nil }

// Close implements Client.
func (c *walkClient) Close() error { return c.closeCursor() }
