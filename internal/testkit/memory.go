package testkit

import (
	"runtime/debug"
	"testing"
)

// CollectRarely lets the garbage collector run less often until the test ends:
// where stores come and go in milliseconds, that saves a tenth to a fifth of its
// time. As memory nears 1 GiB it runs as often as ever.
func CollectRarely(t testing.TB) {
	percent, limit := debug.SetGCPercent(400), debug.SetMemoryLimit(1<<30)
	t.Cleanup(func() {
		debug.SetGCPercent(percent)
		debug.SetMemoryLimit(limit)
	})
}
