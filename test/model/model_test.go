package model

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cordwood-db/cordwood/internal/testkit"
	"github.com/cordwood-db/cordwood/internal/testkit/draw"
)

// stepsOf is the length of a history: most are short, since the options are where
// histories differ, and one in eight is long, for a tree of many levels.
func stepsOf(seed uint64) int {
	if seed%8 == 0 {
		return 4000
	}
	return 800
}

// TestStoreAgreesWithModelUnderRandomOperations is the whole of this package:
// histories of the whole API, each on a store with settings of its own.
func TestStoreAgreesWithModelUnderRandomOperations(t *testing.T) {
	testkit.CollectRarely(t)
	seed := testkit.Seed(t)
	budget := testkit.Amount{Short: 8_000, Normal: 60_000, CI: 4_000_000, Full: 150_000_000}.Budget(t)
	var next, begun, done atomic.Int64
	var failed atomic.Bool
	t.Cleanup(func() {
		testkit.Count(t, "model operations", int(done.Load()))
	})
	for worker := range 2 {
		t.Run(fmt.Sprint("worker", worker), func(t *testing.T) {
			t.Parallel()
			for budget.More(int(begun.Load())) && !failed.Load() {
				own := seed + uint64(next.Add(1)) - 1
				begun.Add(int64(stepsOf(own)))
				src := draw.Random(own)
				err := play(t, newRun(src), stepsOf(own))
				done.Add(int64(src.Steps() - 1))
				if err != nil && !failed.Swap(true) {
					t.Errorf("%s=%d repeats this: %v", testkit.SeedEnv, own, err)
					report(t, src.Script(), nil)
				}
			}
		})
	}
}

// play runs a history in a bubble, where waiting costs no time.
func play(t *testing.T, r *run, stepsMax int) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the store hangs: %v", p)
		}
	}()
	synctest.Test(t, func(*testing.T) { err = r.play(stepsMax) })
	return err
}

// lie is a defect to plant into the model: it reports whether a write is lost.
type lie func(*run, *write) bool

// replay runs a script, and gives what was used of it.
func replay(t *testing.T, script draw.Script, planted lie, explains bool) (*run, error) {
	r := newRun(draw.Replay(script))
	r.lie, r.explains = planted, explains
	return r, play(t, r, len(script)+1)
}

// Limits of the search for a smaller script.
const (
	shrinkTimeMax  = 2 * time.Minute
	shrinkTriesMax = 3000
)

// smallest is a small script that fails as script did. ok is false if not even
// that one fails again.
func smallest(t *testing.T, script draw.Script, planted lie, timeMax time.Duration) (small draw.Script, ok bool) {
	deadline, tries := time.Now().Add(timeMax), 0
	more := func() bool { tries++; return tries < shrinkTriesMax && time.Now().Before(deadline) }
	again := 1
	fails := func(script draw.Script) (draw.Script, bool) {
		for range again {
			if r, err := replay(t, script, planted, false); err != nil {
				return r.draw.Script(), true
			}
		}
		return nil, false
	}
	for try := 0; ; try++ {
		if _, ok := fails(script); ok {
			// What fails only at times is given as many chances.
			again = min(2*try+1, 10)
			return draw.Shrink(script, fails, more), true
		}
		if try == 10 {
			return script, false
		}
	}
}

// report makes a failed history small and says what it is.
func report(t *testing.T, script draw.Script, planted lie) {
	small, ok := smallest(t, script, planted, shrinkTimeMax)
	if !ok {
		t.Errorf("the history of %d steps did not fail again: the background's timing has a part in it\n%s",
			len(script), keep(t, script, nil))
		return
	}
	for range 20 {
		if r, err := replay(t, small, planted, true); err != nil {
			text := small.Explained(r.did)
			t.Errorf("a history of %d steps fails with: %v\nAs a file in testdata/scripts it is tested from now on (%s):\n%s",
				len(small), err, keep(t, small, r.did), text)
			return
		}
	}
	t.Errorf("a history of %d steps fails at times (%s):\n%s", len(small), keep(t, small, nil), small)
}

// keepEnv is the folder for scripts of failed histories.
const keepEnv = "CORDWOOD_KEEP"

// keep writes a script to a file and says where.
func keep(t *testing.T, script draw.Script, did [][]string) string {
	folder := os.Getenv(keepEnv)
	var err error
	if folder == "" {
		folder, err = os.MkdirTemp("", "cordwood-model-")
	}
	path := filepath.Join(folder, fmt.Sprintf("failed-%d.txt", time.Now().UnixNano()))
	if err = errors.Join(err, os.WriteFile(path, []byte(script.Explained(did)), 0o600)); err != nil {
		t.Errorf("the script could not be kept: %v", err)
		return script.String()
	}
	return path
}
