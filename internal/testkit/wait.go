package testkit

import (
	"runtime"
	"strings"
	"testing"
	"time"
)

// HangsAfter is how long tests wait for what must happen: only what hangs takes
// so long, however slow the machine is and however often it stalls.
const HangsAfter = 2 * time.Minute

// Until waits until cond holds. After HangsAfter it fails t with what, which
// says what did not come to be.
func Until(t testing.TB, cond func() bool, what func() string) {
	t.Helper()
	for start := time.Now(); !cond(); time.Sleep(time.Millisecond) {
		if time.Since(start) > HangsAfter {
			t.Fatalf("not after %v: %s", HangsAfter, what())
		}
	}
}

// Blocked reports whether some goroutine waits for a lock, a channel or a
// condition inside all of the functions given, by their names in stack traces or
// parts of these, such as "db.(*DB).Close". It shows that a call waits for
// something that a test holds, without a guess at how long it would take
// otherwise. A call may wait for something else on its way: name the function,
// too, in which it is to wait.
//
// In a synctest bubble, synctest.Wait does the same for all goroutines at once;
// but it does not count who waits for a mutex.
func Blocked(functions ...string) bool {
	for _, g := range goroutines() {
		state, stack, _ := strings.Cut(g, "\n")
		if waits(state) && inside(stack, functions) {
			return true
		}
	}
	return false
}

// goroutines are the stack traces of all goroutines.
func goroutines() []string {
	for size := 1 << 20; ; size *= 2 {
		buf := make([]byte, size)
		if n := runtime.Stack(buf, true); n < size {
			return strings.Split(string(buf[:n]), "\n\n")
		}
	}
}

// waits reports whether the first line of a trace, "goroutine 7 [select]:", says
// that the goroutine waits for another one.
func waits(state string) bool {
	_, state, _ = strings.Cut(state, "[")
	for _, s := range []string{"chan ", "select", "semacquire", "sync."} {
		if strings.HasPrefix(state, s) {
			return true
		}
	}
	return false
}

func inside(stack string, functions []string) bool {
	stack, _, _ = strings.Cut(stack, "created by ")
	for _, f := range functions {
		if !strings.Contains(stack, f) {
			return false
		}
	}
	return true
}
