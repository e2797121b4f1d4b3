package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// count writes a number with commas between thousands.
func count(n uint64) string {
	digits := strconv.FormatUint(n, 10)
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return b.String()
}

// short writes a latency with three digits and its unit: 870ns, 1.25µs, 13.0ms.
func short(d time.Duration) string {
	units := []struct {
		name string
		size time.Duration
	}{{"ns", 1}, {"µs", time.Microsecond}, {"ms", time.Millisecond}, {"s", time.Second}}
	for _, u := range units {
		v := float64(d) / float64(u.size)
		if v < 999.5 || u.size == time.Second {
			if u.size == 1 {
				return fmt.Sprintf("%d%s", d, u.name)
			}
			return threeDigits(v) + u.name
		}
	}
	return d.String()
}

// threeDigits writes a number that is not negative with three significant
// digits, or all that it has before the point.
func threeDigits(v float64) string {
	switch {
	case v < 9.995:
		return strconv.FormatFloat(v, 'f', 2, 64)
	case v < 99.95:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 0, 64)
}

// size writes a number of bytes in binary units.
func size(n uint64) string {
	v, units := float64(n), []string{"B", "KiB", "MiB", "GiB", "TiB"}
	for len(units) > 1 && v >= 999.5 {
		v /= 1024
		units = units[1:]
	}
	if units[0] == "B" {
		return fmt.Sprintf("%d B", n)
	}
	return threeDigits(v) + " " + units[0]
}

// parseSize reads a number of bytes: 100, 4096, 4KiB, 1MiB, with or without
// the "iB", in either case.
func parseSize(s string) (int, error) {
	text := strings.ToLower(strings.TrimSpace(s))
	text = strings.TrimSuffix(strings.TrimSuffix(text, "b"), "i")
	shift := 0
	for i, unit := range []string{"k", "m", "g"} {
		if rest, ok := strings.CutSuffix(text, unit); ok {
			text, shift = rest, 10*(i+1)
		}
	}
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil || n<<shift > 1<<31-1 {
		return 0, fmt.Errorf("%q is not a size in bytes, such as 100 or 4KiB", s)
	}
	return int(n << shift), nil
}

// column is one column of a table: right-aligned, except for the first.
type column struct {
	head  string
	width int
}

// tableLine lays cells out under their columns. Widths count runes.
func tableLine(columns []column, cells []string) string {
	var b strings.Builder
	for i, c := range columns {
		if i == 0 {
			fmt.Fprintf(&b, "%-*s", c.width, cells[i])
		} else {
			fmt.Fprintf(&b, " %*s", c.width, cells[i])
		}
	}
	return strings.TrimRight(b.String(), " ")
}

func headLine(columns []column) string {
	cells := make([]string, len(columns))
	for i, c := range columns {
		cells[i] = c.head
	}
	return tableLine(columns, cells)
}
