package cli

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
)

func TestFlagsMayHaveOneDashOrTwo(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"-n 5", "--n 5"},
		{"-n=5", "--n=5"},
		{"--n 5", "--n 5"},
		{"-n -5", "--n -5"}, // a value
		{"-title -n", "--title -n"},
		{"-title -n -n 3", "--title -n --n 3"},
		{"-title=x -n 3", "--title=x --n 3"},
		{"-quiet -n 3", "--quiet --n 3"}, // a bool takes no value
		{"-quiet=false run", "--quiet=false run"},
		{"-json - -n 3", "--json - --n 3"},
		{"-h", "-h"},
		{"-help", "--help"},
		{"-nonsense", "--nonsense"},
		{"run -n 5 -- -n", "run --n 5 -- -n"},
		{"-5 - --", "-5 - --"},
		{"-title", "--title"}, // its value is missing: not ours to say
	} {
		flags := pflag.NewFlagSet("", pflag.ContinueOnError)
		flags.Int("n", 0, "")
		flags.String("title", "", "")
		flags.String("json", "", "")
		flags.Bool("quiet", false, "")
		got := strings.Join(doubleDashes(strings.Fields(c.args), flags), " ")
		if got != c.want {
			t.Errorf("%q: got %q, want %q", c.args, got, c.want)
		}
	}
}

func TestMistypedNamesAreGuessed(t *testing.T) {
	names := []string{"fillseq", "fillrandom", "readrandom", "readseq", "ycsb-a", "ycsb-b"}
	for _, c := range []struct{ typed, want string }{
		{"readrandm", "readrandom"},
		{"radnrandom", "readrandom"},
		{"ycsba", "ycsb-a"},
		{"readsqe", "readseq"}, // two letters swapped
		{"fill", "fillseq fillrandom"},
		{"compact", ""},
		{"x", ""},
	} {
		if got := strings.Join(nearest(c.typed, names), " "); got != c.want {
			t.Errorf("%q: got %q, want %q", c.typed, got, c.want)
		}
	}
	if got := editDistance("ca", "abc"); got != 3 {
		t.Errorf("distance from ca to abc: %d, want 3", got)
	}
	if got := editDistance("", "abc"); got != 3 {
		t.Errorf("distance from nothing to abc: %d, want 3", got)
	}
}

func TestValuesOfFlags(t *testing.T) {
	for _, c := range []struct {
		text string
		want int64 // -1: refused
	}{
		{"100", 100}, {"4096", 4096}, {"4KiB", 4096}, {"4k", 4096}, {"4 kb", 4096}, {"1MiB", 1 << 20}, {"2G", 2 << 30}, {"1TiB", 1 << 40},
		{"", -1}, {"-1", -1}, {"x", -1}, {"1.5k", -1}, {"99999999999999999999", -1}, {"9999999T", -1},
	} {
		n, err := parseBytes(c.text)
		if (err != nil) != (c.want < 0) || err == nil && n != c.want {
			t.Errorf("%q: %d, %v", c.text, n, err)
		}
		if err == nil {
			if again, err := parseBytes(byteText(n)); again != n || err != nil {
				t.Errorf("%d is written as %q, read as %d, %v", n, byteText(n), again, err)
			}
		}
	}
	var part float64
	for text, want := range map[string]float64{"5%": 0.05, "0.05": 0.05, "0": 0, "1": 1, "x": -1, "-1%": -1, "NaN": -1, "": -1} {
		if err := (partValue{&part}).Set(text); (err != nil) != (want < 0) || err == nil && part != want {
			t.Errorf("%q: %v, %v", text, part, err)
		}
	}
	var n int
	for text, want := range map[string]int{"0": 0, "100k": 100_000, "2M": 2_000_000, "1m": 1_000_000, "3K": 3000, "1_000": 1000, "-1": -1, "k": -1, "9999999999G": -1, "1.5": -1} {
		if err := (countValue[int]{&n}).Set(text); (err != nil) != (want < 0) || err == nil && n != want {
			t.Errorf("%q: %v, %v", text, n, err)
		}
	}
	var perSecond float64
	for text, want := range map[string]float64{"5": 5, "0.5": 0.5, "20k": 20_000, "1.5M": 1.5e6, "7/s": 7, "0": -1, "-3": -1, "NaN": -1, "Inf": -1, "x": -1} {
		if err := (rateValue{&perSecond}).Set(text); (err != nil) != (want < 0) || err == nil && perSecond != want {
			t.Errorf("%q: %v, %v", text, perSecond, err)
		}
	}
}

func TestHelpIsWrapped(t *testing.T) {
	got := wrap("aaa bb cccc d", 6)
	if !slices.Equal(got, []string{"aaa bb", "cccc d"}) {
		t.Errorf("got %q", got)
	}
	if got := defaultText(&pflag.Flag{DefValue: time.Duration(0).String()}); got != "" {
		t.Errorf("a default of no time is told: %q", got)
	}
}
