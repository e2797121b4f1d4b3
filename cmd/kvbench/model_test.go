package main

import (
	"errors"
	"strings"
	"testing"

	"github.com/cordwood-db/cordwood/db"
)

// modelOf has keys that were written once; key 3 was written twice, and key 4
// never.
func modelOf(t *testing.T, valueBytes int) *model {
	t.Helper()
	m := newModel(newGenerator(7, valueBytes), 6)
	for _, i := range []int{0, 1, 2, 3, 3, 5} {
		m.acknowledge(i, m.issue(i))
	}
	return m
}

func (m *model) valueOf(i int, version uint32) []byte {
	return m.appendValue(nil, presentNumber(i), version)
}

// wantWrong checks that err is a wrong answer with text in it; "" wants none.
func wantWrong(t *testing.T, err error, text string) {
	t.Helper()
	var w *wrongAnswer
	switch {
	case text == "" && err != nil:
		t.Errorf("right answer refused: %v", err)
	case text != "" && (!errors.As(err, &w) || !strings.Contains(w.Problem, text)):
		t.Errorf("got %v; want a wrong answer: %s", err, text)
	}
}

func TestGetsAreJudged(t *testing.T) {
	for _, size := range []int{valueHeaderBytes, 100, 4096, poolBytes + 1000} {
		m := modelOf(t, size)
		get := func(i int, value []byte, err error) error {
			return m.checkGet(i, m.acknowledged[i].Load(), value, err)
		}
		wantWrong(t, get(0, m.valueOf(0, 1), nil), "")
		wantWrong(t, get(3, m.valueOf(3, 2), nil), "")
		wantWrong(t, get(4, nil, db.ErrNotFound), "")
		wantWrong(t, get(0, nil, db.ErrNotFound), "not found")
		wantWrong(t, get(3, m.valueOf(3, 1), nil), "stale")
		wantWrong(t, get(3, m.valueOf(3, 3), nil), "never written")
		wantWrong(t, get(4, m.valueOf(4, 1), nil), "never written")
		wantWrong(t, get(0, m.valueOf(1, 1), nil), "another key")
		wantWrong(t, get(0, nil, nil), "0 bytes long")
		wantWrong(t, get(0, append(m.valueOf(0, 1), 0), nil), "bytes long")
		value := m.valueOf(0, 1)
		for at := 0; at < len(value); at += max(1, len(value)/97) {
			value[at] ^= 1
			if err := get(0, value, nil); err == nil {
				t.Errorf("%d-byte value: damage at %d is not seen", size, at)
			}
			value[at] ^= 1
		}
		broken := errors.New("broken")
		if err := get(0, nil, broken); !errors.Is(err, broken) {
			t.Errorf("got %v", err)
		}
	}
}

func TestAReadBesideAWriteMayGiveEither(t *testing.T) {
	m := modelOf(t, 64)
	atLeast := m.acknowledged[0].Load()
	m.issue(0) // version 2, not acknowledged
	wantWrong(t, m.checkGet(0, atLeast, m.valueOf(0, 1), nil), "")
	wantWrong(t, m.checkGet(0, atLeast, m.valueOf(0, 2), nil), "")
	wantWrong(t, m.checkGet(0, atLeast, m.valueOf(0, 3), nil), "never written")
}

func TestGetsOfMissingKeysAreJudged(t *testing.T) {
	wantWrong(t, checkMissing(1, nil, db.ErrNotFound), "")
	wantWrong(t, checkMissing(1, []byte{}, nil), "never written")
	broken := errors.New("broken")
	if err := checkMissing(1, nil, broken); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

func TestScansAreJudged(t *testing.T) {
	m := modelOf(t, 64)
	key := func(i int) []byte { return appendKey(nil, presentNumber(i)) }
	for _, c := range []struct {
		name     string
		shown    []int
		versions map[int]uint32
		back     bool
		want     string
	}{
		{name: "all", shown: []int{0, 1, 2, 3, 5}},
		{name: "all backwards", shown: []int{5, 3, 2, 1, 0}, back: true},
		{name: "short", shown: []int{0, 1, 2, 3}, want: "ended before"},
		{name: "short backwards", shown: []int{5, 3, 2, 1}, back: true, want: "ended before"},
		{name: "empty", want: "ended before"},
		{name: "hole", shown: []int{0, 2, 3, 5}, want: "must come"},
		{name: "twice", shown: []int{0, 0, 1, 2, 3, 5}, want: "must come"},
		{name: "wrong direction", shown: []int{5, 3, 2, 1, 0}, want: "must come"},
		{name: "never written", shown: []int{0, 1, 2, 3, 4, 5}, want: "must come"},
		{name: "one more", shown: []int{0, 1, 2, 3, 5, 5}, want: "after the last"},
		{name: "stale", shown: []int{0, 1, 2, 3, 5}, versions: map[int]uint32{3: 1}, want: "stale"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := walk{model: m, next: 0, end: m.keys(), step: 1}
			if c.back {
				w = walk{model: m, next: m.keys() - 1, end: -1, step: -1}
			}
			var err error
			for _, i := range c.shown {
				version := m.acknowledged[i].Load()
				if v, ok := c.versions[i]; ok {
					version = v
				}
				if err == nil {
					err = w.see(key(i), m.valueOf(i, version))
				}
			}
			if err == nil {
				err = w.finish()
			}
			wantWrong(t, err, c.want)
		})
	}
	w := walk{model: m, next: 0, end: m.keys(), step: 1}
	wantWrong(t, w.see([]byte("strange"), m.valueOf(0, 1)), "must come")
}

func TestValuesAreHalfCompressible(t *testing.T) {
	g := newGenerator(1, 4096)
	value := g.appendValue(nil, 10, 1)
	if got := compressedBytes(t, value); got < 1900 || got > 2600 {
		t.Errorf("4096 bytes compress to %d", got)
	}
	other := newGenerator(2, 4096).appendValue(nil, 10, 1)
	if string(other) == string(value) {
		t.Error("the seed does not decide values")
	}
}
