package cli

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// bytesValue is a flag with a number of bytes: 100, 4096, 4KiB, 1MiB.
type bytesValue struct{ bytes *int64 }

func (v bytesValue) String() string {
	if v.bytes == nil || *v.bytes == 0 {
		return ""
	}
	return byteText(*v.bytes)
}

// Set parses a number of bytes.
func (v bytesValue) Set(s string) (err error) {
	*v.bytes, err = parseBytes(s)
	return err
}

// Type names the kind of value.
func (v bytesValue) Type() string { return "bytes" }

// parseBytes reads a number of bytes, with or without the "iB" of its unit, in
// either case.
func parseBytes(s string) (int64, error) {
	text := strings.ToLower(strings.TrimSpace(s))
	text = strings.TrimSuffix(strings.TrimSuffix(text, "b"), "i")
	shift := 0
	for i, unit := range []string{"k", "m", "g", "t"} {
		if rest, ok := strings.CutSuffix(text, unit); ok {
			text, shift = strings.TrimSpace(rest), 10*(i+1)
		}
	}
	n, err := strconv.ParseUint(text, 10, 62)
	if err != nil || n > (1<<62-1)>>shift {
		return 0, fmt.Errorf("%q is not a size in bytes, such as 100 or 4KiB", s)
	}
	return int64(n << shift), nil
}

// byteText writes a number of bytes exactly, in the largest unit that it fits.
func byteText(n int64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	for len(units) > 1 && n != 0 && n%1024 == 0 {
		n, units = n/1024, units[1:]
	}
	if units[0] == "B" {
		return strconv.FormatInt(n, 10)
	}
	return strconv.FormatInt(n, 10) + units[0]
}

// partValue is a flag with a part of a whole: 5% or 0.05.
type partValue struct{ part *float64 }

func (v partValue) String() string {
	if v.part == nil {
		return ""
	}
	return strconv.FormatFloat(*v.part*100, 'g', 6, 64) + "%"
}

// Set parses a part of a whole.
func (v partValue) Set(s string) error {
	text, percent := strings.CutSuffix(strings.TrimSpace(s), "%")
	part, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	if percent {
		part /= 100
	}
	if err != nil || part != part || part < 0 || part > 1e6 {
		return fmt.Errorf("%q is not a part of a whole, such as 5%% or 0.05", s)
	}
	*v.part = part
	return nil
}

// Type names the kind of value.
func (v partValue) Type() string { return "percent" }

// countValue is a flag with a whole number, which may be written as 100k or 2M.
type countValue[T int | uint64] struct{ n *T }

func (v countValue[T]) String() string {
	if v.n == nil {
		return ""
	}
	return fmt.Sprint(*v.n)
}

// Set parses a whole number.
func (v countValue[T]) Set(s string) error {
	text, scale := strings.ReplaceAll(strings.TrimSpace(s), "_", ""), int64(1)
	for suffix, by := range map[string]int64{"k": 1e3, "K": 1e3, "m": 1e6, "M": 1e6, "G": 1e9} {
		if rest, ok := strings.CutSuffix(text, suffix); ok {
			text, scale = rest, by
		}
	}
	n, err := strconv.ParseInt(text, 10, 62)
	if err != nil || n > (1<<62-1)/scale || n < -(1<<62-1)/scale || int64(T(n*scale)) != n*scale {
		return fmt.Errorf("%q is not a whole number, such as 5000 or 100k", s)
	}
	if T(n*scale) < 0 || n < 0 {
		return errors.New("must not be negative")
	}
	*v.n = T(n * scale)
	return nil
}

// Type names the kind of value.
func (v countValue[T]) Type() string { return "number" }

// rateValue is a flag with a number per second, which may be written as 100k.
type rateValue struct{ perSecond *float64 }

func (v rateValue) String() string {
	if v.perSecond == nil || *v.perSecond == 0 {
		return ""
	}
	return strconv.FormatFloat(*v.perSecond, 'g', -1, 64)
}

// Set parses a rate.
func (v rateValue) Set(s string) error {
	text, scale := strings.TrimSpace(s), 1.0
	text = strings.TrimSuffix(text, "/s")
	for suffix, by := range map[string]float64{"k": 1e3, "M": 1e6} {
		if rest, ok := strings.CutSuffix(text, suffix); ok {
			text, scale = rest, by
		}
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || !(n > 0 && n*scale <= 1e12) {
		return fmt.Errorf("%q is not a rate per second, such as 5000 or 100k", s)
	}
	*v.perSecond = n * scale
	return nil
}

// Type names the kind of value.
func (v rateValue) Type() string { return "rate" }
