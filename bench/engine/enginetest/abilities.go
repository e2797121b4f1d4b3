package enginetest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/cordwood-db/cordwood/bench/engine"
)

// description checks what an engine says of itself.
func description(t *testing.T, e *engine.Engine) {
	if e.Name == "" || e.Title == "" || e.Module == "" || e.Version() == "" {
		t.Errorf("the engine lacks a name, title, module or version: %q, %q, %q, %q", e.Name, e.Title, e.Module, e.Version())
	}
	all := []engine.Options{engine.DefaultOptions(), options()}
	for _, change := range variants {
		o := options()
		change(&o)
		all = append(all, o)
	}
	for _, o := range all {
		settings := e.Settings(o)
		if len(settings) == 0 {
			t.Fatalf("no settings for %+v", o)
		}
		if again := e.Settings(o); !reflect.DeepEqual(settings, again) {
			t.Errorf("settings differ from call to call: %v, %v", settings, again)
		}
		seen := make(map[string]bool)
		for _, s := range settings {
			if s.Name == "" || s.Value == "" || s.Why == "" {
				t.Errorf("setting lacks name, value or reason: %+v", s)
			}
			if seen[s.Name] {
				t.Errorf("setting %s comes twice", s.Name)
			}
			seen[s.Name] = true
		}
	}
}

// abilities checks that a store has the interfaces of its abilities, and no
// others.
func abilities(s *tested) {
	_, merge := s.Store.(engine.Merger)
	_, ttl := s.Store.(engine.Expirer)
	_, transactions := s.Store.(engine.Transactor)
	_, valueLog := s.Store.(engine.Collector)
	for ability, has := range map[engine.Ability]bool{engine.Merge: merge, engine.TTL: ttl,
		engine.Transactions: transactions, engine.ValueLog: valueLog} {
		if named := s.engine.Abilities.Has(ability); named != has {
			s.t.Errorf("%s: the engine says %v, its store has %v", ability, named, has)
		}
	}
}

// with returns the store as one that has an ability, or skips the test.
func with[T any](s *tested) T {
	s.t.Helper()
	a, ok := s.Store.(T)
	if !ok {
		s.t.Skipf("the engine has no %s", strings.TrimPrefix(fmt.Sprintf("%T", (*T)(nil)), "*"))
	}
	return a
}

// collecting checks that garbage collection loses nothing.
func collecting(s *tested) {
	collector := with[engine.Collector](s)
	m := newModel()
	for round := range 4 {
		for i := range 200 {
			m.put(s, numbered("key", i), text(i+round, 4000))
		}
		for i := range 50 {
			m.delete(s, numbered("key", 4*i))
		}
		s.check(s.Settle(s.t.Context()))
		s.check(collector.CollectGarbage(s.t.Context()))
		m.compare(s)
	}
	canceled, cancel := context.WithCancel(s.t.Context())
	cancel()
	if err := collector.CollectGarbage(canceled); err != nil && !errors.Is(err, context.Canceled) {
		s.t.Errorf("CollectGarbage with a canceled context returns %v", err)
	}
	s.close()
	s.reopen()
	m.compare(s)
}

// multiGets checks that each key is answered once.
func multiGets(s *tested) {
	getter := with[engine.MultiGetter](s)
	var keys [][]byte
	for i := range 60 {
		if i%3 > 0 {
			s.put(numbered("key", i), text(i, 50*i))
		}
		if i == 30 {
			s.check(s.Settle(s.t.Context()))
		}
		keys = append(keys, []byte(numbered("key", (i*17)%60)))
	}
	keys = append(keys, keys[5], keys[6], keys[5])
	answers := make(map[int]int)
	s.check(getter.MultiGet(keys, func(i int, value []byte, err error) error {
		answers[i]++
		var n int
		if _, err := fmt.Sscanf(string(keys[i]), "key%d", &n); err != nil {
			return err
		}
		switch {
		case n%3 == 0 && err != engine.ErrNotFound: //nolint:errorlint // as it is
			s.t.Errorf("MultiGet of %q, which is missing: %s, %v", keys[i], short(value), err)
		case n%3 > 0 && (err != nil || string(value) != text(n, 50*n)):
			s.t.Errorf("MultiGet of %q: %s, %v; want %s", keys[i], short(value), err, short(text(n, 50*n)))
		}
		return nil
	}))
	for i := range keys {
		if answers[i] != 1 {
			s.t.Errorf("key %d of MultiGet was answered %d times", i, answers[i])
		}
	}
	s.check(getter.MultiGet(nil, func(int, []byte, error) error { return errors.New("called for nothing") }))
	stop, calls := errors.New("stop"), 0
	err := getter.MultiGet(keys, func(int, []byte, error) error { calls++; return stop })
	if !errors.Is(err, stop) || calls != 1 {
		s.t.Errorf("MultiGet returns %v after %d calls of a function that fails", err, calls)
	}
}

// bulkLoading fills an empty store in the engine's fast way.
func bulkLoading(s *tested) {
	loader := with[engine.BulkLoader](s)
	m := newModel()
	key, value, i := make([]byte, 0, 100), make([]byte, 0, 2000), 0
	s.check(loader.BulkLoad(s.t.Context(), func() ([]byte, []byte, bool) {
		if i == 5000 {
			return nil, nil, false
		}
		key, value = append(key[:0], numbered("key", i)...), append(value[:0], text(i, i%1500)...)
		m.entries[string(key)] = string(value)
		i++
		return key, value, true
	}))
	m.compare(s)
	for i := range 500 {
		m.put(s, numbered("key", i*9), text(-i, 100))
	}
	s.close()
	s.reopen()
	m.compare(s)

	empty := open(s.t, s.engine, options())
	loader = with[engine.BulkLoader](empty)
	s.check(loader.BulkLoad(s.t.Context(), func() ([]byte, []byte, bool) { return nil, nil, false }))
	newModel().compare(empty)
}

// figures checks what a store tells of itself.
func figures(s *tested) {
	counter, counts := s.Store.(engine.Counter)
	busier, tells := s.Store.(engine.Busier)
	if !counts && !tells {
		s.t.Skip("the engine tells nothing of itself")
	}
	last := make(map[string]float64)
	for round := range 3 {
		for i := range 2000 {
			s.put(numbered("key", i), text(i+round, 600))
		}
		if tells && len(busier.Busy()) > 80 {
			s.t.Errorf("Busy says more than a few words: %q", busier.Busy())
		}
		s.check(s.Settle(s.t.Context()))
		if tells && busier.Busy() != "" {
			s.t.Errorf("a settled store is busy: %s", busier.Busy())
		}
		if !counts {
			continue
		}
		now := counter.Counters()
		for name, value := range now {
			if name == "" || math.IsNaN(value) || math.IsInf(value, 0) {
				s.t.Errorf("counter %q is %v", name, value)
			}
			if !strings.HasSuffix(name, "_now") && value < last[name] {
				s.t.Errorf("counter %s falls from %v to %v", name, last[name], value)
			}
		}
		if len(now) < len(last) {
			s.t.Errorf("there were %d counters and are %d", len(last), len(now))
		}
		last = now
	}
}
