package enginetest

import (
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cordwood-db/cordwood/bench/engine"
)

// merging checks that operands are appended, in their order.
func merging(s *tested) {
	merger := with[engine.Merger](s)
	merge := func(key, operand string) {
		s.t.Helper()
		s.check(merger.Merge([]byte(key), []byte(operand)))
	}
	merge("new", "a")
	s.want("new", "a")
	merge("new", "bc")
	merge("new", "")
	s.want("new", "abc")
	s.put("old", "value+")
	s.check(s.Settle(s.t.Context()))
	merge("old", "1")
	merge("old", "2")
	s.want("old", "value+12")
	s.check(s.Settle(s.t.Context()))
	s.want("old", "value+12")
	merge("old", "3")
	s.put("gone", "x")
	s.delete("gone")
	merge("gone", "y")
	s.want("gone", "y")
	s.put("replaced", "p")
	merge("replaced", "q")
	s.put("replaced", "r")
	s.want("replaced", "r")
	merge("large", strings.Repeat("l", 3000))
	merge("large", strings.Repeat("m", 3000))

	operand := []byte("z")
	s.check(merger.Merge([]byte("mine"), operand))
	operand[0] = 'x'
	s.want("mine", "z")

	m := newModel()
	m.entries = map[string]string{"new": "abc", "old": "value+123", "gone": "y", "replaced": "r",
		"large": strings.Repeat("l", 3000) + strings.Repeat("m", 3000), "mine": "z"}
	m.compare(s)
	s.close()
	s.reopen()
	m.compare(s)
	mergeTogether(s)
}

// mergeTogether appends from several goroutines to one key.
func mergeTogether(s *tested) {
	merger := with[engine.Merger](s)
	const writers, times = 4, 50
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			for range times {
				if err := merger.Merge([]byte("together"), []byte{byte('a' + i)}); err != nil {
					s.t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	got, err := s.Get(nil, []byte("together"))
	s.check(err)
	slices.Sort(got)
	var expected strings.Builder
	for i := range writers {
		expected.WriteString(strings.Repeat(string(rune('a'+i)), times))
	}
	if string(got) != expected.String() {
		s.t.Errorf("%d operands of each of %d writers gave, sorted, %s", times, writers, short(got))
	}
}

// expiryWait bounds how long an entry of a second is waited for: a machine may
// be slow.
const expiryWait = 30 * time.Second

// expiry checks that entries are found until their time is over, and not after.
func expiry(s *tested) {
	expirer := with[engine.Expirer](s)
	put := func(key, value string, ttl time.Duration) {
		s.t.Helper()
		s.check(expirer.PutTTL([]byte(key), []byte(value), ttl))
	}
	began := time.Now()
	put("brief", "1", 2*time.Second)
	_, err := s.Get(nil, []byte("brief"))
	if err != nil && time.Since(began) < time.Second {
		s.t.Fatalf("an entry of two seconds within one: %v", err)
	}
	put("hour", "2", time.Hour)
	put("extended", "3", time.Second)
	put("extended", "4", time.Hour)
	put("replaced", "5", time.Second)
	s.put("replaced", "6")
	put("covers", "7", time.Hour)
	put("covers", "8", time.Second)
	s.put("plain", "9")

	for deadline := time.Now().Add(expiryWait); ; time.Sleep(20 * time.Millisecond) {
		_, brief := s.Get(nil, []byte("brief"))
		_, covers := s.Get(nil, []byte("covers"))
		if brief == engine.ErrNotFound && covers == engine.ErrNotFound { //nolint:errorlint // as it is
			break
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("after %v, entries of two seconds and of one give %v and %v", expiryWait, brief, covers)
		}
	}
	if took := time.Since(began); took < time.Second {
		s.t.Errorf("an entry of two seconds was gone after %v", took)
	}
	m := newModel()
	m.entries = map[string]string{"hour": "2", "extended": "4", "replaced": "6", "plain": "9"}
	for range 2 {
		s.wantNone("brief")
		s.wantNone("covers")
		m.compare(s)
		s.close()
		s.reopen()
	}
	m.put(s, "brief", "again")
	m.compare(s)
}
