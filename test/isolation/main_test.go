package isolation

import (
	"fmt"
	"os"
	"testing"
)

// childEnv makes the test binary the child of TestKilledBank.
const childEnv = "CORDWOOD_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) == "" {
		os.Exit(m.Run())
	}
	if err := tellers(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}
