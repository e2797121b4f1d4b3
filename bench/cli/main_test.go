package cli

import (
	"os"
	"testing"

	"github.com/cordwood-db/cordwood/bench/engine"
	_ "github.com/cordwood-db/cordwood/bench/engine/cordwood"
	"github.com/cordwood-db/cordwood/bench/engine/enginetest"
)

// liar is an engine that sometimes returns a damaged value.
type liar struct{ engine.Store }

func (l liar) Get(dst, key []byte) ([]byte, error) {
	value, err := l.Store.Get(dst, key)
	if err == nil && key[len(key)-1] == '4' {
		value[len(value)-1] ^= 1
	}
	return value, err
}

func init() {
	e := enginetest.Memory()
	open := e.Open
	e.Name, e.Abilities = "liar", 0
	e.Open = func(o engine.Options) (engine.Store, error) {
		store, err := open(o)
		return liar{store}, err
	}
	engine.Register(e)
}

// asProgram makes the test binary behave as kvbench, which children and the
// tests of signals need.
const asProgram = "KVBENCH_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		os.Exit(Main("kvbench"))
	}
	os.Exit(m.Run())
}
