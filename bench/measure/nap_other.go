//go:build !linux

package measure

import "time"

// nap sleeps for left; the caller looks at the clock again.
func nap(left time.Duration) { time.Sleep(left) }
