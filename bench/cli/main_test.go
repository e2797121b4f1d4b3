package cli

import (
	"os"
	"testing"

	_ "github.com/cordwood-db/cordwood/bench/engine/cordwood"
)

// asProgram makes the test binary behave as kvbench, which children and the
// tests of signals need.
const asProgram = "KVBENCH_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		os.Exit(Main("kvbench"))
	}
	os.Exit(m.Run())
}
