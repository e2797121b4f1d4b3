//go:build planted

package main

import (
	"bytes"
	"fmt"
)

// line is a verdict for people.
func (v *verdict) line() string {
	if !v.Caught {
		return fmt.Sprintf("%-36s SLIPPED THROUGH", v.Mutation)
	}
	s := fmt.Sprintf("%-36s %s %s, %s after %.1fs (%s amounts, found in %.0fs)",
		v.Mutation, v.Package, v.Test, v.How, v.Seconds, v.Amount, v.Search)
	if v.Whole != "" && !isWhole(v.Package) {
		s += "; also " + v.Whole
	}
	return s
}

const tableHead = `# Planted bugs

This table is written by a command that plants each of these bugs in the engine
and runs the tests until one notices; [its documentation](../../test/planted/doc.go)
says how:

    go run -tags planted ./test/planted -json verdicts.json -table docs/internals/planted.md

*Caught by* is the first test that fails, of those beside the code, then those of
the whole store; *s* is how many seconds its package's tests ran until then, on
two busy cores. The last column names a test of the whole store that notices too,
where one was looked for (-thorough). *Promise* is the number in the
[README](../../README.md#what-it-promises).

`

// table is the verdicts as a page of the documentation.
func table(verdicts []verdict) []byte {
	byName := make(map[string]*verdict)
	for i := range verdicts {
		byName[verdicts[i].Mutation] = &verdicts[i]
	}
	var b bytes.Buffer
	b.WriteString(tableHead)
	all, judged, caught := 0, 0, 0
	for _, c := range catalog {
		for _, m := range c.list {
			all++
			if v := byName[m.name]; v != nil {
				judged++
				if v.Caught {
					caught++
				}
			}
		}
	}
	fmt.Fprintf(&b, "%d bugs; %d were planted, and %d caught.\n", all, judged, caught)
	for _, c := range catalog {
		rows := 0
		for _, m := range c.list {
			v := byName[m.name]
			if v == nil {
				v = &verdict{}
			}
			if rows++; rows == 1 {
				fmt.Fprintf(&b, "\n## %s\n\n| bug | promise | what goes wrong | caught by | s | whole store |\n|---|---|---|---|---|---|\n",
					string(c.area[0]-'a'+'A')+c.area[1:])
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", m.name, m.promise, m.breaks, v.by(), v.after(), v.whole())
		}
	}
	return b.Bytes()
}

func (v *verdict) after() string {
	if !v.Caught {
		return ""
	}
	return fmt.Sprintf("%.1f", v.Seconds)
}

func (v *verdict) by() string {
	if v.Mutation == "" {
		return "not planted yet"
	}
	if !v.Caught {
		return "**nobody**"
	}
	s := fmt.Sprintf("%s `%s`", v.Package, v.Test)
	if v.How != "fail" {
		s += " (" + v.How + ")"
	}
	if v.Amount != short.String() {
		s += ", " + v.Amount + " amounts"
	}
	return s
}

func (v *verdict) whole() string {
	switch {
	case v.Whole == "":
		return ""
	case isWhole(v.Package):
		return "the same"
	}
	return v.Whole
}
