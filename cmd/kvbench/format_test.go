package main

import (
	"strings"
	"testing"
	"time"
)

func TestNumbersAreWrittenForReading(t *testing.T) {
	for got, want := range map[string]string{
		count(0):                                 "0",
		count(999):                               "999",
		count(1000):                              "1,000",
		count(1234567):                           "1,234,567",
		short(0):                                 "0ns",
		short(870):                               "870ns",
		short(999):                               "999ns",
		short(1250):                              "1.25µs",
		short(12_345):                            "12.3µs",
		short(999_499):                           "999µs",
		short(999_600):                           "1.00ms",
		short(13 * time.Millisecond):             "13.0ms",
		short(2500 * time.Millisecond):           "2.50s",
		short(2 * time.Hour):                     "7200s",
		threeDigits(0):                           "0.00",
		threeDigits(9.994):                       "9.99",
		threeDigits(9.996):                       "10.0",
		threeDigits(99.96):                       "100",
		threeDigits(12345):                       "12345",
		size(100):                                "100 B",
		size(1024):                               "1.00 KiB",
		size(1536 << 10):                         "1.50 MiB",
		size(5 << 40):                            "5.00 TiB",
		progressLine("a", 0, 100, 0, 1e9):        "a   0%  0.00/s  ? left",
		progressLine("a", 25, 100, 2000, 1e9):    "a  25%  2,000/s  3s left",
		progressLine("a", 5, 0, 0, 1e9):          "a  1s",
		difference([]byte("abc"), []byte("abd")): "differs from the file at byte 2 of 3",
		difference([]byte("ab"), []byte("abd")):  "2 bytes, the file has 3",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestSizesAreReadWithAndWithoutUnits(t *testing.T) {
	for text, want := range map[string]int{
		"0": 0, "100": 100, "100B": 100, "4k": 4096, "4KiB": 4096, "4KB": 4096, " 1MiB ": 1 << 20, "1g": 1 << 30,
		"": -1, "x": -1, "-1": -1, "4.5k": -1, "2GiB": -1, "k": -1, "99999999999999999999": -1, "2147483647k": -1,
	} {
		got, err := parseSize(text)
		if want < 0 && err == nil || want >= 0 && (err != nil || got != want) {
			t.Errorf("%q: %d, %v; want %d", text, got, err, want)
		}
	}
}

func TestTablesAreAlignedAndFitInto100Columns(t *testing.T) {
	r := result{Phase: "readwhilewriting", Operations: 10_000_000, Bytes: 2e9, Seconds: 1,
		latencies: latencies{P50: 870, P99: 12_345, P999: 1e6, Max: 1e9}, CPUMicrosPerOperation: 123,
		AllocsPerOperation: 0.01, PeakBytes: 1 << 30, Written: &written{UserBytes: 1, LiveBytes: 1 << 29, DiskBytes: 1 << 30, StoreBytes: 1 << 20}}
	fill := r
	fill.Phase = "fillrandom"
	for _, lines := range [][]string{
		{headLine(phaseColumns), tableLine(phaseColumns, phaseCells(r))},
		{headLine(writtenColumns), tableLine(writtenColumns, writtenCells(fill))},
	} {
		for _, line := range lines {
			if n := len([]rune(line)); n > 100 {
				t.Errorf("%d columns: %s", n, line)
			}
		}
	}
	head, line := headLine(phaseColumns), tableLine(phaseColumns, phaseCells(r))
	if len([]rune(head)) != len([]rune(line)) || !strings.HasSuffix(line, " 1024") {
		t.Errorf("not aligned:\n%s\n%s", head, line)
	}
}
