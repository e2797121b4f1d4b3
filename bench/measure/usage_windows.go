package measure

import (
	"syscall"
	"time"
)

// cpuTime is the processor time that this process has used so far, in all
// threads, user and system together.
func cpuTime() time.Duration {
	process, err := syscall.GetCurrentProcess()
	if err != nil {
		return 0 // shown as "-": a figure less, not a failure
	}
	var created, ended, kernel, user syscall.Filetime
	if err := syscall.GetProcessTimes(process, &created, &ended, &kernel, &user); err != nil {
		return 0
	}
	return span(kernel) + span(user)
}

// span reads a Filetime that is a length of time, in units of 100 ns.
func span(f syscall.Filetime) time.Duration {
	return time.Duration(int64(f.HighDateTime)<<32|int64(f.LowDateTime)) * 100
}

// lifetimePeakBytes is not available.
func lifetimePeakBytes() int64 { return 0 }
