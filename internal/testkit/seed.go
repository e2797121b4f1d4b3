package testkit

import (
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"
)

// Seed is the seed of a random test: that of the environment, or a new one. A
// failing test shows it.
func Seed(t testing.TB) uint64 {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv(SeedEnv); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatalf("%s=%s is not a number", SeedEnv, s)
		}
		seed = n
	}
	t.Logf("%s=%d", SeedEnv, seed)
	return seed
}

// FirstSeed is for tests whose cases are numbered by their seeds: 1, so that all
// runs are alike, but the seed of the environment, or a new one, in a soak.
func FirstSeed(t testing.TB) uint64 {
	t.Helper()
	if os.Getenv(SeedEnv) == "" && os.Getenv(SoakEnv) == "" {
		return 1
	}
	return Seed(t)
}

// Count reports how much of a check a test has done. The name is one of
// docs/testing.md's, such as "crash images".
func Count(t testing.TB, name string, n int) {
	t.Helper()
	t.Logf("%s: %d", name, n)
	if Thorough() {
		fmt.Printf("\n%s%s: %d\n", FigurePrefix, name, n)
	}
}

// FigurePrefix starts a line of standard output in which Count reports, in runs
// of CI's amounts and in soaks.
const FigurePrefix = "figure: "
