package damage

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// page is the document with the tables.
var page = filepath.Join("..", "..", "docs", "damage.md")

// matrix is what users saw: a table by kind of damage and kind of file, and one
// by part of a file, of what one damaged byte does.
type matrix struct {
	kinds map[string]map[string]Seen // by damage, by role
	parts map[string]Seen
}

func newMatrix() *matrix {
	m := &matrix{kinds: make(map[string]map[string]Seen), parts: make(map[string]Seen)}
	for _, d := range Damages {
		m.kinds[d] = make(map[string]Seen)
		for _, role := range Roles {
			m.kinds[d][role] = Seen{}
		}
	}
	for _, p := range Parts {
		m.parts[p] = Seen{}
	}
	return m
}

// note adds what a case made visible. Damage to two files shows what each of
// them does; it has no cell of its own.
func (m *matrix) note(c *Case, words []string) {
	if len(c.Files) > 1 {
		return
	}
	m.kinds[c.Damage][c.Target.Role].add(words)
	if c.Part != "" {
		m.parts[c.Part].add(words)
	}
}

// cell is how the document writes what was seen: in parentheses what is rare.
func (s Seen) cell() string {
	most := 0
	for _, n := range s {
		most = max(most, n)
	}
	var words []string
	for _, w := range sortedNames(s) {
		if n := s[w]; n < 25 && n < most/4 {
			w = "(" + w + ")"
		}
		words = append(words, w)
	}
	return cmp.Or(strings.Join(words, " "), "–")
}

// tables are the matrix as the document has it.
func (m *matrix) tables() string {
	var b strings.Builder
	fmt.Fprintf(&b, "| damage | %s |\n|---|%s\n", strings.Join(Roles, " | "), strings.Repeat("---|", len(Roles)))
	for _, d := range Damages {
		fmt.Fprintf(&b, "| %s |", d)
		for _, role := range Roles {
			fmt.Fprintf(&b, " %s |", m.kinds[d][role].cell())
		}
		b.WriteString("\n")
	}
	b.WriteString("\n| part | one damaged byte |\n|---|---|\n")
	for _, p := range Parts {
		fmt.Fprintf(&b, "| %s | %s |\n", p, m.parts[p].cell())
	}
	return b.String()
}

// readMatrix reads the tables of the document.
func readMatrix(text string) (*matrix, error) {
	m := newMatrix()
	rows := 0
	for line := range strings.Lines(text) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		words := func(cell string) Seen {
			s := Seen{}
			for _, w := range strings.Fields(strings.Trim(cell, "–")) {
				rare := strings.Trim(w, "()")
				s[rare] = 0
				if w == rare {
					s[w] = 1
				}
			}
			return s
		}
		switch {
		case slices.Contains(Damages, cells[0]) && len(cells) == len(Roles)+1:
			rows++
			for i, role := range Roles {
				m.kinds[cells[0]][role] = words(cells[i+1])
			}
		case slices.Contains(Parts, cells[0]) && len(cells) == 2:
			rows++
			m.parts[cells[0]] = words(cells[1])
		}
	}
	if rows != len(Damages)+len(Parts) {
		return nil, fmt.Errorf("%d rows, want %d and %d", rows, len(Damages), len(Parts))
	}
	return m, nil
}

// compare reports what was seen and is not in the document and, with all, what
// is there, not in parentheses, and was not seen. UPDATE_TESTDATA=1 only shows
// the tables as these cases would have them.
func (m *matrix) compare(t *testing.T, all bool) {
	t.Helper()
	if os.Getenv("UPDATE_TESTDATA") != "" {
		t.Logf("the tables:\n%s", m.tables())
		return
	}
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	want, err := readMatrix(string(text))
	if err != nil {
		t.Fatalf("%s: %v", page, err)
	}
	cell := func(what string, got, want Seen) {
		for w := range got {
			if _, ok := want[w]; !ok {
				t.Errorf("%s: users may see %q, which %s does not say", what, w, page)
			}
		}
		for w, n := range want {
			if all && n > 0 && got[w] == 0 {
				t.Errorf("%s: nobody sees %q, as %s says", what, w, page)
			}
		}
	}
	for _, d := range Damages {
		for _, role := range Roles {
			cell(role+", "+d, m.kinds[d][role], want.kinds[d][role])
		}
	}
	for _, p := range Parts {
		cell(p, m.parts[p], want.parts[p])
	}
}

// parseCase is the number of a case.
func parseCase(s string, n int) (int, error) {
	i, err := strconv.Atoi(s)
	if err == nil && (i < 0 || i >= n) {
		err = fmt.Errorf("case %d of %d", i, n)
	}
	return i, err
}
