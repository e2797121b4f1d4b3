package draw

import "math/rand/v2"

// Choice is a step that may come next, and how often it does.
type Choice struct {
	Name   string
	Weight int // share of all weights
}

// Source gives the steps and the numbers of a history, and writes them down.
type Source struct {
	next func() (uint64, bool) // a number for a draw; nil in a replay

	script Script // to replay
	at     int    // of script, the next step
	left   []uint64

	made    Script   // what was given
	open    bool     // the newest step is not over
	numbers []uint64 // of the newest step
	arena   []uint64 // room for numbers
	bound   int      // of the number that next is asked for
}

// Random is a source without an end, whose choices follow from seed.
func Random(seed uint64) *Source {
	r := rand.New(rand.NewPCG(seed, 1))
	s := &Source{}
	s.next = func() (uint64, bool) { return r.Uint64N(uint64(s.bound)), true }
	return s
}

// Replay is a source that gives what a script has.
func Replay(script Script) *Source { return &Source{script: script} }

// Bytes is a source that makes its choices of data and ends with it, and after
// stepsMax steps. A choice takes one byte, or two if it is one of more than 256,
// or four.
func Bytes(data []byte, stepsMax int) *Source {
	s := &Source{}
	s.next = func() (uint64, bool) {
		n := 1
		if s.bound > 1<<16 {
			n = 4
		} else if s.bound > 1<<8 {
			n = 2
		}
		if len(s.made) > stepsMax || len(data) < n {
			data = nil
			return 0, false
		}
		v := uint64(0)
		for _, b := range data[:n] {
			v = v<<8 | uint64(b)
		}
		data = data[n:]
		return v, true
	}
	return s
}

// Begin starts a step that always is the first. In a replay, a script without
// it gives zeros.
func (s *Source) Begin(name string) {
	s.left = nil
	if s.at < len(s.script) && s.script[s.at].Name == name {
		s.left = s.script[s.at].Numbers
		s.at++
	}
	s.note(name)
}

// Next starts a step, one of choices. ok is false if the history is over. A name
// in a script that is none of the choices comes back as well.
func (s *Source) Next(choices []Choice) (name string, ok bool) {
	if s.next == nil {
		if s.at == len(s.script) {
			return "", false
		}
		step := s.script[s.at]
		s.at++
		s.left = step.Numbers
		s.note(step.Name)
		return step.Name, true
	}
	sum := 0
	for _, c := range choices {
		sum += c.Weight
	}
	s.bound = sum
	n, ok := s.next()
	if !ok {
		return "", false
	}
	n %= uint64(sum)
	for _, c := range choices {
		if n < uint64(c.Weight) {
			s.note(c.Name)
			return c.Name, true
		}
		n -= uint64(c.Weight)
	}
	return "", false
}

// note writes down that a step begins.
func (s *Source) note(name string) {
	s.seal()
	s.made, s.open = append(s.made, Step{Name: name}), true
}

// seal gives the newest step its numbers, but for zeros at the end.
func (s *Source) seal() {
	if !s.open {
		return
	}
	s.open = false
	n := s.numbers
	for len(n) > 0 && n[len(n)-1] == 0 {
		n = n[:len(n)-1]
	}
	if cap(s.arena)-len(s.arena) < len(n) {
		s.arena = make([]uint64, 0, max(4096, len(n)))
	}
	from := len(s.arena)
	s.arena = append(s.arena, n...)
	s.made[len(s.made)-1].Numbers = s.arena[from:len(s.arena):len(s.arena)]
	s.numbers = s.numbers[:0]
}

// Steps is how many steps have begun.
func (s *Source) Steps() int { return len(s.made) }

// Script is the history so far. It ends the step.
func (s *Source) Script() Script {
	s.seal()
	return s.made
}

// IntN draws a number of [0, n). n must be positive.
func (s *Source) IntN(n int) int {
	var v uint64
	if s.next != nil {
		s.bound = n
		v, _ = s.next()
	} else if len(s.left) > 0 {
		v, s.left = s.left[0], s.left[1:]
	}
	v %= uint64(n)
	s.numbers = append(s.numbers, v)
	return int(v)
}

// One draws whether something happens that does once in n times.
func (s *Source) One(n int) bool { return s.IntN(n) == n-1 }

// Pick draws one of values, of which the first is the simplest.
func Pick[T any](s *Source, values ...T) T { return values[s.IntN(len(values))] }
