//go:build !linux

package measure

// resetPeak cannot be done here: peakBytes counts from the process's start.
func resetPeak() {}

// peakBytes is the largest resident memory since the process began.
func peakBytes() int64 { return lifetimePeakBytes() }

// Resident is the resident memory of this process now; 0 where it is not known.
func Resident() int64 { return 0 }

// readIO is not available.
func readIO() ioBytes { return ioBytes{} }
