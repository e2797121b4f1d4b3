package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
)

// resetPeak makes peakBytes start from the memory that is resident now.
// Writing 5 to clear_refs resets the high-water mark (proc(5)).
func resetPeak() {
	// Where this is refused, peakBytes goes on from the start of the process.
	_ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0)
}

// peakBytes is the largest resident memory since resetPeak.
func peakBytes() int64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return lifetimePeakBytes()
	}
	for lines := bufio.NewScanner(bytes.NewReader(status)); lines.Scan(); {
		var kib int64
		if _, err := fmt.Sscanf(lines.Text(), "VmHWM: %d kB", &kib); err == nil {
			return kib << 10
		}
	}
	return lifetimePeakBytes()
}
