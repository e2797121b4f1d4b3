//go:build unix

package compaction

import "syscall"

// cpuNanos is the CPU time that the process has used: benchmarks on a shared
// machine go by it.
func cpuNanos() int64 {
	var ru syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &ru); err != nil {
		return 0
	}
	return ru.Utime.Nano() + ru.Stime.Nano()
}
