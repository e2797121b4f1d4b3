package main

import (
	"testing"

	"github.com/cordwood-db/cordwood/bench/engine"
	"github.com/cordwood-db/cordwood/bench/engine/enginetest"
)

// TestEngines checks that every engine that is linked in does what kvbench asks
// of it.
func TestEngines(t *testing.T) {
	for _, e := range engine.All() {
		t.Run(e.Name, func(t *testing.T) {
			t.Parallel()
			enginetest.Run(t, e)
		})
	}
}
