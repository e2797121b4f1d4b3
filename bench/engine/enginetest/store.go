package enginetest

import (
	"bytes"
	"testing"

	"github.com/cordwood-db/cordwood/bench/engine"
)

// tested is an open store and the test that uses it. Its methods end the test
// when the store fails, so they are for the test's own goroutine.
type tested struct {
	engine.Store
	t       *testing.T
	engine  *engine.Engine
	options engine.Options
}

// open opens a new store, which is closed when the test ends.
func open(t *testing.T, e *engine.Engine, o engine.Options) *tested {
	t.Helper()
	o.Dir = t.TempDir()
	return openThere(t, e, o)
}

func openThere(t *testing.T, e *engine.Engine, o engine.Options) *tested {
	t.Helper()
	s := &tested{t: t, engine: e, options: o}
	s.reopen()
	t.Cleanup(func() {
		if s.Store != nil {
			s.close()
		}
	})
	return s
}

func (s *tested) reopen() {
	s.t.Helper()
	store, err := s.engine.Open(s.options)
	if err != nil {
		s.t.Fatalf("opening: %v", err)
	}
	s.Store = store
}

func (s *tested) close() {
	s.t.Helper()
	if err := s.Store.Close(); err != nil {
		s.t.Errorf("closing: %v", err)
	}
	s.Store = nil
}

func (s *tested) check(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *tested) put(key, value string) {
	s.t.Helper()
	s.check(s.Put([]byte(key), []byte(value)))
}

func (s *tested) delete(key string) {
	s.t.Helper()
	s.check(s.Delete([]byte(key)))
}

// want checks the value of a key.
func (s *tested) want(key, value string) {
	s.t.Helper()
	got, err := s.Get(nil, []byte(key))
	if err != nil || string(got) != value {
		s.t.Fatalf("Get(%q) = %s, %v; want %s", key, short(got), err, short([]byte(value)))
	}
}

// wantNone checks that there is no such key.
func (s *tested) wantNone(key string) {
	s.t.Helper()
	dst := []byte("kept")
	got, err := s.Get(dst, []byte(key))
	if err != engine.ErrNotFound || !bytes.Equal(got, dst) { //nolint:errorlint // as it is
		s.t.Fatalf("Get(%q, %q) = %s, %v; want the first and %v", dst, key, short(got), err, engine.ErrNotFound)
	}
}
