package model

import (
	"testing"

	"github.com/cordwood-db/cordwood/internal/testkit/draw"
)

// Limits of one input of FuzzOperations.
const (
	fuzzStepsMax = 400
	fuzzBytesMax = 8 << 10
)

// FuzzOperations takes the choices of a history from the fuzzer's bytes.
func FuzzOperations(f *testing.F) {
	f.Fuzz(func(t *testing.T, data []byte) {
		src := draw.Bytes(data[:min(len(data), fuzzBytesMax)], fuzzStepsMax)
		err := play(t, newRun(src), fuzzStepsMax)
		if err == nil {
			return
		}
		// The fuzzer itself makes its inputs small.
		script := src.Script()
		r, again := replay(t, script, nil, true)
		t.Errorf("%v\nits script, which fails with %v:\n%s", err, again, script.Explained(r.did))
	})
}
