//go:build !linux

package mvcc

import "time"

// cpuTime is measured on linux only.
func cpuTime() time.Duration { return 0 }
