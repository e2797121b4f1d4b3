//go:build !linux

package main

// resetPeak cannot be done here: peakBytes counts from the process's start.
func resetPeak() {}

// peakBytes is the largest resident memory since the process began.
func peakBytes() int64 { return lifetimePeakBytes() }
