package html

import (
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cordwood-db/cordwood/bench/report"
)

// digits formats v with about three significant digits, never with an exponent.
func digits(v float64) string {
	switch a := math.Abs(v); {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return "–"
	case a >= 99.95 || v == 0:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case a >= 9.995:
		return strconv.FormatFloat(v, 'f', 1, 64)
	case a >= 0.0995:
		return strconv.FormatFloat(v, 'f', 2, 64)
	default:
		return strconv.FormatFloat(v, 'f', 1-int(math.Floor(math.Log10(a))), 64)
	}
}

// cell formats a value for a column whose head names the unit, unless the value
// has to choose one.
func cell(v float64, unit string) string {
	if unit == "" && v == math.Trunc(v) {
		return report.Number(v) // a count
	}
	if ownUnit(unit) {
		return report.Value(v, unit)
	}
	return report.Number(v)
}

// ownUnit reports whether values of a unit are written with one that fits their
// size, such as 12.3µs or 4.50ms.
func ownUnit(unit string) bool { return slices.Contains([]string{"µs", "ns", "s", "B", ""}, unit) }

// nanoseconds formats a duration; empty if it is not known.
func nanoseconds(ns int64) string {
	if ns == 0 {
		return ""
	}
	return report.Duration(time.Duration(ns))
}

// factor formats a ratio.
func factor(v float64) string { return digits(v) + "×" }

// bound formats an end of an interval. Beyond a hundred, either way, it does not
// matter how far it goes.
func bound(v float64) string {
	switch {
	case v < 0.01:
		return "<0.01"
	case v > 100:
		return ">100"
	}
	return digits(v)
}

// moment formats a date.
func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2 January 2006, 15:04 UTC")
}

// shellLine joins the arguments of a command so that a shell splits them as they
// were.
func shellLine(args []string) string {
	quoted := make([]string, len(args))
	for i, a := range args {
		quoted[i] = shellWord(a)
	}
	if len(args) == 0 || !strings.HasPrefix(filepath.Base(args[0]), "kvbench") {
		quoted = append([]string{"kvbench"}, quoted...)
	}
	return strings.Join(quoted, " ")
}

func shellWord(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./=:,@%+", r)
	}
	if s != "" && strings.TrimFunc(s, plain) == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
