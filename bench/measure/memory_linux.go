package measure

import (
	"fmt"
	"os"
	"strings"
)

// resetPeak makes peakBytes start from the memory that is resident now: writing 5
// to clear_refs resets the high-water mark (proc(5)).
func resetPeak() {
	// Where this is refused, peakBytes goes on from the start of the process.
	_ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0)
}

// peakBytes is the largest resident memory since resetPeak.
func peakBytes() int64 {
	if n := statusBytes("VmHWM"); n > 0 {
		return n
	}
	return lifetimePeakBytes()
}

// Resident is the resident memory of this process now; 0 where it is not known.
func Resident() int64 { return statusBytes("VmRSS") }

// statusBytes reads a size from the status of this process; 0: not there.
func statusBytes(name string) int64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	return number(string(status), name) << 10 // they are in KiB
}

// readIO reads the counters of this process; zero where the kernel keeps none.
func readIO() ioBytes {
	text, err := os.ReadFile("/proc/self/io")
	if err != nil {
		return ioBytes{}
	}
	return parseIO(string(text))
}

// parseIO reads the text of /proc/self/io.
func parseIO(text string) ioBytes {
	return ioBytes{
		read:       number(text, "read_bytes"),
		written:    number(text, "write_bytes"),
		cancelled:  number(text, "cancelled_write_bytes"),
		readCalls:  number(text, "rchar"),
		writeCalls: number(text, "wchar"),
	}
}

// number finds "name: number" at the beginning of a line; 0 if it is not there.
func number(text, name string) int64 {
	for line := range strings.Lines(text) {
		var n int64
		if rest, ok := strings.CutPrefix(line, name+":"); ok {
			if _, err := fmt.Sscan(rest, &n); err != nil {
				return 0
			}
			return n
		}
	}
	return 0
}
