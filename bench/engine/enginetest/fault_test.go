package enginetest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cordwood-db/cordwood/bench/engine"
)

// faultVariable tells the test of one fault, in a process of its own, which.
const faultVariable = "ENGINETEST_FAULT"

// faultPause makes room for what others do meanwhile, as an engine does that
// takes its time: otherwise the fault would seldom show.
const faultPause = 10 * time.Microsecond

// TestRunFindsFaults shows that each check fails for an engine that is wrong in
// what it checks.
func TestRunFindsFaults(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			run := exec.Command(program, "-test.short", "-test.run=^TestFault$/^"+regexp.QuoteMeta(strings.ReplaceAll(f.check, " ", "_"))+"$")
			run.Env = append(os.Environ(), faultVariable+"="+f.name)
			out, err := run.CombinedOutput()
			if failed := fmt.Sprintf("--- FAIL: TestFault/%s", strings.ReplaceAll(f.check, " ", "_")); err == nil || !strings.Contains(string(out), failed) {
				t.Errorf("%q does not find that an engine %s:\n%s", f.check, f.name, out)
			}
		})
	}
}

// TestFault runs the suite on an engine with a fault.
func TestFault(t *testing.T) {
	name := os.Getenv(faultVariable)
	if name == "" {
		t.Skip("a part of TestRunFindsFaults")
	}
	i := slices.IndexFunc(faults, func(f fault) bool { return f.name == name })
	e := Memory()
	if f := faults[i]; f.change != nil {
		f.change(e)
	} else {
		e.Open = func(o engine.Options) (engine.Store, error) {
			m, err := openMemory(o.Dir)
			if err != nil {
				return nil, err
			}
			return f.store(m), nil
		}
	}
	Run(t, e)
}

// fault is a way of being wrong, and the check that finds it.
type fault struct {
	name, check string
	store       func(*memory) engine.Store
	change      func(*engine.Engine)
}

var faults = []fault{
	{name: "has no reasons", check: "description", change: func(e *engine.Engine) {
		e.Settings = func(engine.Options) []engine.Setting { return []engine.Setting{{Name: "a", Value: "b"}} }
	}},
	{name: "names too few abilities", check: "abilities", change: func(e *engine.Engine) { e.Abilities &^= engine.TTL }},
	{name: "names too many abilities", check: "abilities", store: func(m *memory) engine.Store { return plain{m} }},
	{name: "does not delete", check: "points", store: func(m *memory) engine.Store { return noDelete{m} }},
	{name: "wraps not found", check: "points", store: func(m *memory) engine.Store { return wraps{m} }},
	{name: "drops dst", check: "ownership", store: func(m *memory) engine.Store { return dropsDst{m} }},
	{name: "keeps slices", check: "ownership", store: func(m *memory) engine.Store { return keeps{m} }},
	{name: "hands out memory", check: "ownership", store: func(m *memory) engine.Store { return handsOut{m} }},
	{name: "cuts long values", check: "values", store: func(m *memory) engine.Store { return cuts{m} }},
	{name: "misses empty values", check: "values", store: func(m *memory) engine.Store { return noEmpty{m} }},
	{name: "keeps batches", check: "batches", store: func(m *memory) engine.Store { return batched{m, &keptBatch{}} }},
	{name: "writes batches at once", check: "batches", store: func(m *memory) engine.Store { return batched{m, &eager{m}} }},
	{name: "writes batches in parts", check: "goroutines", store: func(m *memory) engine.Store { return batched{m, &parts{}} }},
	{name: "shows later writes", check: "cursors beside writes", store: func(m *memory) engine.Store { return live{m} }},
	{name: "shows the upper bound", check: "cursors", store: func(m *memory) engine.Store { return wide{m} }},
	{name: "seeks below", check: "cursors", store: func(m *memory) engine.Store { return seeks{m} }},
	{name: "forgets", check: "reopen", store: func(m *memory) engine.Store { return forgets{m} }},
	{name: "does not settle early", check: "settle", store: func(m *memory) engine.Store { return patient{m} }},
	{name: "merges by replacing", check: "merge", store: func(m *memory) engine.Store { return replaces{m} }},
	{name: "commits failed transactions", check: "transactions", store: func(m *memory) engine.Store { return commits{m} }},
	{name: "views of what comes later", check: "transactions that only read", store: func(m *memory) engine.Store { return later{m} }},
	{name: "loses updates", check: "transactions beside each other", store: func(m *memory) engine.Store { return loses{m} }},
	{name: "collects what is live", check: "value log", store: func(m *memory) engine.Store { return collects{m} }},
	{name: "skips missing keys", check: "MultiGet", store: func(m *memory) engine.Store { return skips{m} }},
	{name: "loads all but the last", check: "BulkLoad", store: func(m *memory) engine.Store { return loads{m} }},
	{name: "counts down", check: "Busy and Counters", store: func(m *memory) engine.Store { return &down{memory: m, n: 100} }},
	{name: "is always busy", check: "Busy and Counters", store: func(m *memory) engine.Store { return busy{m} }},
	{name: "fails when little is cached", check: "with little cache", change: func(e *engine.Engine) {
		opened := e.Open
		e.Open = func(o engine.Options) (engine.Store, error) {
			if o.CacheBytes < 1<<20 {
				return nil, fmt.Errorf("a cache of %d is too small", o.CacheBytes)
			}
			return opened(o)
		}
	}},
}

type plain struct{ engine.Store }

type noDelete struct{ *memory }

func (noDelete) Delete([]byte) error { return nil }

