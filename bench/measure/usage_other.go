//go:build !unix && !windows

package measure

import "time"

// cpuTime is not available.
func cpuTime() time.Duration { return 0 }

// lifetimePeakBytes is not available.
func lifetimePeakBytes() int64 { return 0 }
