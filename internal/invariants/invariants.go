// Package invariants checks, in test builds, what must always hold.
//
// Build with -tags invariants to turn the checks on. A failed check panics:
// it means a bug in this module, never bad input or bad hardware.
package invariants

import "fmt"

// Check panics if the checks are on and ok is false.
func Check(ok bool, format string, args ...any) {
	if Enabled && !ok {
		panic("cordwood: broken invariant: " + fmt.Sprintf(format, args...))
	}
}