type wraps struct{ *memory }

func (s wraps) Get(dst, key []byte) ([]byte, error) {
	dst, err := s.memory.Get(dst, key)
	if err != nil {
		err = fmt.Errorf("get: %w", err)
	}
	return dst, err
}

type dropsDst struct{ *memory }

func (s dropsDst) Get(_, key []byte) ([]byte, error) { return s.memory.Get(nil, key) }

type keeps struct{ *memory }

func (s keeps) Put(key, value []byte) error {
	return s.apply([]*entry{{key: own(key), value: value}})
}

type handsOut struct{ *memory }

func (s handsOut) Get(dst, key []byte) ([]byte, error) {
	e, ok := find(s.tree, key)
	switch {
	case !ok:
		return dst, engine.ErrNotFound
	case dst == nil:
		return e.value, nil
	}
	return append(dst, e.value...), nil
}

type cuts struct{ *memory }

func (s cuts) Put(key, value []byte) error { return s.memory.Put(key, value[:min(len(value), 1<<16)]) }

type noEmpty struct{ *memory }

func (s noEmpty) Get(dst, key []byte) ([]byte, error) {
	got, err := s.memory.Get(dst, key)
	if err == nil && len(got) == len(dst) {
		err = engine.ErrNotFound
	}
	return got, err
}

// batched is a store with batches of another kind.
type batched struct {
	*memory
	kind interface{ of(*memory) engine.Batch }
}

func (s batched) NewBatch() engine.Batch { return s.kind.of(s.memory) }

type keptBatch struct{ *batch }

func (*keptBatch) of(m *memory) engine.Batch { return &keptBatch{&batch{store: m}} }

func (b *keptBatch) Commit() error { return b.store.apply(b.writes) }

type eager struct{ *memory }

func (e *eager) of(*memory) engine.Batch { return e }
func (*eager) Commit() error             { return nil }
func (*eager) Close() error              { return nil }

type parts struct{ *batch }

func (*parts) of(m *memory) engine.Batch { return &parts{&batch{store: m}} }

func (b *parts) Commit() error {
	for _, e := range b.writes {
		if err := b.store.apply([]*entry{e}); err != nil {
			return err
		}
		time.Sleep(faultPause)
	}
	b.writes = nil
	return nil
}

// live opens cursors that copy nothing.
type live struct{ *memory }

func (s live) NewCursor(o engine.CursorOptions) (engine.Cursor, error) {
	return &cursor{tree: s.tree, lower: o.Lower, upper: o.Upper, reverse: o.Reverse}, nil
}

type wide struct{ *memory }

func (s wide) NewCursor(o engine.CursorOptions) (engine.Cursor, error) {
	if o.Upper != nil {
		o.Upper = append(append([]byte{}, o.Upper...), 0)
	}
	return s.memory.NewCursor(o)
}

type seeks struct{ *memory }

func (s seeks) NewCursor(o engine.CursorOptions) (engine.Cursor, error) {
	c, err := s.memory.NewCursor(o)
	if err != nil {
		return nil, err
	}
	return below{c.(*cursor)}, nil
}

type below struct{ *cursor }

func (c below) Seek(key []byte) bool {
	on := c.cursor.Seek(key)
	if on && c.reverse && string(c.Key()) == string(key) {
		return c.Next()
	}
	return on
}

type forgets struct{ *memory }

func (s forgets) Close() error {
	s.tree.DeleteMax()
	return s.memory.Close()
}

type patient struct{ *memory }

func (patient) Settle(context.Context) error { return nil }

type replaces struct{ *memory }

func (s replaces) Merge(key, operand []byte) error { return s.Put(key, operand) }

type commits struct{ *memory }

func (s commits) Update(fn func(engine.Tx) error) (int, error) {
	var failed error
	retries, err := s.memory.Update(func(tx engine.Tx) error {
		failed = fn(tx)
		return nil
	})
	if failed != nil {
		err = failed
	}
	return retries, err
}

// later reads what is there when it is asked.
type later struct{ *memory }

func (s later) View(fn func(engine.Tx) error) error { return fn(laterTx(s)) }

type laterTx struct{ *memory }

func (laterTx) Put([]byte, []byte) error { return errView }

func (laterTx) Delete([]byte) error { return errView }

// loses checks nothing when it commits.
type loses struct{ *memory }

func (s loses) Update(fn func(engine.Tx) error) (int, error) {
	return s.memory.Update(func(t engine.Tx) error {
		err := fn(t)
		clear(t.(*tx).touched)
		time.Sleep(faultPause)
		return err
	})
}

type collects struct{ *memory }

func (s collects) CollectGarbage(context.Context) error {
	s.Lock()
	defer s.Unlock()
	s.tree.DeleteMin()
	return nil
}

type skips struct{ *memory }

func (s skips) MultiGet(keys [][]byte, see func(i int, value []byte, err error) error) error {
	return s.memory.MultiGet(keys, func(i int, value []byte, err error) error {
		if err != nil {
			return nil
		}
		return see(i, value, nil)
	})
}

type loads struct{ *memory }

func (s loads) BulkLoad(ctx context.Context, next func() (key, value []byte, ok bool)) error {
	defer func() { s.tree.DeleteMax() }()
	return s.memory.BulkLoad(ctx, next)
}

type down struct {
	*memory
	n float64
}

func (s *down) Counters() map[string]float64 {
	s.n--
	return map[string]float64{"n": s.n}
}

type busy struct{ *memory }

func (busy) Busy() string { return "L0 has 21 files" }
