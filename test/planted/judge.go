//go:build planted

package main

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// verdict is what became of one mutation.
type verdict struct {
	Mutation string `json:"mutation"`
	Area     string `json:"area"`
	Promise  string `json:"promise"`
	Breaks   string `json:"breaks"`

	Caught  bool     `json:"caught"`
	Package string   `json:"package,omitempty"`
	Test    string   `json:"test,omitempty"`
	How     string   `json:"how,omitempty"`    // "fail", "panic", "timeout" or "exit"
	Amount  string   `json:"amount,omitempty"` // that it took
	Seconds float64  `json:"seconds"`          // of the program that caught it, until then
	Search  float64  `json:"search"`           // of all programs together
	Also    []string `json:"also,omitempty"`   // packages that catch it besides
	Whole   string   `json:"whole,omitempty"`  // test of the whole store that catches it
}

// judge runs the test programs against a mutation until one notices, and on if
// it is to be thorough.
func (t *tree) judge(ctx context.Context, m *mutation, s *settings) (v verdict, err error) {
	v = verdict{Mutation: m.name, Promise: m.promise, Breaks: m.breaks}
	start := time.Now()
	probes := t.order(m)
	for a := short; a <= s.most && !v.Caught; a++ {
		for _, p := range probes {
			o, err := t.ask(ctx, p, m.name, a)
			if err != nil {
				return v, err
			}
			if !o.caught() {
				continue
			}
			t.show(m.name, p, &o)
			v.Caught, v.Package, v.Test, v.How, v.Amount = true, p.pkg, o.Test, o.How, a.String()
			v.Seconds, v.Search = o.Took.Seconds(), time.Since(start).Seconds()
			break
		}
	}
	if isWhole(v.Package) {
		v.Whole = v.Package + " " + v.Test
	}
	if s.thorough && v.Caught {
		err = t.others(ctx, m, probes, &v, min(s.most, normal))
	}
	return v, err
}

// doubtsMax is how many tests of a package may fail for other reasons.
const doubtsMax = 3

// ask runs tests against a bug. A test that fails without the bug as well does
// not count: the others are run again without it.
func (t *tree) ask(ctx context.Context, p probe, bug string, a amount) (o outcome, err error) {
	skip := ""
	for range doubtsMax {
		if o, err = t.run(ctx, p, bug, a, skip); err != nil || !o.caught() {
			return o, err
		}
		if !strings.HasPrefix(o.Test, "Test") && !strings.HasPrefix(o.Test, "Fuzz") && !strings.HasPrefix(o.Test, "Example") {
			return o, nil
		}
		only := "^" + o.Test + "$"
		without, err := t.run(ctx, probe{p.pkg, only}, "", a, "")
		if err != nil || !without.caught() {
			return o, err
		}
		t.show("no bug", p, &without)
		skip = strings.TrimPrefix(skip+"|"+only, "|")
	}
	return outcome{How: "pass"}, nil
}

// isWhole reports whether a package tests the store as a whole.
func isWhole(pkg string) bool { return strings.HasPrefix(pkg, "test/") }

// others finds who else catches a mutation: by short amounts all packages, and
// if none of the whole store does, those again with more.
func (t *tree) others(ctx context.Context, m *mutation, probes []probe, v *verdict, most amount) error {
	for a := short; a <= most; a++ {
		for _, p := range probes {
			if p.only != "" || p.pkg == v.Package || a > short && (v.Whole != "" || !isWhole(p.pkg)) {
				continue
			}
			o, err := t.ask(ctx, p, m.name, a)
			if err != nil {
				return err
			}
			if !o.caught() {
				continue
			}
			v.Also = append(v.Also, p.pkg)
			if isWhole(p.pkg) && v.Whole == "" {
				v.Whole = p.pkg + " " + o.Test
			}
		}
	}
	return nil
}

// show prints the end of what a failed program printed, if that is wanted.
func (t *tree) show(bug string, p probe, o *outcome) {
	if !t.verbose {
		return
	}
	fmt.Printf("    %s, %s:\n", bug, p.pkg)
	for _, line := range o.tail {
		fmt.Println("        " + line)
	}
}

// control runs all programs without a bug and returns what fails.
func (t *tree) control(ctx context.Context) (failed []string, err error) {
	for _, p := range suite {
		o, err := t.run(ctx, probe{pkg: p}, "", short, "")
		if err != nil {
			return failed, err
		}
		if o.caught() {
			t.show("no bug", probe{pkg: p}, &o)
			failed = append(failed, fmt.Sprintf("%s %s (%s)", p, o.Test, o.How))
		}
	}
	return failed, nil
}
