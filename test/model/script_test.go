package model

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cordwood-db/cordwood/internal/testkit/draw"
)

// TestScriptsOfOldFailures replays each history that failed once, be it for a
// defect that was planted into the engine to see that it is found.
func TestScriptsOfOldFailures(t *testing.T) {
	paths, err := filepath.Glob("testdata/scripts/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			script, err := draw.Parse(string(text), knownStep)
			if err != nil {
				t.Fatal(err)
			}
			if r, err := replay(t, script, nil, true); err != nil {
				t.Errorf("%v\n%s", err, script.Explained(r.did))
			}
		})
	}
}

// TestFailureShrinksToAFewSteps plants defects into the model, each of which a
// long history finds, and expects it to become short.
func TestFailureShrinksToAFewSteps(t *testing.T) {
	lies := []struct {
		name     string
		stepsMax int
		lie      lie
	}{
		{"a put is lost after a delete of its key", 6, func(r *run, w *write) bool {
			return w.op == 'p' && r.lastOf(w) == 'd'
		}},
		{"a merge is lost in a keyspace that was made", 6, func(_ *run, w *write) bool {
			return w.op == 'm' && w.in.id > 0
		}},
		{"a range delete is lost after the clock was set back", 8, func(r *run, w *write) bool {
			return w.op == 'r' && r.clock.Load() < r.latest.UnixNano()
		}},
	}
	if testing.Short() {
		lies = lies[:1]
	}
	for _, l := range lies {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			script, err := brokenHistory(t, l.lie)
			if err == nil {
				t.Fatal("no history finds it")
			}
			small, ok := smallest(t, script, l.lie, time.Hour)
			r, err := replay(t, small, l.lie, true)
			if !ok || err == nil {
				t.Fatalf("the failure does not repeat: %v", err)
			}
			t.Logf("%d of %d steps are left: %v\n%s", len(small), len(script), err, small.Explained(r.did))
			if len(small) > l.stepsMax {
				t.Errorf("%d steps are left, want at most %d", len(small), l.stepsMax)
			}
			if _, err := replay(t, small, nil, false); err != nil {
				t.Errorf("without the defect: %v", err)
			}
		})
	}
}

// brokenHistory is the first history that fails, of those of fixed seeds.
func brokenHistory(t *testing.T, planted lie) (draw.Script, error) {
	for seed := range uint64(20) {
		src := draw.Random(seed)
		r := newRun(src)
		r.lie = planted
		if err := play(t, r, 4000); err != nil {
			return src.Script(), err
		}
	}
	return nil, nil
}

// lastOf is what the newest commit that wrote the key of w did to it.
func (r *run) lastOf(w *write) byte {
	for i := len(r.commits) - 1; i >= 0; i-- {
		for j := len(r.commits[i].writes) - 1; j >= 0; j-- {
			old := &r.commits[i].writes[j]
			if t := old.touched(); old.in == w.in && t.has(string(w.key)) {
				return old.op
			}
		}
	}
	return 0
}

// TestEveryStepRunsAlone has every kind of step in a history, alone and with
// the largest numbers.
func TestEveryStepRunsAlone(t *testing.T) {
	for _, s := range steps {
		for _, n := range []uint64{0, 1, 1<<64 - 1} {
			numbers := make([]uint64, 60)
			for i := range numbers {
				numbers[i] = n
			}
			script := draw.Script{{Name: s.name, Numbers: numbers}, {Name: s.name}, {Name: s.name, Numbers: numbers}}
			if r, err := replay(t, script, nil, true); err != nil {
				t.Errorf("%v\n%s", err, fmt.Sprint(script.Explained(r.did)))
			}
		}
	}
}
