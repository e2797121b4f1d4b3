package draw

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Step is what was drawn in one step of a history.
type Step struct {
	Name    string // without spaces, and not starting with #
	Numbers []uint64
}

// Script is a history. Its steps are not changed once it is made.
type Script []Step

// String is the step's line in a script.
func (s Step) String() string {
	var b strings.Builder
	b.WriteString(s.Name)
	for _, n := range s.Numbers {
		b.WriteByte(' ')
		b.WriteString(strconv.FormatUint(n, 10))
	}
	return b.String()
}

// String is the script as Parse reads it.
func (s Script) String() string { return s.Explained(nil) }

// Explained is the script as Parse reads it, with what each step did, line by
// line, as comments below it. There may be fewer explanations than steps.
func (s Script) Explained(did [][]string) string {
	var b strings.Builder
	for i, step := range s {
		fmt.Fprintln(&b, step)
		if i >= len(did) {
			continue
		}
		for _, line := range did[i] {
			fmt.Fprintf(&b, "    # %s\n", strings.ReplaceAll(line, "\n", " "))
		}
	}
	return b.String()
}

// Parse reads a script. known says which names of steps there are.
func Parse(text string, known func(name string) bool) (Script, error) {
	var script Script
	for i, line := range strings.Split(text, "\n") {
		line, _, _ = strings.Cut(line, "#")
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		if !known(words[0]) {
			return nil, fmt.Errorf("line %d: no step is called %q", i+1, words[0])
		}
		step := Step{Name: words[0]}
		for _, w := range words[1:] {
			n, err := strconv.ParseUint(w, 10, 64)
			if err != nil {
				return nil, fmt.Errorf("line %d: %w", i+1, err)
			}
			step.Numbers = append(step.Numbers, n)
		}
		script = append(script, step)
	}
	return script, nil
}

// draws is how many numbers the script has.
func (s Script) draws() (n int) {
	for _, step := range s {
		n += len(step.Numbers)
	}
	return n
}

// with is a copy of the script with other numbers in one step.
func (s Script) with(at int, numbers []uint64) Script {
	changed := slices.Clone(s)
	changed[at].Numbers = numbers
	return changed
}
