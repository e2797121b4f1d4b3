package testkit

import (
	"os"
	"testing"
	"time"
)

// Environment variables that tests obey.
const (
	// SeedEnv is the seed of random tests, a decimal number.
	SeedEnv = "CORDWOOD_SEED"
	// CIEnv, if not empty, asks for the amounts that a submission must survive.
	CIEnv = "CORDWOOD_CI"
	// SoakEnv is "full", or a duration such as 10m, for which each test goes on.
	SoakEnv = "CORDWOOD_SOAK"
)

// Amount is how much of something a test does, by occasion.
type Amount struct {
	Short, Normal, CI, Full int
}

// Budget is what a test may still do. Safe for concurrent use.
type Budget struct {
	want     int
	deadline time.Time // zero: want says when it is enough
}

// Budget is the amount on this occasion. The time of a soak starts here.
func (a Amount) Budget(t testing.TB) Budget {
	t.Helper()
	switch soak := os.Getenv(SoakEnv); {
	case soak == "full":
		return Budget{want: a.Full}
	case soak != "":
		d, err := time.ParseDuration(soak)
		if err != nil || d <= 0 {
			t.Fatalf("%s=%s is neither full nor a duration", SoakEnv, soak)
		}
		return Budget{want: a.Full, deadline: time.Now().Add(d)}
	case os.Getenv(CIEnv) != "":
		return Budget{want: a.CI}
	case testing.Short():
		return Budget{want: a.Short}
	}
	return Budget{want: a.Normal}
}

// More reports whether a test that has done so much should do more.
func (b Budget) More(done int) bool {
	if !b.deadline.IsZero() {
		return time.Now().Before(b.deadline)
	}
	return done < b.want
}

// Want is how much it is to be in the end; in a soak by time, the full amount,
// which is then neither a lower nor an upper limit.
func (b Budget) Want() int { return b.want }

// Timed reports whether time, not an amount, says when it is enough.
func (b Budget) Timed() bool { return !b.deadline.IsZero() }

// Thorough reports whether this is a run of at least CI's amounts.
func Thorough() bool { return os.Getenv(CIEnv) != "" || os.Getenv(SoakEnv) != "" }

// Sequential skips a test in short runs, which are the race detector's: it goes
// through cases one after another, and what goroutines do in each of them they also
// do in other tests.
func Sequential(t testing.TB) {
	if testing.Short() {
		t.Skip("one case after another: nothing that races in no other test")
	}
}
