package report

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// lineWidth is how many columns a table may take.
const lineWidth = 100

// printer writes text; its first error is that of flush.
type printer struct{ out *bufio.Writer }

func newPrinter(w io.Writer) *printer { return &printer{bufio.NewWriter(w)} }

// printf writes text without the control characters that a saved run may hold:
// they would be commands to a terminal.
func (p *printer) printf(format string, args ...any) {
	p.out.WriteString(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return '\uFFFD'
		}
		return r
	}, fmt.Sprintf(format, args...)))
}

// flush ends the output.
func (p *printer) flush() error { return p.out.Flush() }

// column is one column of a table: right-aligned, except for the first.
type column struct {
	head  string
	width int
}

// row lays cells out under their columns. Widths count runes. A first cell that
// is too long has a line of its own.
func row(columns []column, cells []string) string {
	var b strings.Builder
	for i, c := range columns {
		switch {
		case i > 0:
			fmt.Fprintf(&b, " %*s", c.width, cells[i])
		case utf8.RuneCountInString(cells[0]) > c.width:
			fmt.Fprintf(&b, "%s\n%*s", cells[0], c.width, "")
		default:
			fmt.Fprintf(&b, "%-*s", c.width, cells[0])
		}
	}
	return strings.TrimRight(b.String(), " ")
}

func heads(columns []column) string {
	cells := make([]string, len(columns))
	for i, c := range columns {
		cells[i] = c.head
	}
	return row(columns, cells)
}

// wrapped breaks text at spaces into lines of at most lineWidth. The first begins
// with lead, the others with as many spaces as indent says. A word that is too
// long is not broken.
func wrapped(lead, text string, indent int) string {
	var b strings.Builder
	b.WriteString(lead)
	column, first := utf8.RuneCountInString(lead), true
	for word := range strings.FieldsSeq(text) {
		n := utf8.RuneCountInString(word)
		switch {
		case first:
		case column+1+n > lineWidth:
			b.WriteString("\n" + strings.Repeat(" ", indent))
			column = indent
		default:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column, first = column+n, false
	}
	b.WriteByte('\n')
	return b.String()
}
