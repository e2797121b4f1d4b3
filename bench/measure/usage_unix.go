//go:build unix

package measure

import (
	"runtime"
	"syscall"
	"time"
)

// cpuTime is the processor time that this process has used so far, in all
// threads, user and system together.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0 // shown as "-": a figure less, not a failure
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// lifetimePeakBytes is the largest resident memory since the process began.
func lifetimePeakBytes() int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	if runtime.GOOS == "darwin" || runtime.GOOS == "ios" {
		return int64(u.Maxrss)
	}
	return int64(u.Maxrss) << 10
}
