package engine

import "testing"

func TestSize(t *testing.T) {
	for n, expected := range map[int64]string{0: "0 B", 1: "1 B", 1023: "1023 B", 1024: "1 KiB", 1025: "1025 B",
		64 << 20: "64 MiB", 1536 << 10: "1536 KiB", 3 << 30: "3 GiB", 2048 << 30: "2048 GiB", -1024: "-1 KiB"} {
		if got := Size(n); got != expected {
			t.Errorf("Size(%d) = %q; want %q", n, got, expected)
		}
	}
}
