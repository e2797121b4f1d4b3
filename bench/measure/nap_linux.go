package measure

import (
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// runtimeLate is more than what time.Sleep is late by as a rule: the runtime
	// waits in whole milliseconds. It costs no thread, so it takes the long part.
	runtimeLate = 1500 * time.Microsecond
	// timerSlack is what the kernel adds to every sleep of a thread, for waking
	// several at once (PR_SET_TIMERSLACK in prctl(2)), unless something wakes it.
	timerSlack = 50 * time.Microsecond
)

// nap sleeps for left or less; the caller looks at the clock again. Its last
// part gives way to whatever else can run: the open loop's client must not take
// processor time from the engine.
func nap(left time.Duration) {
	switch {
	case left > 2*runtimeLate:
		time.Sleep(left - runtimeLate)
	case left > timerSlack:
		t := unix.NsecToTimespec(int64(left - timerSlack))
		// An error is a signal or a kernel without: the caller's loop goes on, and
		// this keeps it from spinning for long.
		if err := unix.Nanosleep(&t, nil); err != nil && err != unix.EINTR {
			time.Sleep(left)
		}
	default:
		runtime.Gosched()
	}
}
