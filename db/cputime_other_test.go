//go:build !linux

package db

import "time"

// cpuTime is measured on linux only.
func cpuTime() time.Duration { return 0 }
