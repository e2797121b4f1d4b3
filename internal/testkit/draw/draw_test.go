package draw

import (
	"fmt"
	"slices"
	"testing"
)

var choices = []Choice{{"a", 3}, {"b", 1}, {"c", 6}}

// history draws a few numbers in each step and tells what they were.
func history(s *Source, steps int) (told []string) {
	s.Begin("first")
	told = append(told, fmt.Sprint("first", s.IntN(5), s.One(3), Pick(s, "x", "y")))
	for range steps {
		name, ok := s.Next(choices)
		if !ok {
			break
		}
		line := name
		for range s.IntN(4) {
			line += fmt.Sprint(" ", s.IntN(1000))
		}
		told = append(told, line)
	}
	return told
}

func TestReplayIsTheSameHistory(t *testing.T) {
	for seed := range uint64(50) {
		s := Random(seed)
		told := history(s, 30)
		text := s.Script().Explained([][]string{{"the first # step", "of\nall"}})
		script, err := Parse(text, func(string) bool { return true })
		if err != nil {
			t.Fatal(err)
		}
		again := Replay(script)
		if got := history(again, 30); !slices.Equal(got, told) {
			t.Fatalf("seed %d: %q, want %q", seed, got, told)
		}
		if got, want := again.Script().String(), s.Script().String(); got != want {
			t.Fatalf("seed %d: replayed %s, want %s", seed, got, want)
		}
	}
	if slices.Equal(history(Random(1), 30), history(Random(2), 30)) {
		t.Error("two seeds give the same history")
	}
}

func TestAnyScriptCanBeReplayed(t *testing.T) {
	script := Script{{"c", []uint64{7, 2005, 1, 1 << 63, 9, 9, 9}}, {"b", nil}, {"elsewhere", []uint64{2, 0, 1001}}}
	s := Replay(script)
	want := []string{"first0 falsex", "c 5 1 808", "b", "elsewhere 0 1"}
	if got := history(s, 30); !slices.Equal(got, want) {
		t.Errorf("history %q, want %q", got, want)
	}
	if got := s.Script().String(); got != "first\nc 3 5 1 808\nb\nelsewhere 2 0 1\n" {
		t.Errorf("what was used: %q", got)
	}
}

func TestParseSaysWhatIsWrong(t *testing.T) {
	known := func(name string) bool { return name == "put" }
	for _, text := range []string{"put 1\nget 2", "put x", "put -1", "put 18446744073709551616"} {
		if script, err := Parse(text, known); err == nil {
			t.Errorf("%q is %v", text, script)
		}
	}
	script, err := Parse(" # nothing\n\nput 1 2 # three\nput", known)
	if err != nil || script.String() != "put 1 2\nput\n" {
		t.Errorf("%q, %v", script, err)
	}
}

func TestBytesAreAHistoryThatEnds(t *testing.T) {
	data := make([]byte, 1000)
	for i := range data {
		data[i] = byte(i * 37)
	}
	s := Bytes(data, 1<<30)
	told := history(s, 1<<30)
	if len(told) < 50 || len(told) > 1000 {
		t.Errorf("%d bytes are %d steps", len(data), len(told))
	}
	if got := history(Replay(s.Script()), 1<<30); !slices.Equal(got, told) {
		t.Error("the replay is another history")
	}
	if got := history(Bytes(data, 10), 1<<30); len(got) > 12 {
		t.Errorf("%d steps, at most 10 were asked for", len(got))
	}
	if got := history(Bytes(nil, 10), 1<<30); len(got) != 1 {
		t.Errorf("no bytes are %q", got)
	}
	s = Bytes([]byte{0, 9, 1, 2, 3, 4}, 10)
	s.Begin("first")
	if a, b, c := s.IntN(10), s.IntN(10), s.IntN(1<<20); a != 0 || b != 9 || c != 0x01020304%(1<<20) {
		t.Errorf("drew %d, %d, %x", a, b, c)
	}
}

// fails is a test that fails once a b came after a c with a number of at least
// 100 in it. It gives the history up to there.
func fails(script Script) (Script, bool) {
	s := Replay(script)
	s.Begin("first")
	armed := false
	for {
		name, ok := s.Next(choices)
		if !ok {
			return nil, false
		}
		for range s.IntN(4) {
			armed = s.IntN(1000) >= 100 && name == "c" || armed
		}
		if name == "b" && armed {
			return s.Script(), true
		}
	}
}

func TestShrinkFindsTheSmallestScript(t *testing.T) {
	for seed := range uint64(20) {
		s := Random(seed)
		history(s, 2000)
		runs := 0
		small := Shrink(s.Script(), func(script Script) (Script, bool) {
			runs++
			return fails(script)
		}, func() bool { return true })
		if got := small.String(); got != "first\nc 1 100\nb\n" {
			t.Errorf("seed %d: %q", seed, got)
		}
		if runs > 300 {
			t.Errorf("seed %d: %d runs", seed, runs)
		}
	}
}

func TestShrinkStopsWhenItIsToldTo(t *testing.T) {
	s := Random(1)
	history(s, 2000)
	runs := 0
	small := Shrink(s.Script(), func(script Script) (Script, bool) {
		runs++
		return fails(script)
	}, func() bool { return runs < 5 })
	if _, ok := fails(small); !ok || runs != 5 {
		t.Errorf("after %d runs %q, which fails: %v", runs, small, ok)
	}
}
