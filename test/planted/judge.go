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
func (t *tree) judge(ctx context.Context, m *mutation, all bool) (v verdict, err error) {
	v = verdict{Mutation: m.name, Promise: m.promise, Breaks: m.breaks}
	start := time.Now()
	packages := t.order(m)
	for a := short; a <= thorough && !v.Caught; a++ {
		for _, p := range packages {
			o, err := t.run(ctx, p, m.name, a)
			if err != nil {
				return v, err
			}
			if !o.caught() {
				continue
			}
			t.show(m, p, &o)
			v.Caught, v.Package, v.Test, v.How, v.Amount = true, p, o.Test, o.How, a.String()
			v.Seconds, v.Search = o.Took.Seconds(), time.Since(start).Seconds()
			break
		}
	}
	if isWhole(v.Package) {
		v.Whole = v.Package + " " + v.Test
	}
	if all && v.Caught {
		err = t.others(ctx, m, packages, &v)
	}
	return v, err
}

// isWhole reports whether a package tests the store as a whole.
func isWhole(pkg string) bool { return strings.HasPrefix(pkg, "test/") }

// others finds who else catches a mutation: by short amounts all packages, and
// if none of the whole store does, those again with more.
func (t *tree) others(ctx context.Context, m *mutation, packages []string, v *verdict) error {
	for a := short; a <= normal; a++ {
		for _, p := range packages {
			if p == v.Package || a > short && (v.Whole != "" || !isWhole(p)) {
				continue
			}
			o, err := t.run(ctx, p, m.name, a)
			if err != nil {
				return err
			}
			if !o.caught() {
				continue
			}
			v.Also = append(v.Also, p)
			if isWhole(p) && v.Whole == "" {
				v.Whole = p + " " + o.Test
			}
		}
	}
	return nil
}

// show prints the end of what a failed program printed, if that is wanted.
func (t *tree) show(m *mutation, pkg string, o *outcome) {
	if !t.verbose {
		return
	}
	fmt.Printf("    %s, %s:\n", m.name, pkg)
	for _, line := range o.tail {
		if !strings.HasPrefix(line, "=== ") && !strings.HasPrefix(line, "--- PASS") && !strings.HasPrefix(line, "    --- PASS") {
			fmt.Println("        " + line)
		}
	}
}

// control runs all programs without a bug and returns what fails.
func (t *tree) control(ctx context.Context) (failed []string, err error) {
	for _, p := range suite {
		o, err := t.run(ctx, p, "", short)
		if err != nil {
			return failed, err
		}
		if o.caught() {
			t.show(&mutation{name: "no bug"}, p, &o)
			failed = append(failed, fmt.Sprintf("%s %s (%s)", p, o.Test, o.How))
		}
	}
	return failed, nil
}
