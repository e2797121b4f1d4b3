package invariants

import "fmt"

// Check panics if the checks are on and ok is false.
func Check(ok bool, format string, args ...any) {
	if Enabled && !ok {
		panic("cordwood: broken invariant: " + fmt.Sprintf(format, args...))
	}
}
