package draw

import "slices"

// Shrink makes a script that fails smaller, after the delta debugging of Zeller
// and Hildebrandt (Simplifying and Isolating Failure-Inducing Input, 2002): it
// leaves out runs of steps, long ones first, and then lowers numbers, the first
// step's first, until nothing more can go or more says no.
//
// fails runs a script and gives back what was used of it, up to the step that
// failed (Source.Script); ok is false if none did. It is asked about one script
// at a time.
func Shrink(script Script, fails func(Script) (used Script, ok bool), more func() bool) Script {
	s := shrinker{best: script, fails: fails, more: more}
	for before := -1; before != s.size() && more(); {
		before = s.size()
		s.dropSteps()
		s.lowerNumbers()
	}
	return s.best
}

// shrinker is the state of Shrink.
type shrinker struct {
	best  Script // the smallest that failed
	fails func(Script) (Script, bool)
	more  func() bool
}

// size orders scripts: steps count most, then draws, then how large they are.
func (s *shrinker) size() int {
	n := len(s.best)*1000 + s.best.draws()*100
	for _, step := range s.best {
		for _, v := range step.Numbers {
			n += min(int(min(v, 1<<20)), 99)
		}
	}
	return n
}

// try makes a script the best one if it fails too.
func (s *shrinker) try(script Script) bool {
	if !s.more() {
		return false
	}
	used, ok := s.fails(script)
	if !ok || len(used) > len(s.best) {
		return false
	}
	s.best = slices.Clone(used)
	return true
}

// dropSteps leaves out runs of steps, from the last backwards: what came last
// is least likely to be needed by others.
func (s *shrinker) dropSteps() {
	for n := max(len(s.best)/2, 1); ; n /= 2 {
		for end := len(s.best); end > 0 && s.more(); {
			from := max(end-n, 0)
			if s.try(slices.Concat(s.best[:from], s.best[min(end, len(s.best)):])) {
				end = min(from, len(s.best))
				continue
			}
			end = from
		}
		if n == 1 {
			return
		}
	}
}

// lowerNumbers makes the numbers of each step 0, or at least smaller.
func (s *shrinker) lowerNumbers() {
	for at := 0; at < len(s.best) && s.more(); at++ {
		if len(s.best[at].Numbers) == 0 || s.try(s.best.with(at, nil)) {
			continue
		}
		for keep := len(s.best[at].Numbers) / 2; keep > 0 && at < len(s.best); keep /= 2 {
			if n := len(s.best[at].Numbers) - keep; n > 0 {
				s.try(s.best.with(at, s.best[at].Numbers[:n]))
			}
		}
		for i := 0; at < len(s.best) && i < len(s.best[at].Numbers); i++ {
			s.lower(at, i)
		}
	}
}

// lower makes one number as small as can be found by halving.
func (s *shrinker) lower(at, i int) {
	for step := s.best[at].Numbers[i]; step > 0 && s.more(); {
		if at >= len(s.best) || i >= len(s.best[at].Numbers) {
			return
		}
		numbers := slices.Clone(s.best[at].Numbers)
		step = min(step, numbers[i])
		numbers[i] -= step
		if step == 0 || s.try(s.best.with(at, numbers)) {
			continue
		}
		step /= 2
	}
}
