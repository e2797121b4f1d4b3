package enginetest

import (
	"testing"

	"github.com/cordwood-db/cordwood/bench/engine"
)

// Run checks that an engine does what package engine asks for. It opens stores
// with little memory in folders of the test.
func Run(t *testing.T, e *engine.Engine) {
	t.Run("points", func(t *testing.T) { points(open(t, e)) })
}

// options are those of the suite's stores: little memory, so that tables and
// compactions come about.
func options(dir string) engine.Options {
	return engine.Options{Dir: dir, MemtableBytes: 1 << 20, MemtablesMax: 4, CacheBytes: 8 << 20, FilterBits: 10,
		Compression: engine.CompressionDefault, Threads: 2, Keys: 10_000, KeyBytes: 16, ValueBytes: 100}
}
