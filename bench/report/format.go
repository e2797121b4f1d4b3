package report

import (
	"fmt"
	"math"
	"strconv"
	"time"
	"unicode/utf8"
)

// unknown stands in tables for what was not measured.
const unknown = "-"

// Count writes a whole number with commas between thousands: 1,234,567.
func Count(n uint64) string {
	digits := strconv.FormatUint(n, 10)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// Number writes a number with three digits, and commas between thousands: 0.0123,
// 1.23, 12.3, 123, 1,230, 1,230,000.
func Number(v float64) string {
	switch {
	case math.IsNaN(v):
		return unknown
	case math.IsInf(v, 1):
		return "∞"
	case math.IsInf(v, -1):
		return "-∞"
	case v < 0:
		return "-" + Number(-v)
	case v == 0:
		return "0"
	case v < 1e-6 || v >= 1e18:
		return strconv.FormatFloat(v, 'e', 2, 64)
	}
	// How many digits stand before the point once it is rounded: 9.996 is 10.0.
	rounded, _ := strconv.ParseFloat(strconv.FormatFloat(v, 'e', 2, 64), 64)
	if rounded >= 1000 {
		return Count(uint64(rounded))
	}
	before := int(math.Floor(math.Log10(rounded)*(1+1e-15))) + 1
	return strconv.FormatFloat(v, 'f', 3-max(before, -3), 64)
}

// plain is Number with two decimals below ten: what figures in columns need.
func plain(v float64) string {
	if v >= 0 && v < 9.995 {
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
	return Number(v)
}

// Duration writes a time with three digits and its unit: 870ns, 1.25µs, 13.0ms,
// 2.50s, 95.0s, 12m05s, 3h20m.
func Duration(d time.Duration) string {
	v := float64(d)
	switch {
	case d < 0:
		return "-" + Duration(-max(d, math.MinInt64+1))
	case d < time.Microsecond:
		return strconv.FormatInt(int64(d), 10) + "ns"
	case v < 999.5e3:
		return plain(v/1e3) + "µs"
	case v < 999.5e6:
		return plain(v/1e6) + "ms"
	case v < 119.5e9:
		return plain(v/1e9) + "s"
	case d < time.Hour-time.Second/2:
		d = d.Round(time.Second)
		return fmt.Sprintf("%dm%02ds", d/time.Minute, d%time.Minute/time.Second)
	}
	d = d.Round(time.Minute)
	return fmt.Sprintf("%dh%02dm", d/time.Hour, d%time.Hour/time.Minute)
}

// micros is Duration of a number of microseconds.
func micros(us float64) string { return Duration(time.Duration(math.Round(us * 1e3))) }

// seconds is Duration of a number of seconds.
func seconds(s float64) string {
	return Duration(time.Duration(math.Round(min(s, math.MaxInt64/2e9) * 1e9)))
}

// Size writes a number of bytes in binary units: 512 B, 1.50 KiB, 64.0 MiB.
func Size(bytes float64) string {
	if bytes < 0 {
		return "-" + Size(-bytes)
	}
	units := []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB"}
	for len(units) > 1 && bytes >= 999.5 {
		bytes /= 1024
		units = units[1:]
	}
	if units[0] == "B" {
		return strconv.FormatFloat(bytes, 'f', 0, 64) + " B"
	}
	return plain(bytes) + " " + units[0]
}

// Value writes a value of a metric in its unit, as result.Metric.Unit names it.
func Value(v float64, unit string) string {
	switch unit {
	case "µs":
		return micros(v)
	case "ns":
		return micros(v / 1e3)
	case "s":
		return seconds(v)
	case "B":
		return Size(v)
	case "":
		if v == math.Trunc(v) && math.Abs(v) < 1000 {
			return strconv.FormatFloat(v, 'f', 0, 64) // of things that are counted
		}
		return plain(v)
	}
	return Number(v) + " " + unit
}

// Percent writes a share: 0.053 is 5.3%, 0.5 is 50%, 2.34 is 234%.
func Percent(share float64) string {
	v := 100 * share
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return Number(v)
	case math.Abs(v) < 9.95:
		return strconv.FormatFloat(v, 'f', 1, 64) + "%"
	}
	if v >= 999.5 && v < 1e15 {
		return Count(uint64(math.Round(v))) + "%"
	}
	return strconv.FormatFloat(v, 'f', 0, 64) + "%"
}

// shorten makes a text fit into width columns: the middle goes, since names often
// differ at their ends.
func shorten(text string, width int) string {
	n := utf8.RuneCountInString(text)
	if n <= width {
		return text
	}
	runes := []rune(text)
	tail := (width - 1) / 2
	return string(runes[:width-1-tail]) + "…" + string(runes[n-tail:])
}
