package workload

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// Limits of Data.
const (
	KeyBytesMin   = 8
	KeyBytesMax   = 1024
	ValueBytesMin = headerBytes // a value's identity has to fit
	ValueBytesMax = 64 << 20
	KeysMax       = 1<<31 - 1
)

// Data is the shape of what is stored. Its fields are not changed once a Model
// was made of it.
type Data struct {
	// Keys is how many records a workload that fills the store writes; Capacity,
	// not below Keys, how many there may be after inserts.
	Keys, Capacity int
	// KeyBytes is the length of every key.
	KeyBytes int
	// Sizes are the lengths of values.
	Sizes Sizes
	// Compressibility is what a good compressor makes of a value's length: 1 not
	// to be compressed, 0.5 half of it, 0 next to nothing.
	Compressibility float64
	// Seed makes another store of the same shape.
	Seed uint64
}

// UsageError says what a user asked for that cannot be.
type UsageError struct {
	What    string // such as "value sizes" or "chooser"
	Given   string
	Problem string
}

// Error implements error.
func (e *UsageError) Error() string {
	return fmt.Sprintf("%s %q: %s", e.What, e.Given, e.Problem)
}

func usage(what string, given any, format string, args ...any) error {
	return &UsageError{What: what, Given: fmt.Sprint(given), Problem: fmt.Sprintf(format, args...)}
}

// Check tells what is wrong with the shape, as a *UsageError, or nil.
func (d *Data) Check() error {
	switch {
	case d.Keys < 1 || d.Keys > KeysMax:
		return usage("keys", d.Keys, "must be 1 to %d", KeysMax)
	case d.Capacity < d.Keys || d.Capacity > KeysMax:
		return usage("capacity", d.Capacity, "must be %d, the number of keys, to %d", d.Keys, KeysMax)
	case d.KeyBytes < KeyBytesMin || d.KeyBytes > KeyBytesMax:
		return usage("key length", d.KeyBytes, "must be %d to %d bytes", KeyBytesMin, KeyBytesMax)
	case uint64(d.Capacity) > keysOfDigits(d.KeyBytes):
		return usage("key length", d.KeyBytes, "too short for %d keys: at most %d", d.Capacity, keysOfDigits(d.KeyBytes))
	case d.Sizes == nil:
		return usage("value sizes", "", "must be given")
	case d.Sizes.Max() > ValueBytesMax:
		return usage("value sizes", d.Sizes, "values of more than 64 MiB")
	case !(d.Compressibility >= 0 && d.Compressibility <= 1):
		return usage("compressibility", d.Compressibility, "must be 0 to 1")
	}
	return nil
}

// dataJSON is Data with its sizes as text.
type dataJSON struct {
	Keys            int     `json:"keys"`
	Capacity        int     `json:"capacity"`
	KeyBytes        int     `json:"key_bytes"`
	Sizes           string  `json:"values"`
	Compressibility float64 `json:"compressibility"`
	Seed            uint64  `json:"seed"`
}

// MarshalJSON encodes the shape, so that it can be sent to a child process.
func (d *Data) MarshalJSON() ([]byte, error) {
	sizes := ""
	if d.Sizes != nil {
		sizes = d.Sizes.String()
	}
	return json.Marshal(dataJSON{d.Keys, d.Capacity, d.KeyBytes, sizes, d.Compressibility, d.Seed})
}

// UnmarshalJSON reads what MarshalJSON has written, and checks it.
func (d *Data) UnmarshalJSON(text []byte) error {
	var j dataJSON
	if err := json.Unmarshal(text, &j); err != nil {
		return err
	}
	sizes, err := ParseSizes(j.Sizes)
	if err != nil {
		return err
	}
	*d = Data{j.Keys, j.Capacity, j.KeyBytes, sizes, j.Compressibility, j.Seed}
	return d.Check()
}

var units = []struct {
	suffix string
	bytes  float64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30},
	{"kB", 1e3}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9},
	{"K", 1 << 10}, {"k", 1 << 10}, {"M", 1 << 20}, {"B", 1},
}

// ParseBytes reads a number of bytes: "100", "1KiB", "1.5MiB", "64kB". K and M
// without more are KiB and MiB.
func ParseBytes(s string) (int, error) {
	number, factor := strings.TrimSpace(s), 1.0
	for _, u := range units {
		if rest, ok := strings.CutSuffix(number, u.suffix); ok {
			number, factor = strings.TrimSpace(rest), u.bytes
			break
		}
	}
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || !(n >= 0) || n*factor > 1<<31-1 || strings.ContainsAny(number, "xXpP_") {
		return 0, usage("length", s, `not a number of bytes such as "100" or "4KiB"`)
	}
	return int(n * factor), nil
}

// formatBytes is the shortest text that ParseBytes reads as n.
func formatBytes(n int) string {
	switch {
	case n >= 1<<20 && n%(1<<20) == 0:
		return strconv.Itoa(n>>20) + "MiB"
	case n >= 1<<10 && n%(1<<10) == 0:
		return strconv.Itoa(n>>10) + "KiB"
	}
	return strconv.Itoa(n)
}
