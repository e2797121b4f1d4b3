package enginetest

import (
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"sync"

	"github.com/cordwood-db/cordwood/bench/engine"
)

// transactions checks what one transaction sees and does.
func transactions(s *tested) {
	store := with[engine.Transactor](s)
	s.put("a", "1")
	s.put("b", "2")
	retries, err := store.Update(func(tx engine.Tx) error {
		check := func(key, expected string) error {
			got, err := tx.Get([]byte("+"), []byte(key))
			if err != nil || string(got) != "+"+expected {
				return fmt.Errorf("a transaction's Get(%q) = %s, %w; want %q", key, short(got), err, "+"+expected)
			}
			return nil
		}
		value := []byte("one")
		err := errors.Join(check("a", "1"), tx.Put([]byte("a"), value))
		copy(value, "xxx")
		err = errors.Join(err, check("a", "one"), tx.Delete([]byte("b")), tx.Put([]byte("c"), nil), check("c", ""))
		for _, key := range []string{"b", "none"} {
			dst := []byte("+")
			if got, e := tx.Get(dst, []byte(key)); e != engine.ErrNotFound || string(got) != "+" { //nolint:errorlint // as it is
				err = errors.Join(err, fmt.Errorf("a transaction's Get(%q) = %s, %w", key, short(got), e))
			}
		}
		return errors.Join(err, tx.Put([]byte("d"), []byte(text(4, 5000))))
	})
	s.check(err)
	if retries != 0 {
		s.t.Errorf("a lone transaction was retried %d times", retries)
	}
	m := newModel()
	m.entries = map[string]string{"a": "one", "c": "", "d": text(4, 5000)}
	m.compare(s)

	failed := errors.New("of its own")
	_, err = store.Update(func(tx engine.Tx) error {
		return errors.Join(tx.Put([]byte("a"), []byte("no")), tx.Delete([]byte("c")), tx.Put([]byte("e"), nil), failed)
	})
	if !errors.Is(err, failed) {
		s.t.Errorf("Update returns %v; want its function's error", err)
	}
	m.compare(s)
	_, err = store.Update(func(engine.Tx) error { return nil })
	s.check(err)
	s.close()
	s.reopen()
	m.compare(s)
}

// views checks that a transaction that only reads sees one moment, and writes
// nothing.
func views(s *tested) {
	store := with[engine.Viewer](s)
	s.put("a", "1")
	s.put("b", "2")
	own := errors.New("of its own")
	err := store.View(func(tx engine.Tx) error {
		s.put("a", "new")
		s.put("c", "new")
		s.delete("b")
		for key, expected := range map[string]string{"a": "1", "b": "2"} {
			got, err := tx.Get([]byte("+"), []byte(key))
			if err != nil || string(got) != "+"+expected {
				s.t.Errorf("View's Get(%q) = %s, %v; want %q", key, short(got), err, "+"+expected)
			}
		}
		dst := []byte("+")
		if got, err := tx.Get(dst, []byte("c")); err != engine.ErrNotFound || string(got) != "+" { //nolint:errorlint // as it is
			s.t.Errorf("View's Get of a key put after it began = %s, %v", short(got), err)
		}
		if tx.Put([]byte("d"), []byte("4")) == nil || tx.Delete([]byte("a")) == nil {
			s.t.Error("a View writes")
		}
		return own
	})
	if !errors.Is(err, own) {
		s.t.Errorf("View returns %v; want its function's error", err)
	}
	m := newModel()
	m.entries = map[string]string{"a": "new", "c": "new"}
	m.compare(s)
}

const (
	moves    = 40   // of each client
	fortune  = 1000 // that two accounts have together
	counters = 3    // clients
)

// contention has clients count up one key, and move amounts between two others:
// no update may be lost, and no transaction may see the two at different times.
func contention(s *tested) {
	store := with[engine.Transactor](s)
	s.put("counter", "0")
	s.put("left", strconv.Itoa(fortune))
	s.put("right", "0")
	var wg sync.WaitGroup
	for i := range counters {
		wg.Go(func() {
			for j := range moves {
				if err := move(store, i+j); err != nil {
					s.t.Errorf("moving: %v", err)
					return
				}
			}
		})
	}
	wg.Go(func() {
		for range moves {
			if sum, err := total(store); err != nil || sum != fortune {
				s.t.Errorf("a transaction sees %d in both accounts, %v; want %d", sum, err, fortune)
				return
			}
		}
	})
	wg.Wait()
	s.want("counter", strconv.Itoa(counters*moves))
	if sum, err := total(store); err != nil || sum != fortune {
		s.t.Errorf("in the end both accounts have %d, %v; want %d", sum, err, fortune)
	}
}

// move adds one to the counter and moves an amount.
func move(store engine.Transactor, amount int) error {
	_, err := store.Update(func(tx engine.Tx) error {
		for key, add := range map[string]int{"counter": 1, "left": -amount, "right": amount} {
			n, err := number(tx, key)
			if err != nil {
				return err
			}
			runtime.Gosched() // for the others to come between
			if err := tx.Put([]byte(key), []byte(strconv.Itoa(n+add))); err != nil {
				return err
			}
		}
		return nil
	})
	return err
}

func total(store engine.Transactor) (sum int, err error) {
	_, err = store.Update(func(tx engine.Tx) error {
		left, err := number(tx, "left")
		if err != nil {
			return err
		}
		right, err := number(tx, "right")
		sum = left + right
		return err
	})
	return sum, err
}

func number(tx engine.Tx, key string) (int, error) {
	text, err := tx.Get(nil, []byte(key))
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(string(text))
}
